"""How many rows a second: from a bill's file to checked cost events, and from events through a broker to the table?

For a bill the clock starts with a FOCUS CSV file on disk and stops when all its cost events stand in a frame: every row
was read, typed, checked, counted in the totals, and has its id. Caches are warm; the median of a few runs counts. For
events see `_events.py`.
"""

import csv
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import polars as pl

from benchmarks import _events
from benchmarks._bench import Figure, arguments, finish, peak_rss_gb
from workbench.settings import EmbeddedBroker
from workbench.sources import simulate
from workbench.sources.focus import Keep, find_files, read_focus

SAMPLE = Path("focus") / "focus_1.0_sample_1000.csv"
ROWS, QUICK_ROWS = 600_000, 30_000
RUNS = 5
EVENT_RUNS = 3
UNITS = {
    "focus_rows_per_s": "FOCUS CSV → checked cost events in memory",
    "focus_rows_per_s_best": "the best of the runs, the first being their median",
    "focus_rows_per_cpu_s": "the same by processor time: rows a second of one core",
    "focus_lines_per_s": "FOCUS CSV → all columns as Parquet, and the events from there",
    "rows": "rows of the file",
    "rejected": "of them refused",
    "megabytes": "size of the file",
    "peak_rss_gb": "most memory of the process",
    **_events.UNITS,
}


class Timed(NamedTuple):
    """Seconds by the clock and of the processor, and what came out."""

    wall: float
    cpu: float
    rows: int
    rejected: int


def main(given: list[str] | None = None) -> int:
    options = arguments(__doc__, given)
    with _bill(options.data, QUICK_ROWS if options.quick else ROWS) as (path, data):
        runs = 2 if options.quick else RUNS
        events, best = _middle(path, "events", runs)
        lines, _ = _middle(path, "lines", runs)
        figures: dict[str, Figure] = {
            "focus_rows_per_s": round(events.rows / events.wall),
            "focus_rows_per_s_best": round(best.rows / best.wall),
            "focus_rows_per_cpu_s": round(events.rows / events.cpu),
            "focus_lines_per_s": round(lines.rows / lines.wall),
            "rows": events.rows,
            "rejected": events.rejected,
            "megabytes": round(sum(file.stat().st_size for file in find_files(path)) / 1e6, 1),
            "peak_rss_gb": peak_rss_gb(os.getpid()),
        }
    figures = _through_brokers(quick=options.quick) | figures
    data = f"{data}; and {figures['events']:,} generated hourly cost events, one in 1,000 of them broken"
    finish("ingest", data, figures, quick=options.quick, units=UNITS)
    return 0


def _through_brokers(*, quick: bool) -> dict[str, Figure]:
    count, runs = (_events.QUICK_EVENTS, 1) if quick else (_events.EVENTS, EVENT_RUNS)
    figures = _events.measure(EmbeddedBroker(), "", count, runs)
    if quick:
        return figures
    with _events.kafka() as broker:
        return figures | _events.measure(broker, "kafka_", count, runs) | _events.waiting(count, broker)


def _middle(path: Path, keep: Keep, runs: int) -> tuple[Timed, Timed]:
    """The median run, and the best one."""
    timed = sorted(_timed(path, keep) for _ in range(runs))
    return timed[len(timed) // 2], timed[0]


def _timed(path: Path, keep: Keep) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    read = read_focus(path, keep=keep)
    events = read.events().collect()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    accepted = sum(file.accepted for file in read.files)
    if events.height != accepted:
        raise AssertionError(f"{accepted} rows were accepted, but there are {events.height} events")
    return Timed(wall, cpu, sum(file.rows for file in read.files), sum(file.rejected.height for file in read.files))


@contextmanager
def _bill(given: Path | None, rows: int) -> Iterator[tuple[Path, str]]:
    """The file to measure on, and a word on it."""
    if given is not None:
        yield given, str(given)
        return
    sample = Path(os.environ.get("WORKBENCH_DATA", Path(__file__).parents[2] / "shared" / "data")) / SAMPLE
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        path = Path(folder) / "bill.csv"
        if sample.exists():
            copies = _multiply(sample, path, rows)
            yield path, f"{SAMPLE.name}, {copies} times, each copy with resources of its own"
        else:
            days = _demo(path, rows)
            yield path, f"the simulated estate's bill of {days} days (no {SAMPLE} in WORKBENCH_DATA)"


def _multiply(sample: Path, path: Path, rows: int) -> int:
    """Write the sample so often that it has `rows` lines; a suffix of the ResourceId makes each line another one."""
    head, *lines = _read(sample)
    at = head.index("ResourceId")
    copies = -(-rows // len(lines))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        for copy in range(copies):
            writer.writerows([*line[:at], f"{line[at]}-{copy}", *line[at + 1 :]] for line in lines)
    return copies


def _read(path: Path) -> Sequence[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def _demo(path: Path, rows: int) -> int:
    days = max(1, rows // 1_500)
    estate = simulate.make(7, days, date(2025, 11, 1))
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        written = simulate.write(estate, simulate.tell(estate), Path(folder) / "estate", metric_days=0)
        pl.read_parquet(written.folder / "bills" / "*.parquet").write_csv(path)
    return days


if __name__ == "__main__":
    sys.exit(main())
