"""The map of who calls whom."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from workbench import plots
from workbench.plots.layers import layered

HOSTILE = '<b onclick="x()">&'
SVG = "{http://www.w3.org/2000/svg}"


def crossings(layers: list[list[str]], calls: list[tuple[str, str]]) -> int:
    place = {name: (depth, at) for depth, layer in enumerate(layers) for at, name in enumerate(layer)}
    spans = [(place[a], place[b]) for a, b in calls]
    return sum(
        1
        for (a, b) in spans
        for (c, d) in spans
        if a[0] == c[0] and b[0] == d[0] and a[1] < c[1] and b[1] > d[1]
    )  # fmt: skip


def test_callers_stand_before_what_they_call_and_everybody_stands_once() -> None:
    calls = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c"), ("c", "e")]
    layers = layered(list("abcdefg"), calls)
    depth = {name: at for at, layer in enumerate(layers) for name in layer}
    assert all(depth[a] < depth[b] for a, b in calls)
    assert sorted(depth) == list("abcde")  # f and g call nobody


def test_lines_that_need_not_cross_do_not() -> None:
    calls = [("a", "z"), ("b", "y"), ("c", "x"), ("z", "1"), ("y", "2"), ("x", "3")]
    assert crossings(layered(list("abcxyz123"), calls), calls) == 0


@pytest.mark.parametrize(
    "calls",
    [
        [("a", "b"), ("b", "a")],
        [("a", "a")],
        [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")],
        [("a", "nobody")],
        [],
    ],
)
def test_cycles_self_calls_and_unknown_names_are_drawn_or_left_out_but_never_an_error(
    calls: list[tuple[str, str]],
) -> None:
    layers = layered(list("abcd"), calls)
    real = {name for a, b in calls for name in (a, b) if a != b and {a, b} <= set("abcd")}
    assert {name for layer in layers for name in layer} == real


def test_a_deep_chain_needs_no_recursion() -> None:
    names = [f"n{at}" for at in range(3_000)]
    layers = layered(names, list(pairwise(names)))
    assert layers == [[name] for name in names]


def drawing() -> plots.Drawing:
    nodes = pl.DataFrame(
        {
            "name": ["shop", HOSTILE, "db", "bank", "lake"],
            "group": ["web", HOSTILE, "data", "pay", "data"],
            "amount": [16.0, 4.0, 64.0, None, 1.0],
            "entry": [True, False, False, False, False],
        }
    )
    calls = pl.DataFrame(
        {"caller": ["shop", "shop", HOSTILE], "callee": [HOSTILE, "bank", "db"], "kind": ["call", "message", "call"]}
    )
    return plots.estate_map(nodes, calls)


def test_the_area_of_a_circle_is_its_cost_and_what_is_unknown_is_hollow() -> None:
    for text in (drawing().wide, drawing().narrow):
        root = ET.fromstring(text)  # noqa: S314 (our own drawing)
        radius, fill = {}, {}
        for group in root.iter(f"{SVG}g"):
            name = group.findtext(f"{SVG}title").split(" · ")[0]
            circle = group.find(f"{SVG}circle")
            radius[name], fill[name] = float(circle.get("r")), circle.get("fill")
        assert set(radius) == {"shop", HOSTILE, "db", "bank", "lake"}
        assert (radius["db"] / radius["shop"]) ** 2 == pytest.approx(4, rel=0.02)
        assert fill["bank"] == "#FFFFFF"
        assert len({fill["db"], fill["lake"]}) == 1


def test_names_are_escaped_and_everything_stays_within_the_picture() -> None:
    for text, width in ((drawing().wide, 760), (drawing().narrow, 350)):
        assert "<b onclick" not in text
        root = ET.fromstring(text)  # noqa: S314 (our own drawing)
        assert root.get("width") == str(width)
        for circle in root.iter(f"{SVG}circle"):
            x, y, r = (float(circle.get(key)) for key in ("cx", "cy", "r"))
            assert r <= x <= width - r
            assert r <= y <= float(root.get("height")) - r


def test_who_waits_for_nobody_is_dashed_and_users_stand_at_the_left() -> None:
    root = ET.fromstring(drawing().wide)  # noqa: S314
    paths = list(root.iter(f"{SVG}path"))
    assert len(paths) == 4  # three calls, and the users'
    assert sum(path.get("stroke-dasharray") is not None for path in paths) == 1
    assert any(text.text == "users" for text in root.iter(f"{SVG}text"))


def test_a_notebook_and_a_page_both_show_it() -> None:
    shown = drawing()._repr_mimebundle_()
    assert set(shown) == {plots.SVG_MIME, plots.NARROW_MIME, "text/plain"}
    assert "5 workloads and 3 connections" in shown["text/plain"]


def test_without_calls_the_workloads_stand_side_by_side() -> None:
    nodes = pl.DataFrame({"name": ["a", "b"], "group": ["x", "y"], "amount": [1.0, 2.0]})
    calls = pl.DataFrame(schema={"caller": pl.String, "callee": pl.String, "kind": pl.String})
    assert plots.estate_map(nodes, calls).wide.count("<circle") == 2
