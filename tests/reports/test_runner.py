"""Whole runs: what fails is shown, what needs it is skipped, the rest runs, and nothing is left behind."""

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from books import plain, rich, settings_in, write

from workbench.errors import ReportError, UsageError
from workbench.reports import runner
from workbench.reports.run import Run
from workbench.settings import Settings

AS_OF = dt.date(2025, 10, 1)
KNOWN_AT = dt.datetime(2025, 10, 1, 6, tzinfo=dt.UTC)

pytestmark = pytest.mark.slow


def run(settings: Settings, **more: object) -> Run:
    return runner.run(settings, AS_OF, KNOWN_AT, progress=False, **more)  # type: ignore[arg-type]


def our_processes(folder: Path) -> list[str]:
    """Command lines of processes whose scratch folder names the test's."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"WORKBENCH_TEST={folder}".encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run in which about everything goes wrong that can."""
    root = tmp_path_factory.mktemp("a {strange} folder")
    books = root / "notebooks"
    plain(books, "01_ingest")
    write(
        books,
        "02_fails",
        [("py", "def f(x):\n    return 1 / x"), ("py", "f(0)"), ("py", "print('never')")],
        needs=["01_ingest"],
    )
    plain(books, "03_needs_it", needs=["02_fails"])
    plain(books, "04_needs_that", needs=["03_needs_it", "01_ingest"])
    plain(books, "05_killed", source="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    plain(books, "06_slow", source="import time\nprint('before')\ntime.sleep(60)")
    plain(
        books, "07_lost", source="import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(60)"
    )
    rich(books, "08_fine", needs=["01_ingest"])
    plain(books, "00_summary", needs=["*"], source="print(open(run_dir + '/records/run.json').read())")
    return run(settings_in(root, workers=3, timeout_s=12))


def test_each_notebook_has_the_status_it_deserves(troubled: Run) -> None:
    assert {entry.name: entry.status for entry in troubled.notebooks} == {
        "01_ingest": "done", "02_fails": "failed", "03_needs_it": "skipped", "04_needs_that": "skipped",
        "05_killed": "failed", "06_slow": "failed", "07_lost": "failed", "08_fine": "done", "00_summary": "done",
    }  # fmt: skip
    assert troubled.exit_code == 1


def test_an_error_is_told_by_its_own_words_and_its_cell(troubled: Run) -> None:
    error = troubled.by_name["02_fails"].error
    assert error
    assert error["message"] == "ZeroDivisionError: division by zero"
    assert error["source"] == ("f(0)",) or error["source"] == ["f(0)"]
    assert any("return 1 / x" in line for line in error["tail"])
    assert not any("\x1b" in line for line in error["tail"])


def test_a_killed_kernel_a_timeout_and_a_killed_process_are_named_as_such(troubled: Run) -> None:
    messages = {name: (troubled.by_name[name].error or {})["message"] for name in ("05_killed", "06_slow", "07_lost")}
    assert "KernelDied" in messages["05_killed"]
    assert "killed (signal 9)" in messages["05_killed"]
    assert "still running after 12 seconds" in messages["06_slow"]
    assert "the process that ran the notebook was killed (signal 9)" in messages["07_lost"]


def test_a_skipped_notebook_says_which_one_it_needed(troubled: Run) -> None:
    assert troubled.by_name["03_needs_it"].reason == "it needs 02_fails, which was not completed"
    assert troubled.by_name["04_needs_that"].reason == "it needs 03_needs_it, which was not completed"


def test_the_cell_that_failed_holds_the_error_and_later_ones_never_ran(troubled: Run) -> None:
    assert troubled.folder
    for name in ("02_fails", "05_killed", "06_slow"):
        cells = json.loads((troubled.folder / "notebooks" / f"{name}.ipynb").read_text())["cells"]
        states = [cell["metadata"]["papermill"]["status"] for cell in cells if "papermill" in cell["metadata"]]
        assert states.count("failed") == 1
        assert set(states[states.index("failed") + 1 :]) == {"pending"}
        failed = next(cell for cell in cells if cell["metadata"].get("papermill", {}).get("status") == "failed")
        assert failed["outputs"][-1]["output_type"] == "error"
    assert failed["outputs"][0]["text"] == ["before\n"]


def test_the_pages_of_failed_notebooks_exist_and_say_so(troubled: Run) -> None:
    assert troubled.folder
    for name in ("02_fails", "05_killed", "06_slow", "07_lost"):
        assert "This page is not complete" in (troubled.folder / f"{name}.html").read_text()
    assert not (troubled.folder / "03_needs_it.html").exists()
    index = (troubled.folder / "index.html").read_text()
    assert "3 of 9 pages complete, 4 failed, 2 skipped." in index
    assert "ZeroDivisionError: division by zero" in index


def test_the_summary_runs_last_and_can_read_what_failed(troubled: Run) -> None:
    assert troubled.folder
    page = (troubled.folder / "00_summary.html").read_text()
    assert "ZeroDivisionError" in page


def test_a_rich_page_is_complete_and_light(troubled: Run) -> None:
    assert troubled.folder
    page = (troubled.folder / "08_fine.html").read_text()
    assert page.count('<figure class="chart"') == 5
    assert "<script>alert" not in page
    assert len(page) < 500_000


def test_nothing_names_the_place_where_the_report_was_made(troubled: Run) -> None:
    assert troubled.folder
    for path in troubled.folder.rglob("*"):
        if path.suffix in {".html", ".json"} or path.name == "08_fine.ipynb":
            assert f".{AS_OF}." not in path.read_text(), path
    assert [path.name for path in troubled.folder.parent.glob(".*")] == []


def test_the_record_of_the_run_is_complete(troubled: Run) -> None:
    assert troubled.folder
    record = json.loads((troubled.folder / "records" / "run.json").read_text())
    assert record["schema"] == 1
    assert record["exit_code"] == 1
    assert (record["as_of"], record["known_at"]) == ("2025-10-01", "2025-10-01T06:00:00+00:00")
    assert set(record["versions"]) >= {"python", "workbench", "polars"}
    assert len(record["notebooks"]) == 9


def test_the_same_report_twice_gives_the_same_pages_and_records(tmp_path: Path, settings: Settings) -> None:
    rich(tmp_path / "notebooks", "02_costs")
    plain(tmp_path / "notebooks", "00_summary", needs=["*"])
    seen = []
    for _ in range(2):
        report = run(settings)
        assert report.folder
        assert report.exit_code == 0
        files = [
            p for p in sorted(report.folder.rglob("*")) if p.is_file() and p.name not in {"run.json", "index.html"}
        ]
        seen.append({str(p.relative_to(report.folder)): p.read_bytes() for p in files if p.suffix != ".ipynb"})
    assert len(seen[0]) == 6
    assert seen[0] == seen[1]


def test_parameters_reach_the_notebook_and_a_few_notebooks_leave_the_others(tmp_path: Path, settings: Settings) -> None:
    plain(tmp_path / "notebooks", "01_ingest")
    plain(tmp_path / "notebooks", "02_costs", needs=["01_ingest"])
    run(settings)
    report = run(settings, names=["costs"], parameters={"top": "8"})
    assert report.folder
    assert [(entry.name, entry.kept) for entry in report.notebooks] == [("02_costs", False), ("01_ingest", True)]
    assert "2025-10-01 2025-10-01T06:00:00+00:00 8" in (report.folder / "02_costs.html").read_text()
    assert "2025-10-01T06:00:00+00:00 3" in (report.folder / "01_ingest.html").read_text()
    index = (report.folder / "index.html").read_text()
    assert "1 page, complete. 1 kept from an earlier run." in index
    whole = run(settings)
    assert not any(entry.kept for entry in whole.notebooks)


def test_wrong_use_is_told_before_anything_is_written(tmp_path: Path, settings: Settings) -> None:
    plain(tmp_path / "notebooks", "01_ingest")
    with pytest.raises(UsageError, match="no notebook is called"):
        run(settings, names=["ingset"])
    with pytest.raises(UsageError, match="did you mean 'top'"):
        run(settings, parameters={"tip": 1})
    with pytest.raises(UsageError, match="no time zone"):
        runner.run(settings, AS_OF, dt.datetime(2025, 10, 1))  # noqa: DTZ001 (that is the point)
    assert not (tmp_path / "reports").exists()


def test_a_reports_folder_that_is_no_folder_stops_the_run_before_a_notebook_starts(
    tmp_path: Path, settings: Settings
) -> None:
    plain(tmp_path / "notebooks", "01_ingest", source="open('/dev/null')")
    (tmp_path / "reports").write_text("in the way")
    started = time.monotonic()
    with pytest.raises(ReportError, match="make that folder writable"):
        run(settings)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_ended_run_leaves_no_process_and_the_report_that_was_there(tmp_path: Path, sent: signal.Signals) -> None:
    plain(
        tmp_path / "notebooks", "01_ingest", source="import time, pathlib\npathlib.Path('up').touch()\ntime.sleep(300)"
    )
    place = tmp_path / "reports" / "demo" / "2025-10-01"
    place.mkdir(parents=True)
    (place / "index.html").write_text("before")
    code = (
        # Whoever runs the tests in the background has told them to ignore Ctrl-C; this run is not to.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import datetime as dt, pathlib\nfrom books import settings_in\nfrom workbench.reports.runner import run\n"
        f"run(settings_in(pathlib.Path({str(tmp_path)!r})), dt.date(2025, 10, 1))\n"
    )
    environment = {**os.environ, "WORKBENCH_TEST": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
    wait_for((tmp_path / "notebooks" / "up").exists, 60)
    process.send_signal(sent)
    process.communicate(timeout=30)
    assert process.returncode != 0
    wait_for(lambda: not our_processes(tmp_path), 20)
    assert (place / "index.html").read_text() == "before"
    if sent != signal.SIGKILL:
        assert sorted(path.name for path in place.parent.iterdir()) == ["2025-10-01"]


def test_progress_without_a_terminal_is_a_line_a_notebook_on_standard_error(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    plain(tmp_path / "notebooks", "01_ingest")
    runner.run(settings, AS_OF)
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"01_ingest  done +[\d.]+ s\n", said.err)


def wait_for(happened: Callable[[], object], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.1)
