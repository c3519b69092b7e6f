"""Values in, frames out."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from workbench.errors import WarehouseError
from workbench.warehouse.frames import bind, check_reads_only
from workbench.warehouse.tables import column, table


def test_times_are_bound_without_zone_in_utc() -> None:
    there = timezone(timedelta(hours=-5))
    assert bind([datetime(2025, 1, 1, 20, tzinfo=there)]) == (datetime(2025, 1, 2, 1),)  # noqa: DTZ001
    assert bind([datetime(2025, 1, 1, tzinfo=UTC), date(2025, 1, 1)]) == (datetime(2025, 1, 1), date(2025, 1, 1))  # noqa: DTZ001


def test_a_decimal_is_bound_without_exponent() -> None:
    (value,) = bind([Decimal("1E-7")])
    assert str(value) in {"1E-7", "0.0000001"}
    assert value == Decimal("0.0000001")


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), [1, 2], object(), b"x"])
def test_what_can_not_be_bound_is_refused(value: object) -> None:
    with pytest.raises(WarehouseError, match="can't be bound"):
        bind([value])  # type: ignore[list-item]


def test_a_text_is_no_list_of_parameters() -> None:
    with pytest.raises(WarehouseError, match="params must be a list"):
        bind("AWS")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "  (SELECT 1)",
        "-- a word\nWITH x AS (SELECT 1) SELECT * FROM x",
        "/* ; */ SHOW TABLES",
        "SELECT ';' AS a;",
    ],
)
def test_reading_is_allowed(sql: str) -> None:
    check_reads_only(sql)


@pytest.mark.parametrize("sql", ["insert into x values (1)", "/* select */ drop table x", "", "42", "BEGIN"])
def test_anything_else_is_not(sql: str) -> None:
    with pytest.raises(WarehouseError, match="query only reads"):
        check_reads_only(sql)


def test_a_table_is_found_with_and_without_its_schema() -> None:
    assert table("focus_costs") is table("FINOPS_CURATED.FOCUS_COSTS")


def test_a_wrong_table_gets_a_suggestion() -> None:
    with pytest.raises(WarehouseError, match=r"did you mean 'finops_curated\.focus_costs'"):
        table("finops_curated.focus_cost")


@pytest.mark.parametrize("name", ["a b", "1a", "a;b", 'a"', "", "ä", "a.b"])
def test_a_column_is_a_plain_word(name: str) -> None:
    with pytest.raises(WarehouseError):
        column(name)
