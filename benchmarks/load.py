"""Load: Parquet files into the curated tables of the embedded warehouse, and again, and a day's batch into ten million.

`--data` takes a Parquet file or folder with the columns of cost_events. Without it the bench makes hourly cost events
of a year, always the same ones. Each figure is what a caller of `Warehouse.merge` waits, the upload included.
"""

import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks._bench import Figure, arguments, finish, peak_rss_gb
from workbench import focus, warehouse
from workbench.settings import DemoSource, Embedded, Settings
from workbench.warehouse import Warehouse
from workbench.warehouse.place import Place

YEAR = datetime(2025, 1, 1)  # noqa: DTZ001 (TIMESTAMP_NTZ)
OBSERVED = datetime(2026, 1, 2)  # noqa: DTZ001
MILLION = 1_000_000
UNITS = {
    "copy_merge_1m_s": "s, 1 million new events",
    "remerge_1m_s": "s, the same million again",
    "copy_merge_10m_s": "s, 10 million new events",
    "merge_100k_into_10m_s": "s, 100,000 rows (half new, a quarter restated) into 10 million, all of it",
    "merge_100k_statements_s": "s, of these: deciding, history, update, insert",
    "merge_100k_wide_s": "s, the same spread over the whole year",
    "focus_copy_merge_1m_s": "s, 1 million new bill lines of all FOCUS columns",
    "focus_remerge_1m_s": "s, the same again",
    "peak_rss_gb": "GB, the owner of the database",
    "client_peak_rss_gb": "GB, this process",
}


