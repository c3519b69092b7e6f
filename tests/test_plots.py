"""The chart theme, what each chart says, and that it says the same everywhere."""

import datetime as dt
import itertools
import json
import math
import os
import re
import subprocess
import sys
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl
import pytest

from workbench import plots
from workbench.errors import UsageError
from workbench.plots import frames
from workbench.plots.words import amount, heading

HOSTILE = '<script>alert("1")</script> & co'
DAYS = [dt.date(2025, 9, 29) + dt.timedelta(n) for n in range(5)]
UNITS = ["Compute", "Search", HOSTILE, "unallocated"]
DAILY = pl.DataFrame(
    [
        {"day": day, "business_unit": unit, "cost": Decimal(f"{n + 1}234.56")}
        for day in DAYS
        for n, unit in enumerate(UNITS)
    ],
    schema={"day": pl.Date, "business_unit": pl.String, "cost": pl.Decimal(38, 12)},
)
PARTS = pl.DataFrame({"part": ["Price", "Mix"], "amount": [Decimal("0.1"), Decimal("-0.30")]})
CHANGES = pl.DataFrame(
    {
        "service": ["EC2", "S3"],
        "change": [Decimal(5), Decimal("-7.5")],
        "a": [Decimal(1), Decimal(9)],
        "b": [Decimal(6), Decimal("1.5")],
    }
)
ROWS = DAILY.select("day", "business_unit", pl.lit(3).alias("rows")).filter(
    ~((pl.col("day") == DAYS[1]) & (pl.col("business_unit") == "Search"))
)


AHEAD = pl.DataFrame(
    {
        "day": [DAYS[-1] + dt.timedelta(n) for n in range(1, 4)],
        "point": [Decimal(9)] * 3,
        "lower": [Decimal(7)] * 3,
        "upper": [Decimal("11.5")] * 3,
    }
)


@cache
def charts() -> dict[str, Any]:
    return {
        "stacked": plots.stacked_daily(DAILY, label="Billed cost"),
        "lines": plots.line_daily(DAILY, colour="business_unit"),
        "line": plots.line_daily(DAILY),
        "bars": plots.bars(DAILY, "business_unit"),
        "changes": plots.changes(CHANGES, before="a", after="b"),
        "waterfall": plots.waterfall(PARTS, start=10),
        "coverage": plots.coverage(ROWS),
        "forecast": plots.forecast(DAILY, AHEAD, x="day", y="cost"),
    }


@cache
def picture(name: str, width: int = 760) -> str:
    return drawn(charts()[name], width)


def drawn(chart: Any, width: int = 760) -> str:
    return plots.svg(chart.to_dict(), width)


NAMES = ["stacked", "lines", "line", "bars", "changes", "waterfall", "coverage", "forecast"]


# Colours


def _linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


# Machado, Oliveira, Fernandes 2009, severity 1: protanopia, deuteranopia, tritanopia.
SIGHTS = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def _lab(colour: str, sight: str) -> tuple[float, float, float]:
    light = _linear(colour)
    seen = [min(1.0, max(0.0, sum(a * b for a, b in zip(row, light, strict=True)))) for row in SIGHTS[sight]]
    weights = [(0.4124, 0.3576, 0.1805, 0.9505), (0.2126, 0.7152, 0.0722, 1.0), (0.0193, 0.1192, 0.9505, 1.089)]
    xyz = [sum(w * s for w, s in zip(row[:3], seen, strict=True)) / row[3] for row in weights]
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_colours_of_the_palette_can_be_told_apart_by_every_kind_of_sight(sight: str) -> None:
    nearest = min(
        math.dist(_lab(one, sight), _lab(other, sight)) for one, other in itertools.combinations(plots.PALETTE, 2)
    )
    assert nearest >= 17


def test_increase_and_decrease_differ_for_every_kind_of_sight() -> None:
    assert all(math.dist(_lab(plots.INCREASE, sight), _lab(plots.DECREASE, sight)) > 30 for sight in SIGHTS)


