"""A bill that was read: its lines, what was refused, and its exact totals."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from polars.io.plugins import register_io_source

from workbench.errors import UsageError, did_you_mean
from workbench.events import COST
from workbench.focus import SCHEMA
from workbench.sources.focus.totals import MEASURES, TOTALS, together

if TYPE_CHECKING:
    import pandas as pd

REJECTED_LINES = pl.Schema(
    {
        "source_file": pl.String(),
        "row": pl.Int64(),  # the line of the file, the header being 1
        "reason": pl.String(),
        "value": pl.String(),
        "record": pl.String(),
    }
)


class Place:
    """A folder for the parts of a bill: a temporary one goes with the last object that holds it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="workbench-bill-"))
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


@dataclass(frozen=True)
class FileRead:
    """One file of a bill, read: where its lines lie (or the events made of them), and what came of each row."""

    path: Path
    source_name: str
    source_file: str
    observed_at: datetime
    parts: tuple[Path, ...] = ()
    events: pl.DataFrame | None = None
    rows: int = 0
    filtered: int = 0
    accepted: int = 0
    equal_lines: int = 0
    rejected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTED_LINES))
    totals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TOTALS))
    error: str | None = None
    place: Place | None = field(default=None, repr=False, compare=False)


class Bill:
    """The lines of one or more files, kept on disk and read when asked for.

    Attributes
    ----------
    files
        What came of each file.
    """

    def __init__(self, files: Sequence[FileRead]) -> None:
        self.files = tuple(files)

    def scan(self) -> pl.LazyFrame:
        """Return all lines lazily: `workbench.focus.SCHEMA`, amounts in `BillingCurrency`, times in UTC.

        Raises
        ------
        UsageError
            The bill was read with `keep="events"`.
        """
        if any(file.events is not None for file in self.files):
            raise UsageError('this bill kept its events only; read it with keep="lines"')
        return register_io_source(partial(_frames, self.files), schema=SCHEMA, is_pure=True)

    def lines(self) -> pl.DataFrame:
        """Return all lines in memory."""
        return self.scan().collect()

    def by(self, *columns: str) -> pl.DataFrame:
        """Sum up: one row for each combination of `columns` and currency, dearest first.

        Parameters
        ----------
        columns
            Names of the schema (`ServiceName`, `business_unit`, …), or `date` for the day (UTC) of the charge.

        Returns
        -------
        polars.DataFrame
            `columns`, `BillingCurrency`, `lines`, `BilledCost`, `ListCost` (exact decimals in that currency).
        """
        known = [*(name for name in SCHEMA if name not in MEASURES), "date"]
        for name in columns:
            if name not in known:
                raise UsageError(f"a bill has no column '{name}'{did_you_mean(name, known)}; e.g. ServiceName, "
                                 "ProviderName, RegionId, business_unit, date")  # fmt: skip
        dated = self.scan().with_columns(date=pl.col("ChargePeriodStart").dt.date())
        sums = [pl.len().cast(pl.Int64).alias("lines"), *(pl.col(name).sum() for name in MEASURES)]
        keys = list(dict.fromkeys([*columns, "BillingCurrency"]))
        order = [True] + [False] * len(keys)
        return dated.group_by(keys).agg(sums).sort("BilledCost", *keys, descending=order).collect()

    def events(self) -> pl.LazyFrame:
        """Return the lines as cost events (`workbench.events.COST`), `cost_amount` being BilledCost."""
        kept = [file.events for file in self.files if file.events is not None]
        return pl.concat(kept).lazy() if kept else cost_events(self.scan())

    @property
    def rejected(self) -> pl.DataFrame:
        """The refused rows: file, line, reason, the value at fault, and all they held."""
        return pl.concat([pl.DataFrame(schema=REJECTED_LINES), *(file.rejected for file in self.files)])

    @property
    def totals(self) -> pl.DataFrame:
        """Exact totals by currency and outcome (`accepted`, `rejected`); the two add up to what the files say."""
        return together(file.totals for file in self.files)

    def to_pandas(self) -> "pd.DataFrame":
        """Return all lines as pandas; amounts stay exact (Arrow decimals)."""
        return self.lines().to_pandas(use_pyarrow_extension_array=True)

    def __repr__(self) -> str:
        accepted = sum(file.accepted for file in self.files)
        totals = self.totals.filter(pl.col("outcome") == "accepted")
        money = ", ".join(
            f"{row['BilledCost'].normalize():f} {row['BillingCurrency']}" for row in totals.iter_rows(named=True)
        )
        return f"<Bill of {accepted:,} lines, {self.rejected.height:,} rejected: {money or 'nothing'} billed>"


def _frames(
    files: Sequence[FileRead], columns: list[str] | None, where: pl.Expr | None, most: int | None, _: int | None
) -> Iterator[pl.DataFrame]:
    """Read the parts one by one; a frame that is still to be collected holds `files`, and so their temporary folder."""
    for part in (part for file in files for part in file.parts):
        lines = pl.scan_parquet(part)
        lines = lines if where is None else lines.filter(where)
        lines = lines if columns is None else lines.select(columns)
        frame = (lines if most is None else lines.head(most)).collect()
        yield frame
        most = None if most is None else most - frame.height


SHOWN_BY_EVENTS = (
    *("event_id", "ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "ProviderName", "ServiceName", "RegionId"),
    *("ResourceId", "SkuId", "BilledCost", "BillingCurrency", "business_unit", "project_id", "environment"),
    *("observed_at", "loaded_at"),
)
"""The columns of a line that its cost event is made of."""


def cost_events(lines: pl.LazyFrame, also: Sequence[str] = ()) -> pl.LazyFrame:
    """Bill lines → cost events, same ids; columns named in `also` come along."""
    details = pl.struct("ChargeCategory", "ProviderName", "SkuId", "ChargePeriodEnd")
    return lines.select(
        *also,
        "event_id",
        timestamp="ChargePeriodStart",
        event_type=pl.lit("cloud_cost_incurred"),
        service="ServiceName",
        region="RegionId",
        cost_amount="BilledCost",
        resource_id="ResourceId",
        business_unit="business_unit",
        project_id="project_id",
        environment="environment",
        metadata=details.map_batches(_json, return_dtype=pl.String, is_elementwise=True),
        currency="BillingCurrency",
        observed_at="observed_at",
        loaded_at="loaded_at",
    ).select(*COST.names(), *also)


def _json(details: pl.Series) -> pl.Series:
    """Write structs as JSON: each of them once, since most lines share theirs with many."""
    all_of_them = details.struct.unnest()
    end = pl.col("ChargePeriodEnd").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    written = all_of_them.unique().with_columns(json=pl.struct(pl.exclude("ChargePeriodEnd"), end).struct.json_encode())
    shared = all_of_them.join(written, on=all_of_them.columns, how="left", nulls_equal=True, maintain_order="left")
    return shared["json"]
