"""What a profile holds: its sections, their keys, and a word on each."""

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, Tag, model_validator

from workbench import focus
from workbench.errors import did_you_mean
from workbench.settings.aws import AwsSource
from workbench.settings.broker import Broker, EmbeddedBroker
from workbench.settings.metrics import MetricSources
from workbench.settings.section import Section
from workbench.settings.types import (
    Day,
    FolderName,
    Location,
    Moment,
    Number,
    Secret,
    Target,
    Text,
    Whole,
    Zone,
    chosen_by,
    fault,
)


class FocusSource(Section):
    """A bill in files: FOCUS 1.0 to 1.2, or any CSV by a mapping."""

    name: Text = Field(description="How the source is called on pages; unique in the profile")
    kind: Literal["focus"] = Field("focus", description="A bill in files")
    path: Location = Field(description="A file (CSV, CSV.gz, Parquet), a folder, or a pattern with *")
    mapping: str | None = Field(None, description="For a CSV that is no FOCUS: a key of names.columns")
    observed_at: Moment | None = Field(
        None,
        description="When the provider said so, the later wins; without it: when the file was written",
    )


class DemoSource(Section):
    """A simulated cloud: bills, events, metrics and logs that the package generates."""

    name: Text = Field(description="How the source is called on pages; unique in the profile")
    kind: Literal["demo"] = Field("demo", description="A simulated cloud")
    days: Whole = Field(120, ge=1, le=3660, description="How many days it covers")
    seed: Whole = Field(7, ge=0, description="Same seed, same cloud")
    end: Day = Field(description="The day after its last day")
    workloads: Whole = Field(26, ge=4, le=5000, description="How many workloads it has")
    orders_per_day: Number = Field(180, ge=0, description="What its customers buy on a usual day")
    metric_days: Whole = Field(7, ge=0, le=3660, description="So many of the last days have metrics by minute")


class Mapping(Section):
    """How the columns of a CSV that is no FOCUS become a bill."""

    fields: dict[Target, Text] = Field(
        default_factory=dict,
        description="FOCUS column, business_unit, project_id or environment → the file's column",
    )
    constants: dict[Target, str] = Field(default_factory=dict, description="The same → one text for all rows")
    rows: dict[str, str] = Field(
        default_factory=dict,
        description="Only rows where the file's column equals the text; for files that hold the money twice",
    )
    period: Literal["1h", "1d", "1mo"] | None = Field(
        None, description="Length of a charge period, where no column says when it ends"
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="What separates the columns")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        both = sorted(self.fields.keys() & self.constants.keys())
        if both:
            raise fault(f"{', '.join(both)} stand both in fields and in constants; keep one")
        missing = [name for name in focus.REQUIRED if name not in self.fields and name not in self.constants]
        if missing:
            raise fault(f"a bill can't do without {', '.join(missing)}; name the file's column under fields")
        return self


class Names(Section):
    """The one place for a user's own words: tag keys, unit names, columns."""

    unit_tags: dict[str, list[Text]] = Field(
        default_factory=lambda: {
            "default": ["business_unit", "business-unit", "businessunit", "team", "department", "org"]
        },
        description="Provider → tag keys that name the business unit, the first found wins; `default` for other "
        "providers. Tag keys are compared without case and outer blanks",
    )
    project_tags: dict[str, list[Text]] = Field(
        default_factory=lambda: {"default": ["project_id", "project-id", "project", "application", "app"]},
        description="The same for the project",
    )
    environment_tags: dict[str, list[Text]] = Field(
        default_factory=lambda: {"default": ["environment", "env", "stage"]},
        description="The same for the environment",
    )
    units: dict[str, str] = Field(default_factory=dict, description="Business unit as found → name to show")
    columns: dict[str, Mapping] = Field(default_factory=dict, description="Mappings of CSV files, by name")


class Limits(Section):
    """What is too much."""

    max_line_bytes: Whole = Field(16_777_216, ge=64, description="A longer line of a bill is rejected")


class Embedded(Section):
    """The warehouse that comes with the package."""

    engine: Literal["embedded"] = Field("embedded", description="Nothing to install, one folder of files")
    idle_minutes: Number = Field(
        10, gt=0, description="The warehouse's process ends after so many minutes without a question"
    )
    memory_limit: str = Field(
        "1500MB", pattern=r"(?i)^\d+(\.\d+)? ?[kmgt]i?b$", description="Memory it may use before it writes to disk"
    )


