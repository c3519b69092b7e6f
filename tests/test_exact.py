"""Text → exact decimals and times."""

import random
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Context, Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.exact import as_text, decimals, times
from workbench.focus import AMOUNT, QUANTITY, TIME

ENOUGH = Context(prec=60)
amounts = st.decimals(min_value=-(10**25), max_value=10**25, places=12, allow_nan=False, allow_infinity=False)


def reason(text: str, dtype: pl.Decimal = AMOUNT) -> str | None:
    read = decimals(pl.Series("x", [text]), dtype)
    if read.reasons is None:
        assert read.values[0] is not None
        return None
    assert read.values[0] is None
    return str(read.reasons[0])


def time_of(text: str, *, zone_needed: bool = False) -> datetime | str:
    read = times(pl.Series("x", [text]), zone_needed=zone_needed)
    found = read.values[0] if read.reasons is None else read.reasons[0]
    assert isinstance(found, datetime | str)
    return found


@given(st.lists(amounts, min_size=1))
def test_plain_numbers_are_read_to_the_last_digit(numbers: list[Decimal]) -> None:
    read = decimals(pl.Series("x", [f"{number:f}" for number in numbers]), AMOUNT)
    assert read.reasons is None
    assert read.values.dtype == AMOUNT
    assert read.values.to_list() == numbers


@given(st.lists(amounts, min_size=1), st.sampled_from("eE"))
def test_numbers_with_an_exponent_are_read_to_the_last_digit(numbers: list[Decimal], mark: str) -> None:
    spelled = [f"{number:E}".replace("E", mark) for number in numbers]
    assert decimals(pl.Series("x", spelled), AMOUNT).values.to_list() == numbers


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_a_number_is_either_exact_or_refused(number: Decimal) -> None:
    text = str(number)
    exact = number.normalize(ENOUGH)
    fits = -int(exact.as_tuple().exponent) <= 12 and abs(number) < 10**26
    if fits:
        assert reason(text) is None
        assert decimals(pl.Series("x", [text]), AMOUNT).values[0] == number
    else:
        assert reason(text) in {"has more than 12 digits after the point", "is too large"}


@pytest.mark.parametrize(
    "text", ["$10,000.00", "1,000", "1_000", "--1", "1.2.3", "0x1", "12 USD", "e5", "1e", "\u0661", "1/2", "."]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    assert reason(text) == "is not a number"


@pytest.mark.parametrize("text", ["NaN", "nan", "inf", "-Infinity", "+INF"])
def test_nan_and_infinity_are_refused_by_name(text: str) -> None:
    assert reason(text) == "is NaN or infinite"


@pytest.mark.parametrize("text", ["0.1234567890123", "1E-13", "1e-61", "-5e-9999", "0.0000000000009"])
def test_a_thirteenth_digit_is_refused_and_never_rounded_away(text: str) -> None:
    assert reason(text) == "has more than 12 digits after the point"


@pytest.mark.parametrize("text", ["1" + 26 * "0", "1e26", "1e400", "-9e99"])
def test_what_does_not_fit_is_too_large(text: str) -> None:
    assert reason(text) == "is too large"


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.1234567890120000", "0.123456789012"), ("+.5", "0.5"), ("7.", "7"), ("-0", "0"), ("0E-400", "0"), ("007", "7")],
)
def test_odd_but_clear_spellings_are_read(text: str, value: str) -> None:
    assert decimals(pl.Series("x", [text]), AMOUNT).values.to_list() == [Decimal(value)]


def test_a_quantity_keeps_eighteen_digits() -> None:
    assert reason("0.123456789012345678", QUANTITY) is None
    assert reason("0.1234567890123456789", QUANTITY) == "has more than 18 digits after the point"


def test_null_stays_null_without_a_reason() -> None:
    read = decimals(pl.Series("x", [None, "1", "x"]), AMOUNT)
    assert read.reasons is not None
    assert read.reasons.to_list() == [None, None, "is not a number"]
    assert read.values.to_list() == [None, Decimal(1), None]


def test_floats_count_as_their_shortest_spelling() -> None:
    read = decimals(pl.Series("x", [0.1, 1e-7, 1e22, -2.0]), AMOUNT)
    assert read.values.to_list() == [Decimal("0.1"), Decimal("1E-7"), Decimal(10**22), Decimal(-2)]
    sum_of_floats = decimals(pl.Series("x", [0.1 + 0.2, float("nan")]), AMOUNT).reasons
    assert sum_of_floats is not None
    assert sum_of_floats.to_list() == ["has more than 12 digits after the point", "is NaN or infinite"]


def test_decimals_of_another_scale_are_read_or_refused() -> None:
    column = pl.Series("x", [Decimal("1.5"), Decimal("0.0000000000001")], pl.Decimal(38, 18))
    read = decimals(column, AMOUNT)
    assert read.values.to_list() == [Decimal("1.5"), None]


