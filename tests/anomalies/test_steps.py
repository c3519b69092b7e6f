"""Detectors on grids of other steps, which need not divide a day and need not begin at a whole one."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from workbench.anomalies.change import ChangePoint
from workbench.anomalies.detector import Detector
from workbench.anomalies.forest import Forest
from workbench.anomalies.panel import Panel
from workbench.anomalies.seasonal import SeasonalResidual
from workbench.anomalies.statistical import RollingZ

STEPS = [timedelta(seconds=15), timedelta(minutes=7), timedelta(hours=1), timedelta(days=1), timedelta(days=3)]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize(
    "detector", [RollingZ(), SeasonalResidual(), ChangePoint(), Forest(trees=10)], ids=lambda it: it.name
)
def test_a_span_in_pieces_gives_the_scores_of_the_whole_at_any_step(detector: Detector, step: timedelta) -> None:
    rng = np.random.default_rng(11)
    values = rng.normal(size=(3, 900)) + 3 * np.sin(np.arange(900) / 20)
    panel = Panel(tuple("abc"), datetime(2025, 10, 1, 0, 0, 11, tzinfo=UTC), step, values)
    known = fitted = detector.fit(panel.cut(0, 700))
    whole, _ = fitted.score(panel.cut(700))
    assert np.isfinite(whole).all()
    pieces = []
    for at in range(700, 900, 53):
        found, known = known.score(panel.cut(at, at + 53))
        pieces.append(found)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=1e-9, atol=1e-9)
