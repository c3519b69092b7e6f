"""Axes, colours and legends that the charts share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from workbench.plots.frames import Period, day_ticks
from workbench.plots.render import rows
from workbench.plots.theme import colours

if TYPE_CHECKING:
    import altair as alt

_TITLES: dict[Period, str] = {
    "day": "",
    "week": "Week from Monday (UTC, ends partial)",
    "month": "Month (UTC, ends partial)",
}


def day_axis(frame: pl.DataFrame, column: str, title: str, period: Period = "day") -> "alt.X":
    """A day axis in UTC, whatever the zone of the machine that draws; the title says which year it is."""
    import altair as alt

    ticks, style, years = day_ticks(frame[column])
    title = f"{_TITLES[period] or title}{years}"
    axis = alt.Axis(format=style, grid=False, title=title, values=ticks, labelOverlap="parity")
    return alt.X(f"{column}:T", scale=alt.Scale(type="utc", nice=False), axis=axis)


def name_axis(column: str, order: Sequence[str], title: str) -> "alt.Y":
    """An axis of names, its title above them."""
    import altair as alt

    return alt.Y(f"{column}:N", sort=list(order), axis=alt.Axis(title=title, titleAlign="right", titleX=-6))


def hues(names: Sequence[str]) -> "alt.Scale":
    """A scale that gives each name its colour."""
    import altair as alt

    found = colours(names)
    return alt.Scale(domain=list(names), range=[found[name] for name in names])


def legend(names: Sequence[str]) -> "alt.Legend":
    """A legend above the plot: as many names in a line as fit, evenly spread over the lines; two on a phone."""
    import altair as alt

    fit = max(1, int(700 // (6.3 * max((len(name) for name in names), default=1) + 36)))
    lines = -(-len(names) // fit)
    return alt.Legend(columns=alt.ExprRef(f"width > 450 ? {-(-len(names) // max(lines, 1))} : 2"))


def new_chart(frame: pl.DataFrame) -> "alt.Chart":
    """A chart of a frame's rows."""
    import altair as alt

    # A plain dict: through a frame Altair would write times in the zone of this machine.
    return alt.Chart({"values": rows(frame)})
