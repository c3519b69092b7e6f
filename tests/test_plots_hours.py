"""Charts of what happens within days."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from workbench import plots

START = datetime(2025, 10, 6, tzinfo=UTC)


def costs(units: int = 4, hours: int = 30) -> pl.DataFrame:
    """Cost by hour; unit 0 is the smallest."""
    rows = [(START + timedelta(hours=hour), f"unit-{unit}", Decimal(unit + 1) + Decimal("0.01") * hour)
            for hour in range(hours) for unit in range(units)]  # fmt: skip
    return pl.DataFrame(rows, schema={"window_start": pl.Datetime("us", "UTC"), "business_unit": pl.String,
                                      "total_cost": pl.Decimal(38, 12)}, orient="row")  # fmt: skip


def spikes(*at: tuple[int, str]) -> pl.DataFrame:
    rows = [(START + timedelta(hours=hour), unit, Decimal(hour)) for hour, unit in at]
    return pl.DataFrame(rows, schema={"window_start": pl.Datetime("us", "UTC"), "business_unit": pl.String,
                                      "excess_amount": pl.Decimal(38, 12)}, orient="row")  # fmt: skip


def drawn(chart: Any) -> str:
    text = plots.svg(chart.to_dict())
    assert text.startswith("<svg")
    return text


def marks(spec: Any) -> list[dict[str, Any]]:
    """The rows of all data sets in a chart."""
    if isinstance(spec, dict) and "_words" in spec:
        return [spec]
    inside = spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else ()
    return [row for value in inside for row in marks(value)]


def test_a_spike_is_ringed_at_what_its_unit_cost_then() -> None:
    chart = plots.windows(costs(), spikes((3, "unit-0"), (5, "unit-2"), (500, "unit-1"))).to_dict()
    ringed = [row for row in marks(chart) if row["_words"].endswith("spike")]
    assert [(row["business_unit"], round(row["total_cost"], 2)) for row in ringed] == [
        ("unit-0", 1.03),
        ("unit-2", 3.05),
    ]
    assert "2025-10-06 03:00 · unit-0 · 1.03 USD · spike" in drawn(plots.windows(costs(), spikes((3, "unit-0"))))


def test_a_small_unit_with_a_spike_keeps_its_line_and_the_money_stays() -> None:
    frame = costs(units=12)
    chart = plots.windows(frame, spikes((3, "unit-0")), top=4).to_dict()
    rows = [row for row in marks(chart) if not row["_words"].endswith("spike")]
    names = {row["business_unit"] for row in rows}
    assert {"unit-0", "unit-11", "Other (8)"} <= names
    assert len(names) == 5
    assert sum(Decimal(repr(row["total_cost"])) for row in rows) == pytest.approx(frame["total_cost"].sum())


def test_each_axis_has_its_unit_and_its_zone() -> None:
    text = drawn(plots.windows(costs(), spikes((3, "unit-0")), unit="EUR"))
    assert "Cost of a window (EUR)" in text
    assert "UTC" in text


def test_a_few_hours_are_told_by_the_hour_and_the_title_says_the_day() -> None:
    text = drawn(plots.windows(costs(hours=14), spikes((3, "unit-0"))))
    assert "from 2025-10-06" in text
    assert "06:00" in text
    assert "from 2025-10-06" not in drawn(plots.windows(costs(hours=100), spikes((3, "unit-0"))))


def test_a_rule_without_a_spike_has_a_row_all_the_same() -> None:
    frame = spikes((3, "default"), (5, "default")).rename({"business_unit": "rule"})
    text = drawn(plots.moments(frame, names=["default", "strict"]))
    assert "strict" in text
    assert "2025-10-06 05:00 · default · 5.00 USD" in text


def test_of_too_many_dots_the_largest_are_drawn() -> None:
    many = spikes(*((hour, "loose") for hour in range(6_000))).rename({"business_unit": "rule"})
    shown = marks(plots.moments(many).to_dict())
    assert len(shown) == 2_000
    assert min(row["excess_amount"] for row in shown) == 4_000


def test_nothing_draws_an_empty_chart() -> None:
    nothing = spikes()
    drawn(plots.windows(costs().clear(), nothing))
    drawn(plots.windows(costs(), nothing))
    drawn(plots.moments(nothing.rename({"business_unit": "rule"}), names=["default"]))
    assert json.dumps(plots.windows(costs(), nothing).to_dict())
