"""`workbench evaluate`: anybody's scores against labels."""

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from workbench.cli import main
from workbench.errors import SourceError, UsageError
from workbench.pipelines.evaluate import evaluate

START = datetime(2025, 10, 1)  # noqa: DTZ001 (labels name no zone)
ROWS = 1_000


def stamp(row: int) -> str:
    return str(START + timedelta(minutes=5 * row))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    spans = {"a/one.csv": [(400, 450), (700, 760)], "two.csv": []}
    for name, given in spans.items():
        scores = rng.random(ROWS)
        for first, last in given:
            scores[first : last + 1] += 0.6
        path = tmp_path / "scores" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(("timestamp", "value", "anomaly_score", "alert"))
            for row in range(ROWS):
                lines.writerow((stamp(row), 1.0, scores[row], int(row in {410, 705, 900} and name != "two.csv")))
    labels = tmp_path / "labels.json"
    windows = {name: [(stamp(first), stamp(last)) for first, last in given] for name, given in spans.items()}
    labels.write_text(json.dumps({**windows, "not-there.csv": []}))
    return tmp_path / "scores", labels


def test_who_knows_beats_chance_and_a_constant_is_worth_nothing(files: tuple[Path, Path]) -> None:
    yours, chance, constant = evaluate(*files)
    assert yours["precision"] == pytest.approx(2 / 3)
    assert (yours["recall"], yours["delay_median_rows"], yours["series"]) == (1.0, 7.5, 2.0)
    assert float(yours["vus_pr"] or 0) > 2 * float(chance["vus_pr"] or 0)
    assert float(yours["nab_standard"] or 0) > 80 > float(chance["nab_standard"] or 0)
    assert (constant["nab_standard"], constant["precision"]) == (0.0, None)


def test_the_command_tells_programs_and_people(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    given = ["evaluate", "--scores", str(files[0]), "--labels", str(files[1])]
    for more in (["--json"], []):
        with pytest.raises(SystemExit) as ended:
            main([*given, *more])
        assert not ended.value.code
    told = capsys.readouterr().out
    assert [row["scores"] for row in json.loads(told.splitlines()[0])["rows"]] == ["yours", "chance", "a constant"]
    assert any("nab_standard" in line for line in told.splitlines()[1:])


def test_a_file_without_its_columns_is_named_with_what_it_takes(files: tuple[Path, Path]) -> None:
    (files[0] / "two.csv").write_text("timestamp,score\n2025-10-01,1\n")
    with pytest.raises(SourceError, match=r"two\.csv has no column 'anomaly_score'; it takes timestamp"):
        evaluate(*files)


def test_a_span_outside_of_its_file_and_labels_that_are_none_are_refused(files: tuple[Path, Path]) -> None:
    files[1].write_text(json.dumps({"two.csv": [["1999-01-01", "1999-01-02"]]}))
    with pytest.raises(SourceError, match="holds none of the rows"):
        evaluate(*files)
    files[1].write_text("[1, 2]")
    with pytest.raises(SourceError, match="can't be read as labels"):
        evaluate(*files)
    files[1].write_text('{"other.csv": []}')
    with pytest.raises(UsageError, match=r"none of the 1 files.*other\.csv"):
        evaluate(*files)
