"""A bill that was read: its lines, what was refused, and its exact totals."""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from workbench.errors import UsageError, did_you_mean
from workbench.events import COST
from workbench.focus import SCHEMA

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("BilledCost", "ListCost")
"""The amounts whose totals are kept of each file."""

REJECTED_LINES = pl.Schema({"source_file": pl.String(), "row": pl.Int64(), "reason": pl.String(),
                            "value": pl.String(), "record": pl.String()})  # fmt: skip

TOTALS = pl.Schema({"BillingCurrency": pl.String(), "outcome": pl.String(), "lines": pl.Int64(),
                    **{name: pl.Decimal(38, 12) for name in MEASURES}})  # fmt: skip


@dataclass(frozen=True)
class FileRead:
    """One file of a bill, read: where its lines lie, and what came of each row."""

    path: Path
    source_name: str
    source_file: str
    observed_at: datetime
    parts: tuple[Path, ...] = ()
    rows: int = 0
    filtered: int = 0
    accepted: int = 0
    equal_lines: int = 0
    rejected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTED_LINES))
    totals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TOTALS))
    error: str | None = None


class Bill:
    """The lines of one or more files, kept on disk and read when asked for.

    Attributes
    ----------
    files
        What came of each file.
    """

    def __init__(self, files: Sequence[FileRead], folder: Path, *, keep: bool = False) -> None:
        self.files = tuple(files)
        self._folder = folder
        if not keep:
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def scan(self) -> pl.LazyFrame:
        """Return all lines lazily: `workbench.focus.SCHEMA`, amounts in `BillingCurrency`, times in UTC."""
        parts = [part for file in self.files for part in file.parts]
        return pl.scan_parquet(parts) if parts else pl.LazyFrame(schema=SCHEMA)

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
        known = [*SCHEMA, "date"]
        for name in columns:
            if name not in known:
                raise UsageError(f"a bill has no column '{name}'{did_you_mean(name, known)}; e.g. ServiceName, "
                                 "ProviderName, RegionId, business_unit, date")  # fmt: skip
        dated = self.scan().with_columns(date=pl.col("ChargePeriodStart").dt.date())
        sums = [pl.len().cast(pl.Int64).alias("lines"), *(pl.col(name).sum() for name in MEASURES)]
        grouped = dated.group_by(*columns, "BillingCurrency").agg(sums)
        return grouped.sort("BilledCost", *columns, descending=[True] + [False] * len(columns)).collect()

    def events(self) -> pl.LazyFrame:
        """Return the lines as cost events (`workbench.events.COST`), `cost_amount` being BilledCost."""
        return cost_events(self.scan())

    @property
    def rejected(self) -> pl.DataFrame:
        """The refused rows: file, line, reason, the value at fault, and all they held."""
        return pl.concat([pl.DataFrame(schema=REJECTED_LINES), *(file.rejected for file in self.files)])

    @property
    def totals(self) -> pl.DataFrame:
        """Exact totals by currency and outcome (`accepted`, `rejected`); the two add up to what the files say."""
        return add_up(file.totals for file in self.files)

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


def cost_events(lines: pl.LazyFrame) -> pl.LazyFrame:
    """Bill lines → cost events, same ids."""
    details = pl.struct(pl.col("ChargeCategory", "ProviderName", "SkuId", "ChargePeriodEnd")).struct.json_encode()
    return lines.select(
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
        metadata=details,
        currency="BillingCurrency",
        observed_at="observed_at",
        loaded_at="loaded_at",
    ).select(list(COST))


def add_up(totals: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Sum frames of `TOTALS` by currency and outcome."""
    sums = [pl.col("lines").sum(), *(pl.col(name).sum() for name in MEASURES)]
    whole = pl.concat([pl.DataFrame(schema=TOTALS), *totals])
    return (
        whole.group_by("BillingCurrency", "outcome", maintain_order=True)
        .agg(sums)
        .sort("BillingCurrency", "outcome")
    )


def new_folder() -> Path:
    """Make the folder that the parts of a bill lie in until nobody needs them."""
    return Path(tempfile.mkdtemp(prefix="workbench-bill-"))
