"""Text → exact decimals and UTC times, each value either right or left out with its reason.

A column is read as a whole. What can't be read becomes null and gets a reason; nothing is rounded, cut or guessed.
"""

from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import polars as pl

from workbench.focus import TIME

_PLAIN_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)$"
_WITH_EXPONENT = r"^[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+$"
_NO_NUMBER = r"(?i)^[+-]?(?:nan|inf|infinity)$"
_HAS_ZONE = r"(?:[zZ]| ?UTC|[+-]\d{2}:?\d{2})$"
_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%+", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f",
                 "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M%#z")  # fmt: skip
_MAX_EXPONENT = 60


class Parsed(NamedTuple):
    """A column that was read: its values (null where unreadable) and the reasons (null where fine)."""

    values: pl.Series
    reasons: pl.Series


def decimals(column: pl.Series, dtype: pl.Decimal) -> Parsed:
    """Numbers of any spelling → decimals of `dtype`, exactly.

    Plain and E-notation are read; NaN, infinity, thousands separators, currency signs and more non-zero digits
    after the point than `dtype` holds are not. Floats are taken at their shortest spelling. Null stays null,
    without a reason.
    """
    if column.dtype == dtype:
        return Parsed(column, _no_reasons(column))
    text = column.cast(pl.String)
    values = text.cast(dtype, strict=False)
    if values.null_count() == text.null_count() and not text.str.contains(_to_be_checked(dtype.scale)).any():
        return Parsed(values, _no_reasons(column))
    text = _plain_notation(text)
    values = text.cast(dtype, strict=False)
    cut = text.str.contains(_more_digits_than(dtype.scale)).fill_null(value=False)
    faults = (values.is_null() & text.is_not_null()) | cut
    if not faults.any():
        return Parsed(values, _no_reasons(column))
    reasons = pl.select(
        pl.when(~faults).then(None)
        .when(text.str.contains(_NO_NUMBER)).then(pl.lit("is NaN or infinite"))
        .when(cut).then(pl.lit(f"has more than {dtype.scale} digits after the point"))
        .when(text.str.contains(_PLAIN_NUMBER)).then(pl.lit("is too large"))
        .otherwise(pl.lit("is not a number")).alias(column.name)
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
    if isinstance(column.dtype, pl.Datetime):
        return _zoned(column, zone_needed=zone_needed)
    if column.dtype == pl.Date:
        return _zoned(column.cast(pl.Datetime("us")), zone_needed=zone_needed)
    text = column.cast(pl.String)
    values = pl.Series(column.name, [None], dtype=TIME).new_from_index(0, len(text))
    for format_ in _TIME_FORMATS:
        if values.null_count() == text.null_count():
            break
        parsed = text.str.to_datetime(format_, time_unit="us", time_zone="UTC", strict=False, ambiguous="null")
        values = parsed if values.null_count() == len(values) else values.zip_with(values.is_not_null(), parsed)
    unreadable = values.is_null() & text.is_not_null()
    zoneless = (~text.str.contains(_HAS_ZONE)).fill_null(value=False) if zone_needed else None
    if not unreadable.any() and (zoneless is None or not zoneless.any()):
        return Parsed(values, _no_reasons(column))
    no_zone = zoneless if zoneless is not None else pl.Series([False]).new_from_index(0, len(text))
    reasons = pl.select(
        pl.when(unreadable).then(pl.lit("is not an ISO 8601 time"))
        .when(no_zone).then(pl.lit("has no time zone")).alias(column.name)
    ).to_series()  # fmt: skip
    return Parsed(values.set(reasons.is_not_null(), None), reasons)


def _zoned(column: pl.Series, *, zone_needed: bool) -> Parsed:
    zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
    if zone is not None:
        return Parsed(column.dt.convert_time_zone("UTC").dt.cast_time_unit("us"), _no_reasons(column))
    values = column.dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    if not zone_needed:
        return Parsed(values, _no_reasons(column))
    reason = pl.select(pl.when(values.is_not_null()).then(pl.lit("has no time zone")).alias(column.name))
    return Parsed(values.clear(len(values)), reason.to_series())


def _no_reasons(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [None], dtype=pl.String).new_from_index(0, len(column))


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
    return f"{exact:f}" if abs(exact.adjusted()) <= _MAX_EXPONENT or exact == 0 else number


def _more_digits_than(scale: int) -> str:
    """Match a non-zero digit beyond the `scale`-th place after the point."""
    return rf"\.\d{{{scale}}}\d*[1-9]"


def _to_be_checked(scale: int) -> str:
    """Match numbers that a plain cast might cut: those with an exponent or with many digits."""
    return rf"[eE]|{_more_digits_than(scale)}"
