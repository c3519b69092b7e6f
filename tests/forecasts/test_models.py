"""The models: what statsmodels says of the spread, ours says too; each has its place in the order."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from workbench.forecasts import models
from workbench.forecasts.models import Fitted, fit, paths

RNG = np.random.default_rng(11)
WEEKS = 100 + 20 * np.sin(np.arange(98) * 2 * np.pi / 7) + np.cumsum(RNG.normal(0, 2, 98))


def test_simulated_paths_spread_as_statsmodels_prediction_interval_does() -> None:
    """ETS(A,Ad,A) has an exact variance; ours comes from 20,000 paths of normal errors of the same size."""
    ets = ETSModel(pd.Series(WEEKS), error="add", trend="add", damped_trend=True, seasonal="add", seasonal_periods=7,
                   initialization_method="heuristic").fit(disp=False)  # fmt: skip
    exact = ets.get_prediction(98, 98 + 20).summary_frame(alpha=0.05)
    _, fitted = models._seasonal(WEEKS, 21, trend=True)
    assert fitted is not None
    errors = np.random.default_rng(1).normal(0, np.sqrt(ets.mse), 5_000)
    drawn = paths(Fitted("ets", fitted.points, fitted.responses, errors), 20_000, 3)
    assert fitted.points == pytest.approx(exact["mean"].to_numpy(), rel=1e-4)
    assert drawn.std(axis=0) * 2 * 1.96 == pytest.approx((exact["pi_upper"] - exact["pi_lower"]).to_numpy(), rel=0.05)


def test_the_last_value_spreads_like_a_random_walk_and_the_week_only_from_week_to_week() -> None:
    walk = paths(Fitted("last value", np.zeros(16), np.ones(16), np.array([-1.0, 1.0])), 20_000, 1)
    assert walk.var(axis=0) == pytest.approx(np.arange(1, 17), rel=0.06)
    naive = models._seasonal_naive(WEEKS[:14], 15)
    assert naive.points[:7].tolist() == WEEKS[7:14].tolist()
    assert naive.points[14] == WEEKS[7]
    spread = paths(naive, 20_000, 1).var(axis=0)
    assert spread[7] / spread[6] == pytest.approx(2, rel=0.1)


def test_errors_are_even_to_both_sides_so_that_a_band_lies_around_its_point() -> None:
    fitted = fit(WEEKS, 7)
    assert fitted.errors.mean() == pytest.approx(0, abs=1e-12)


def test_a_model_that_does_not_settle_makes_way_for_the_next_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fit(WEEKS, 7).name == "ets"
    monkeypatch.setattr(models, "_ets", lambda *_: None)
    assert (fit(WEEKS, 7).name, fit(WEEKS, 7).flags) == ("level", ("ets did not settle",))

    def fails(*_: object) -> Fitted:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(models, "_level", fails)
    assert fit(WEEKS, 7).name == "seasonal naive"


def test_nonsense_is_not_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (np.inf, np.nan, 1e6):
        wild = Fitted("ets", np.full(7, bad), np.zeros(7), np.zeros(3))
        monkeypatch.setattr(models, "_ets", lambda *_, wild=wild: wild)
        assert fit(WEEKS, 7).name == "level"


def test_a_warning_of_the_search_reaches_nobody() -> None:
    """Warnings are errors here: a hard series must end in an answer, not in one."""
    hard = np.where(np.arange(40) % 2 == 0, 1e-8, 1e8)
    assert np.isfinite(fit(hard, 30).points).all()
