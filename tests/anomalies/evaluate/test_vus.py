"""VUS-PR, held against its definition written out slowly."""

import numpy as np
import pytest

from workbench.anomalies.evaluate.spans import Span, covered, runs
from workbench.anomalies.evaluate.vus import vus_pr, widened
from workbench.errors import UsageError

ROWS = 600
ANOMALIES = [Span(100, 139), Span(400, 419)]


def slow(scores: np.ndarray, anomalies: list[Span], slack: int) -> float:
    labels, areas = covered(anomalies, len(scores)), []
    ordered = sorted(scores, reverse=True)
    for ramp in range(slack + 1):
        wide = widened(labels, ramp)
        area, reached = 0.0, 0.0
        for place in np.linspace(0, len(scores) - 1, 250).astype(int):
            chosen = scores >= ordered[place]
            hit = float((wide * chosen).sum())
            touched = np.mean([chosen[first : last + 1].any() for first, last in runs(wide)])
            recall = min(hit / ((labels.sum() + wide.sum()) / 2), 1.0) * touched
            area += (recall - reached) * hit / chosen.sum()
            reached = recall
        areas.append(area)
    return float(np.mean(areas))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_definition_says_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(ROWS) + covered(ANOMALIES, ROWS) * rng.random(ROWS), 1 + seed)
    assert vus_pr(scores, ANOMALIES, slack=12) == pytest.approx(slow(scores, ANOMALIES, 12), abs=1e-12)


def test_knowing_beats_chance_and_chance_beats_knowing_the_opposite() -> None:
    labels = covered(ANOMALIES, ROWS)
    noise = np.random.default_rng(0).random(ROWS)
    knowing, chance, wrong = (
        vus_pr(score, ANOMALIES, slack=20) for score in (labels + noise, noise, noise - 2 * labels)
    )
    assert knowing > 3 * chance > 3 * wrong
    assert chance == pytest.approx(labels.mean(), abs=0.06)


def test_only_the_order_of_scores_matters_and_missing_ones_are_the_lowest() -> None:
    scores = np.random.default_rng(1).random(ROWS)
    assert vus_pr(np.exp(5 * scores), ANOMALIES) == pytest.approx(vus_pr(scores, ANOMALIES))
    low = np.where(scores < 0.3, scores.min(), scores)
    assert vus_pr(np.where(scores < 0.3, np.nan, scores), ANOMALIES) == pytest.approx(
        vus_pr(np.where(low == scores.min(), scores[scores >= 0.3].min(), scores), ANOMALIES)
    )


def test_holding_a_score_after_an_anomaly_lifts_it_which_is_why_widened_scores_are_compared_alike() -> None:
    spike = np.zeros(ROWS)
    spike[[110, 405]] = 1.0
    held = np.array([spike[max(0, at - 30) : at + 1].max() for at in range(ROWS)])
    assert vus_pr(held, ANOMALIES) > 2 * vus_pr(spike, ANOMALIES)


def test_ramps_end_at_half_their_length_and_never_pass_one() -> None:
    wide = widened(covered([Span(50, 59)], 120), 20)
    assert (wide[50:60] == 1.0).all()
    assert wide[40] == pytest.approx(np.sqrt(0.5))
    assert wide[39] == 0.0
    assert wide.max() == 1.0


def test_no_anomaly_is_an_error() -> None:
    with pytest.raises(UsageError, match="at least one labelled anomaly"):
        vus_pr(np.zeros(10), [])
