"""A map of who calls whom and what it costs: a picture of its own, wide for a page and narrow for a phone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import sqrt

import polars as pl

from workbench.plots.layers import layered
from workbench.plots.render import NARROW_MIME, SVG_MIME
from workbench.plots.theme import FONT, INK, NARROW, NEUTRAL, QUIET, WIDE, colours
from workbench.plots.words import amount, phrase

LARGEST = 21.0  # radius of the dearest node
SMALLEST = 4.0
ROW, COLUMN = 68, 112
TOP = 14
LIFT = 8
"""A circle stands so much above the middle of its place: its name needs room below."""
ASIDE = "Not on the call graph"


@dataclass(frozen=True)
class Drawing:
    """A picture in two widths, as notebooks and pages show it."""

    wide: str
    narrow: str
    about: str

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {SVG_MIME: self.wide, NARROW_MIME: self.narrow, "text/plain": self.about}


@dataclass(frozen=True)
class _Node:
    name: str
    group: str
    amount: float | None
    words: str
    entry: bool


def estate_map(nodes: pl.DataFrame, calls: pl.DataFrame, *, unit: str = "USD", label: str = "a day") -> Drawing:
    """Draw the call graph from the users inwards: a circle a workload, its area what it costs.

    Parameters
    ----------
    nodes
        `name`, `group` (the colour: who owns it), `amount` (in `unit`; null: unknown, drawn hollow), and if wanted
        `entry` (users call it) and `words` (more to say of it). Those without a call stand below the others.
    calls
        `caller`, `callee`, `kind` (`message` is dashed: nobody waits for it).
    unit, label
        What an amount is: `12.30 USD a day`.
    """
    found = [
        _Node(row["name"], row["group"], None if row["amount"] is None else float(row["amount"]),
              row.get("words") or "", bool(row.get("entry")))
        for row in nodes.sort("amount", "name", descending=[True, False], nulls_last=True).iter_rows(named=True)
    ]  # fmt: skip
    edges = [(row["caller"], row["callee"], row["kind"]) for row in calls.iter_rows(named=True)]
    layers = layered(sorted(node.name for node in found), [(a, b) for a, b, _ in edges])
    drawn = {name for layer in layers for name in layer}
    aside = [node.name for node in found if node.name not in drawn]
    picture = _Picture({node.name: node for node in found}, edges, unit, label)
    about = f"Map of {len(found)} workloads and {len(edges)} connections; the area of a circle is its cost {label}."
    return Drawing(picture.wide(layers, aside), picture.narrow(layers, aside), about)


class _Picture:
    """The parts of both drawings."""

    def __init__(
        self, nodes: Mapping[str, _Node], edges: Sequence[tuple[str, str, str]], unit: str, label: str
    ) -> None:
        self.nodes, self.edges, self.unit, self.label = nodes, edges, unit, label
        self.hues = colours(node.group for node in nodes.values())
        self.most = max((abs(node.amount or 0.0) for node in nodes.values()), default=0.0) or 1.0

    def wide(self, layers: Sequence[Sequence[str]], aside: Sequence[str]) -> str:
        """Users at the left, a column a layer."""
        legend, top = self._legend(WIDE)
        rows = max((len(layer) for layer in layers), default=0)
        left = 54 if layers else 0
        step = (WIDE - left) / max(len(layers), 1)
        at: dict[str, tuple[float, float]] = {}
        for column, layer in enumerate(layers):
            gap = rows * ROW / max(len(layer), 1)
            for row, name in enumerate(layer):
                at[name] = (left + step * (column + 0.5), top + gap * (row + 0.5) - LIFT)
        bottom = top + rows * ROW
        below, height = self._aside(aside, at, bottom, WIDE)
        lines = [self._curve(at[a], at[b], kind, level=True) for a, b, kind in self.edges if a in at and b in at]
        users = self._users(at, top + rows * ROW / 2 - LIFT) if layers else []
        return self._svg(WIDE, height, [*legend, *lines, *users, *below, *map(self._node, at, at.values())])

    def narrow(self, layers: Sequence[Sequence[str]], aside: Sequence[str]) -> str:
        """Users at the top, three nodes a row."""
        legend, top = self._legend(NARROW)
        at: dict[str, tuple[float, float]] = {}
        y = float(top)
        for layer in layers:
            for first in range(0, len(layer), 3):
                row = layer[first : first + 3]
                for place, name in enumerate(row):
                    at[name] = (NARROW * (place + 0.5) / len(row), y + ROW * 0.5 - LIFT)
                y += ROW + (12 if first + 3 >= len(layer) else 0)
        below, height = self._aside(aside, at, y, NARROW)
        lines = [self._curve(at[a], at[b], kind, level=False) for a, b, kind in self.edges if a in at and b in at]
        return self._svg(NARROW, height, [*legend, *lines, *below, *map(self._node, at, at.values())])

    def _legend(self, width: int) -> tuple[list[str], int]:
        """The owners' colours; returns the height that they take too."""
        groups = sorted(self.hues)
        step = min(max(8.0 * max(map(len, groups), default=1) + 26, 96), width)
        columns = max(int(width // step), 1)
        parts = []
        for at, group in enumerate(groups):
            x, y = step * (at % columns), TOP + 20 * (at // columns)
            parts.append(f'<rect x="{x:g}" y="{y - 9}" width="11" height="11" rx="2" fill="{self.hues[group]}"/>')
            parts.append(_text(x + 17, y, group, anchor="start", size=12))
        y = TOP + 20 * -(-len(groups) // columns) + 2
        words = [f"Area and number: {self.unit} {self.label}", "dashed: nobody waits for the answer"]
        for line in [" · ".join(words)] if width > NARROW else words:
            parts.append(_text(0, y, line, anchor="start", fill=QUIET))
            y += 16
        return parts, y

    def _aside(
        self, names: Sequence[str], at: dict[str, tuple[float, float]], y: float, width: int
    ) -> tuple[list[str], float]:
        """Place what nobody calls in rows below; returns their heading and the height of the whole."""
        if not names:
            return [], y
        columns = max(width // COLUMN, 1)
        for place, name in enumerate(names):
            at[name] = (width * (place % columns + 0.5) / columns, y + 26 + ROW * (place // columns + 0.5) - LIFT)
        rule = f'<line x1="0" x2="{width}" y1="{y + 4:g}" y2="{y + 4:g}" stroke="#E4E8ED"/>'
        return [rule, _text(0, y + 22, ASIDE, anchor="start", fill=QUIET)], y + 26 + ROW * -(-len(names) // columns)

    def _users(self, at: Mapping[str, tuple[float, float]], middle: float) -> list[str]:
        entries = [name for name in at if self.nodes[name].entry]
        lines = [self._curve((34, middle), at[name], "call", level=True) for name in entries]
        return [*lines, _text(0, middle + 4, "users", anchor="start", fill=QUIET)] if entries else []

    def _curve(self, a: tuple[float, float], b: tuple[float, float], kind: str, *, level: bool) -> str:
        """From one node to another, leaving and arriving along the direction of the calls."""
        bend = 0.5 * ((b[0] - a[0]) if level else (b[1] - a[1]))
        (x, y), (u, v) = (
            ((a[0] + bend, a[1]), (b[0] - bend, b[1])) if level else ((a[0], a[1] + bend), (b[0], b[1] - bend))
        )
        dashes = ' stroke-dasharray="3 4"' if kind == "message" else ""
        way = f"M{a[0]:.1f},{a[1]:.1f}C{x:.1f},{y:.1f} {u:.1f},{v:.1f} {b[0]:.1f},{b[1]:.1f}"
        return f'<path d="{way}" fill="none" stroke="#A9B3BF" stroke-width="1.2"{dashes}/>'

    def _node(self, name: str, at: tuple[float, float]) -> str:
        node, (x, y) = self.nodes[name], at
        known = node.amount is not None
        radius = max(LARGEST * sqrt(abs(node.amount or 0.0) / self.most), SMALLEST)
        hue = self.hues[node.group]
        fill = f'fill="{hue}" stroke="#FFFFFF"' if known else f'fill="#FFFFFF" stroke="{NEUTRAL}"'
        cost = f"{amount(node.amount, 2 if abs(node.amount or 0) < 10 else 0)}" if known else ""
        words = phrase(name, node.group, f"{amount(node.amount)} {self.unit} {self.label}" if known else "", node.words)
        parts = [
            f"<g><title>{escape(words)}</title>",
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" {fill} stroke-width="1.5"/>',
            _text(x, y + max(radius, 8) + 13, _cut(name), halo=True),
            _text(x, y + max(radius, 8) + 25, cost, size=10, fill=QUIET, halo=True) if cost else "",
            "</g>",
        ]
        return "".join(parts)

    def _svg(self, width: int, height: float, parts: Sequence[str]) -> str:
        size = f'width="{width}" height="{height:.0f}" viewBox="0 0 {width} {height:.0f}"'
        style = f'font-family="{escape(FONT)}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {style}>{"".join(parts)}</svg>'


def _cut(name: str, most: int = 17) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _text(
    x: float, y: float, text: str, *, anchor: str = "middle", size: int = 11, fill: str = INK, halo: bool = False
) -> str:
    around = ' stroke="#FFFFFF" stroke-width="3" stroke-linejoin="round" paint-order="stroke"' if halo else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}"'
    return f"<text {place}{around}>{escape(text)}</text>"
