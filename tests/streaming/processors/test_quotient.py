"""A record is the same to the last digit, whatever else is in its batch."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from workbench.streaming import replay
from workbench.streaming.processors import Roi, Rule, Spikes
from workbench.streaming.processors.quotient import quotient

pytestmark = pytest.mark.slow

START = datetime(2025, 10, 1, tzinfo=UTC)
UNITS = 60


def divided(frame: pl.DataFrame) -> list[float | None]:
    return frame.select(quotient(pl.col("above"), pl.col("below"))).to_series().to_list()


def test_it_is_the_division_of_ieee_754_however_the_column_came_about() -> None:
    chance = np.random.default_rng(7)
    above, below = chance.uniform(1, 2_000, 2_000), chance.uniform(1, 200, 2_000)
    whole = pl.DataFrame({"above": above, "below": below})
    assert divided(whole) == (above / below).tolist()
    for at in range(50):
        alike = pl.concat([pl.DataFrame({"above": [each], "below": [below[at]]}) for each in above[at : at + 2]])
        assert divided(alike) == (above[at : at + 2] / below[at]).tolist()


def test_where_there_is_nothing_to_divide_by_there_is_no_quotient() -> None:
    frame = pl.DataFrame({"above": [1.0, 0.0, None, 1.0, 6.0], "below": [0.0, 0.0, 2.0, None, 4.0]})
    assert divided(frame) == [None, None, None, None, 1.5]
    assert divided(frame.head(0)) == []
    assert frame.select(quotient(pl.col("below"), pl.lit(168))).to_series()[4] == 4 / 168


def test_a_spike_and_its_revision_are_the_same_among_others_and_alone() -> None:
    events = costs()
    rule = Rule(least_history=3, deviations=1)
    among = replay(events, Spikes(rule=rule))["finops.cost.anomalies"]
    assert among.filter(pl.col("revision") == 1).height > UNITS / 2
    for unit in among["business_unit"].unique():
        alone = replay(events.filter(business_unit=unit), Spikes(rule=rule))["finops.cost.anomalies"]
        assert alone.equals(among.filter(business_unit=unit))


def test_a_return_is_the_same_among_others_and_alone() -> None:
    spent = costs()
    earned = spent.select("timestamp", "business_unit", "currency", revenue_impact=pl.col("cost_amount").reverse())
    among = replay({"cost": spent, "business": earned}, Roi())["finops.roi.calculations"]
    for unit in among["business_unit"].unique():
        mine = {kind: frame.filter(business_unit=unit) for kind, frame in (("cost", spent), ("business", earned))}
        assert replay(mine, Roi())["finops.roi.calculations"].equals(among.filter(business_unit=unit))


def costs() -> pl.DataFrame:
    """For each unit ten buckets, the ninth a spike, and one more event of the ninth that comes late."""
    chance = np.random.default_rng(7)
    amounts = chance.integers(10_000, 20_000, (12, UNITS))
    amounts[8] *= 40
    minutes = np.array([0, 5, 10, 15, 20, 25, 30, 35, 40, 55, 43, 60])
    units = np.tile(np.arange(UNITS), 12)
    return (
        pl.DataFrame(
            {
                "timestamp": [START + timedelta(minutes=int(minute)) for minute in np.repeat(minutes, UNITS)],
                "business_unit": [f"unit-{unit}" for unit in units],
                "service": "compute",
                "currency": "USD",
                "cost_amount": pl.Series(amounts.ravel()).cast(pl.Decimal(38, 4)),
            }
        )
        .with_columns(
            pl.col("timestamp").dt.cast_time_unit("us"), pl.col("cost_amount").cast(pl.Decimal(38, 12)) / 10_000
        )
        .cast({"cost_amount": pl.Decimal(38, 12)})
    )
