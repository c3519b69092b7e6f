"""The section `metrics`: where measurements come from. Prometheus servers, CloudWatch, files."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, Tag, model_validator

from workbench.settings.file import FromEnvironment
from workbench.settings.section import Section
from workbench.settings.types import Location, Number, Secret, Text, Whole, Zone, chosen_by, fault


def _all_from_environment(given: object) -> object:
    """Judge all values at once: a fault of one would show what stands there."""
    values = given.values() if isinstance(given, dict) else ()
    if not all(isinstance(value, FromEnvironment | SecretStr) for value in values):
        raise fault("a header's value may be a secret and may not stand in a profile; write ${NAME} and set the "
                    "environment variable NAME")  # fmt: skip
    return given


Headers = Annotated[dict[Text, Secret], BeforeValidator(_all_from_environment)]


class PrometheusServer(Section):
    """One Prometheus, or what speaks its HTTP API: Thanos, Mimir, VictoriaMetrics."""

    url: Text = Field(description="Its address with http:// or https://, without /api/v1")
    username: Text | None = Field(None, description="Name to log in with, where it asks for basic auth")
    password: Secret | None = Field(None, description="Password to log in with")
    token: Secret | None = Field(None, description="Bearer token, instead of name and password")
    ca_path: Location | None = Field(None, description="Certificates to trust (PEM), instead of the system's")
    headers: Headers = Field(
        default_factory=dict, description="Header → value that goes with each request, e.g. X-Scope-OrgID"
    )

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        try:
            parts = urlsplit(self.url)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1)
        except ValueError:
            raise fault("the url can't be read; write https://prometheus.example.com:9090") from None
        if parts.username is not None or parts.password is not None:
            raise fault("the url holds a name or a password; give username, and password as ${NAME}")
        if not fine or parts.query or parts.fragment:
            raise fault("the url is no address of a server; write https://prometheus.example.com:9090")
        if (self.username is None) != (self.password is None):
            raise fault("username and password belong together: give both, or none")
        if self.token and self.username:
            raise fault("give username and password, or token, not both")
        return self


class PrometheusMetrics(Section):
    """Metrics in Prometheus: named queries, asked of one server or of several that hold the same."""

    name: Text = Field(description="How this source of metrics is called on pages; unique in the profile")
    kind: Literal["prometheus"] = Field("prometheus", description="Prometheus servers")
    servers: list[PrometheusServer] = Field(
        min_length=1, description="Servers; of two that have the same sample the first one's counts"
    )
    queries: dict[Text, Text] = Field(
        default_factory=dict, description="Metric → PromQL; without it CPU, memory, request rate and p95 latency"
    )
    labels: list[Text] = Field(
        default_factory=list,
        description="Labels that make a series' name; without it those that differ, which may change from run to run",
    )
    step_s: Whole = Field(60, ge=1, le=86_400, description="Seconds from one sample to the next")
    timeout_s: Number = Field(120, gt=0, description="Seconds after which reading is given up, retries included")
    most_series: Whole = Field(50_000, ge=1, description="A query with more series than that is refused")


class CloudwatchQuery(Section):
    """A CloudWatch metric, of all resources that have it."""

    namespace: Text = Field(description="CloudWatch's namespace, e.g. AWS/EC2")
    metric: Text = Field(description="The metric's name in CloudWatch, e.g. CPUUtilization")
    dimensions: list[Text] = Field(
        min_length=1, max_length=30, description="Names of the dimensions that a series has, no more and no fewer"
    )
    statistic: Annotated[str, Field(pattern=r"^(Average|Maximum|Minimum|Sum|SampleCount|p\d{1,2}(\.\d+)?)$")] = Field(
        "Average", description="What to take of a period: Average, Maximum, Minimum, Sum, SampleCount, or p95"
    )


class CloudwatchMetrics(Section):
    """Metrics in CloudWatch; who may read them is said in AWS's own files or variables."""

    name: Text = Field(description="How this source of metrics is called on pages; unique in the profile")
    kind: Literal["cloudwatch"] = Field("cloudwatch", description="Amazon CloudWatch")
    aws_profile: Text | None = Field(
        None, description="A profile of AWS's own config files; without it what AWS's tools find: variables, roles"
    )
    endpoint_url: Text | None = Field(None, description="Another address for all AWS calls, e.g. a local stand-in")
    regions: list[Text] = Field(min_length=1, description="Regions whose CloudWatch is asked")
    queries: dict[Text, CloudwatchQuery] = Field(
        default_factory=lambda: {
            "cpu_usage": CloudwatchQuery(namespace="AWS/EC2", metric="CPUUtilization", dimensions=["InstanceId"])
        },
        min_length=1,
        description="Metric → where CloudWatch has it; without it the CPU of EC2",
    )
    period_s: Literal[60, 300] = Field(
        60, description="Seconds of a period; CloudWatch keeps 60 for 15 days, 300 for 63 days"
    )
    most_series: Whole = Field(50_000, ge=1, description="A metric with more series than that is refused")


class FileMetrics(Section):
    """Metrics in files."""

    name: Text = Field(description="How this source of metrics is called on pages; unique in the profile")
    kind: Literal["file"] = Field("file", description="CSV or Parquet with a column timestamp")
    path: Location = Field(description="A file (CSV, CSV.gz, Parquet), a folder, or a pattern with *")
    zone: Zone = Field("UTC", description="Time zone of times that are written without one")


MetricSource = Annotated[
    Annotated[PrometheusMetrics, Tag("prometheus")]
    | Annotated[CloudwatchMetrics, Tag("cloudwatch")]
    | Annotated[FileMetrics, Tag("file")],
    chosen_by("kind", "prometheus"),
]
"""One entry of the section `metrics`."""


def _each_its_own_name(given: list[MetricSource]) -> list[MetricSource]:
    names = [source.name for source in given]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise fault(f"two sources of metrics are called '{name}'; give each its own name", index, "name")
    return given


MetricSources = Annotated[list[MetricSource], AfterValidator(_each_its_own_name)]
