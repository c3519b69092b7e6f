"""Text → exact decimals and UTC times, each value either right or left out with its reason.

A column is read as a whole. What can't be read becomes null and gets a reason; nothing is rounded, cut or guessed.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import polars as pl

from workbench.focus import TIME

_PLAIN_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
_WITH_EXPONENT = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+$"
_NO_NUMBER = r"(?i)^[+-]?(?:nan|inf|infinity)$"
_HAS_ZONE = r"(?:[zZ]| ?UTC|:\d{2}(?:\.\d+)? ?[+-]\d{2}(?::?\d{2})?)$"
_TIME_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%+",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%dT%H:%M:%S%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
)
_OUR_FORMAT, _OUR_LENGTH = "%Y-%m-%dT%H:%M:%S.%6fZ", 27
_MAX_EXPONENT = 60
_WORTH_IT = 1_000  # values, from which on it is worth looking whether many are the same

_FIRST_TIME, _LAST_TIME = -62_135_596_800_000_000, 253_402_300_799_999_999  # of Python, in microseconds since 1970


class Parsed(NamedTuple):
    """A column that was read: its values (null where unreadable) and the reasons (null where fine; None: all is)."""

    values: pl.Series
    reasons: pl.Series | None = None


def as_text(column: pl.Series) -> pl.Series:
    """Any column as text: structs, lists and maps as JSON, numbers at their shortest spelling."""
    if not column.dtype.is_nested():
        return column if column.dtype == pl.String else column.cast(pl.String, strict=False)
    wrapped = pl.struct(pl.lit(column).alias("")).struct.json_encode()  # {"":[…]}
    text = pl.select(pl.when(pl.lit(column).is_not_null()).then(wrapped.str.slice(4).str.head(-1)))
    return text.to_series().alias(column.name)


def decimals(column: pl.Series, dtype: pl.Decimal) -> Parsed:
    """Numbers of any spelling → decimals of `dtype`, exactly.

    Plain and E-notation are read; NaN, infinity, thousands separators, currency signs and more non-zero digits
    after the point than `dtype` holds are not. Floats are taken at their shortest spelling. Null stays null,
    without a reason.
    """
    if column.dtype == dtype:
        return Parsed(column)
    text = as_text(column)
    values = text.cast(dtype, strict=False)
    if values.null_count() == text.null_count() and _is_plain(text, dtype.scale):
        return Parsed(values)
    suspects = _suspects(text, values, dtype.scale)
    if not len(suspects):
        return Parsed(values)
    few = _decimals_one_by_one(text.gather(suspects), dtype)
    values = values.scatter(suspects, few.values)
    if few.reasons is None:
        return Parsed(values)
    reasons = pl.Series(column.name, [None], pl.String).new_from_index(0, len(text))
    return Parsed(values, reasons.scatter(suspects, few.reasons))


def _is_plain(text: pl.Series, scale: int) -> bool:
    """Whether no number is long enough to have too many digits, nor has an exponent: seen at a glance."""
    longest = text.str.len_bytes().max()
    return isinstance(longest, int) and longest <= scale + 1 and not text.str.contains("[eE]").any()


def _suspects(text: pl.Series, values: pl.Series, scale: int) -> pl.Series:
    """The places where a plain cast failed, or may have cut digits: there is an exponent, or there are too many."""
    exponent = text.str.contains("e", literal=True) | text.str.contains("E", literal=True)
    long = text.str.len_bytes() - text.str.find(".", literal=True) - 1 > scale
    return ((values.is_null() & text.is_not_null()) | exponent | long).fill_null(value=False).arg_true()


def _decimals_one_by_one(text: pl.Series, dtype: pl.Decimal) -> Parsed:
    """The numbers that a plain cast can't be trusted with."""
    text = _plain_notation(text)
    values = text.cast(dtype, strict=False)
    cut = text.str.contains(_more_digits_than(dtype.scale)).fill_null(value=False)
    faults = (values.is_null() & text.is_not_null()) | cut
    if not faults.any():
        return Parsed(values)
    too_many = f"has more than {dtype.scale} digits after the point"
    reasons = pl.select(
        pl.when(~faults).then(None)
        .when(text.str.contains(_NO_NUMBER)).then(pl.lit("is NaN or infinite"))
        .when(text.str.contains(_PLAIN_NUMBER) & cut).then(pl.lit(too_many))
        .when(text.str.contains(_PLAIN_NUMBER)).then(pl.lit("is too large"))
        .otherwise(pl.lit("is not a number")).alias(text.name)
    ).to_series()  # fmt: skip
    return Parsed(values.set(faults, None), reasons)


def times(column: pl.Series, *, zone_needed: bool) -> Parsed:
    """Times of any usual spelling → UTC with microseconds.

    Parameters
    ----------
    column
        Text (ISO 8601, with `T` or a space, or a bare date), or datetimes.
    zone_needed
        True: a time without a zone is a fault (events). False: it is UTC, as the FOCUS specification says.
    """
    if column.null_count() == len(column):
        return Parsed(pl.Series(column.name, [None], dtype=TIME).new_from_index(0, len(column)))
    if isinstance(column.dtype, pl.Datetime):
        return _zoned(column, zone_needed=zone_needed)
    if column.dtype == pl.Date:
        return _zoned(column.cast(pl.Datetime("us")), zone_needed=zone_needed)
    text = as_text(column)
    if (quick := _as_we_write_them(text)) is not None:
        return Parsed(quick)
    read = once_each(text, lambda some: _times_with_reasons(some, zone_needed=zone_needed)).struct
    values, reasons = (read.field(name).alias(column.name) for name in ("values", "reasons"))
    return Parsed(values) if reasons.null_count() == len(reasons) else Parsed(values, reasons)


