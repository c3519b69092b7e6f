"""One series in, its forecast out: finite, flagged and the same each time, whatever the series is like."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from workbench.errors import UsageError
from workbench.forecasts.kernel import COLUMNS, forecast_series

FIRST = date(2025, 11, 1)
NUMBERS = ["point", "lower", "upper", "sum_point", "sum_lower", "sum_upper"]


def series(costs: "list[float] | np.ndarray", **columns: object) -> pd.DataFrame:
    """One cost a day, the last on the day before FIRST."""
    start = FIRST - timedelta(days=len(costs))
    return pd.DataFrame({"date": [start + timedelta(days=day) for day in range(len(costs))], "cost": costs, **columns})


def weekly(days: int, noise: float = 2.0, seed: int = 3) -> np.ndarray:
    """100 a day, 60 at weekends, and noise."""
    start = FIRST - timedelta(days=days)
    at = np.array([60.0 if (start + timedelta(days=day)).weekday() >= 5 else 100.0 for day in range(days)])
    return at + np.random.default_rng(seed).normal(0, noise, days)


def spiked(at: int) -> np.ndarray:
    costs = weekly(90)
    costs[at] *= 20
    return costs


def holed() -> np.ndarray:
    costs = weekly(90)
    costs[[10, 40, 41, 42, 70]] = np.nan
    return costs


ODD = {
    "NaN": holed(),
    "only NaN": np.full(30, np.nan),
    "infinite": np.where(np.arange(60) == 20, np.inf, weekly(60)),
    "negative": weekly(90) - 90,
    "90 % zeros": np.where(np.arange(90) % 10 == 0, 50.0, 0.0),
    "all zeros": np.zeros(60),
    "1 point": weekly(1),
    "1 zero": np.zeros(1),
    "2 points": weekly(2),
    "5 points": weekly(5),
    "13 points": weekly(13),
    "21 points": weekly(21),
    "constant": np.full(60, 7.25),
    "5 equal points": np.full(5, 7.25),
    "20x spike": spiked(60),
    "20x spike today": spiked(89),
    "a step": np.where(np.arange(90) < 80, 100.0, 250.0) + weekly(90) / 50,
    "ended": np.where(np.arange(90) < 50, weekly(90), 0.0),
    "huge": weekly(90) * 1e15,
    "tiny": weekly(90) * 1e-9,
    "exponential": 1.08 ** np.arange(120),
}


@pytest.mark.parametrize("name", ODD)
def test_whatever_the_series_is_like_the_answer_is_finite_ordered_and_named(name: str) -> None:
    found = forecast_series(series(ODD[name]), FIRST, 30)
    assert tuple(found.columns) == COLUMNS
    assert found["date"].to_list() == [FIRST + timedelta(days=day) for day in range(30)]
    assert np.isfinite(found[NUMBERS].to_numpy()).all()
    assert (found["lower"] <= found["point"]).all()
    assert (found["point"] <= found["upper"]).all()
    assert (found["sum_lower"] <= found["sum_point"]).all()
    assert (found["sum_point"] <= found["sum_upper"]).all()
    assert found["model"].ne("").all()
    reach = 40 * np.nanmax(np.abs(np.where(np.isfinite(ODD[name]), ODD[name], 0)))
    assert found["upper"].max() <= reach


@pytest.mark.parametrize(
    ("name", "model", "flag"),
    [
        ("NaN", "ets", "5 missing days filled"),
        ("only NaN", "none", "no history"),
        ("infinite", "ets", "1 missing days filled"),
        ("negative", "ets", "has negative days"),
        ("90 % zeros", "mean", "mostly zero"),
        ("all zeros", "constant", "never changed"),
        ("1 point", "last value", "1 day of history; the band is a guess"),
        ("5 points", "last value", "5 days of history"),
        ("13 points", "level", "13 days of history"),
        ("21 points", "ets", ""),
        ("constant", "constant", "never changed"),
        ("5 equal points", "constant", "never changed; 5 days of history"),
        ("20x spike", "ets", "1 unusual day set aside"),
    ],
)
def test_what_was_done_is_said(name: str, model: str, flag: str) -> None:
    found = forecast_series(series(ODD[name]), FIRST, 7)
    assert set(found["model"]) == {model}
    assert set(found["flags"]) == {flag}


def test_a_weekly_rhythm_is_carried_on() -> None:
    found = forecast_series(series(weekly(90)), FIRST, 28)
    weekend = np.array([day.weekday() >= 5 for day in found["date"]])
    assert found["point"][weekend].to_numpy() == pytest.approx(60, abs=4)
    assert found["point"][~weekend].to_numpy() == pytest.approx(100, abs=4)


def test_the_band_holds_about_as_often_as_it_says() -> None:
    """Ten series of known noise: 95 % of 300 days, give or take what chance allows."""
    held = []
    for seed in range(10):
        costs = weekly(150, noise=5, seed=seed)
        history = series(costs)
        found = forecast_series(history[:120], history["date"][120], 30)
        held.append((costs[120:] >= found["lower"]) & (costs[120:] <= found["upper"]))
    assert 0.90 <= np.mean(held) <= 0.99


def test_the_band_of_a_sum_is_narrower_than_the_sum_of_bands_and_wider_than_one() -> None:
    found = forecast_series(series(weekly(90)), FIRST, 30)
    width = found["sum_upper"].iloc[-1] - found["sum_lower"].iloc[-1]
    daily = found["upper"] - found["lower"]
    assert daily.max() < width < daily.sum()


def test_sums_run_along_and_begin_with_the_first_day() -> None:
    found = forecast_series(series(weekly(60)), FIRST, 10)
    assert found["sum_point"].to_numpy() == pytest.approx(found["point"].cumsum().to_numpy())
    assert found.loc[0, ["sum_lower", "sum_upper"]].to_list() == found.loc[0, ["lower", "upper"]].to_list()


def test_the_same_history_gives_the_same_numbers_and_a_scaled_one_scaled_numbers() -> None:
    once, again = (forecast_series(series(weekly(90)), FIRST) for _ in range(2))
    pd.testing.assert_frame_equal(once, again)
    scaled = forecast_series(series(weekly(90) * 1e6), FIRST)
    assert scaled[NUMBERS].to_numpy() / 1e6 == pytest.approx(once[NUMBERS].to_numpy(), rel=1e-6)


def test_the_order_of_the_rows_does_not_matter_and_rows_of_one_day_are_added() -> None:
    history = series(weekly(60))
    halves = pd.concat([history.assign(cost=history["cost"] / 2)] * 2).sample(frac=1, random_state=1)
    one, other = forecast_series(history, FIRST), forecast_series(halves, FIRST)
    assert other[NUMBERS].to_numpy() == pytest.approx(one[NUMBERS].to_numpy())


def test_days_from_the_first_on_are_not_looked_at() -> None:
    history = series(weekly(60))
    more = pd.concat([history, pd.DataFrame({"date": [FIRST, FIRST + timedelta(days=3)], "cost": [1e6, np.nan]})])
    pd.testing.assert_frame_equal(forecast_series(more, FIRST), forecast_series(history, FIRST))


def test_a_missing_day_is_no_day_without_cost() -> None:
    whole = forecast_series(series(weekly(90)), FIRST)
    gone = forecast_series(series(weekly(90)).drop(index=[30, 31, 60]), FIRST)
    zero = forecast_series(series(np.where(np.isin(np.arange(90), [30, 31, 60]), 0.0, weekly(90))), FIRST)
    assert gone["point"].to_numpy() == pytest.approx(whole["point"].to_numpy(), abs=3)
    assert set(gone["flags"]) == {"3 missing days filled"}
    assert "missing" not in zero["flags"][0]


def test_a_bill_that_ends_early_is_forecast_over_the_gap() -> None:
    history = series(weekly(60))[:-5]
    found = forecast_series(history, FIRST, 14)
    assert found["date"][0] == FIRST
    assert "5 missing days filled" in found["flags"][0]


def test_a_spike_that_has_ended_does_not_move_the_forecast_and_one_of_today_does_not_explode() -> None:
    usual = forecast_series(series(weekly(90)), FIRST)
    past = forecast_series(series(spiked(60)), FIRST)
    today = forecast_series(series(spiked(89)), FIRST)
    assert past["point"].to_numpy() == pytest.approx(usual["point"].to_numpy(), abs=5)
    assert today["point"].max() <= 20 * 110


def test_spikes_widen_the_band_of_a_sum_because_they_may_come_again() -> None:
    usual, past = (forecast_series(series(costs), FIRST).iloc[-1] for costs in (weekly(90), spiked(60)))
    assert past["sum_upper"] - past["sum_point"] > 1_000 > 3 * (usual["sum_upper"] - usual["sum_point"])
    assert past["sum_point"] - past["sum_lower"] < 300


def test_a_step_that_stays_is_followed() -> None:
    found = forecast_series(series(ODD["a step"]), FIRST)
    assert found["point"].to_numpy() == pytest.approx(250, rel=0.1)


def test_what_never_was_negative_is_not_expected_to_be() -> None:
    falling = np.maximum(weekly(90, noise=20) - np.arange(90), 0.0)
    assert (forecast_series(series(falling), FIRST)[["point", "lower", "sum_lower"]] >= 0).all(axis=None)
    assert forecast_series(series(ODD["negative"]), FIRST)["lower"].min() < 0


def monthly(costs: np.ndarray, amount: float, day: int) -> pd.DataFrame:
    """A series with a fee on one day of each month."""
    history = series(costs)
    fees = np.array([amount if at.day == day else 0.0 for at in history["date"]])
    return history.assign(cost=history["cost"] + fees, fees=fees)


def test_a_monthly_fee_comes_again_on_its_day_and_leaves_the_other_days_alone() -> None:
    plain = forecast_series(series(weekly(90)), FIRST, 40)
    with_fee = forecast_series(monthly(weekly(90), 5_000, 1), FIRST, 40)
    off = with_fee["point"] - plain["point"]
    first = np.array([day.day == 1 for day in with_fee["date"]])
    assert first.sum() == 2
    assert off[first].to_numpy() == pytest.approx(5_000)
    assert off[~first].to_numpy() == pytest.approx(0, abs=1e-3)
    assert (with_fee["upper"] - with_fee["lower"]).to_numpy() == pytest.approx(
        (plain["upper"] - plain["lower"]).to_numpy()
    )
    assert with_fee["flags"][0] == "monthly charges by calendar"


def test_a_fee_of_the_31st_falls_on_the_last_day_of_a_shorter_month() -> None:
    history = series(weekly(90))
    last = np.array([(at + timedelta(days=1)).day == 1 for at in history["date"]]) * 5_000.0
    found = forecast_series(history.assign(cost=history["cost"] + last, fees=last), FIRST, 30)
    assert [day.day for day in found["date"][found["point"] > 1_000]] == [30]


def test_a_charge_that_came_once_is_not_repeated() -> None:
    history = series(weekly(90))
    fees = np.where(np.arange(90) == 75, 9_000.0, 0.0)
    found = forecast_series(history.assign(cost=history["cost"] + fees, fees=fees), FIRST)
    assert found["point"].max() < 200
    assert found["flags"][0] == "charges that came once are not repeated"


def test_a_peak_on_the_same_day_of_two_months_is_taken_for_a_monthly_one() -> None:
    history = series(weekly(90))
    first = np.array([day.day == 1 for day in history["date"]])
    found = forecast_series(history.assign(cost=history["cost"] + 3_000 * first), FIRST, 30)
    assert found["point"][0] == pytest.approx(3_060, rel=0.05)
    assert found["point"][1:].max() < 150


@pytest.mark.parametrize(
    ("history", "horizon", "said"),
    [
        (pd.DataFrame({"date": [FIRST], "amount": [1.0]}), 30, "without cost can't be forecast; it has date, amount"),
        (series([1.0, 2.0]), 0, "a horizon of 0 days can't be forecast; 1 to 400 can"),
        (series([1.0, 2.0], currency=["EUR", "USD"]), 30, "this has EUR and USD; forecast each by itself"),
    ],
)  # fmt: skip
def test_what_can_not_be_forecast_is_named(history: pd.DataFrame, horizon: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        forecast_series(history, FIRST, horizon)
