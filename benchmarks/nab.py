"""Scores and alarms on NAB's files: VUS-PR and the benchmark's own score, without a look at any label.

python -m benchmarks.nab [--data FOLDER] [--scores OUT] [--quick]

A series is learned from on its first 15 %, 750 rows at most, as the benchmark has it; what comes after is scored, each
row from those before it. Rows count as they stand, evenly: NAB judges rows, and its gaps are few. The threshold is set
on simulated series in which nothing happens (`workbench.anomalies.healthy`), at one alarm in so many rows; it and all
settings are the same for all files. Beside it stand chance, a constant, last day's value and each part alone. Intervals
are of 1,000 draws of the series with replacement.
`--data`: a folder with `combined_windows.json` and the folders of CSV files that it names.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks._bench import Figure, arguments, data_folder, finish, print_table
from workbench.anomalies.alarms import SILENT, alarms, threshold_for
from workbench.anomalies.detector import Detector
from workbench.anomalies.evaluate.nab import (
    FEW_FALSE_ALARMS,
    FEW_MISSES,
    STANDARD,
    Judged,
    Profile,
    judged,
    learning_rows,
    nab_score,
)
from workbench.anomalies.evaluate.spans import Span, span_of
from workbench.anomalies.evaluate.vus import vus_pr
from workbench.anomalies.healthy import healthy
from workbench.anomalies.panel import Panel
from workbench.anomalies.windows import Windows

ROWS_PER_ALARM = 2_016.0
"""The budget: one false alarm of a healthy series in so many rows, a week of five minutes."""
HELD = 72
"""Rows that a score is held for where widened scores are compared."""
_HEALTHY, _HEALTHY_ROWS = 60, 4_000
_DRAWS = 1_000
_START = datetime(2025, 1, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Series:
    """One file: its values, the commonest step between its rows, and its labelled windows."""

    name: str
    stamps: Sequence[str]
    values: np.ndarray
    step: timedelta
    windows: Sequence[Span]

    def panel(self) -> Panel:
        """Its rows, evenly."""
        return Panel((self.name,), _START, self.step, self.values[None, :])


class Row(NamedTuple):
    """A way to score: scores of each series, and the threshold at which it alarms."""

    name: str
    scores: Mapping[str, np.ndarray]
    threshold: float


UNITS = {
    "vus_pr": "mean over the series that have labels",
    "nab_standard": "0 no alarm at all, 100 perfect",
    "nab_few_false_alarms": "where a false alarm costs twice as much",
    "nab_few_misses": "where a miss costs twice as much",
    "nab_threshold": "set on simulated healthy series",
    "vus_pr_low": "90 % interval over series",
    "vus_pr_high": "",
    "nab_low": "90 % interval over series",
    "nab_high": "",
    "half_a": "NAB standard of a random half of the series",
    "half_b": "of the other half",
    "vus_pr_held": "the score held for 72 rows, fading",
    "false_alarms_per_series_day": "alarms outside of the windows",
    "delay_median_rows": "from a window's left edge to its first alarm; NAB centres windows on the event",
    "windows": "labelled windows",
    "hits": "of them with an alarm",
    "series": "files",
}


def main(given: Sequence[str] | None = None) -> None:
    """Score, print, write."""
    asked = arguments(__doc__, given)
    folder = data_folder(asked.data, "nab")
    series = read(folder)[: 4 if asked.quick else None]
    rows = [scored(detector, series, few=asked.quick) for detector in detectors()]
    rows += [plain(name, make, series, few=asked.quick) for name, make in PLAIN.items()]
    print_table(HEAD, [line(row, series) for row in rows])
    if asked.scores:
        write(asked.scores, rows[0], series)
    finish("nab", str(asked.data or "NAB, see --data"), figures(rows[0], series), quick=asked.quick, units=UNITS)


def detectors() -> list[Detector]:
    """Ours first, then its parts alone."""
    whole = Windows()
    return [whole, *(Windows(lengths=(length,), name=f"windows of {length}") for length in whole.lengths)]


def read(folder: Path) -> list[Series]:
    """All files that the labels name, and that are there."""
    labels = json.loads((folder / "combined_windows.json").read_text())
    return [_series(folder, name, labels[name]) for name in sorted(labels) if (folder / name).is_file()]


def _series(folder: Path, name: str, windows: Sequence[Sequence[str]]) -> Series:
    with (folder / name).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    stamps = [row["timestamp"] for row in rows]
    moments = [datetime.fromisoformat(stamp) for stamp in stamps]
    spans = [span_of(moments, *(datetime.fromisoformat(edge) for edge in window)) for window in windows]
    steps = np.diff(np.array(moments, "datetime64[s]")).astype(int)
    step = timedelta(seconds=int(np.median(steps[steps > 0])))
    return Series(name, stamps, np.array([float(row["value"]) for row in rows]), step, spans)


def scored(detector: Detector, series: Sequence[Series], *, few: bool) -> Row:
    """A detector over all series, and its threshold on healthy ones."""
    calm = _calm(few=few)
    return Row(
        detector.name,
        {each.name: walked(detector, each.panel())[0] for each in series},
        threshold_for(walked(detector, calm)[:, learning_rows(calm.points) :], ROWS_PER_ALARM),
    )


def walked(detector: Detector, panel: Panel) -> np.ndarray:
    """Scores of all rows, learned from the first; 0 there."""
    split = learning_rows(panel.points)
    later, _ = detector.fit(panel.cut(0, split)).score(panel.cut(split))
    return np.asarray(np.nan_to_num(np.concatenate([np.zeros((len(panel.keys), split)), later], axis=1)))


@cache
def _calm(*, few: bool) -> Panel:
    return healthy(12 if few else _HEALTHY, _HEALTHY_ROWS, timedelta(minutes=5), seed=1)


def plain(name: str, make: Callable[[Panel], np.ndarray], series: Sequence[Series], *, few: bool) -> Row:
    """A rule of one line, thresholded in the same way."""
    threshold = threshold_for(make(_calm(few=few))[:, learning_rows(_HEALTHY_ROWS) :], ROWS_PER_ALARM)
    return Row(name, {each.name: make(each.panel())[0] for each in series}, threshold)


def _chance(panel: Panel) -> np.ndarray:
    return np.asarray(np.random.default_rng(panel.points).random(panel.values.shape))


def _constant(panel: Panel) -> np.ndarray:
    return np.zeros(panel.values.shape)


def _last_day(panel: Panel) -> np.ndarray:
    """Distance from the value a day before, in robust spreads of such distances on the learned rows."""
    lag = max(1, round(timedelta(days=1) / panel.step))
    gap = np.zeros(panel.values.shape)
    gap[:, lag:] = np.abs(panel.values[:, lag:] - panel.values[:, :-lag])
    learned = gap[:, min(lag, panel.points - 1) : max(learning_rows(panel.points), lag + 1)]
    return np.asarray(gap / np.maximum(np.median(learned, axis=1, keepdims=True), 1e-9))


PLAIN = {"chance": _chance, "a constant": _constant, "last day's value": _last_day}
HEAD = ("scores", "VUS-PR", "held", "NAB", "few false", "few misses", "threshold", "hits", "false alarms")


def line(row: Row, series: Sequence[Series]) -> list[str]:
    """One line of the table."""
    found = judgements(row, series)
    return [
        row.name, f"{vus(row.scores, series):.3f}", f"{vus(held(row.scores), series):.3f}",
        *(f"{nab_score(judgements(row, series, profile)):.1f}" for profile in (STANDARD, FEW_FALSE_ALARMS, FEW_MISSES)),
        f"{row.threshold:.2f}", str(sum(each.hits for each in found)), str(sum(each.false_alarms for each in found)),
    ]  # fmt: skip


def judgements(row: Row, series: Sequence[Series], profile: Profile = STANDARD) -> list[Judged]:
    """Each series' alarms held against its windows."""
    return [judged(alarmed(row, each), each.windows, profile) for each in series]


