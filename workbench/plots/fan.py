"""What was, and what is expected: a line that ends today and goes on within a band."""

import datetime as dt
from typing import TYPE_CHECKING

import polars as pl

from workbench.plots.axes import day_axis, new_chart
from workbench.plots.frames import described
from workbench.plots.theme import ACCENT, INK, NEUTRAL
from workbench.plots.words import amount, moment, phrase, titled

if TYPE_CHECKING:
    import altair as alt

_CHARGED, _EXPECTED = "Charged", "Expected, with its band"


def forecast(
    history: pl.DataFrame, ahead: pl.DataFrame, x: str = "date", y: str = "BilledCost", unit: str = "USD", *,
    label: str = "Billed cost", x_label: str = "Day (UTC)", title: str = "", days: int = 90, height: int = 260,
) -> "alt.LayerChart":  # fmt: skip
    """The last `days` of `history`, and what is expected after them in its band, in `unit`.

    Parameters
    ----------
    history
        `x` (days) and `y`; rows of one day are added up.
    ahead
        `x`, `point`, `lower`, `upper`: one series, in the same unit.
    title
        Above the chart, where several stand below each other.
    """
    import altair as alt

    was, will = _was(history, x, y, unit, days), _will(ahead, x, unit)
    both = pl.concat([was.select(x), will.select(x)])
    about = described(f"Forecast{f' of {title}' if title else ''}", titled(label, unit), both, x, [])
    domain = alt.Scale(domain=[_CHARGED, _EXPECTED], range=[INK, ACCENT])
    # Of several charts below each other the first one's legend is enough.
    key = None if title else alt.Legend(columns=2, symbolOpacity=1)
    day, axis = day_axis(both, x, x_label), alt.Axis(title=titled(label, unit), tickCount=height // 45)
    base = alt.Chart().encode(
        x=day,
        y=alt.Y("_y:Q", scale=alt.Scale(zero=True), axis=axis),
        color=alt.Color("_kind:N", title=None, scale=domain, legend=key),
    )
    charged, expected = (base.properties(data=new_chart(frame).data) for frame in (was, will))
    parts = [
        expected.mark_area(opacity=0.2, aria=False).encode(y=alt.Y("lower:Q", axis=axis), y2="upper:Q"),
        new_chart(will.head(1)).mark_rule(stroke=NEUTRAL, strokeDash=[2, 2], aria=False).encode(x=day),
        charged.mark_line(strokeWidth=1.6, aria=False),
        expected.mark_line(strokeDash=[5, 3], aria=False),
        *(
            part.mark_point(size=90, filled=True, opacity=0).encode(description="_words:N")
            for part in (charged, expected)
        ),
    ]
    heading = {"title": title} if title else {}
    layers: alt.LayerChart = alt.LayerChart(layer=parts).properties(height=height, description=about, **heading)
    return layers


def _was(history: pl.DataFrame, x: str, y: str, unit: str, days: int) -> pl.DataFrame:
    summed = history.group_by(pl.col(x).cast(pl.Date)).agg(_y=pl.col(y).sum()).sort(x)
    last = summed[x].max()
    recent = summed.filter(pl.col(x) > last - dt.timedelta(days=days)) if isinstance(last, dt.date) else summed
    said = [phrase(moment(day), f"{amount(value)} {unit}".strip()) for day, value in recent.iter_rows()]
    return recent.with_columns(pl.Series("_words", said, dtype=pl.String), _kind=pl.lit(_CHARGED))


def _will(ahead: pl.DataFrame, x: str, unit: str) -> pl.DataFrame:
    rows = ahead.select(pl.col(x).cast(pl.Date), _y="point", lower="lower", upper="upper").sort(x)
    said = [
        phrase(moment(day), f"expected {amount(point)} {unit}".strip(), f"{amount(lower)} to {amount(upper)}")
        for day, point, lower, upper in rows.iter_rows()
    ]
    return rows.with_columns(pl.Series("_words", said, dtype=pl.String), _kind=pl.lit(_EXPECTED))
