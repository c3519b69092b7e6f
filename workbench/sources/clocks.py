"""Times as files write them → UTC: with a zone, without one, or as seconds since 1970. Pure."""

from datetime import timedelta

import polars as pl

from workbench.focus import TIME

NO_TIME = "no time"
NOT_A_TIME = "not a time (write 2025-11-01T12:00:00Z)"
SKIPPED = "a local time that never was: the clocks went forward over it"

_FORMS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_DIGITS_TO_US = ((11, 1_000_000), (14, 1_000), (17, 1))
"""Up to so many digits before the point → times so many are microseconds: seconds, milliseconds, microseconds."""

_PLACE = "__place"
_NAIVE = "__naive"


def in_utc(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Read a column of times.

    **The hour that comes twice** when the clocks go back is read in the order of the rows of each series: the first
    time that the rows pass through it is summer, and once they step back, the second is winter. A step back is one that
    fits the usual distance of rows better if the clocks are taken to have gone back; so a mere second row of the same
    moment is none. Rows that hold only the second hour are taken for the first.

    Parameters
    ----------
    frame
        `written` (text, a date, a time with or without zone, or a number: since 1970 in seconds, milliseconds or
        microseconds, told apart by size) and `series`; rows in the order of the file.
    zone
        What times without one mean.

    Returns
    -------
    The frame with `timestamp` (UTC, null where it could not be read) and `time_fault` (why; null where it could).
    """
    aware, naive = _both(frame["written"])
    with_naive = frame.with_columns(naive.alias(_NAIVE))
    local = _local(with_naive, zone)
    timestamp = pl.coalesce(pl.lit(aware), pl.lit(local)).alias("timestamp")
    fault = (
        pl.when(pl.col("timestamp").is_not_null()).then(None)
        .when(pl.col("written").is_null()).then(pl.lit(NO_TIME))
        .when(pl.lit(naive).is_not_null()).then(pl.lit(SKIPPED))
        .otherwise(pl.lit(NOT_A_TIME))
    )  # fmt: skip
    return frame.with_columns(timestamp).with_columns(fault.alias("time_fault"))


def _both(written: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Moments in UTC; and local times of which the zone is not said."""
    kind = written.dtype
    nothing, unclear = pl.Series([None] * len(written), dtype=TIME), pl.Series([None] * len(written), dtype=_DATETIME)
    if isinstance(kind, pl.Datetime):
        plain = written.cast(pl.Datetime("us", kind.time_zone))
        return (plain.dt.convert_time_zone("UTC"), unclear) if kind.time_zone else (nothing, plain)
    if kind == pl.Date:
        return nothing, written.cast(_DATETIME)
    if kind.is_numeric():
        return _since_1970(written), unclear
    return _of_text(written.cast(pl.String))


def _of_text(written: pl.Series) -> tuple[pl.Series, pl.Series]:
    text = pl.col("text").str.strip_chars()
    clear = text.str.replace(r"^(\d{4}-\d\d-\d\d) +", "${1}T").str.replace(r" ?(Z|z|UTC)$", "+0000")
    clear = clear.str.replace(r"(T\d\d:\d\d)([+-])", "${1}:00${2}")
    number = pl.when(text.str.contains(r"^\d{9,17}(\.\d*)?$")).then(text)
    read = pl.DataFrame({"text": written}).select(
        aware=clear.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", strict=False),
        naive=pl.coalesce(clear.str.to_datetime(form, time_unit="us", strict=False) for form in _FORMS),
        number=number,
    )
    whole = read["number"].cast(pl.Int64, strict=False)
    counted = _since_1970(whole).zip_with(whole.is_not_null(), _since_1970(read["number"].cast(pl.Float64)))
    return read.select(pl.coalesce("aware", pl.lit(counted)).cast(TIME)).to_series(), read["naive"]


def _since_1970(numbers: pl.Series) -> pl.Series:
    """Numbers as moments; null where they are too large or too small to be one."""
    value, scaled = pl.col("value"), pl.lit(None, dtype=pl.Int64)
    for digits, factor in reversed(_DIGITS_TO_US):
        scaled = pl.when(value.abs() < 10**digits).then((value * factor).round().cast(pl.Int64)).otherwise(scaled)
    found = pl.DataFrame({"value": numbers}).select(pl.when(value.is_not_null() & value.is_not_nan()).then(scaled))
    return found.to_series().cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _local(frame: pl.DataFrame, zone: str) -> pl.Series:
    """Local times as moments; null where there is none, or the clocks jumped over it."""
    first, second = (
        frame[_NAIVE].dt.replace_time_zone(zone, ambiguous=which, non_existent="null").dt.convert_time_zone("UTC")
        for which in ("earliest", "latest")
    )
    twice = second - first
    if not (twice > timedelta(0)).any():
        return first
    rows = frame.select("series", _NAIVE).with_columns(fold=twice)
    apart = pl.col(_NAIVE).diff().over("series")
    usual = apart.filter(apart > timedelta(0)).mode().min().over("series")
    again = (pl.col("fold") > timedelta(0)) & (apart + pl.col("fold") / 2 < usual)
    passed = again.fill_null(value=False).cum_max().over("series", pl.col(_NAIVE).dt.date())
    return first.zip_with(~rows.select(passed).to_series(), second)


_DATETIME = pl.Datetime("us")