def alarmed(row: Row, of: Series) -> np.ndarray:
    """Where the row alarms in a series; never while it learns."""
    scores = row.scores[of.name].copy()
    scores[: learning_rows(len(scores))] = np.nan
    return np.asarray(alarms(scores[None, :], row.threshold, SILENT)[0])


def vus(scores: Mapping[str, np.ndarray], series: Sequence[Series]) -> float:
    """Mean VUS-PR over the series that have labels."""
    return float(np.mean([vus_pr(scores[each.name], each.windows) for each in series if each.windows]))


def held(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The highest score of the last rows, fading over `HELD` of them."""
    return {name: _held(values) for name, values in scores.items()}


def _held(values: np.ndarray) -> np.ndarray:
    padded = np.concatenate([np.zeros(HELD - 1), values])
    past = np.lib.stride_tricks.sliding_window_view(padded, HELD)
    return np.asarray((past * np.linspace(1 / HELD, 1.0, HELD)).max(axis=1))


def figures(row: Row, series: Sequence[Series]) -> dict[str, Figure]:
    """All figures of our own row."""
    found = judgements(row, series)
    each_vus = np.array([vus_pr(row.scores[each.name], each.windows) if each.windows else np.nan for each in series])
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(series), len(series)) for _ in range(_DRAWS)]
    volumes = np.nanpercentile([np.nanmean(each_vus[draw]) for draw in draws], [5, 95])
    scores = np.percentile(
        [nab_score([found[at] for at in draw]) for draw in draws if any(found[at].windows for at in draw)], [5, 95]
    )
    mixed = rng.permutation(len(series))
    halves = [nab_score([found[at] for at in mixed[start::2]]) for start in (0, 1)]
    days = sum(len(each.values) * each.step / timedelta(days=1) for each in series)
    return {
        "vus_pr": round(vus(row.scores, series), 3), "nab_standard": round(nab_score(found), 1),
        "nab_few_false_alarms": round(nab_score(judgements(row, series, FEW_FALSE_ALARMS)), 1),
        "nab_few_misses": round(nab_score(judgements(row, series, FEW_MISSES)), 1),
        "nab_threshold": round(row.threshold, 3),
        "vus_pr_low": round(float(volumes[0]), 3), "vus_pr_high": round(float(volumes[1]), 3),
        "nab_low": round(float(scores[0]), 1), "nab_high": round(float(scores[1]), 1),
        "half_a": round(halves[0], 1), "half_b": round(halves[1], 1),
        "vus_pr_held": round(vus(held(row.scores), series), 3),
        "false_alarms_per_series_day": round(sum(each.false_alarms for each in found) / days, 3),
        "delay_median_rows": _delay(row, series), "windows": sum(each.windows for each in found),
        "hits": sum(each.hits for each in found), "series": len(series),
    }  # fmt: skip


def _delay(row: Row, series: Sequence[Series]) -> float | None:
    """Rows from a window's left edge to its first alarm, median over the windows that have one."""
    late = []
    for each in series:
        raised = np.flatnonzero(alarmed(row, each))
        for window in each.windows:
            within = raised[(raised >= window.first) & (raised <= window.last)]
            late += [int(within[0]) - window.first] if len(within) else []
    return float(np.median(late)) if late else None


def write(out: Path, row: Row, series: Sequence[Series]) -> None:
    """One CSV a series, under its file's name: `timestamp,value,anomaly_score,alert`."""
    for each in series:
        path = out / each.name
        path.parent.mkdir(parents=True, exist_ok=True)
        raised = alarmed(row, each)
        with path.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(("timestamp", "value", "anomaly_score", "alert"))
            for at, stamp in enumerate(each.stamps):
                lines.writerow(
                    (stamp, repr(float(each.values[at])), repr(float(row.scores[each.name][at])), int(raised[at]))
                )


if __name__ == "__main__":
    main()
