"""The brief: what a manager reads, from the records alone, and nothing made up."""

from typing import Any

import pytest

from workbench.pipelines.brief import brief


def record(notebook: str, **figures: tuple[str, Any, str]) -> dict[str, Any]:
    """A record with figures by key: label, value, unit."""
    rows = [{"key": key, "label": label, "value": value, "unit": unit} for key, (label, value, unit) in figures.items()]
    return {"notebook": notebook, "figures": rows}


COSTS = {
    "spend_week": ("Spend, last 7 days", "7758.1", "USD"),
    "change_week": ("Change to the 7 days before", "147.54", "USD"),
    "largest_change": ("Largest change", "shop <b> · EC2", ""),
    "largest_change_amount": ("Largest change, amount", "-98.35", "USD"),
    "revenue": ("Revenue, 120 days with costs and revenue", "1008920", "USD"),
    "roi_cost": ("Cost, 120 days with costs and revenue", "136171", "USD"),
    "roi": ("Return on what was spent (ROI)", 6.4092, "share"),
}
AHEAD = {
    "month": ("November 2025, expected", "34345.7", "USD"),
    "month_lower": ("November 2025, lower edge of the band", "30474", "USD"),
    "month_upper": ("November 2025, upper edge of the band", "39117", "USD"),
    "coverage": ("Days inside the 95 % band, in tests on the past", 0.9667, "share"),
}
GOOD = {"rejected": ("Refused rows", 0, ""), "missing_days": ("Days", 0, ""), "difference": ("Difference", "0", "")}


NOVEMBER = (
    "November 2025 will likely cost 34,346 USD, between 30,474 USD and 39,117 USD (95 % band; bands like it held 97% "
    "of the days that were tested)."
)


def said(*records: dict[str, Any]) -> list[str]:
    return repr(brief(records)).splitlines()


def test_a_manager_reads_what_was_spent_what_changed_what_came_of_it_and_what_is_next() -> None:
    assert said(record("02_costs", **COSTS), record("06_forecast", **AHEAD), record("01_ingest", **GOOD)) == [
        "7,758 USD were spent in the last 7 days, 147.54 USD more (+1.9%) than in the 7 days before.",
        "What changed most: shop &lt;b&gt; · EC2, 98.35 USD less.",
        "1,008,920 USD came in over 120 days, against 136,171 USD that were spent: a return of 641%.",
        NOVEMBER,
        "All that was read came in: nothing refused, no day without a line, and the books close to the last digit.",
    ]


def test_values_from_outside_are_escaped() -> None:
    assert "shop &lt;b&gt;" in brief([record("02_costs", **COSTS)])._repr_html_()


def test_a_page_that_left_no_record_is_named_and_nothing_is_made_up_for_it() -> None:
    found = said(record("01_ingest", **GOOD))
    assert found[:2] == [
        "The page 02_costs left no record: what it would say is missing here.",
        "The page 06_forecast left no record: what it would say is missing here.",
    ]
    assert len(found) == 3
    assert len(said()) == 3


def test_without_business_events_no_return_is_claimed() -> None:
    some = {key: COSTS[key] for key in ("spend_week", "change_week")}
    assert said(record("02_costs", **some))[1] == "No revenue is known: no business events have come in."
    no_cost = some | {"revenue": COSTS["revenue"], "roi_cost": ("Cost", "0", "USD"), "roi": ("ROI", None, "share")}
    assert said(record("02_costs", **no_cost))[1] == "There is revenue, but no cost to hold it against."


@pytest.mark.parametrize(
    ("now", "change", "words"),
    [
        ("50.5", "-9.5", "50.50 USD were spent in the last 7 days, 9.50 USD less (-15.8%) than in the 7 days before."),
        ("50", "0", "50.00 USD were spent in the last 7 days, as much as in the 7 days before."),
        ("50", "50", "50.00 USD were spent in the last 7 days, 50.00 USD more than in the 7 days before."),
        ("-5", "-5", "−5.00 USD were spent in the last 7 days, 5.00 USD less than in the 7 days before."),  # noqa: RUF001
    ],
)
def test_a_change_has_its_direction_and_a_percentage_only_where_there_is_one(now: str, change: str, words: str) -> None:
    week = {"spend_week": ("Spend, last 7 days", now, "USD"), "change_week": ("Change", change, "USD")}
    assert said(record("02_costs", **week))[0] == words


def test_what_came_in_badly_is_said() -> None:
    bad = {"rejected": ("Refused rows", 1200, ""), "missing_days": ("Days", 2, ""), "difference": ("Off", "-0.5", "")}
    assert said(record("01_ingest", **bad))[2] == (
        "Not all came in well: 1,200 rows were refused; 2 days have no line at all; the books are off by −0.50."  # noqa: RUF001
    )
