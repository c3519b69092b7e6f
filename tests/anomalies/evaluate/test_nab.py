"""NAB's rules, held against what its paper and repository say of them."""

import math

import numpy as np
import pytest

from workbench.anomalies.evaluate.nab import FEW_MISSES, STANDARD, judged, learning_rows, nab_score
from workbench.anomalies.evaluate.spans import Span

ROWS = 2_000
WINDOWS = [Span(600, 799), Span(1_400, 1_599)]


def alerts(*rows: int) -> np.ndarray:
    raised = np.zeros(ROWS, bool)
    raised[list(rows)] = True
    return raised


def test_no_alerts_are_0_and_perfect_ones_100() -> None:
    assert nab_score([judged(alerts(), WINDOWS)]) == pytest.approx(0.0)
    assert nab_score([judged(alerts(600, 1_400), WINDOWS)]) == pytest.approx(100.0)


def test_a_later_alert_in_a_window_brings_less_and_only_the_first_counts() -> None:
    scores = [judged(alerts(row), WINDOWS).points for row in (600, 650, 700, 750, 799)]
    assert scores == sorted(scores, reverse=True)
    assert judged(alerts(650, 660, 799), WINDOWS) == judged(alerts(650), WINDOWS)


def test_an_alert_in_the_middle_of_a_window_brings_what_the_sigmoid_says() -> None:
    position = -(799 - 700 + 1) / 200
    expected = (2 / (1 + math.exp(5 * position)) - 1) / (2 / (1 + math.exp(-5)) - 1)
    assert judged(alerts(700), WINDOWS).points == pytest.approx(expected - 1.0)


def test_a_false_alarm_costs_all_before_the_first_window_and_less_right_after_one() -> None:
    before, after, far = (judged(alerts(row), WINDOWS).points for row in (400, 805, 1_000))
    assert before == pytest.approx(-2.0 - 0.11)
    assert before < far < after < -2.0
    assert far == pytest.approx(-2.0 - 0.11, abs=0.002)


def test_alerts_while_learning_are_not_looked_at() -> None:
    assert learning_rows(ROWS) == 300
    assert learning_rows(100_000) == 750
    assert judged(alerts(0, 299), WINDOWS) == judged(alerts(), WINDOWS)
    assert judged(alerts(300), WINDOWS).false_alarms == 1


def test_a_miss_costs_twice_where_misses_matter() -> None:
    one = [judged(alerts(600), WINDOWS, profile) for profile in (STANDARD, FEW_MISSES)]
    assert nab_score(one[:1]) == pytest.approx(50.0)
    assert nab_score(one[1:], FEW_MISSES) == pytest.approx(100.0 * (1 - 2 + 4) / (2 + 4))


def test_alerts_everywhere_are_worse_than_none() -> None:
    assert nab_score([judged(np.ones(ROWS, bool), WINDOWS)]) < 0
