"""A chart as SVG: once as wide as the page, once as wide as a phone, without a network."""

import re
from copy import deepcopy
from hashlib import blake2s
from typing import Any
from xml.etree import ElementTree as ET

import polars as pl
import polars.selectors as cs

from workbench.errors import UsageError
from workbench.imports import IRI_GRAMMAR, without
from workbench.plots.theme import NARROW, WIDE, config

SVG_MIME = "image/svg+xml"
NARROW_MIME = "application/vnd.workbench.narrow+svg"
"""The same chart for a phone; JupyterLab takes no notice of it, the page shows it under 560 pixels."""

MAX_ROWS = 5_000
"""Marks beyond this are a smear and megabytes."""

_SVG = "http://www.w3.org/2000/svg"
_LONG_NUMBER = re.compile(r"-?\d*\.\d{2,}(?:e-?\d+)?")
_NUMERIC = {"d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height"}
_DROPPED = {"aria-roledescription", "role", "stroke-miterlimit", "pointer-events", "class"}
_WITHOUT_VIEW = ("hconcat", "vconcat", "concat", "facet", "repeat")


def enable() -> None:
    """Give every Altair chart of this process the workbench's theme and draw it as SVG."""
    with without(IRI_GRAMMAR):
        import altair as alt

    @alt.theme.register("workbench", enable=True)
    def theme() -> alt.theme.ThemeConfig:
        return {"config": config()}  # type: ignore[typeddict-item]

    alt.renderers.register("workbench", bundle)
    alt.renderers.enable("workbench")
    alt.data_transformers.register("workbench", drawable)
    alt.data_transformers.enable("workbench")


def bundle(spec: dict[str, Any], **_: object) -> dict[str, str]:
    """What a notebook keeps of a chart: the wide SVG, the narrow one, and its description as plain text."""
    shown = {SVG_MIME: svg(spec), "text/plain": str(spec.get("description") or "Chart")}
    if not any(key in spec for key in _WITHOUT_VIEW):
        shown[NARROW_MIME] = svg(spec, NARROW)
    return shown


def svg(spec: dict[str, Any], width: int = WIDE) -> str:
    """Draw a Vega-Lite specification `width` pixels wide; charts of several views keep their own width."""
    import vl_convert

    sized = deepcopy(spec)
    sized["config"] = _resized(sized.get("config", {}), config(), config(width))
    if not any(key in spec for key in _WITHOUT_VIEW):
        given = spec.get("width")
        sized["width"] = min(given, width) if isinstance(given, int | float) else width
        # The width is the whole drawing's, the height the plot's alone: a longer legend takes nothing from it.
        sized["autosize"] = {"type": "fit-x", "contains": "padding"}
    return slimmed(vl_convert.vegalite_to_svg(sized, allowed_base_urls=[]))


def _resized(given: dict[str, Any], usual: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The theme for another width, where the chart itself does not say otherwise."""
    merged = dict(given)
    for key, value in wanted.items():
        own, standard = given.get(key, usual.get(key)), usual.get(key)
        if isinstance(own, dict) and isinstance(value, dict) and isinstance(standard, dict):
            merged[key] = _resized(own, standard, value)
        elif own == standard:
            merged[key] = value
    return merged


def drawable(data: object) -> object:
    """Altair's data transformer: decimals to floats, times to UTC text, and no more rows than can be seen."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        data = pl.from_pandas(data)
    return {"values": rows(data)} if isinstance(data, pl.DataFrame) else data


def rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The frame's rows as JSON can hold them.

    Raises `UsageError` above `MAX_ROWS`: a chart of raw rows is unreadable and swells the page.
    """
    if frame.height > MAX_ROWS:
        raise UsageError(
            f"this chart would hold {frame.height:,} rows and at most {MAX_ROWS:,} can be seen: aggregate first, "
            f"for example frame.group_by(…).agg(pl.col(…).sum())"
        )
    plain = frame.with_columns(
        cs.decimal().cast(pl.Float64),
        cs.date().dt.strftime("%Y-%m-%dT00:00:00Z"),
        cs.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
    )
    found: list[dict[str, Any]] = plain.to_dicts()
    return found


def slimmed(text: str) -> str:
    """The drawing without what no page needs, its numbers to a tenth of a pixel, its ids its own.

    Ids are prefixed by a hash of the drawing: several drawings in one page share one space of names.
    """
    ET.register_namespace("", _SVG)
    root = ET.fromstring(text)  # noqa: S314  (written by our own renderer a moment ago)
    _drop_empty(root)
    prefix = f"c{blake2s(text.encode(), digest_size=4).hexdigest()}-"
    for node in root.iter():
        if node.tag == f"{{{_SVG}}}g":
            node.attrib.pop("aria-label", None)  # "X-axis titled …": marks alone speak
        node.attrib = {key: _attribute(key, value, prefix) for key, value in node.attrib.items() if key not in _DROPPED}
    root.set("role", "img")
    return ET.tostring(root, encoding="unicode")


def _drop_empty(node: ET.Element) -> None:
    for child in list(node):
        _drop_empty(child)
        hidden = child.get("display") == "none" or child.get("d") in ("", "M0,0h0v0h0Z")
        empty_group = child.tag == f"{{{_SVG}}}g" and not len(child)
        if hidden or empty_group:
            node.remove(child)


def _attribute(key: str, value: str, prefix: str) -> str:
    if key in _NUMERIC:
        return _LONG_NUMBER.sub(lambda found: f"{round(float(found[0]), 1):g}", value)
    if key == "id":
        return prefix + value
    return value.replace("url(#", f"url(#{prefix}") if "url(#" in value else value