class Snowflake(Section):
    """A Snowflake account."""

    engine: Literal["snowflake"] = Field("snowflake", description="An account in the cloud")
    account: Text | None = Field(None, description="Account identifier")
    user: Text | None = Field(None, description="User name")
    password: Secret | None = Field(None, description="Password or programmatic access token")
    private_key_path: Location | None = Field(None, description="Private key file, instead of a password")
    authenticator: Text | None = Field(
        None, description="Snowflake's word for another way to log in, e.g. externalbrowser"
    )
    role: Text | None = Field(None, description="Role of the session")
    warehouse: Text | None = Field(None, description="Compute warehouse of the session")
    database: Text | None = Field(None, description="Database that holds the workbench's schemas")
    connection_name: Text | None = Field(
        None, description="A connection of the vendor's connections.toml, instead of the above"
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.connection_name and not (self.account and self.user):
            raise fault("needs account and user, or connection_name")
        return self


class ReportSettings(Section):
    """How reports are made."""

    notebooks: list[Text] = Field(default_factory=list, description="Names of the notebooks to run; empty: all")
    workers: Whole = Field(2, ge=1, le=64, description="Notebooks that run at once")
    timeout_s: Whole = Field(1800, ge=1, description="Seconds after which a notebook is stopped")
    local_zone: Zone = Field("UTC", description="Time zone shown beside UTC")
    known_at: Moment | None = Field(None, description="With the knowledge of that moment; without it: the latest")


Source = Annotated[
    Annotated[FocusSource, Tag("focus")] | Annotated[DemoSource, Tag("demo")] | Annotated[AwsSource, Tag("aws")],
    chosen_by("kind", "focus"),
]
Engine = Annotated[
    Annotated[Embedded, Tag("embedded")] | Annotated[Snowflake, Tag("snowflake")], chosen_by("engine", "embedded")
]


class Settings(Section):
    """A whole profile."""

    name: FolderName = Field(description="The profile's name; without it the file's name")
    root: Path = Field(
        default_factory=Path.cwd, description="Where relative paths start; without it the folder above params/"
    )
    state: Location = Field(
        default_factory=lambda data: data["root"] / ".workbench" / data["name"],
        description="Folder of the warehouse, models and caches; without it .workbench/<name>",
    )
    reports: Location = Field(
        default_factory=lambda data: data["root"] / "reports",
        description="Folder that reports are written to; without it reports",
    )
    as_of: Day | None = Field(
        None, description="Charges before that day, 00:00 UTC; without it the day after the last charge"
    )
    sources: list[Source] = Field(min_length=1, description="Where bills come from")
    metrics: MetricSources = Field(default_factory=list, description="Where measurements come from")
    names: Names = Field(default_factory=Names, description="The one place for your own words")
    limits: Limits = Field(default_factory=Limits, description="What is too much")
    warehouse: Engine = Field(default_factory=Embedded, description="Where the data is kept")
    broker: Broker = Field(default_factory=EmbeddedBroker, description="The road that events take to the warehouse")
    report: ReportSettings = Field(default_factory=ReportSettings, description="How reports are made")

    _file: Path | None = PrivateAttr(None)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 (pydantic's signature)
        """Remember the file."""
        self._file = (context or {}).get("file")

    @property
    def file(self) -> Path | None:
        """The YAML file that was loaded, absolute; None for settings made in code."""
        return self._file

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: set[str] = set()
        for index, source in enumerate(self.sources):
            if source.name in seen:
                raise fault(f"two sources are called '{source.name}'; give each its own name", "sources", index, "name")
            seen.add(source.name)
            mapping = source.mapping if isinstance(source, FocusSource) else None
            if mapping is not None and mapping not in self.names.columns:
                there = ", ".join(self.names.columns) or "none"
                near = did_you_mean(mapping, self.names.columns)
                raise fault(
                    f"source '{source.name}' has the mapping '{mapping}'; names.columns holds: {there}{near}",
                    *("sources", index, "mapping"),
                )
        return self

    def fingerprint(self) -> str:
        """Twelve hex digits that change when anything but a secret or the project's place changes."""
        plain = self.model_dump(mode="json", exclude={"root", "state", "reports"})
        text = json.dumps(_portable(plain, self.root), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _portable(value: Any, root: Path) -> Any:  # noqa: ANN401 (any JSON)
    """Paths relative to the root."""
    if isinstance(value, dict):
        return {key: _portable(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item, root) for item in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return os.path.relpath(value, root)
    return value
