"""The command: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest

from tests.pipelines.conftest import BILL, WHOLE, line, write
from workbench.cli import main

# The fixtures of the pipelines, for the commands that load.
from tests.pipelines.conftest import make_profile  # noqa: F401  isort: skip


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_help_names_every_command_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["--help"], capsys)
    assert code == 0
    for name in ("report", "ingest", "warehouse", "doctor"):
        assert name in out


def test_ingest_prints_what_was_read_accepted_and_rejected_with_exact_totals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bill = write(tmp_path / "bill.csv", [*BILL, line("bad", 1, "1,5")])
    code, out, _ = run(["ingest", str(bill), "--json"], capsys)
    account = json.loads(out)
    assert code == account["exit_code"] == 1
    assert (account["rows"], account["accepted"], account["rejected"]) == (len(BILL) + 1, len(BILL), 1)
    (file,) = account["files"]
    totals = {total["outcome"]: total["BilledCost"] for total in file["totals"]}
    assert totals["accepted"] == f"{WHOLE.normalize():f}"
    assert "BilledCost" in file["reasons"][0]["reason"]


def test_ingest_without_rejections_ends_with_0_and_prints_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(["ingest", str(write(tmp_path / "bill.csv", BILL))], capsys)
    assert code == 0
    assert f"{WHOLE.normalize():f}" in out


def test_a_missing_file_is_one_message_that_names_it_and_no_stack_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(["ingest", str(tmp_path / "none.csv")], capsys)
    assert code == 1
    assert "none.csv" in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    "arguments", [["ingest"], ["report", "--profile", "dmeo"], ["report", "--nonsense"], ["nonsense"]]
)
def test_wrong_use_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(arguments, capsys)
    assert code == 2
    assert err


def test_an_unknown_profile_is_answered_with_the_near_miss(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = run(["doctor", "--profile", "demo", "--json", "--nonsense"], capsys)
    assert "nonsense" in err
    _, _, err = run(["warehouse", "status", "--profile", "dmeo"], capsys)
    assert "demo" in err


def test_the_doctor_finds_a_missing_source_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params").mkdir()
    profile = tmp_path / "params" / "sick.yaml"
    profile.write_text("sources:\n  - name: bills\n    path: nowhere.csv\n")
    code, out, _ = run(["doctor", "--profile", str(profile), "--json"], capsys)
    findings = json.loads(out)["findings"]
    assert code == 1
    bad = [finding for finding in findings if not finding["ok"]]
    assert bad
    assert all(finding["advice"] for finding in bad)
    assert "nowhere.csv" in bad[0]["detail"]


def test_simulate_writes_an_estate_and_says_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--days", "3", "--workloads", "6", "--metric-days", "1", "--seed", "2", "--end", "2025-11-03"]
    code, out, _ = run(["simulate", "--out", str(tmp_path / "estate"), *size, "--json"], capsys)
    said = json.loads(out)
    assert code == 0
    assert (tmp_path / "estate" / "estate.json").is_file()
    assert said["events"] == said["rows"]["bills"] + said["rows"]["business_events"] + said["rows"]["resource_events"]
    code, out, _ = run(["simulate", "--out", str(tmp_path / "estate"), *size], capsys)
    assert code == 0
    assert "what really happened" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--end", "soon"], "--end 'soon' is no date"),
        (["--workloads", "2"], "4 to 5000 workloads, not 2"),
        (["--metric-days", "-1"], "can't be negative"),
    ],
)
def test_simulate_refuses_what_it_cannot_do(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(["simulate", "--out", str(tmp_path / "estate"), *arguments], capsys)
    assert code == 2
    assert said in err
    assert not (tmp_path / "estate").exists()