def test_the_sequential_ramp_only_gets_darker() -> None:
    lightness = [_lab(colour, "normal")[0] for colour in plots.SEQUENTIAL]
    assert lightness == sorted(lightness, reverse=True)


def test_the_same_names_get_the_same_colours_in_every_order() -> None:
    assert plots.colours(["b", "a", "unallocated"]) == plots.colours(["unallocated", "a", "b"])
    assert plots.colours(["a", "unallocated"])["unallocated"] == plots.NEUTRAL
    assert len(set(plots.colours(["Other (4)", "unallocated", "a"]).values())) == 3
    assert plots.colours(["Others Inc"])["Others Inc"] != plots.NEUTRAL


# Words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1234.565"), "1,234.56"),
        (Decimal("-0.5"), "−0.50"),  # noqa: RUF001 (a true minus sign)
        (Decimal("0.0042123"), "0.0042"),
        (Decimal("0.000000000001"), "0.0000000000010"),
        (Decimal("99999999999999999999999999.999"), "100,000,000,000,000,000,000,000,000.00"),
        (Decimal(0), "0.00"),
        (1.5, "1.50"),
        (None, "–"),  # noqa: RUF001
        (float("nan"), "–"),  # noqa: RUF001
    ],
)
def test_an_amount_is_written_so_that_something_never_reads_as_nothing(
    value: Decimal | float | None, text: str
) -> None:
    assert amount(value) == text


def test_gains_are_signed_where_asked() -> None:
    assert amount(Decimal(5), signed=True) == "+5.00"
    assert amount(Decimal(0), signed=True) == "0.00"


def test_a_column_becomes_a_title() -> None:
    assert [heading(name) for name in ("business_unit", "ServiceName", "day")] == [
        "Business unit",
        "Service name",
        "Day",
    ]


# Charts


