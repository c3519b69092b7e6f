"""`workbench evaluate`: anybody's scores and alerts against labels, with chance and a constant beside them."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from workbench.anomalies.evaluate.alerts import alerted, rates
from workbench.anomalies.evaluate.nab import judged, nab_score
from workbench.anomalies.evaluate.spans import Span, span_of
from workbench.anomalies.evaluate.vus import vus_pr
from workbench.errors import SourceError, UsageError

Row = dict[str, str | float | None]

_COLUMNS = ("timestamp", "anomaly_score", "alert")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Scored:
    """One file: scores, alerts (0 or 1) and labelled spans, by row."""

    name: str
    scores: np.ndarray
    alerts: np.ndarray
    spans: Sequence[Span]
    days: float


def evaluate(scores: Path, labels: Path) -> list[Row]:
    """Judge a folder of scores; one row each for them, for chance with as many alerts, and for a constant.

    Parameters
    ----------
    scores
        CSV files with `timestamp`, `anomaly_score` (higher is stranger) and `alert` (1 where one is raised), in time.
    labels
        JSON: a file's name below the folder → list of [first, last] timestamps, both within (NAB's format). A name
        without spans is a series in which nothing is wrong.

    Raises
    ------
    SourceError
        A file can't be read; says which, and what is wrong.
    UsageError
        No file of the labels is in the folder.
    """
    named = _labels(labels)
    files = [_read(scores, name, spans) for name, spans in sorted(named.items()) if (scores / name).is_file()]
    if not files:
        raise UsageError(
            f"none of the {len(named)} files that {labels} names is in {scores}; names are relative to the folder, "
            f"e.g. {next(iter(sorted(named)), 'service/latency.csv')}"
        )
    ways: Mapping[str, Callable[[Scored], tuple[np.ndarray, np.ndarray]]] = {
        "yours": lambda file: (file.scores, file.alerts),
        "chance": _chance,
        "a constant": lambda file: (np.zeros(len(file.scores)), np.zeros(len(file.scores), bool)),
    }
    return [_row(name, files, way) for name, way in ways.items()]


def _row(name: str, files: Sequence[Scored], way: Callable[[Scored], tuple[np.ndarray, np.ndarray]]) -> Row:
    given = [(file, *way(file)) for file in files]
    volumes = [vus_pr(scores, file.spans) for file, scores, _ in given if file.spans]
    nab = nab_score([judged(alerts, file.spans) for file, _, alerts in given]) if volumes else None
    told = rates([alerted(alerts, file.spans, file.days) for file, _, alerts in given])
    return {
        "scores": name, "series": float(len(files)), "vus_pr": float(np.mean(volumes)) if volumes else None,
        "nab_standard": nab, **told,
    }  # fmt: skip


def _chance(file: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Random scores, and as many alerts at random rows."""
    rng = np.random.default_rng(len(file.scores))
    alerts = np.zeros(len(file.scores), bool)
    alerts[rng.choice(len(alerts), int(file.alerts.sum()), replace=False)] = True
    return rng.random(len(file.scores)), alerts


def _labels(path: Path) -> dict[str, list[tuple[str, str]]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): [(str(first), str(last)) for first, last in spans] for name, spans in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{path} can't be read as labels ({error}); it is JSON like "
            '{"service/latency.csv": [["2025-10-01 10:00:00", "2025-10-01 12:00:00"]]}'
        ) from None


def _read(folder: Path, name: str, spans: Sequence[tuple[str, str]]) -> Scored:
    path = folder / name
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        moments = [datetime.fromisoformat(row["timestamp"]) for row in rows]
        scores = np.array([float(row["anomaly_score"] or "nan") for row in rows])
        alerts = np.array([float(row["alert"]) > 0 for row in rows])
        found = [span_of(moments, datetime.fromisoformat(first), datetime.fromisoformat(last)) for first, last in spans]
    except KeyError as error:
        raise SourceError(f"{path} has no column {error}; it takes {', '.join(_COLUMNS)}") from None
    except (OSError, ValueError, TypeError, UsageError) as error:
        raise SourceError(f"{path} can't be judged: {error}") from None
    if not rows:
        raise SourceError(f"{path} has no rows")
    return Scored(name, scores, alerts, found, (moments[-1] - moments[0]) / _DAY)
