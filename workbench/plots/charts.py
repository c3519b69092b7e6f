"""The charts that more than one notebook draws: a frame in, an Altair chart out.

Frames are Polars and long: one row a mark, amounts decimal. Rows that fall on one mark are added up, exactly,
before anything becomes a float. All charts leave their width to the page.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from workbench.plots.axes import day_axis, hues, legend, name_axis, new_chart
from workbench.plots.frames import (
    coverage_cells,
    described,
    folded,
    labelled,
    periods,
    ranked,
    running,
    stacked,
    words,
)
from workbench.plots.theme import ACCENT, DECREASE, INCREASE, INK, NEUTRAL, SEQUENTIAL
from workbench.plots.words import heading, titled

if TYPE_CHECKING:
    import altair as alt


def stacked_daily(
    frame: pl.DataFrame, x: str = "day", y: str = "cost", colour: str = "business_unit", unit: str = "USD", *,
    label: str = "Cost", x_label: str = "Day (UTC)", top: int = 7, order: Sequence[str] = (), height: int = 260,
) -> "alt.Chart":  # fmt: skip
    """Stacked bars, one a day (beyond 200 days one a week or month): `y` in `unit`, split by `colour`.

    The `top` largest names keep a colour each, the rest becomes `Other (n)`; credits hang below zero. `order`
    names the stack from the bottom up; else the largest lies at the bottom.
    """
    import altair as alt

    spans, period = periods(frame, x)
    few = folded(spans, colour, y, [x, "_end"], top)
    names = [name for name in order if name in set(few[colour])] or ranked(few, colour, y)
    at = pl.col(colour).replace_strict(names, range(len(names)), return_dtype=pl.Int64)
    placed = few.with_columns(at.alias("_at"))
    data = words(stacked(placed, x, y, "_at"), x, [colour], y, unit=unit, period=period)
    about = described("Stacked bars", titled(label, unit), few, x, names)
    chart: alt.Chart = (
        new_chart(data)
        .mark_rect(stroke="white", strokeWidth=1 if few[x].n_unique() <= 70 else 0)
        .encode(
            x=day_axis(few, x, x_label, period),
            x2="_end:T",
            y=alt.Y("_high:Q", title=titled(label, unit), scale=alt.Scale(zero=True)),
            y2="_low:Q",
            color=alt.Color(f"{colour}:N", title=None, scale=hues(names), sort=names, legend=legend(names)),
            description="_words:N",
        )
        .properties(height=height, description=about)
    )
    return chart


def line_daily(
    frame: pl.DataFrame, x: str = "day", y: str = "cost", unit: str = "USD", *, colour: str | None = None,
    label: str = "Cost", x_label: str = "Day (UTC)", zero: bool = True, top: int = 7, height: int = 240,
) -> "alt.LayerChart":  # fmt: skip
    """One line a name of `colour` (or one line), `y` in `unit`; unseen points under it carry the words.

    The `top` largest names keep a line each, the rest is one, `Other (n)`. Beyond 500 days a point is a week.
    """
    import altair as alt

    spans, period = periods(frame, x, most=500)
    by = [colour] if colour else []
    summed = folded(spans, colour, y, [x], top) if colour else spans.group_by(x).agg(pl.col(y).sum()).sort(x)
    names = ranked(summed, colour, y) if colour else []
    data = words(summed, x, by, y, unit=unit, period=period)
    hue = (
        alt.Color(f"{colour}:N", title=None, scale=hues(names), sort=names, legend=legend(names))
        if colour
        else alt.value(ACCENT)
    )
    about = described("Lines" if colour else "Line", titled(label, unit), summed, x, names)
    base = new_chart(data).encode(
        x=day_axis(summed, x, x_label, period),
        y=alt.Y(f"{y}:Q", title=titled(label, unit), scale=alt.Scale(zero=zero)),
        color=hue,
    )
    points = base.mark_point(size=160, filled=True, opacity=0).encode(description="_words:N")
    layers: alt.LayerChart = (base.mark_line(aria=False) + points).properties(height=height, description=about)
    return layers


def bars(
    frame: pl.DataFrame, category: str = "service", value: str = "cost", unit: str = "USD", *,
    label: str = "Cost", category_label: str | None = None, top: int = 15, places: int = 2,
) -> "alt.LayerChart":  # fmt: skip
    """Horizontal bars, largest first, each with its number; beyond `top` the rest becomes `Other (n)`."""
    few = folded(frame, category, value, [], top)
    data = labelled(few, category, value, unit, ranked(few, category, value), places=places)
    about = described("Bars", titled(label, unit), few, None, data[category].to_list())
    return _ranked_bars(
        data, category, value, about=about, title=titled(label, unit), category_label=category_label, fill=ACCENT
    )


def changes(
    frame: pl.DataFrame, category: str = "service", change: str = "change", unit: str = "USD", *,
    before: str | None = None, after: str | None = None, label: str = "Change", category_label: str | None = None,
    top: int = 10, places: int = 2, gains: bool = False,
) -> "alt.LayerChart":  # fmt: skip
    """Bars to both sides of nothing, the largest increase first, the largest decrease last.

    Warm is dearer, cool is cheaper; with `gains`, where more is better, the colours change sides. Given the columns
    `before` and `after`, each mark's words hold both. Of more rows the `top` with the largest absolute change are
    drawn; nothing is folded together, since ups and downs would hide each other.
    """
    few = frame.sort(pl.col(change).abs(), descending=True, maintain_order=True).head(top).sort(change, descending=True)
    data = labelled(
        few, category, change, unit, few[category].to_list(), places=places, signed=True, extra=(before, after)
    )
    about = described("Increases and decreases", titled(label, unit), few, None, data[category].to_list())
    return _ranked_bars(
        data, category, change, about=about, title=titled(label, unit), category_label=category_label, fill=None,
        warm="<" if gains else ">=",
    )  # fmt: skip


def waterfall(
    frame: pl.DataFrame, label: str = "part", amount: str = "amount", unit: str = "USD", *,
    title: str = "Cost", first: str = "Before", start: Decimal | int = 0, last: str = "After", places: int = 2,
) -> "alt.LayerChart":  # fmt: skip
    """From `start` (named `first`) through the parts, in the frame's order, to their end (named `last`).

    The sums are decimal: the last bar is exactly `start` plus all parts.
    """
    import altair as alt

    data = running(frame, label, amount, unit, ends=(first, last), start=Decimal(start), places=places)
    order = data["_name"].to_list()
    about = described("Waterfall", titled(title, unit), data, None, order)
    base = new_chart(data)
    colour = alt.Scale(domain=["total", "up", "down"], range=[NEUTRAL, INCREASE, DECREASE])
    body = base.mark_bar(height={"band": 0.66}).encode(
        x=alt.X("_from:Q", title=titled(title, unit), scale=_room(data)),
        x2="_to:Q",
        y=name_axis("_name", order, heading(label)),
        color=alt.Color("_kind:N", scale=colour, legend=None),
        description="_words:N",
    )
    return _with_numbers(base, body, "_name", order, about)


def coverage(
    frame: pl.DataFrame, x: str = "day", y: str = "business_unit", rows_column: str = "rows", *,
    label: str = "Rows", x_label: str = "Day (UTC)", top: int = 20,
) -> "alt.LayerChart":  # fmt: skip
    """Which days have rows for which name of `y`: darker is more, an empty day is an outline that says so."""
    import altair as alt

    cells, period = coverage_cells(frame, x, y, rows_column, top)
    names = cells[y].unique(maintain_order=True).to_list()
    about = described("Coverage by day", label, cells, x, names)
    base = new_chart(cells).encode(
        x=day_axis(cells, x, x_label, period), x2="_end:T", y=name_axis(y, names, heading(y)), description="_words:N"
    )
    there = (
        base.transform_filter("datum._rows > 0")
        .mark_rect(stroke="white", strokeWidth=0.7)
        .encode(
            color=alt.Color(
                "_rows:Q",
                title=label,
                scale=alt.Scale(range=list(SEQUENTIAL), zero=True),
                legend=alt.Legend(gradientLength=140, tickCount=3, tickMinStep=1, format=",d"),
            )
        )
    )
    gone = base.transform_filter("datum._rows == 0").mark_rect(fill="#FFFFFF", stroke="#D5DAE0", strokeWidth=1)
    layers: alt.LayerChart = (gone + there).properties(height=24 * max(len(names), 1), description=about)
    return layers


def _ranked_bars(
    data: pl.DataFrame,
    category: str,
    value: str,
    *,
    about: str,
    title: str,
    category_label: str | None,
    fill: str | None,
    warm: str = ">=",
) -> "alt.LayerChart":
    import altair as alt

    order = data[category].to_list()
    base = new_chart(data)
    sign = alt.condition(f"datum[{json.dumps(value)}] {warm} 0", alt.value(INCREASE), alt.value(DECREASE))
    rest = alt.condition("datum._rest", alt.value(NEUTRAL), alt.value(fill or ACCENT))
    body = base.mark_bar(height={"band": 0.66}).encode(
        x=alt.X(f"{value}:Q", title=title, scale=_room(data)),
        y=name_axis(category, order, category_label or heading(category)),
        color=rest if fill else sign,
        description="_words:N",
    )
    return _with_numbers(base, body, category, order, about)


def _room(data: pl.DataFrame) -> "alt.Scale":
    """A scale that keeps the right edge free for the longest number."""
    import altair as alt

    longest = max((len(number) for number in data["_number"]), default=0)
    return alt.Scale(range=[0, alt.ExprRef(f"width - {7 * longest + 14}")])


def _with_numbers(
    base: "alt.Chart", body: "alt.Chart", category: str, order: list[str], about: str
) -> "alt.LayerChart":
    """Bars with their numbers in a column at the right edge, as in a table."""
    import altair as alt

    numbers = base.mark_text(align="right", aria=False, color=INK).encode(
        x=alt.value("width"), y=alt.Y(f"{category}:N", sort=order), text="_number:N"
    )
    layers: alt.LayerChart = (body + numbers).properties(height=max(26 * len(order), 40), description=about)
    return layers
