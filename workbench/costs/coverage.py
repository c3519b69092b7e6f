"""Which days have come in, and which have not?"""

from datetime import date

import polars as pl


def coverage(daily: pl.DataFrame, first: date, end: date, by: str) -> pl.DataFrame:
    """Count the lines of each day and name, days without any included.

    Parameters
    ----------
    daily
        `date`, `lines` (count of bill lines) and `by`.
    first, end
        Days, half open.

    Returns
    -------
    polars.DataFrame
        `date`, `by`, `lines` for every day in [first, end) and every name; its sum equals that of `daily` there.
    """
    days = pl.DataFrame({"date": pl.date_range(first, end, "1d", closed="left", eager=True)})
    names = daily.select(by).unique()
    seen = daily.group_by("date", by).agg(pl.col("lines").sum())
    grid = days.join(names, how="cross").join(seen, on=["date", by], how="left", nulls_equal=True)
    return grid.with_columns(pl.col("lines").fill_null(0)).sort("date", by)


def missing_days(daily: pl.DataFrame, first: date, end: date) -> list[date]:
    """Return the days of [first, end) without a single line."""
    days = pl.date_range(first, end, "1d", closed="left", eager=True)
    seen = set(daily["date"].to_list())
    return [day for day in days.to_list() if day not in seen]
