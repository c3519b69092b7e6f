"""The one chart theme, and the few charts that more than one notebook draws.

    from workbench import plots

    plots.enable()                                  # once a notebook; `workbench.open` does it for you
    plots.stacked_daily(daily, x="day", y="cost", colour="business_unit", unit="USD")

A chart is an SVG in JupyterLab and in the report's page alike, drawn without a network. Every axis is titled with
its unit, every mark carries its own words ("2025-10-03 · Compute · 1,234.56 USD"), and money stays decimal up to
this module: only here does it become a float, to be drawn.
"""

from workbench.plots.charts import bars, changes, coverage, line_daily, stacked_daily, waterfall
from workbench.plots.fan import forecast
from workbench.plots.hours import moments, windows
from workbench.plots.map import Drawing, estate_map
from workbench.plots.render import MAX_ROWS, NARROW_MIME, SVG_MIME, enable, svg
from workbench.plots.theme import ACCENT, DECREASE, DIVERGING, INCREASE, NEUTRAL, PALETTE, SEQUENTIAL, colours
from workbench.plots.words import amount

__all__ = [
    "ACCENT",
    "DECREASE",
    "DIVERGING",
    "INCREASE",
    "MAX_ROWS",
    "NARROW_MIME",
    "NEUTRAL",
    "PALETTE",
    "SEQUENTIAL",
    "SVG_MIME",
    "Drawing",
    "amount",
    "bars",
    "changes",
    "colours",
    "coverage",
    "enable",
    "estate_map",
    "forecast",
    "line_daily",
    "moments",
    "stacked_daily",
    "svg",
    "waterfall",
    "windows",
]
