"""The models that a forecast may rest on: numbers in, a point and the shape of its errors out.

All of them are linear in their errors: what is off by `e` on one day is off by `responses[j - 1] * e` another `j` days
later. So one simulation (`paths`) gives every model its band and the band of a sum of days.

The order in which `fit` tries them:

| days known | model | what it says |
|---|---|---|
| any, all the same | `constant` | the same again |
| 14 or more, four fifths of them 0 | `mean` | the mean of the last 28 days |
| 21 or more | `ets` | level and week, with a damped trend or without: ETS(A,Ad,A), ETS(A,N,A) |
| 10 to 20, or where `ets` did not settle | `level` | the smoothed level: ETS(A,N,N) |
| 8 or more, where `level` did not settle either | `seasonal naive` | the same weekday of the last week |
| fewer | `last value` | the last day again |

Source: Hyndman, Koehler, Ord, Snyder (2008), Forecasting with Exponential Smoothing, chapters 2 and 6.
"""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

WEEK = 7
_RECENT = 28
_MOSTLY = 0.8
_NEEDS = {"ets": 21, "level": 10, "seasonal naive": 8, "mean": 14}
_ONE_DAY_SPREAD = 0.5  # of the only day there is: a guess, and flagged as one


@dataclass(frozen=True)
class Fitted:
    """A model that was fitted to one series.

    Attributes
    ----------
    name
        Of the model.
    points
        What it expects, one number a day ahead, in the series' unit.
    responses
        What is left of an error 1, 2, … days after it.
    errors
        What it was off by, one day ahead, on the days it was fitted to (actual - expected), freed of its own bias
        towards small errors.
    flags
        What a reader should know.
    """

    name: str
    points: Numbers
    responses: Numbers
    errors: Numbers
    flags: tuple[str, ...] = field(default=())


def fit(values: Numbers, horizon: int) -> Fitted:
    """Fit the first model of the order above that the series allows.

    Parameters
    ----------
    values
        One finite number a day, without gaps, the oldest first; at least one.
    horizon
        Days ahead.
    """
    scale = float(np.max(np.abs(values))) or 1.0
    found = _first(values / scale, horizon)
    return Fitted(found.name, found.points * scale, found.responses, found.errors * scale, found.flags)


def paths(fitted: Fitted, draws: int, seed: int) -> Numbers:
    """Draw futures: the points plus errors that are drawn with replacement and live on as the model says.

    Returns
    -------
    numpy.ndarray
        `draws` by days. The same seed gives the same numbers.
    """
    horizon = len(fitted.points)
    drawn = np.random.default_rng(seed).choice(fitted.errors, size=(draws, horizon))
    living = np.concatenate([[1.0], fitted.responses[: horizon - 1]])
    futures = np.tile(fitted.points, (draws, 1))
    for day in range(horizon):  # no matrix product: that would take every core
        futures[:, day:] += drawn[:, day, None] * living[: horizon - day]
    return futures


