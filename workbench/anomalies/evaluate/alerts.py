"""Alerts held against labelled spans: how many were right, how much was found, how soon."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from workbench.anomalies.evaluate.spans import Span


class Alerted(NamedTuple):
    """Counts of one series, so that several add up."""

    alerts: int
    right: int
    """Alerts within a span."""
    spans: int
    found: int
    """Spans with an alert."""
    delays: tuple[int, ...]
    """Rows from a found span's beginning to its first alert."""
    days: float
    """Length of the series."""


def alerted(alerts: np.ndarray, spans: Sequence[Span], days: float) -> Alerted:
    """Hold the alerts of one series, (rows,) of bool, against its spans. No point of a span counts for another one."""
    rows = np.flatnonzero(alerts)
    within = [rows[(rows >= span.first) & (rows <= span.last)] for span in spans]
    right = int(np.isin(rows, np.concatenate(within)).sum()) if within else 0
    delays = tuple(int(inside[0]) - span.first for inside, span in zip(within, spans, strict=True) if len(inside))
    return Alerted(len(rows), right, len(spans), len(delays), delays, days)


def rates(found: Sequence[Alerted]) -> dict[str, float | None]:
    """Add up series.

    Returns
    -------
    `precision`, the share of alerts that were right, `recall`, the share of spans that were found,
    `false_alarms_per_series_day`, and `delay_median_rows`; None where there was nothing to take a share of.
    """
    alerts, right = sum(each.alerts for each in found), sum(each.right for each in found)
    spans, hits = sum(each.spans for each in found), sum(each.found for each in found)
    days, delays = sum(each.days for each in found), [delay for each in found for delay in each.delays]
    return {
        "precision": right / alerts if alerts else None,
        "recall": hits / spans if spans else None,
        "false_alarms_per_series_day": (alerts - right) / days if days else None,
        "delay_median_rows": float(np.median(delays)) if delays else None,
    }
