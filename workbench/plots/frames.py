"""What a chart needs done to a frame first: few enough names, exact sums, and words for each mark."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import polars as pl

from workbench.plots.theme import is_rest
from workbench.plots.words import amount, moment, phrase

Period = Literal["day", "week", "month"]

_EVERY: dict[Period, str] = {"day": "1d", "week": "1w", "month": "1mo"}


def folded(frame: pl.DataFrame, category: str, value: str, by: Sequence[str], top: int) -> pl.DataFrame:
    """Sums of `value` by `by` and `category`; all but the `top` largest categories are one, `Other (n)`.

    Large is what has a large absolute sum. One name too many is kept: an `Other (1)` would only hide it.
    """
    named = frame.with_columns(pl.col(category).cast(pl.String).fill_null("(none)"))
    sums = (
        named.group_by(category).agg(pl.col(value).sum()).sort(pl.col(value).abs(), category, descending=[True, False])
    )
    names = sums[category].to_list()
    if len(names) > top + 1:
        other = f"Other ({len(names) - top})"
        keep = pl.col(category).is_in(names[:top])
        named = named.with_columns(pl.when(keep).then(pl.col(category)).otherwise(pl.lit(other)).alias(category))
    return named.group_by([*by, category]).agg(pl.col(value).sum()).sort([*by, category])


def ranked(frame: pl.DataFrame, category: str, value: str) -> list[str]:
    """Names by their sums, largest first; what has no name of its own comes last."""
    sums = frame.group_by(category).agg(pl.col(value).sum()).sort([value, category], descending=[True, False])
    names = [str(name) for name in sums[category]]
    return sorted(names, key=is_rest)


def words(frame: pl.DataFrame, x: str, parts: Sequence[str], value: str, *, unit: str, period: Period) -> pl.DataFrame:
    """The frame with `_words`: `2025-10-03 · Compute · 1,234.56 USD`."""
    said = [
        phrase(when(row[x], period), *(str(row[part]) for part in parts), f"{amount(row[value])} {unit}".strip())
        for row in frame.iter_rows(named=True)
    ]
    return frame.with_columns(pl.Series("_words", said, dtype=pl.String))


def labelled(
    frame: pl.DataFrame, category: str, value: str, unit: str, order: Sequence[str], *,
    places: int = 2, signed: bool = False, extra: tuple[str | None, str | None] = (None, None),
) -> pl.DataFrame:  # fmt: skip
    """Rows in `order` with `_number` (beside the bar), `_words` (the tooltip) and `_rest` (grey)."""
    at = {name: rank for rank, name in enumerate(order)}
    found = sorted(frame.iter_rows(named=True), key=lambda row: at[row[category]])
    before, after = extra
    return pl.DataFrame(
        {
            category: [row[category] for row in found],
            value: [row[value] for row in found],
            "_number": [amount(row[value], places, signed=signed) for row in found],
            "_rest": [is_rest(str(row[category])) for row in found],
            "_words": [
                phrase(
                    str(row[category]),
                    f"{amount(row[value], places, signed=signed)} {unit}".strip(),
                    f"from {amount(row[before], places)} to {amount(row[after], places)}" if before and after else "",
                )
                for row in found
            ],
        },
        schema_overrides={value: frame.schema[value], category: pl.String},
    )


def running(
    frame: pl.DataFrame, label: str, value: str, unit: str, *, ends: tuple[str, str], start: Decimal, places: int
) -> pl.DataFrame:
    """Bars of a waterfall: `_name`, `_from`, `_to`, `_kind` (total, up, down), `_number`, `_words`."""
    level, (first, last) = start, ends
    bars: list[tuple[str, Decimal, Decimal, str, str]] = []
    if level:
        bars.append((first, Decimal(0), level, "total", amount(level, places)))
    for name, part in frame.select(label, value).iter_rows():
        step = Decimal(str(part))
        bars.append((str(name), level, level + step, "down" if step < 0 else "up", amount(step, places, signed=True)))
        level += step
    bars.append((last, Decimal(0), level, "total", amount(level, places)))
    return pl.DataFrame(
        {
            "_name": [bar[0] for bar in bars],
            "_from": [float(bar[1]) for bar in bars],
            "_to": [float(bar[2]) for bar in bars],
            "_kind": [bar[3] for bar in bars],
            "_number": [bar[4] for bar in bars],
            "_words": [phrase(bar[0], f"{bar[4]} {unit}".strip()) for bar in bars],
        }
    )


def periods(frame: pl.DataFrame, x: str, most: int = 200) -> tuple[pl.DataFrame, Period]:
    """The frame with `x` as the first day of its period and `_end` as the day after it.

    Days, as long as there are at most `most` of them; then weeks from Monday, then months.
    """
    days = frame.with_columns(pl.col(x).cast(pl.Date))
    first, last = days[x].min(), days[x].max()
    span = (last - first).days + 1 if isinstance(first, dt.date) and isinstance(last, dt.date) else 0
    period: Period = "day" if span <= most else "week" if span <= 7 * most else "month"
    start = pl.col(x).dt.truncate(_EVERY[period])
    return days.with_columns(start.alias(x), start.dt.offset_by(_EVERY[period]).alias("_end")), period


def coverage_cells(frame: pl.DataFrame, x: str, y: str, count: str, top: int) -> tuple[pl.DataFrame, Period]:
    """A cell for each period from the first to the last and each name: `_rows`, `_words`, `_end`.

    `_rows` is 0 where there is nothing; the words of a week or month say on how many of its days.
    """
    counted = folded(frame.with_columns(pl.col(x).cast(pl.Date)), y, count, [x], top)
    names = ranked(counted, y, count)
    first, last = counted[x].min(), counted[x].max()
    known = isinstance(first, dt.date) and isinstance(last, dt.date)
    days = pl.date_range(pl.lit(first), pl.lit(last)) if known else pl.lit(None, dtype=pl.Date)
    every = pl.select(days.alias(x)).drop_nulls()
    full = every.join(pl.DataFrame({y: names}, schema={y: pl.String}), how="cross")
    filled = full.join(counted, on=[x, y], how="left").with_columns(pl.col(count).fill_null(0))
    cells, period = periods(filled, x, most=100)
    sums = cells.group_by(y, x, "_end").agg(
        pl.col(count).sum().alias("_rows"), (pl.col(count) == 0).sum().alias("_gone")
    )
    said = [
        phrase(
            when(day, period), name, f"{rows:,} rows" if rows else "no rows",
            f"{gone} day{'s' if gone > 1 else ''} without" if period != "day" and rows and gone else "",
        )
        for name, day, _, rows, gone in sums.iter_rows()
    ]  # fmt: skip
    at = {name: rank for rank, name in enumerate(names)}
    ordered = sums.with_columns(pl.Series("_words", said, dtype=pl.String))
    return ordered.sort(pl.col(y).replace_strict(at, return_dtype=pl.Int32), x) if names else ordered, period


def when(day: object, period: Period) -> str:
    """How a period is said: `2025-10-06`, `week from 2025-10-06`, `2025-10`."""
    text = moment(day)
    return text if period == "day" else f"week from {text}" if period == "week" else text[:7]


def stacked(frame: pl.DataFrame, x: str, y: str, at: str) -> pl.DataFrame:
    """The frame with `_low` and `_high`: values of one `x` on each other in the order of `at`, credits below zero."""
    rising = frame.sort(x, at)
    positive = pl.col(y) >= 0
    up = pl.when(positive).then(pl.col(y)).otherwise(0).cum_sum().over(x)
    down = pl.when(positive).then(0).otherwise(pl.col(y)).cum_sum().over(x)
    high = pl.when(positive).then(up).otherwise(down)
    return rising.with_columns(high.alias("_high"), (high - pl.col(y)).alias("_low"))


def day_ticks(days: pl.Series) -> tuple[list[str], str, str]:
    """Where a day axis is labelled (at most ten days, Mondays or firsts of months), how, and `, 2025` for its title."""
    present = days.cast(pl.Date).drop_nulls().unique().sort()
    if present.is_empty():
        return [], "%-d %b", ""
    first, last = present[0], present[-1]
    every = pl.date_range(first, last, eager=True)
    choices = [every, every.gather_every(2), every.filter(every.dt.weekday() == 1)]
    choices.append(choices[2].gather_every(2))
    choices += [every.filter((every.dt.day() == 1) & ((every.dt.month() - 1) % months == 0)) for months in (1, 3, 12)]
    choices.append(choices[-1].gather_every(5))
    chosen = next((ticks for ticks in choices if 0 < len(ticks) <= 10), every[:1])
    months = bool((chosen.dt.day() == 1).all()) and len(chosen) > 1
    style = "%-d %b" if not months else "%b" if first.year == last.year else "%b %Y"
    years = f", {first.year}" if first.year == last.year else f", {first.year}\N{EN DASH}{last.year}"
    return chosen.dt.strftime("%Y-%m-%dT00:00:00Z").to_list(), style, years if style != "%b %Y" else ""


def described(kind: str, title: str, frame: pl.DataFrame, x: str | None, names: Sequence[str]) -> str:
    """The chart in one sentence, for those who can't see it and for text outputs."""
    span = ""
    if x is not None and frame.height:
        span = f", {moment(frame[x].min())} to {moment(frame[x].max())}"
    named = f"; {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else ""
    return f"{kind}: {title}{span}{named}."