def _axes(spec: dict[str, Any]) -> list[str | None]:
    layers = spec.get("layer", [spec])
    found = []
    for layer in layers:
        for name in ("x", "y"):
            channel = layer.get("encoding", {}).get(name, {})
            if "field" in channel and layer["mark"].get("type") != "text":
                axis = channel.get("axis") or {}
                found.append(axis.get("title") or channel.get("title"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_axis_has_a_title_and_every_amount_its_unit(name: str) -> None:
    titles = _axes(charts()[name].to_dict())
    assert titles
    assert all(titles)
    if name != "coverage":
        assert any("(USD)" in str(title) for title in titles)


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_is_as_wide_as_the_page_and_as_a_phone(name: str) -> None:
    for width in (760, 350):
        assert re.search(r'viewBox="0 0 ([\d.]+)', picture(name, width))[1] == str(width)


@pytest.mark.parametrize("name", ["stacked", "lines", "bars", "coverage"])
def test_what_looks_like_markup_in_a_name_is_text_in_the_drawing(name: str) -> None:
    text = picture(name)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_marks_carry_their_words_with_the_exact_amount_and_the_unit() -> None:
    assert 'aria-label="2025-10-03 · Compute · 1,234.56 USD"' in picture("stacked")
    assert 'aria-label="2025-10-03 · Compute · 1,234.56 USD"' in picture("lines")
    assert 'aria-label="EC2 · +5.00 USD · from 1.00 to 6.00"' in picture("changes")
    assert 'aria-label="2025-09-30 · Search · no rows"' in picture("coverage")


def test_a_forecast_says_what_was_and_what_is_expected_with_its_band() -> None:
    assert 'aria-label="2025-10-03 · 10,938.24 USD"' in picture("forecast")
    assert 'aria-label="2025-10-04 · expected 9.00 USD · 7.00 to 11.50"' in picture("forecast")
    assert "Charged" in picture("forecast")
    small = drawn(plots.forecast(DAILY, AHEAD, x="day", y="cost", title=HOSTILE))
    assert "Charged" not in small, "of several charts the first one's legend is enough"
    assert "&lt;script&gt;" in small


def test_a_forecast_shows_only_the_last_days_of_a_long_history() -> None:
    text = drawn(plots.forecast(long_bill(800).rename({"cost": "BilledCost"}), AHEAD, x="day", days=30))
    assert text.count("aria-label") == 33
    drawn(plots.forecast(DAILY.clear(), AHEAD.clear(), x="day", y="cost"))


def test_where_more_is_better_the_colours_change_sides() -> None:
    def colours(**more: bool) -> list[str]:
        return re.findall(r'aria-label="(?:EC2|S3)[^>]*fill="([^"]+)"', drawn(plots.changes(CHANGES, **more)))

    assert colours() == [plots.INCREASE, plots.DECREASE]
    assert colours(gains=True) == [plots.DECREASE, plots.INCREASE]


def test_only_marks_carry_words() -> None:
    assert "axis titled" not in picture("stacked")


def test_a_waterfall_ends_at_exactly_its_start_and_all_parts() -> None:
    data = frames.running(PARTS, "part", "amount", "USD", ends=("Before", "After"), start=Decimal("0.2"), places=2)
    assert data["_number"].to_list() == ["0.20", "+0.10", "−0.30", "0.00"]  # noqa: RUF001


def test_the_rest_is_folded_exactly_and_one_alone_is_not() -> None:
    schema = {"unit": pl.String, "cost": pl.Decimal(38, 12)}
    cents = pl.DataFrame({"unit": list("abcdef"), "cost": [Decimal("0.1") * n for n in range(1, 7)]}, schema=schema)
    few = frames.folded(cents, "unit", "cost", [], 3)
    assert few.filter(pl.col("unit") == "Other (3)")["cost"].to_list() == [Decimal("0.6")]
    assert few["cost"].sum() == cents["cost"].sum()
    assert frames.folded(cents, "unit", "cost", [], 5).height == 6


@pytest.mark.parametrize("days", [1, 2, 9, 25, 60, 200, 800, 4000])
def test_a_day_axis_is_never_crowded(days: int) -> None:
    span = pl.date_range(dt.date(2024, 1, 3), dt.date(2024, 1, 3) + dt.timedelta(days - 1), eager=True)
    ticks, _, _ = frames.day_ticks(span)
    assert 1 <= len(ticks) <= 12


def long_bill(days: int) -> pl.DataFrame:
    every = pl.date_range(dt.date(2016, 2, 29), dt.date(2016, 2, 29) + dt.timedelta(days - 1), eager=True)
    units = pl.DataFrame({"business_unit": list("abcdefgh")})
    return every.alias("day").to_frame().join(units, how="cross").with_columns(cost=pl.lit(Decimal("0.1")), rows=2)


@pytest.mark.parametrize(
    ("days", "said"), [(30, "2016-02-29 · a · 0.10"), (400, "week from"), (3653, "2016-02 · a · 0.10")]
)
def test_a_long_bill_is_drawn_by_week_or_month_so_that_it_can_be_seen(days: int, said: str) -> None:
    text = drawn(plots.stacked_daily(long_bill(days)))
    assert f'aria-label="{said}' in text
    assert len(text) < 600_000
    assert "week from" in drawn(plots.line_daily(long_bill(900), colour="business_unit"))
    assert len(drawn(plots.coverage(long_bill(days)))) < 600_000


def test_many_names_share_a_chart_as_other() -> None:
    names = pl.DataFrame({"business_unit": [f"unit {n}" for n in range(60)]})
    frame = pl.DataFrame({"day": DAYS}).join(names, how="cross").with_columns(cost=pl.lit(Decimal("1.5")))
    for chart in (plots.stacked_daily(frame), plots.line_daily(frame, colour="business_unit")):
        assert 'aria-label="2025-10-03 · Other (53) · 79.50 USD"' in drawn(chart)


@pytest.mark.parametrize("days", [30, 400, 3653])
def test_coarser_periods_hold_the_same_money(days: int) -> None:
    frame = long_bill(days)
    spans, _ = frames.periods(frame, "day")
    assert frames.folded(spans, "business_unit", "cost", ["day", "_end"], 3)["cost"].sum() == frame["cost"].sum()


def test_a_week_with_empty_days_says_so() -> None:
    frame = long_bill(300).filter(pl.col("day") != dt.date(2016, 3, 9))
    cells, period = frames.coverage_cells(frame, "day", "business_unit", "rows", 20)
    assert period == "week"
    assert (
        cells.filter(pl.col("day") == dt.date(2016, 3, 7))["_words"][0]
        == "week from 2016-03-07 · a · 12 rows · 1 day without"
    )


def test_credits_hang_below_zero_and_a_stack_ends_at_its_sum() -> None:
    frame = pl.DataFrame(
        {
            "day": [DAYS[0]] * 4,
            "at": [0, 1, 2, 3],
            "cost": [Decimal("0.1"), Decimal("-0.3"), Decimal("0.2"), Decimal("-0.1")],
        }
    )
    placed = frames.stacked(frame, "day", "cost", "at")
    assert placed["_high"].to_list() == [Decimal("0.1"), Decimal("-0.3"), Decimal("0.3"), Decimal("-0.4")]
    assert placed["_low"].to_list() == [Decimal(0), Decimal(0), Decimal("0.1"), Decimal("-0.3")]


def test_empty_frames_draw_an_empty_chart() -> None:
    drawn(plots.stacked_daily(DAILY.clear()))
    drawn(plots.bars(DAILY.clear(), "business_unit"))
    drawn(plots.coverage(ROWS.clear()))


def test_too_many_rows_say_aggregate_first() -> None:
    many = pl.DataFrame({"day": [DAYS[0]] * 2, "business_unit": ["a", "b"], "cost": [Decimal(1)] * 2})
    frame = pl.concat([many.with_columns(pl.lit(str(n)).alias("business_unit")) for n in range(3000)])
    with pytest.raises(UsageError, match="6,000 rows.*aggregate first"):
        plots.changes(frame, "business_unit", "cost", top=6000)


def test_drawings_in_one_page_share_no_ids() -> None:
    one, other = (set(re.findall(r'\bid="([^"]+)"', picture(name))) for name in ("coverage", "stacked"))
    assert one
    assert not one & other


def test_a_chart_of_ones_own_gets_theme_exact_money_and_both_widths() -> None:
    import altair as alt

    plots.enable()
    chart = alt.Chart(DAILY).mark_line().encode(x="day:T", y="cost:Q", color="business_unit:N")
    bundle = chart._repr_mimebundle_(None, None)
    assert set(bundle) == {plots.SVG_MIME, plots.NARROW_MIME, "text/plain"}
    assert plots.PALETTE[0].lower() in bundle[plots.SVG_MIME].lower()
    wide = alt.hconcat(chart, chart)._repr_mimebundle_(None, None)
    assert plots.NARROW_MIME not in wide


@pytest.mark.slow
def test_a_drawing_is_the_same_in_every_time_zone() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_plots; from workbench import plots\n"
        "print(plots.svg(test_plots.charts()['lines'].to_dict()))"
    )
    here = os.path.dirname(__file__)  # noqa: PTH120
    command = [sys.executable, "-c", code, here]
    zones = [
        subprocess.run(command, env={**os.environ, "TZ": zone}, check=True, capture_output=True).stdout
        for zone in ("UTC", "Pacific/Auckland", "America/Los_Angeles")
    ]
    assert zones[0] == zones[1] == zones[2]


def test_importing_the_package_does_not_import_altair() -> None:
    code = "import sys, workbench; print(json.dumps('altair' in sys.modules))".replace("import sys", "import json, sys")
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) is False
