"""A bill in: source → checked lines → warehouse, with an account of every row.

Each file is merged by itself, so that what came of it can be told: lines that were new, known already, restated by a
later file, older than what is known, or in conflict. Loading the same bill again changes nothing.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

import polars as pl

from workbench.errors import WarehouseError
from workbench.focus import AMOUNT
from workbench.settings import DemoSource, FocusSource, Settings
from workbench.sources.demo import write_bill
from workbench.sources.focus import Bill, FileRead, cost_events, read_focus
from workbench.warehouse import Merged, Warehouse

FOCUS_COSTS = "finops_curated.focus_costs"
COST_EVENTS = "finops_curated.cost_events"
RUNS = "finops_staging.ingest_runs"
TOTALS = "finops_staging.ingest_totals"
REJECTED = "finops_staging.rejected_rows"
"""Until the broker is there, cost events go straight to their table: same ids, same totals."""


@dataclass(frozen=True)
class FileLoaded:
    """What came of one file: as it was read, and as the warehouse took it (None where it could not be read)."""

    read: FileRead
    merged: Merged | None

    @property
    def failed(self) -> bool:
        """Whether something of the file did not get in: it could not be read, a row was refused, or in conflict."""
        return self.merged is None or self.read.rejected.height > 0 or self.merged.conflicts > 0


@dataclass(frozen=True)
class Ingested:
    """What came of a whole ingestion."""

    run_id: str
    files: tuple[FileLoaded, ...]

    @property
    def exit_code(self) -> int:
        """0: everything is in. 1: something was refused or could not be read."""
        return int(any(file.failed for file in self.files))


Progress = Callable[[str, int, int], None]
"""Called as (what, done, total) while files are read and loaded."""


def ingest(warehouse: Warehouse, settings: Settings, progress: Progress | None = None) -> Ingested:
    """Load all sources of a profile; what has not changed since is read again and changes nothing.

    Raises
    ------
    SourceError
        A source that is one single file can't be read.
    WarehouseError
        The warehouse refused.
    """
    run_id = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    files: list[FileLoaded] = []
    for source in settings.sources:
        with _place(settings) as folder:
            bill = read_source(source, settings, folder, progress)
            for number, file in enumerate(bill.files, 1):
                files.append(load_file(warehouse, file, run_id))
                if progress:
                    progress(f"load {file.source_file}", number, len(bill.files))
    return Ingested(run_id, tuple(files))


def read_source(
    source: FocusSource | DemoSource, settings: Settings, folder: Path, progress: Progress | None = None
) -> Bill:
    """Read a source of the profile into Parquet parts under `folder`."""

    def step(file: FileRead) -> None:
        if progress:
            progress(f"read {file.source_file}", 0, 1)

    if isinstance(source, DemoSource):
        place = settings.state / "cache" / f"demo-{source.end}-{source.days}-{source.seed}"
        if not place.is_dir():
            write_bill(place, source.days, source.seed, source.end)
        path, observed_at, mapping = place, datetime.combine(source.end, time(), UTC), None
    else:
        path, observed_at = source.path, source.observed_at
        mapping = settings.names.columns[source.mapping] if source.mapping else None
    return read_focus(
        path, names=settings.names, mapping=mapping, source_name=source.name, observed_at=observed_at,
        limits=settings.limits, folder=folder, progress=step,
    )  # fmt: skip


def load_file(warehouse: Warehouse, file: FileRead, run_id: str) -> FileLoaded:
    """Merge one file that was read, and write down what came of it."""
    started = datetime.now(UTC)
    merged = None
    if file.error is None:
        merged = warehouse.merge(list(file.parts), FOCUS_COSTS)
        events = cost_events(pl.scan_parquet(list(file.parts))) if file.parts else None
        twin = warehouse.merge(events, COST_EVENTS) if events is not None else merged
        _same_outcome(merged, twin, file)
    loaded = FileLoaded(file, merged)
    _write_down(warehouse, loaded, run_id, started)
    return loaded


def _same_outcome(lines: Merged, events: Merged, file: FileRead) -> None:
    """The two roads of a bill end at the same number of lines."""
    if lines.inserted != events.inserted:
        raise WarehouseError(f"{file.source_file}: {lines.inserted} bill lines but {events.inserted} cost events are new; "
                             "run `workbench doctor` and load the file again")  # fmt: skip


def _write_down(warehouse: Warehouse, loaded: FileLoaded, run_id: str, started: datetime) -> None:
    file, merged = loaded.read, loaded.merged
    now = datetime.now(UTC)
    key = {"run_id": run_id, "source_name": file.source_name, "source_file": file.source_file}
    stat = file.path.stat() if file.path.exists() else None
    counts = {f"rows_{name}": getattr(merged, name, 0) if merged else 0
              for name in ("inserted", "restated", "unchanged", "older", "repeated")}  # fmt: skip
    run = {
        **key, "file_bytes": stat.st_size if stat else None, "observed_at": file.observed_at, "started_at": started,
        "loaded_at": now, "rows_read": file.rows, "rows_filtered": file.filtered, "rows_accepted": file.accepted,
        "rows_rejected": file.rejected.height, "rows_equal": file.equal_lines, **counts,
        "rows_conflicting": merged.conflicts if merged else 0, "error": file.error,
    }  # fmt: skip
    warehouse.load(pl.DataFrame([run]), RUNS)
    totals = file_totals(loaded)
    if totals.height:
        warehouse.load(totals.with_columns(**{name: pl.lit(value) for name, value in key.items()}), TOTALS)
    if file.rejected.height:
        rows = file.rejected.rename({"row": "row_number"})
        warehouse.load(rows.with_columns(run_id=pl.lit(run_id), loaded_at=pl.lit(now)), REJECTED)


def file_totals(loaded: FileLoaded) -> pl.DataFrame:
    """BilledCost of one file by currency: what it says, and what became of it.

    Returns
    -------
    polars.DataFrame
        `currency`, `outcome`, `rows`, `amount`, `amount_before` (exact). The outcomes `accepted` and `rejected` add up
        to what the file says; `inserted`, `restated`, `unchanged`, `older`, … to what was accepted.
    """
    columns = ["currency", "outcome", "rows", "amount", "amount_before"]
    read = loaded.read.totals.select(
        pl.col("BillingCurrency").fill_null("?").alias("currency"), "outcome", pl.col("lines").alias("rows"),
        pl.col("BilledCost").alias("amount"), pl.lit(None, AMOUNT).alias("amount_before"),
    )  # fmt: skip
    if loaded.merged is None:
        return read
    return pl.concat([read, loaded.merged.amounts.select(columns).cast(dict(read.schema))])  # type: ignore[arg-type]


@contextmanager
def _place(settings: Settings) -> Iterator[Path]:
    """A folder under the state for the parts of a bill, gone afterwards."""
    (settings.state / "cache").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bill-", dir=settings.state / "cache") as folder:
        yield Path(folder)


def is_loaded(warehouse: Warehouse, settings: Settings) -> bool:
    """Whether every source of the profile has been loaded into the warehouse before."""
    known = set(warehouse.query(f"SELECT DISTINCT source_name FROM {RUNS}", ())["source_name"].to_list())  # noqa: S608
    return {source.name for source in settings.sources} <= known
