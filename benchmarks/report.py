"""Report: from nothing to the pages of a profile, as `workbench report` does it, with an empty warehouse of its own.

`--data` takes a profile (YAML) or a bill of one's own (CSV, CSV.gz or Parquet); without it the demo is reported on.
`wall_s` is the first run, simulating and loading included; `again_s` the same command once more, when nothing is new.
Memory is the largest of any one process: the command, the notebooks' kernels, the warehouse's owner. Then the simulated
estate by itself: a year of 50 workloads with every minute of metrics, calls and logs; and ten million events.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from benchmarks._bench import Figure, arguments, finish, peak_rss_gb

ROOT = Path(__file__).resolve().parent.parent
UNITS = {
    "wall_s": "s, the first run, from an empty warehouse",
    "peak_rss_gb": "GB, the largest process",
    "pages": "pages that were completed",
    "again_s": "s, the same command again",
    "notebooks_s": "s, the notebooks of the first run, one after another",
    "largest_page_mb": "MB",
    "peak_process": "which process was the largest",
    "simulate_year_s": "s, a year of 50 workloads: bills, events, metrics, calls and logs by minute, as files",
    "simulate_year_rss_gb": "GB, the process that did it",
    "simulate_year_rows": "rows that it wrote",
    "simulate_10m_s": "s, a year of 50 workloads with ten million events, without metrics",
    "simulate_10m_rss_gb": "GB, the process that did it",
    "simulate_10m_events": "events that it wrote",
}
YEAR = ["--days", "365", "--workloads", "50"]
MANY = [*YEAR, "--metric-days", "0", "--orders-per-day", "8000"]


def main(given: list[str] | None = None) -> int:
    """Run the command twice (with `--quick` once, on one notebook) and finish with the figures."""
    options = arguments(__doc__, given)
    figures: dict[str, Figure] = dict.fromkeys(UNITS)
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as name:
        command = _command(Path(name), options.data) + (["01"] if options.quick else [])
        watch = _Watch()
        try:
            figures["wall_s"], report = _timed(command, watch)
            figures["again_s"] = None if options.quick else _timed(command, watch)[0]
        finally:
            watch.end_all()
        notebooks = [entry for entry in report["notebooks"] if entry["status"] == "done"]
        figures["largest_page_mb"] = _largest(Path(name))
    if not options.quick:
        figures |= _simulated("year", YEAR) | _simulated("10m", MANY)
    figures["pages"] = len(notebooks)
    figures["notebooks_s"] = round(sum(entry["seconds"] for entry in notebooks), 2)
    figures["peak_rss_gb"], figures["peak_process"] = watch.peak
    finish("report", str(options.data or "the demo profile"), figures, quick=options.quick, units=UNITS)
    return int(report["exit_code"])


def _simulated(name: str, size: list[str]) -> dict[str, Figure]:
    """Time `workbench simulate` in a process of its own."""
    watch = _Watch()
    start = "from workbench.cli import main; main()"
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        command = [sys.executable, "-c", start, "simulate", "--json", "--out", f"{folder}/estate", *size]
        wall, said = _timed(command, watch)
    about = f"simulate_{name}_{'rows' if name == 'year' else 'events'}"
    count = sum(said["rows"].values()) if name == "year" else said["events"]
    return {f"simulate_{name}_s": wall, f"simulate_{name}_rss_gb": watch.peak[0], about: count}


def _largest(folder: Path) -> float | None:
    pages = folder.glob("reports/*/*/*.html")
    return max((round(page.stat().st_size / 1e6, 3) for page in pages), default=None)


def _command(folder: Path, data: Path | None) -> list[str]:
    """The command, on a profile that keeps everything it writes in `folder`."""
    given = data if data and data.suffix in {".yaml", ".yml"} else ROOT / "params" / "demo.yaml"
    profile: dict[str, Any] = yaml.safe_load(given.read_text(encoding="utf-8"))
    place = given.resolve().parent
    profile |= {
        "name": profile.get("name", given.stem),
        "state": str(folder / "state"),
        "reports": str(folder / "reports"),
    }
    profile["root"] = profile.get("root", str(place.parent if place.name == "params" else place))
    more: list[str] = []
    if data and given is not data:
        # A bill of one's own gets a profile under the root: let that be ours, with the project's notebooks in it.
        profile["root"] = str(folder)
        (folder / "notebooks").symlink_to(ROOT / "notebooks")
        more = ["--input", str(data.resolve())]
    (folder / "bench.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    start = "from workbench.cli import main; main()"
    return [sys.executable, "-c", start, "report", "--json", "--profile", str(folder / "bench.yaml"), *more]


def _timed(command: list[str], watch: "_Watch") -> tuple[float, dict[str, Any]]:
    started = time.perf_counter()
    with subprocess.Popen(command, env=watch.environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        while process.poll() is None:
            watch.look()
            time.sleep(0.1)
        wall = time.perf_counter() - started
        text = process.stdout.read() if process.stdout else ""
    if not text:
        raise SystemExit(f"nothing was made: exit code {process.returncode}")
    report: dict[str, Any] = json.loads(text)
    return round(wall, 2), report


class _Watch:
    """Everything that was started with our mark in its environment, also what has left the tree, as the owner does."""

    def __init__(self) -> None:
        self._mark = f"WORKBENCH_BENCH={uuid4().hex}"
        name, _, value = self._mark.partition("=")
        self.environment = {**os.environ, "WORKBENCH_DATA": _data(), name: value}
        self.peak: tuple[float | None, str | None] = (None, None)

    def look(self) -> None:
        """Note the largest process so far; the system keeps each one's own peak."""
        for pid in self._marked():
            used = peak_rss_gb(pid)
            if used is not None and used > (self.peak[0] or 0):
                self.peak = (used, _named(pid))

    def end_all(self) -> None:
        """End what still runs: the warehouse's owner, which would wait for more."""
        for pid in self._marked():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        limit = time.monotonic() + 10
        while self._marked() and time.monotonic() < limit:
            time.sleep(0.1)

    def _marked(self) -> list[int]:
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self._mark.encode() in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
        return found


def _data() -> str:
    return os.environ.get("WORKBENCH_DATA") or str(ROOT / ".." / "shared" / "data")


def _named(pid: int) -> str:
    """What a process is, from its command line."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
        if "workbench.reports.kernel" in words:
            return "a notebook's kernel"
        if "workbench.reports.execute" in words:
            return "the process that runs a notebook"
        return "the command" if {"report", "simulate"} & set(words) else "the warehouse's owner"
    return "gone"


if __name__ == "__main__":
    raise SystemExit(main())
