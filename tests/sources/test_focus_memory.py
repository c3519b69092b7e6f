"""Memory does not grow with the bill."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources.bills import hours, text

PEAK = """
import sys
from workbench.sources.focus import read_focus
accepted = read_focus(sys.argv[1]).files[0].accepted
status = open("/proc/self/status").read()
print(accepted, next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def peak(path: Path) -> tuple[int, int]:
    """Lines read, and the most memory of the process in kilobytes."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    accepted, kilobytes = done.stdout.split()
    return int(accepted), int(kilobytes)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell the peak of memory")
def test_ten_times_the_lines_take_hardly_more_memory(tmp_path: Path) -> None:
    """What is in flight varies with the machine's load, by some batches; a file held in memory would add all of it."""
    head, *lines = text(hours(100_000, ChargeDescription="x" * 500)).splitlines(keepends=True)
    peaks, sizes = [], []
    for times in (3, 30):
        path = tmp_path / f"{times}.csv"
        with path.open("w") as file:
            file.write(head)
            for copy in range(times):
                file.writelines(line.replace("account", f"account{copy}", 1) for line in lines)
        sizes.append(path.stat().st_size)
        accepted, kilobytes = peak(path)
        assert accepted == times * 100_000
        peaks.append(kilobytes * 1024)
        path.unlink()
    assert peaks[1] - peaks[0] < 0.2 * (sizes[1] - sizes[0])
    assert peaks[1] < 2_000_000_000