@pytest.mark.parametrize(
    "text",
    [
        "2025-10-01 12:30:00",
        "2025-10-01T12:30:00Z",
        "2025-10-01T12:30:00",
        "2025-10-01T14:30:00+02:00",
        "2025-10-01T14:30:00+0200",
        "2025-10-01T14:30:00+02",
        "2025-10-01 12:30:00 UTC",
        "2025-10-01 12:30:00+00:00",
        "2025-10-01T12:30:00.000Z",
        "2025-10-01 12:30:00.000000",
        "2025-10-01T12:30Z",
        "2025-10-01T12:30",
        "2025-10-01 12:30",
    ],
)
def test_usual_spellings_of_a_time_are_read_as_utc(text: str) -> None:
    assert time_of(text) == datetime(2025, 10, 1, 12, 30, tzinfo=UTC)


def test_a_bare_date_is_its_midnight() -> None:
    assert time_of("2025-10-01") == datetime(2025, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2025-09-28T30:00:00Z", "5/1/25", "10/21/2025", "2025-02-30", "soon", "0000-01-01", "-2025-01-01"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    assert time_of(text) == "is not an ISO 8601 time"


@pytest.mark.parametrize("text", ["2025-10-01T12:30:00", "2025-10-01 12:30:00", "2025-10-01", "2025-10-01T12:30"])
def test_a_time_without_zone_is_refused_where_a_zone_is_needed(text: str) -> None:
    assert time_of(text, zone_needed=True) == "has no time zone"


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-23, 23))  # noqa: DTZ001
def test_any_iso_time_comes_back_as_the_same_moment(moment: datetime, hours: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    utc = zoned.astimezone(UTC)
    assert time_of(zoned.isoformat(), zone_needed=True) == utc
    assert time_of(utc.strftime("%Y-%m-%d %H:%M:%S").zfill(19)) == utc.replace(microsecond=0)


def test_spellings_may_be_mixed_in_a_column() -> None:
    read = times(pl.Series("x", ["2025-10-01", "2025-10-01T00:00:00Z", None, "x"]), zone_needed=False)
    midnight = datetime(2025, 10, 1, tzinfo=UTC)
    assert read.values.to_list() == [midnight, midnight, None, None]
    assert read.values.dtype == TIME


def test_typed_times_are_converted_to_utc() -> None:
    berlin = pl.Series("x", [datetime(2025, 10, 1, tzinfo=UTC)]).cast(pl.Datetime("ms", "Europe/Berlin"))
    assert times(berlin, zone_needed=True).values.to_list() == [datetime(2025, 10, 1, tzinfo=UTC)]
    days = times(pl.Series("x", [date(2025, 10, 1), None]), zone_needed=False)
    assert days.values.to_list() == [datetime(2025, 10, 1, tzinfo=UTC), None]
    zoneless = times(pl.Series("x", [datetime(2025, 10, 1), None]), zone_needed=True)  # noqa: DTZ001
    assert zoneless.reasons is not None
    assert zoneless.reasons.to_list() == ["has no time zone", None]


def test_nested_columns_become_json_text() -> None:
    assert as_text(pl.Series("x", [{"a": 1, "b": None}, None])).to_list() == ['{"a":1,"b":null}', None]
    assert as_text(pl.Series("x", [["a"], []])).to_list() == ['["a"]', "[]"]
    assert as_text(pl.Series("x", [1.5, None])).to_list() == ["1.5", None]


def test_times_as_we_write_them_read_the_same_as_one_by_one() -> None:
    chance = random.Random(5)
    spelled = "2025-10-01T00:00:00.432000Z", "2024-02-29T23:59:59.999999Z", "1969-12-31T00:00:00.000001Z"
    written = [_mutated(chance.choice(spelled), chance) for _ in range(120)] + ["2025-02-30T00:00:00.000000Z"]
    seen = []
    for text in written:
        among = times(pl.Series([spelled[0], text]), zone_needed=True)
        alone = times(pl.Series([text, "soon"]), zone_needed=True)  # which is read the slow way
        assert among.values[1] == alone.values[0], text
        assert (among.reasons is None or among.reasons[1] is None) == (
            alone.reasons is None or alone.reasons[0] is None
        )
        seen.append(among.values[1] is not None)
    assert 10 < sum(seen) < 110


def test_a_year_that_python_cannot_show_is_no_time_however_it_is_written() -> None:
    for text in ("0000-01-01T00:00:00.000000Z", "-999-12-31T23:59:59.999999Z"):
        read = times(pl.Series(["2025-10-01T00:00:00.000000Z", text]), zone_needed=True)
        assert read.values[1] is None
        assert read.reasons is not None


def _mutated(text: str, chance: random.Random) -> str:
    """One character is another; the length stays."""
    at = chance.randrange(len(text))
    return text[:at] + chance.choice("0123456789-:.TZ +") + text[at + 1 :]
