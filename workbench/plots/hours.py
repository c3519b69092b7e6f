"""What happens within days: cost window by window, and moments that were marked."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from workbench.plots.axes import day_axis, hues, legend, name_axis, new_chart
from workbench.plots.frames import described, folded, ranked, words
from workbench.plots.theme import INCREASE
from workbench.plots.words import amount, heading, moment, phrase, titled

if TYPE_CHECKING:
    import altair as alt

_TWO_DAYS = timedelta(days=2)


def windows(
    frame: pl.DataFrame, marks: pl.DataFrame, x: str = "window_start", y: str = "total_cost", unit: str = "USD", *,
    colour: str = "business_unit", label: str = "Cost of a window",
    x_label: str = "Start of the window (UTC)", top: int = 6, height: int = 260,
) -> "alt.LayerChart":  # fmt: skip
    """One line a name of `colour`, a point a window; a ring where `marks` has a row of the same `x` and `colour`.

    Names that are marked keep a line each, and the largest of the others, so that they are `top`; the rest is one,
    `Other (n)`.
    """
    import altair as alt

    told = marks.select(x, pl.col(colour).cast(pl.String)).join(frame.select(x).unique(), on=x, how="semi").unique()
    few = _folded(frame, (x, colour, y), told[colour].unique().to_list(), top)
    names = ranked(few, colour, y)
    data = words(few, x, [colour], y, unit=unit, period="day")
    ringed = data.join(told, on=[x, colour], how="semi").with_columns(pl.col("_words") + " · spike")
    about = described("Lines", titled(label, unit), few, x, names)
    scale = alt.Y(f"{y}:Q", title=titled(label, unit), scale=alt.Scale(zero=True))
    day = _time_axis(few, x, x_label)
    lines = new_chart(data).encode(
        x=day, y=scale, color=alt.Color(f"{colour}:N", title=None, scale=hues(names), sort=names, legend=legend(names))
    )
    points = lines.mark_point(size=60, filled=True, opacity=0).encode(description="_words:N")
    rings = new_chart(ringed).encode(x=day, y=scale, description="_words:N")
    layers: alt.LayerChart = (
        lines.mark_line(aria=False, strokeWidth=1.4)
        + points
        + rings.mark_point(size=46, color=INCREASE, strokeWidth=1.6)
    ).properties(height=height, description=about)
    return layers


def _time_axis(frame: pl.DataFrame, x: str, title: str) -> "alt.X":
    """Days; where there are fewer than two, hours, and the day in the title."""
    import altair as alt

    first, last = frame[x].min(), frame[x].max()
    if not (isinstance(first, datetime) and isinstance(last, datetime)) or last - first >= _TWO_DAYS:
        return day_axis(frame, x, title)
    axis = alt.Axis(format="%H:%M", grid=False, title=f"{title}, from {first:%Y-%m-%d}", tickCount=8)
    return alt.X(f"{x}:T", scale=alt.Scale(type="utc", nice=False), axis=axis)


def _folded(frame: pl.DataFrame, names: tuple[str, str, str], marked: Sequence[str], top: int) -> pl.DataFrame:
    """Sums by moment and name; of the names that aren't marked so many are folded together that `top` are left."""
    x, colour, y = names
    kept = pl.col(colour).is_in(list(marked)).fill_null(value=False)
    others = folded(frame.filter(~kept), colour, y, [x], max(top - len(marked), 1))
    own = frame.filter(kept).group_by(x, colour).agg(pl.col(y).sum())
    return pl.concat([own.select(names), others.select(names)]).sort(x, colour)


def moments(
    frame: pl.DataFrame, x: str = "window_start", y: str = "rule", size: str = "excess_amount", unit: str = "USD", *,
    names: Sequence[str] = (), label: str = "Spikes", size_label: str = "Above what was expected",
    x_label: str = "Start of the window (UTC)", most: int = 2_000,
) -> "alt.Chart":  # fmt: skip
    """One dot a row: when it was, in the row of its name, the larger `size` (in `unit`) is.

    `names` gives the rows and their order, those without a dot too. Of more than `most` dots the largest are drawn.
    """
    import altair as alt

    rows = list(names) or ranked(frame, y, size)
    frame = frame.top_k(most, by=size).sort(x) if frame.height > most else frame
    said = [
        phrase(moment(at), str(name), f"{amount(value)} {unit}".strip())
        for at, name, value in frame.select(x, y, size).iter_rows()
    ]
    data = frame.select(x, y, size).with_columns(pl.Series("_words", said, dtype=pl.String))
    about = described("Dots", f"{label} by {heading(y).lower()}", frame, x, rows)
    key = alt.Legend(tickCount=3, symbolType="circle", symbolFillColor=INCREASE, symbolStrokeWidth=0)
    spread = alt.Scale(range=[6, 200], zero=True)
    area = alt.Size(f"{size}:Q", title=titled(size_label, unit), scale=spread, legend=key)
    found: alt.Chart = (
        new_chart(data)
        .mark_circle(color=INCREASE, opacity=0.4)
        .encode(
            x=day_axis(frame, x, x_label).scale(type="utc", nice=False, padding=12),
            y=name_axis(y, rows, heading(y)).scale(domain=rows),
            size=area,
            description="_words:N",
        )
        .properties(height=44 * max(len(rows), 1), description=about)
    )
    return found
