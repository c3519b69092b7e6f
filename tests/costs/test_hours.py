"""Spells of spikes, return by unit, rules side by side: parts that sum to the whole."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from workbench import costs

START = datetime(2025, 10, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


def spikes(*rows: tuple[int, str, str, int, str]) -> pl.DataFrame:
    """Spikes of (hour, unit, service, streak, excess)."""
    return pl.DataFrame(
        [(START + hour * HOUR, START + (hour + 1) * HOUR, unit, service, "USD", streak, Decimal(excess), 2.0 + hour)
         for hour, unit, service, streak, excess in rows],
        schema={"window_start": pl.Datetime("us", "UTC"), "window_end": pl.Datetime("us", "UTC"),
                "business_unit": pl.String, "service": pl.String, "currency": pl.String, "streak": pl.Int64,
                "excess_amount": pl.Decimal(38, 12), "ratio": pl.Float64}, orient="row",
    )  # fmt: skip


def test_spikes_in_a_row_are_one_spell_and_services_are_kept_apart() -> None:
    found = costs.spells(
        spikes((3, "shop", "vm", 1, "1.1"), (4, "shop", "vm", 2, "2.2"), (4, "shop", "disk", 1, "9"),
               (9, "shop", "vm", 1, "0.000000000001"), (4, "data", "vm", 1, "5"))
    )  # fmt: skip
    assert found.select("business_unit", "service", "windows", "excess").rows() == [
        ("shop", "disk", 1, Decimal(9)), ("data", "vm", 1, Decimal(5)), ("shop", "vm", 2, Decimal("3.3")),
        ("shop", "vm", 1, Decimal("0.000000000001")),
    ]  # fmt: skip
    row = found.row(2, named=True)
    assert (row["from"], row["until"], row["times_usual"]) == (START + 3 * HOUR, START + 5 * HOUR, 6.0)


@pytest.mark.parametrize("seed", range(5))
def test_spells_lose_neither_a_window_nor_a_digit_in_whatever_order_spikes_come(seed: int) -> None:
    chance = random.Random(seed)
    rows, streaks = [], {}
    for hour in range(60):
        for unit in ("a", "b"):
            streaks[unit] = streaks.get(unit, 0) + 1 if chance.random() < 0.6 else 0
            if streaks[unit]:
                rows.append((hour, unit, "vm", streaks[unit], str(Decimal(chance.randrange(10**15)).scaleb(-12))))
    shuffled = rows.copy()
    chance.shuffle(shuffled)
    found = costs.spells(spikes(*shuffled))
    assert found.equals(costs.spells(spikes(*rows)))
    assert found["windows"].sum() == len(rows)
    assert found["excess"].sum() == sum(Decimal(row[4]) for row in rows)
    assert found.height == sum(row[3] == 1 for row in rows)


def returns(*rows: tuple[str, str, str, str, str]) -> pl.DataFrame:
    """(unit, currency, own cost, own revenue, gain of the window)."""
    money = pl.Decimal(38, 12)
    return pl.DataFrame(
        [(unit, currency, *map(Decimal, amounts)) for unit, currency, *amounts in rows],
        schema={"business_unit": pl.String, "currency": pl.String, "own_cost": money, "own_revenue": money,
                "gain": money}, orient="row",
    )  # fmt: skip


def test_return_by_unit_adds_up_what_is_a_moments_own_and_never_two_currencies() -> None:
    found = costs.return_by_unit(
        returns(("shop", "USD", "2", "5", "30"), ("shop", "USD", "2", "0", "-1"), ("shop", "EUR", "1", "1", "0"),
                ("data", "USD", "0", "0", "0"))
    )  # fmt: skip
    rows = {(row["business_unit"], row["currency"]): row for row in found.iter_rows(named=True)}
    shop = rows["shop", "USD"]
    assert (shop["cost"], shop["revenue"], shop["gain"]) == (4, 5, 1)
    assert shop["roi"] == pytest.approx(0.25)
    assert shop["share"] == pytest.approx(0.5)
    assert rows["shop", "EUR"]["gain"] == 0
    assert rows["data", "USD"]["roi"] is None


def test_a_rule_without_spikes_is_there_with_nothing() -> None:
    told = spikes((1, "shop", "vm", 1, "1.5"), (2, "shop", "vm", 2, "1.5"), (2, "shop", "disk", 1, "0.5"))
    found = costs.by_rule(told.with_columns(rule=pl.lit("ours")), ["strict", "ours"])
    assert found.select("rule", "spikes", "services", "excess").rows() == [
        ("strict", 0, 0, Decimal(0)),
        ("ours", 3, 2, Decimal("3.5")),
    ]


def test_nothing_comes_to_nothing() -> None:
    assert costs.spells(spikes()).is_empty()
    assert costs.return_by_unit(returns()).is_empty()
    assert costs.by_rule(spikes().with_columns(rule=pl.lit("ours")), ["ours"])["spikes"].to_list() == [0]