def again(aside: Numbers, draws: int, horizon: int, seed: int) -> Numbers:
    """Draw what stood out again: whole weeks of it, so that spikes come about as often, and as long, as they did.

    Parameters
    ----------
    aside
        What was set aside, one number a day, 0 on usual days.

    Returns
    -------
    numpy.ndarray
        `draws` by days, to be added to `paths`.
    """
    if len(aside) < WEEK or not aside.any():
        return np.zeros((draws, horizon))
    weeks = -(-horizon // WEEK)
    starts = np.random.default_rng(seed).integers(0, len(aside) - WEEK + 1, size=(draws, weeks, 1))
    drawn: Numbers = aside[starts + np.arange(WEEK)].reshape(draws, -1)[:, :horizon]
    return drawn


def _first(values: Numbers, horizon: int) -> Fitted:
    if len(values) == 1:
        return _single(values, horizon)
    if np.ptp(values) == 0:
        few = _short(values) if len(values) < _NEEDS["ets"] else ()
        return Fitted("constant", np.full(horizon, values[-1]), np.zeros(horizon), np.zeros(1), ("never changed", *few))
    if len(values) >= _NEEDS["mean"] and np.mean(values[-2 * _RECENT :] == 0) >= _MOSTLY:
        return _mean(values, horizon)
    if len(values) < _NEEDS["level"]:
        return _last(values, horizon)
    found = _settled(_ets, values, horizon) if len(values) >= _NEEDS["ets"] else None
    return found or _settled(_level, values, horizon) or _seasonal_naive(values, horizon)


def _settled(model: Callable[[Numbers, int], Fitted | None], values: Numbers, horizon: int) -> Fitted | None:
    """What the model says, or None where its search did not end or ended in nonsense."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a search that fails says so in its result, which is looked at
        try:
            found = model(values, horizon)
        except (ValueError, FloatingPointError, np.linalg.LinAlgError):
            return None
    reach = 10.0  # times the largest day ever seen
    sane = found is not None and _finite(found.points, found.errors) and np.abs(found.points).max() <= reach
    return found if sane else None


def _ets(values: Numbers, horizon: int) -> Fitted | None:
    """With a damped trend or without, whichever says more for its parameters (the smaller AICc)."""
    found = [_seasonal(values, horizon, trend=trend) for trend in (True, False)]
    best = min(found, key=lambda one: one[0])
    return best[1]


def _seasonal(values: Numbers, horizon: int, *, trend: bool) -> tuple[float, Fitted | None]:
    """AICc and model; infinite and None where the search did not settle."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    model = ETSModel(values, error="add", trend="add" if trend else None, damped_trend=trend, seasonal="add",
                     seasonal_periods=WEEK, initialization_method="heuristic")  # fmt: skip
    found = model.fit(disp=False)
    if not found.mle_retvals["converged"] or not np.isfinite(found.aicc):
        return np.inf, None
    named = dict(zip(model.param_names, map(float, found.params), strict=True))
    damping = named.get("damping_trend", 1.0)
    ahead = np.arange(1, horizon + 1)
    slope = named.get("smoothing_trend", 0.0) * np.cumsum(damping**ahead)
    responses = named["smoothing_level"] + slope + named["smoothing_seasonal"] * (ahead % WEEK == 0)
    errors = _widened(np.asarray(found.resid, dtype=np.float64), len(named) + WEEK)
    return float(found.aicc), Fitted("ets", np.asarray(found.forecast(horizon)), responses, errors)


def _level(values: Numbers, horizon: int) -> Fitted | None:
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    found = ETSModel(values, error="add", initialization_method="heuristic").fit(disp=False)
    if not found.mle_retvals["converged"]:
        return None
    responses = np.full(horizon, float(found.params[0]))
    errors = _widened(np.asarray(found.resid, dtype=np.float64), 2)
    return Fitted("level", np.asarray(found.forecast(horizon)), responses, errors, _short(values))


def _seasonal_naive(values: Numbers, horizon: int) -> Fitted:
    ahead = np.arange(1, horizon + 1)
    points = values[len(values) - WEEK + (ahead - 1) % WEEK]
    errors = _widened(values[WEEK:] - values[:-WEEK], 0)
    return Fitted("seasonal naive", points, (ahead % WEEK == 0).astype(float), errors, _short(values))


def _mean(values: Numbers, horizon: int) -> Fitted:
    recent = values[-_RECENT:]
    points, errors = np.full(horizon, recent.mean()), values[-2 * _RECENT :] - recent.mean()
    return Fitted("mean", points, np.zeros(horizon), errors, ("mostly zero",))


def _last(values: Numbers, horizon: int) -> Fitted:
    errors = _widened(np.diff(values), 0)
    return Fitted("last value", np.full(horizon, values[-1]), np.ones(horizon), errors, _short(values))


def _single(values: Numbers, horizon: int) -> Fitted:
    errors = _ONE_DAY_SPREAD * np.array([-1.0, 1.0]) * abs(values[0])
    flags = ("1 day of history", "the band is a guess")
    return Fitted("last value", np.full(horizon, values[0]), np.ones(horizon), errors, flags)


def _short(values: Numbers) -> tuple[str, ...]:
    return (f"{len(values)} days of history",) if len(values) < _NEEDS["ets"] else ("ets did not settle",)


def _widened(errors: Numbers, parameters: int) -> Numbers:
    """Errors around nothing, as wide as if no parameter had been fitted to them; both signs are as likely."""
    count = len(errors)
    wider = np.sqrt(count / max(count - parameters, 1)) if count else 1.0
    both: Numbers = np.concatenate([errors, -errors]) * wider if count else np.zeros(1)
    return both


def _finite(*arrays: Iterable[float]) -> bool:
    return all(bool(np.isfinite(np.asarray(array)).all()) for array in arrays)
