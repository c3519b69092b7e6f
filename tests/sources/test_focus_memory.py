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
def test_four_times_the_lines_take_hardly_more_memory(tmp_path: Path) -> None:
    head, *lines = text(hours(100_000, ChargeDescription="x" * 500)).splitlines(keepends=True)
    peaks = []
    for times in (3, 12):
        path = tmp_path / f"{times}.csv"
        with path.open("w") as file:
            file.write(head)
            for copy in range(times):
                file.writelines(line.replace("account", f"account{copy}", 1) for line in lines)
        # Twice, and the higher counts: on a busy machine the batches of a short file may never be in flight together.
        runs = [peak(path) for _ in range(2)]
        assert all(accepted == times * 100_000 for accepted, _ in runs)
        peaks.append(max(kilobytes for _, kilobytes in runs))
        path.unlink()
    small, large = peaks
    assert large < 1.3 * small
    assert large < 2_000_000
