"""What all benches share: their arguments, the machine, the table, the last line, the results file."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

Figure = float | int | str | None


def arguments(about: str | None, given: Sequence[str] | None = None) -> argparse.Namespace:
    """`data`, `scores` and `quick`, which every bench understands."""
    parser = argparse.ArgumentParser(prog=f"python -m {_module()}", description=about)
    parser.add_argument("--data", type=Path, help="a file or folder to measure on, instead of the bench's own")
    parser.add_argument("--scores", type=Path, help="where to write what was scored, for benches that score")
    parser.add_argument("--quick", action="store_true", help="a smoke run under 30 s; writes no result")
    return parser.parse_args(given)


def data_folder(given: Path | None, name: str) -> Path:
    """The folder that was named, else the one of this name among the real data (WORKBENCH_DATA)."""
    shared = os.environ.get("WORKBENCH_DATA") or Path(__file__).parents[2] / "shared" / "data"
    folder = given or Path(shared) / name
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not there: name a folder with --data, or set WORKBENCH_DATA")
    return folder


def finish(
    name: str, data: str, figures: dict[str, Figure], *, quick: bool, units: dict[str, str] | None = None
) -> None:
    """Print the table and, as the last line, one JSON object; a full run also writes `results/NAME.json`."""
    rows = [(key, _shown(value), (units or {}).get(key, "")) for key, value in figures.items()]
    print(f"\n{name} on {data}")
    print_table(("figure", "value", "what"), rows)
    record = {
        "bench": name,
        "quick": quick,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "data": data,
        "figures": figures,
    }
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record), flush=True)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table in plain text, the second column right-aligned."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = (
            text.rjust(width) if i == 1 else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def machine() -> dict[str, str | int | float]:
    """The machine, as far as a figure depends on it."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def peak_rss_gb(pid: int) -> float | None:
    """The most memory that a process has had at once, in GB (1e9 bytes); None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), None)
    return None if kilobytes is None else round(int(kilobytes) * 1024 / 1e9, 3)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _shown(value: Figure) -> str:
    if value is None:
        return "-"
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def _module() -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec.name if spec else "benchmarks"
