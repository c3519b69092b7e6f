"""Snapshots: one a unit, only what changed, and a clear word where one can't be read."""

from dataclasses import replace

import polars as pl
import pytest

from tests.streaming.processors.streams import UNITS, cost, hours, run
from workbench.errors import BrokerError
from workbench.streaming.processors import RightSizing, Spikes, State, Windows, changed


def stepped(*units: str, minute: float = 0) -> State:
    events = pl.concat([cost((minute, "1"), unit=unit) for unit in units])
    return run(Windows(), [{"cost": events}], close=False)[1]


def test_only_the_units_that_changed_are_written() -> None:
    before = stepped("shop", "data")
    assert changed(before, before) == {}
    _, after = Windows().step({"cost": cost((1, "1"), unit="data")}, before)
    assert set(changed(before, after)) == {"data"}
    _, closed = Windows().step({"cost": cost((30, "1"), unit="data")}, before)
    assert set(changed(before, closed)) == {"data", "shop"}, "its window has closed"


def test_a_snapshot_is_the_same_whoever_else_is_in_the_partition() -> None:
    together = stepped(*UNITS)
    for unit in UNITS:
        assert stepped(unit).snapshots == {unit: together.snapshots[unit]}
    assert Windows().restore(together.snapshots).snapshots == together.snapshots


def test_units_with_odd_names_come_back() -> None:
    restored = Windows().restore(stepped(*UNITS).snapshots)
    assert set(restored["pending"]["business_unit"]) == set(UNITS)


def test_the_watermark_comes_back_with_the_unit_that_saw_it() -> None:
    state = stepped("shop", "data", minute=100)
    _, later = Windows().step({"cost": cost((500, "1"), unit="data")}, state)
    restored = Windows().restore(state.snapshots | changed(state, later))
    assert restored["marks"].equals(later["marks"])


@pytest.mark.parametrize("poison", [b"", b"{}", b"\xff" * 100, None], ids=["empty", "json", "bytes", "cut"])
def test_a_poisoned_snapshot_names_the_unit_the_topic_and_the_way_out(poison: bytes | None) -> None:
    good = stepped("shop", "data").snapshots
    bad = good["shop"][:-200] if poison is None else poison
    with pytest.raises(BrokerError, match=r"'windows' for the unit 'shop' in finops.stream.state.*stream reset"):
        Windows().restore(good | {"shop": bad})


def test_the_snapshot_of_another_processor_or_with_other_columns_is_refused() -> None:
    snapshots = stepped("shop").snapshots
    with pytest.raises(BrokerError, match="it is of b'windows'"):
        Spikes().restore(snapshots)
    with pytest.raises(BrokerError, match="its columns are"):
        Windows(by_service=True).restore(snapshots)


def test_a_snapshot_that_is_too_large_is_refused_with_the_way_out() -> None:
    _, state = run(RightSizing(), [{"resource": hours("i-1", [0.5])}], close=False)
    large = pl.concat([state["pending"]] * 20_000)
    with pytest.raises(BrokerError, match="'rightsizing' for the unit 'shop' takes .* allows 1,000,000; give"):
        _ = replace(state, frames={"pending": large}).snapshots
