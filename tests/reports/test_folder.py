"""A report is put in its place in one go, by one run, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import ReportError
from workbench.reports.folder import ReportFolder, check_writable


def put(reports: Path, text: str) -> None:
    with ReportFolder(reports, "demo", "2025-10-01") as folder:
        (folder.work / "index.html").write_text(text)
        folder.commit()


def index(reports: Path) -> str:
    return (reports / "demo" / "2025-10-01" / "index.html").read_text()


def test_a_second_report_replaces_the_first_and_leaves_nothing_else(tmp_path: Path) -> None:
    put(tmp_path, "one")
    (tmp_path / "demo" / "2025-10-01" / "old.html").write_text("gone soon")
    put(tmp_path, "two")
    assert index(tmp_path) == "two"
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["2025-10-01"]
    assert not (tmp_path / "demo" / "2025-10-01" / "old.html").exists()


def test_a_run_that_breaks_leaves_the_report_that_was_there(tmp_path: Path) -> None:
    put(tmp_path, "one")

    def break_off() -> None:
        with ReportFolder(tmp_path, "demo", "2025-10-01") as folder:
            (folder.work / "index.html").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert index(tmp_path) == "one"
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["2025-10-01"]


def test_a_run_killed_between_the_two_renames_is_put_right_by_the_next(tmp_path: Path) -> None:
    put(tmp_path, "one")
    place = tmp_path / "demo" / "2025-10-01"
    place.rename(place.with_name(".2025-10-01.old"))
    place.with_name(".2025-10-01.12345.tmp").mkdir()
    with ReportFolder(tmp_path, "demo", "2025-10-01"):
        assert index(tmp_path) == "one"
        assert not place.with_name(".2025-10-01.12345.tmp").exists()


def test_two_runs_of_one_report_at_once_are_refused_by_name(tmp_path: Path) -> None:
    with ReportFolder(tmp_path, "demo", "2025-10-01"):
        with pytest.raises(ReportError, match=f"process {os.getpid()}.*wait for it"):
            ReportFolder(tmp_path, "demo", "2025-10-01").__enter__()
        with ReportFolder(tmp_path, "demo", "2025-10-02"):
            pass  # another date is another report
    with ReportFolder(tmp_path, "demo", "2025-10-01"):
        pass


def test_a_file_where_the_folder_should_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(
        ReportError, match=r"reports/demo.*make that folder writable, or name another one as 'reports:'"
    ):
        put(tmp_path / "reports", "never")


def test_whether_a_report_can_be_written_is_known_before_anything_is_run(tmp_path: Path) -> None:
    check_writable(tmp_path, "demo")
    assert list((tmp_path / "demo").iterdir()) == []
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(ReportError, match="make that folder writable"):
        check_writable(tmp_path / "reports", "demo")


@pytest.mark.skipif(os.geteuid() != 0, reason="changing to a user who may not write needs root; see the next test")
def test_a_folder_that_may_not_be_written_is_a_clear_error_for_a_plain_user(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "reports").mkdir(mode=0o555)
    # The interpreter may live where that user can't read: give up root only after importing.
    code = (
        "import os, sys, pathlib\n"
        "from workbench.errors import ReportError\n"
        "from workbench.reports.folder import ReportFolder\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try:\n    ReportFolder(pathlib.Path(sys.argv[1]), 'demo', '2025-10-01').__enter__()\n"
        "except ReportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "reports")], check=True, capture_output=True, text=True
    )
    assert "Permission denied" in done.stdout
    assert str(tmp_path / "reports") in done.stdout
    assert "make that folder writable" in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; see the test above")
def test_a_folder_that_may_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir(mode=0o555)
    with pytest.raises(ReportError, match="Permission denied"):
        put(tmp_path / "reports", "never")