def main(given: list[str] | None = None) -> int:
    options = arguments(__doc__, given)
    scale = 50 if options.quick else 1
    repeats = 1 if options.quick else 3
    figures: dict[str, Figure] = dict.fromkeys(UNITS)
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as name:
        folder = Path(name)
        files = _given(options.data) if options.data else _made(folder / "data", 10 * MILLION // scale)
        rows = pl.scan_parquet(files).select(pl.len()).collect().item()
        one = _written(pl.scan_parquet(files).gather_every(max(1, rows * scale // MILLION)).collect(), folder / "one")
        peaks = [_million(folder, one, figures, repeats)]
        peaks.append(_millions(folder, files, figures, (rows, 100_000 // scale, repeats)))
        peaks.append(_bills(folder, MILLION // scale, figures, 1))
    figures["peak_rss_gb"] = max((peak for peak in peaks if peak is not None), default=None)
    figures["client_peak_rss_gb"] = peak_rss_gb(os.getpid())
    finish("load", f"{options.data or 'made here'}, {rows:,} events", figures, quick=options.quick, units=UNITS)
    return 0


def _million(folder: Path, one: Path, figures: dict[str, Figure], repeats: int) -> float | None:
    """The first million, and again."""
    first, again, peak = [], [], None
    for number in range(repeats):
        with _warehouse(folder / f"one-{number}") as (found, place):
            first.append(_merging(found, [one]))
            again += [_merging(found, [one]) for _ in range(repeats)]
            peak = max(filter(None, (peak, _owners_peak(place))), default=None)
    figures["copy_merge_1m_s"] = _median(first)
    figures["remerge_1m_s"] = _median(again)
    return peak


def _millions(folder: Path, files: list[Path], figures: dict[str, Figure], sizes: tuple[int, int, int]) -> float | None:
    """Ten million, then batches into them. `sizes`: all rows, rows a batch, how often."""
    rows, size, repeats = sizes
    with _warehouse(folder / "ten") as (found, place):
        figures["copy_merge_10m_s"] = _merging(found, files)
        tail = pl.scan_parquet(files).top_k(size, by=["timestamp", "event_id"]).collect(engine="streaming")
        wide = pl.scan_parquet(files).gather_every(rows // size).head(size).collect(engine="streaming")
        whole, statements, spread = [], [], []
        for number in range(repeats):
            file = _written(_batch(tail, number), folder / f"batch-{number}")
            with _statements() as spent:
                whole.append(_merging(found, [file]))
            statements.append(sum(spent))
        for number in range(repeats):
            file = _written(_batch(wide, repeats + number), folder / f"wide-{number}")
            spread.append(_merging(found, [file]))
        figures["merge_100k_into_10m_s"] = _median(whole)
        figures["merge_100k_statements_s"] = _median(statements)
        figures["merge_100k_wide_s"] = _median(spread)
        return _owners_peak(place)


def _bills(folder: Path, rows: int, figures: dict[str, Figure], repeats: int) -> float | None:
    """Bill lines with every FOCUS column."""
    file = _written(_lines(rows), folder / "bill")
    with _warehouse(folder / "bills") as (found, place):
        figures["focus_copy_merge_1m_s"] = _merging(found, [file], "focus_costs")
        again = [_merging(found, [file], "focus_costs") for _ in range(repeats)]
        figures["focus_remerge_1m_s"] = _median(again)
        return _owners_peak(place)


def _events(first: int, rows: int, of: int) -> pl.DataFrame:
    """Events `first` … of `of` hourly ones that are spread over a year. Ids look like a hash, and are none."""
    number = pl.int_range(first, first + rows, dtype=pl.Int64)
    frame = pl.select(n=number).with_columns(a=pl.col("n").hash(1), b=pl.col("n").hash(2))
    return frame.select(
        event_id=pl.concat_str(pl.col("a", "b").cast(pl.String)).str.zfill(40).str.tail(32),
        timestamp=pl.lit(YEAR) + pl.duration(hours=pl.col("n") * (365 * 24) // of),
        event_type=pl.lit("cloud_cost_incurred"),
        service=pl.format("service-{}", pl.col("n") % 37),
        region=pl.format("region-{}", pl.col("n") % 7),
        cost_amount=(pl.col("a") % 1_000_000).cast(pl.Decimal(38, 12)) / pl.lit(10_000).cast(pl.Decimal(38, 12)),
        resource_id=pl.format("resource/{}", pl.col("n") % 5_000),
        business_unit=pl.format("unit-{}", pl.col("n") % 40),
        project_id=pl.format("project-{}", pl.col("n") % 200),
        environment=pl.lit("production"),
        metadata=pl.lit('{"source": "bench"}'),
        currency=pl.lit("USD"),
        observed_at=pl.lit(OBSERVED),
        loaded_at=pl.lit(OBSERVED),
    ).cast({"cost_amount": focus.AMOUNT, "timestamp": pl.Datetime("us"), "observed_at": pl.Datetime("us")})


def _lines(rows: int) -> pl.DataFrame:
    """Bill lines with something in most columns."""
    base = _events(0, rows, rows)
    fields: dict[str, pl.Expr] = {}
    for index, (name, kind) in enumerate(focus.COLUMNS.items()):
        amount = pl.col("cost_amount") if index % 2 else pl.col("cost_amount") + pl.lit(1).cast(focus.AMOUNT)
        fields[name] = {
            "amount": amount,
            "quantity": amount.cast(pl.Decimal(38, 18)),
            "time": pl.col("timestamp"),
            "tags": pl.struct(team="business_unit").struct.json_encode() if name == "Tags" else pl.lit(None, pl.String),
            "text": pl.col("resource_id") if index % 5 == 0 else pl.lit(name),
        }[kind]
    return base.select(
        "event_id", **fields, **{n: pl.col(n) for n in ("business_unit", "project_id", "environment", "observed_at")}
    )


def _batch(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    """The rows seen again a day later: half of them are new events of the next day, a quarter costs more now."""
    position = pl.int_range(pl.len())
    new, dearer = position % 2 == 0, position % 4 == 1
    return rows.with_columns(
        event_id=pl.when(new).then(pl.format("new-{}-{}", pl.lit(number), "event_id")).otherwise("event_id"),
        timestamp=pl.when(new).then(pl.col("timestamp") + pl.duration(hours=1)).otherwise("timestamp"),
        cost_amount=pl.when(dearer)
        .then(pl.col("cost_amount") + pl.lit(1 + number).cast(focus.AMOUNT))
        .otherwise("cost_amount")
        .cast(focus.AMOUNT),
        observed_at=pl.col("observed_at") + pl.duration(days=1 + number),
    )


def _made(folder: Path, rows: int) -> list[Path]:
    parts = 10
    return [_written(_events(i * rows // parts, rows // parts, rows), folder / f"{i:02d}") for i in range(parts)]


def _given(path: Path) -> list[Path]:
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        sys.exit(f"no Parquet file in {path}; give a file or a folder with the columns of cost_events")
    return files


def _written(frame: pl.DataFrame, stem: Path) -> Path:
    file = stem.with_suffix(".parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(file, compression="snappy", row_group_size=50_000)
    return file


@contextmanager
def _warehouse(state: Path) -> Iterator[tuple[Warehouse, Place]]:
    """An empty warehouse, connected and warm."""
    settings = Settings(
        name="bench",
        root=state.parent,
        state=state,
        sources=[DemoSource(name="demo", end=date(2025, 1, 1))],
        warehouse=Embedded(idle_minutes=5, memory_limit="1500MB"),
    )
    with warehouse.session(settings) as found:
        warm = _events(0, 2, 2).with_columns(event_id=pl.lit("warm-") + pl.col("event_id"))
        found.merge(warm, "cost_events", loaded_at=datetime.now(UTC) - timedelta(days=1))
        try:
            yield found, Place(state)
        finally:
            found.close()
            warehouse.stop(settings)


@contextmanager
def _statements() -> Iterator[list[float]]:
    """The seconds of each statement that decides or writes."""
    from snowflake.connector.cursor import SnowflakeCursor

    plain: Callable[..., Any] = SnowflakeCursor.execute
    spent: list[float] = []

    def execute(self: Any, command: str, *more: Any, **others: Any) -> Any:  # noqa: ANN401
        start = time.perf_counter()
        result = plain(self, command, *more, **others)
        if command.startswith(("INSERT", "UPDATE", "MERGE")):
            spent.append(time.perf_counter() - start)
        return result

    SnowflakeCursor.execute = execute
    try:
        yield spent
    finally:
        SnowflakeCursor.execute = plain


def _merging(found: Warehouse, files: list[Path], table: str = "cost_events") -> float:
    """Seconds of one merge."""
    gc.collect()
    start = time.perf_counter()
    found.merge(files, table)
    return time.perf_counter() - start


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def _owners_peak(place: Place) -> float | None:
    address = place.read()
    return peak_rss_gb(address.pid) if address else None


if __name__ == "__main__":
    sys.exit(main())
