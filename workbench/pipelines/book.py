"""The book of loads: what each file said, and what became of every row and amount of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.focus import AMOUNT
from workbench.settings import AwsSource, Settings
from workbench.sources.focus import FileRead
from workbench.sources.focus.totals import MEASURES

if TYPE_CHECKING:
    from workbench.pipelines.road import Carried
    from workbench.warehouse import Merged, Warehouse

RUNS = "finops_staging.ingest_runs"
TOTALS = "finops_staging.ingest_totals"
REJECTED = "finops_staging.rejected_rows"
_COUNTED = ("inserted", "restated", "unchanged", "older", "repeated")


@dataclass(frozen=True)
class FileLoaded:
    """What came of one file: as it was read, and as the warehouse took it (None where it could not be read)."""

    read: FileRead
    merged: "Merged | None"

    @property
    def failed(self) -> bool:
        """Whether something of the file did not get in: it could not be read, a row was refused, or in conflict."""
        return self.merged is None or self.read.rejected.height > 0 or self.merged.conflicts > 0


def pages(loaded: FileLoaded, run_id: str, loaded_at: datetime, reading: str) -> dict[str, pl.DataFrame]:
    """Return what one load adds to the book, by table: the load itself, its totals, its refused rows."""
    file, merged = loaded.read, loaded.merged
    counts = {f"rows_{name}": getattr(merged, name, 0) for name in _COUNTED}
    run = {
        "run_id": run_id, "source_name": file.source_name, "source_file": file.source_file,
        "file_bytes": file.path.stat().st_size if file.path.exists() else None, "observed_at": file.observed_at,
        "started_at": loaded_at, "loaded_at": loaded_at, "rows_read": file.rows, "rows_filtered": file.filtered,
        "rows_accepted": file.accepted, "rows_rejected": file.rejected.height, "rows_equal": file.equal_lines,
        **counts, "rows_conflicting": merged.conflicts if merged else 0, "reading": reading, "error": file.error,
    }  # fmt: skip
    book = {RUNS: pl.DataFrame([run], infer_schema_length=None)}
    totals = file_totals(loaded)
    if totals.height:
        book[TOTALS] = totals.with_columns(run_id=pl.lit(run_id), source_file=pl.lit(file.source_file))
    if file.rejected.height:
        rows = file.rejected.rename({"row": "row_number"})
        book[REJECTED] = rows.with_columns(run_id=pl.lit(run_id), loaded_at=pl.lit(loaded_at))
    return book


def events_page(
    carried: "Carried", run_id: str, source_name: str, source_file: str, *, size: int, observed_at: datetime
) -> dict[str, pl.DataFrame]:
    """Return what a load of events adds to the book, by table; their money stands in no bill, so it has no totals."""
    now = datetime.now(UTC)
    run = {
        "run_id": run_id, "source_name": source_name, "source_file": source_file, "file_bytes": size,
        "observed_at": observed_at, "started_at": now, "loaded_at": now, "rows_read": carried.read,
        "rows_filtered": 0, "rows_accepted": carried.valid, "rows_rejected": carried.dead, "rows_equal": 0,
        **{f"rows_{name}": getattr(carried, name) for name in _COUNTED}, "rows_conflicting": carried.conflicts,
        "reading": "",
    }  # fmt: skip
    return {RUNS: pl.DataFrame([run])}


def file_totals(loaded: FileLoaded) -> pl.DataFrame:
    """What one file says, and what became of it, by currency and measure.

    Returns
    -------
    polars.DataFrame
        `currency`, `measure` (`BilledCost` or `ListCost`), `read_total` = `accepted_total` + `rejected_total`, and for
        BilledCost where the accepted went: `inserted_total`, `restated_delta`, `unchanged_total`, `older_total`,
        `repeated_total`, `conflicting_total`. Exact amounts in that currency.
    """
    read = loaded.read.totals.with_columns(pl.col("BillingCurrency").fill_null("?").alias("currency"))
    accepted, rejected = (pl.col("outcome") == outcome for outcome in ("accepted", "rejected"))
    measured = [
        read.group_by("currency").agg(
            pl.lit(measure).alias("measure"),
            pl.col(measure).sum().cast(AMOUNT).alias("read_total"),
            pl.col(measure).filter(accepted).sum().cast(AMOUNT).alias("accepted_total"),
            pl.col(measure).filter(rejected).sum().cast(AMOUNT).alias("rejected_total"),
        )
        for measure in MEASURES
    ]
    totals = pl.concat(measured).sort("currency", "measure")
    return (
        totals if loaded.merged is None else totals.join(_became(loaded.merged), on=["currency", "measure"], how="left")
    )


def _became(merged: "Merged") -> pl.DataFrame:
    """Where the accepted BilledCost went, one row a currency."""
    outcome, amount, before = pl.col("outcome"), pl.col("amount").fill_null(0), pl.col("amount_before").fill_null(0)
    went = {
        "inserted_total": pl.when(outcome == "inserted").then(amount),
        "restated_delta": pl.when(outcome == "restated").then(amount - before),
        "unchanged_total": pl.when(outcome == "unchanged").then(amount),
        "older_total": pl.when(outcome == "older").then(amount),
        "repeated_total": pl.when(outcome == "repeated").then(amount),
        "conflicting_total": pl.when(outcome == "conflict").then(amount),
    }
    sums = merged.amounts.group_by("currency").agg(part.sum().cast(AMOUNT).alias(name) for name, part in went.items())
    return sums.with_columns(measure=pl.lit("BilledCost"))


def loaded_before(warehouse: "Warehouse") -> set[tuple[Any, ...]]:
    """Return (source, file, bytes, observed_at, reading) of each file that has been loaded without an error."""
    sql = f"SELECT source_name, source_file, file_bytes, observed_at, reading FROM {RUNS} WHERE error IS NULL"  # noqa: S608
    return set(warehouse.query(sql, ()).iter_rows())


def is_loaded(warehouse: "Warehouse", settings: Settings) -> bool:
    """Whether every source of the profile has been loaded into the warehouse before, but for what is produced."""
    known = set(warehouse.query(f"SELECT DISTINCT source_name FROM {RUNS}", ())["source_name"].to_list())  # noqa: S608
    return {source.name for source in settings.sources if not isinstance(source, AwsSource)} <= known
