"""Colours, type and spacing of every chart."""

from collections.abc import Iterable, Sequence
from typing import Any

PALETTE = ("#1A6AD4", "#E08A1E", "#1D9367", "#B5548C", "#62B2E7", "#8F3B1B", "#5B4A9B", "#9AA15A")
"""Categories, in this order.

Okabe and Ito's idea tuned for a white page: any two stay at least 17 apart in CIELAB (Euclid) for normal sight and
for full protanopia, deuteranopia and tritanopia, simulated after Machado, Oliveira and Fernandes 2009
(doi.org/10.1109/TVCG.2009.113); `tests/test_plots.py` measures it.
"""

NEUTRAL, REMAINDER = "#9AA1AB", "#CDD2D9"
"""What is nobody's; what is too small to be named."""

SEQUENTIAL = ("#E8F0FA", "#B9D3F2", "#7FAEE6", "#3F83D6", "#1A5BB0", "#0B3B7A")
"""Little to much; lightness falls evenly, so that it survives a grey print."""

DIVERGING = ("#0B4FA8", "#6FA3DE", "#EFEFEF", "#E5A06A", "#B4501A")
"""Less to more around nothing; blue and orange, never green and red."""

ACCENT = PALETTE[0]
INCREASE = "#C4622D"
DECREASE = "#2F78C4"

INK = "#1F2933"
QUIET = "#5F6B7A"
GRID = "#E4E8ED"

FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', Arimo, sans-serif"
"""Families with the same widths: text measured while drawing, without a browser, still fits in one."""

WIDE, NARROW = 760, 350
"""Pixels across: the page's column, and a phone."""

NOBODY = ("unallocated", "(none)", "(not stated)")
REST = ("all others", "other", "others")


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name; the same set of names always gets the same colours.

    `unallocated` is grey, `Other (n)` a lighter grey. After eight names the palette starts
    again: fold the rest before that.
    """
    given = sorted(set(names))
    named = [name for name in given if not is_rest(name)]
    found = {name: PALETTE[at % len(PALETTE)] for at, name in enumerate(named)}
    return {name: found.get(name, NEUTRAL if name.casefold() in NOBODY else REMAINDER) for name in given}


def is_rest(name: str) -> bool:
    """Whether a name stands for what has no name of its own."""
    folded = name.casefold()
    return folded in (*REST, *NOBODY) or folded.startswith("other (")


_WORDS = {
    "labelFont": FONT,
    "titleFont": FONT,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": 500,
    "titleColor": QUIET,
    "labelColor": INK,
}
# Titles stand level above their axis: nobody turns the head, and a phone has no width to give away.
_UPRIGHT = {
    "tickCount": 5,
    "domain": False,
    "ticks": False,
    "titleAngle": 0,
    "titleAlign": "left",
    "titleAnchor": "end",
    "titleX": 0,
    "titleY": -12,
    "titleBaseline": "bottom",
}


def config(width: int = WIDE) -> dict[str, Any]:
    """The Vega-Lite `config` for a chart that is `width` pixels wide."""
    slim = width < 500
    return {
        "font": FONT,
        "background": "#FFFFFF",
        "padding": {"left": 2, "right": 6, "top": 4, "bottom": 2},
        "view": {"stroke": None, "continuousHeight": 260, "discreteHeight": {"step": 26}},
        "axis": _axis(slim=slim),
        "axisX": {"tickCount": 4 if slim else 8, "labelFlush": False},
        "axisY": _UPRIGHT,
        "legend": _legend(slim=slim),
        "title": {"font": FONT, "fontSize": 14, "fontWeight": 600, "color": INK, "anchor": "start", "offset": 12},
        "text": {"font": FONT, "fontSize": 12, "color": INK},
        "line": {"strokeWidth": 2, "strokeJoin": "round", "strokeCap": "round"},
        "bar": {"color": ACCENT},
        "range": {
            "category": list(PALETTE),
            "heatmap": list(SEQUENTIAL),
            "ramp": list(SEQUENTIAL),
            "diverging": list(DIVERGING),
        },
    }


def _axis(*, slim: bool) -> dict[str, Any]:
    """Both axes."""
    return {
        **_WORDS,
        "labelLimit": 112 if slim else 230,
        "labelPadding": 6,
        "titlePadding": 10,
        "domainColor": "#B8C0CA",
        "tickColor": "#B8C0CA",
        "tickSize": 4,
        "gridColor": GRID,
        "labelOverlap": "greedy",
        "labelSeparation": 8,
    }


def _legend(*, slim: bool) -> dict[str, Any]:
    """Above the chart, in a row or two."""
    return {
        **_WORDS,
        "orient": "top",
        "direction": "horizontal",
        "columns": 2 if slim else 5,
        "labelLimit": 140 if slim else 180,
        "symbolType": "square",
        "symbolSize": 110,
        "symbolStrokeWidth": 0,
        "rowPadding": 5,
        "columnPadding": 16,
        "offset": 28,
    }


def palette_scale(names: Sequence[str]) -> dict[str, list[str]]:
    """Domain and range of a colour scale for names in the order given."""
    found = colours(names)
    return {"domain": list(names), "range": [found[name] for name in names]}
