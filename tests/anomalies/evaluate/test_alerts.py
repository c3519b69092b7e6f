"""Alerts held against labelled spans."""

import numpy as np
import pytest

from workbench.anomalies.evaluate.alerts import alerted, rates
from workbench.anomalies.evaluate.spans import Span


def at(*rows: int) -> np.ndarray:
    raised = np.zeros(100, bool)
    raised[list(rows)] = True
    return raised


def test_precision_counts_alerts_and_recall_counts_spans() -> None:
    found = alerted(at(5, 22, 24, 90), [Span(20, 29), Span(60, 69)], days=2.0)
    assert found == (4, 2, 2, 1, (2,), 2.0)
    assert rates([found]) == {
        "precision": 0.5, "recall": 0.5, "false_alarms_per_series_day": 1.0, "delay_median_rows": 2.0,
    }  # fmt: skip


def test_series_add_up_by_their_counts_and_not_by_their_rates() -> None:
    one = alerted(at(1), [Span(0, 9)], days=1.0)
    other = alerted(at(50, 51, 52), [Span(0, 9)], days=3.0)
    told = rates([one, other])
    assert told["precision"] == pytest.approx(1 / 4)
    assert told["false_alarms_per_series_day"] == pytest.approx(3 / 4)


def test_nothing_to_take_a_share_of_is_no_number() -> None:
    assert rates([alerted(at(), [], days=1.0)]) == {
        "precision": None, "recall": None, "false_alarms_per_series_day": 0.0, "delay_median_rows": None,
    }  # fmt: skip