def _as_we_write_them(text: pl.Series) -> pl.Series | None:
    """The times where all are spelled as our own events are, which is read ten times as fast; else None."""
    lengths = text.str.len_bytes()
    if lengths.min() != _OUR_LENGTH or lengths.max() != _OUR_LENGTH:
        return None
    values = text.str.to_datetime(_OUR_FORMAT, time_unit="us", time_zone="UTC", strict=False, ambiguous="null")
    if values.null_count() != text.null_count():
        return None
    since_1970 = values.to_physical()
    first, last = since_1970.min(), since_1970.max()
    within = isinstance(first, int) and isinstance(last, int) and _FIRST_TIME <= first <= last <= _LAST_TIME
    return values if within else None


def _times_with_reasons(text: pl.Series, *, zone_needed: bool) -> pl.Series:
    """Structs of `values` and `reasons`."""
    values = _read_times(text)
    shown = pl.select(can_be_shown(pl.lit(values))).to_series()
    unreadable = (values.is_null() & text.is_not_null()) | ~shown
    unreadable = unreadable.fill_null(value=False)
    no_zone = ~text.str.contains(_HAS_ZONE) if zone_needed else pl.Series([False]).new_from_index(0, len(text))
    reasons = pl.select(
        pl.when(unreadable).then(pl.lit("is not an ISO 8601 time"))
        .when(no_zone.fill_null(value=False)).then(pl.lit("has no time zone"))
    ).to_series()  # fmt: skip
    values = values.set(reasons.is_not_null(), None)
    return pl.DataFrame({"values": values, "reasons": reasons.cast(pl.String)}).to_struct(text.name)


def _read_times(text: pl.Series) -> pl.Series:
    values = pl.Series(text.name, [None], dtype=TIME).new_from_index(0, len(text))
    for format_ in _TIME_FORMATS:
        if values.null_count() == text.null_count():
            break
        parsed = text.str.to_datetime(format_, time_unit="us", time_zone="UTC", strict=False, ambiguous="null")
        values = parsed if values.null_count() == len(values) else values.zip_with(values.is_not_null(), parsed)
    return values


def once_each(column: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """`change(column)`, where the same value always becomes the same; each value is changed once if many repeat."""
    if len(column) < _WORTH_IT:
        return change(column)
    unique = column.unique().alias("given")
    if len(unique) > len(column) // 4:
        return change(column)
    changed = unique.to_frame().with_columns(change(unique).alias("changed"))
    every = column.alias("given").to_frame()
    joined = every.join(changed, on="given", how="left", nulls_equal=True, maintain_order="left")
    return joined["changed"].alias(column.name)


def can_be_shown(time: pl.Expr) -> pl.Expr:
    """Whether Python, and so everything that shows a time, can hold it."""
    return time.to_physical().is_between(_FIRST_TIME, _LAST_TIME)


def _zoned(column: pl.Series, *, zone_needed: bool) -> Parsed:
    zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
    if zone is not None:
        return Parsed(column.dt.convert_time_zone("UTC").dt.cast_time_unit("us"))
    values = column.dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    if not zone_needed or values.null_count() == len(values):
        return Parsed(values)
    reason = pl.select(pl.when(values.is_not_null()).then(pl.lit("has no time zone")).alias(column.name))
    return Parsed(values.clear(len(values)), reason.to_series())


def may_be_cut(text: pl.Expr, scale: int) -> pl.Expr:
    """Whether a plain cast to a decimal may lose digits of a column: some number has an exponent, or too many."""
    long = text.filter(text.str.len_bytes() > scale + 1)
    return text.str.contains("[eE]").any() | long.str.contains(_more_digits_than(scale)).any()


def _plain_notation(text: pl.Series) -> pl.Series:
    """`1.5E-7` → `0.00000015`; what has no exponent stays as it is."""
    exponents = text.str.contains(_WITH_EXPONENT).fill_null(value=False)
    plain = text.filter(exponents).map_elements(_without_exponent, return_dtype=pl.String)
    return text.scatter(exponents.arg_true(), plain) if len(plain) else text


def _without_exponent(number: str) -> str:
    try:
        exact = Decimal(number)
    except InvalidOperation:
        return number
    if exact.adjusted() > _MAX_EXPONENT and exact:
        return "9" * _MAX_EXPONENT  # too large, whatever it is
    if exact.adjusted() < -_MAX_EXPONENT and exact:
        return "0." + "9".rjust(_MAX_EXPONENT, "0")  # too many digits after the point
    return f"{exact:f}"


def _more_digits_than(scale: int) -> str:
    """Match a non-zero digit beyond the `scale`-th place after the point."""
    return rf"\.[0-9]{{{scale}}}[0-9]*[1-9]"
