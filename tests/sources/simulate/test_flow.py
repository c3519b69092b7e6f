"""Load runs down the call graph, latency and failures run up."""

from datetime import date

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.sources import simulate
from workbench.sources.simulate import traffic
from workbench.sources.simulate.estate import Call, topological
from workbench.sources.simulate.flow import Flow, propagate

MINUTES = 240
TROUBLE = slice(120, 150)


@pytest.fixture(scope="module")
def shop() -> simulate.Estate:
    return simulate.make(3, 2, date(2025, 11, 3), 26)


def place(estate: simulate.Estate, name: str) -> int:
    return next(at for at, workload in enumerate(estate.workloads) if workload.name == name)


def flow(estate: simulate.Estate, effects: dict[tuple[str, str], float] | None = None) -> Flow:
    users = np.repeat([[estate.workloads[at].users] for at in estate.entries], MINUTES, axis=1)
    running = np.repeat(traffic.instances(estate, users[:, ::60]), 60, axis=1)
    arrays = {}
    for (name, what), value in (effects or {}).items():
        array = np.full(MINUTES, 1.0 if what == "latency" else 0.0)
        array[TROUBLE] = value
        arrays[place(estate, name), what] = array
    return propagate(estate, users, running, np.ones((len(estate.workloads), MINUTES)), arrays)


def test_every_call_arrives_and_every_request_comes_from_somewhere(shop: simulate.Estate) -> None:
    found = flow(shop)
    arrived = np.zeros_like(found.requests)
    arrived[shop.entries] = [[shop.workloads[at].users] for at in shop.entries]
    for at, call in enumerate(shop.calls):
        arrived[call.callee] += found.sent[at]
    assert np.allclose(arrived, found.requests)


def test_with_nothing_wrong_the_fan_out_is_the_graphs(shop: simulate.Estate) -> None:
    found = flow(shop)
    users = np.array([shop.workloads[at].users for at in shop.entries])
    expected = shop.fan_out() @ users
    assert found.requests[:, -1] == pytest.approx(expected, rel=0.02)  # a few calls are tried twice


def test_a_request_takes_what_its_own_work_and_its_calls_take(shop: simulate.Estate) -> None:
    found = flow(shop)
    search, index, catalogue = (place(shop, name) for name in ("search", "search-index", "catalogue"))
    waited = 1.4 * found.latency_s[index] + 0.3 * found.latency_s[catalogue]
    assert found.latency_s[search] == pytest.approx(found.own_s[search] + waited, rel=0.01)


def test_a_slow_database_makes_its_callers_slow_and_nobody_else(shop: simulate.Estate) -> None:
    calm, hit = flow(shop), flow(shop, {("orders-db", "latency"): 4.0})
    usual = np.maximum(calm.latency_s[:, TROUBLE].mean(axis=1), 1e-9)
    change = hit.latency_s[:, TROUBLE].mean(axis=1) / usual
    for name in ("orders-db", "orders", "checkout", "storefront"):
        assert change[place(shop, name)] > 1.0005
    for name in ("search", "catalogue", "clickstream", "shipping"):
        assert change[place(shop, name)] == pytest.approx(1.0, abs=1e-6)
    before = slice(0, 100)
    assert np.allclose(hit.latency_s[:, before], calm.latency_s[:, before])


def test_what_is_called_asynchronously_troubles_nobody(shop: simulate.Estate) -> None:
    calm, hit = flow(shop), flow(shop, {("shipping", "down"): 1.0, ("shipping", "latency"): 9.0})
    others = [
        at for at in range(len(shop.workloads)) if at not in {place(shop, "shipping"), place(shop, "shipping-db")}
    ]
    assert np.allclose(hit.latency_s[others], calm.latency_s[others])
    assert np.allclose(hit.failed[others], calm.failed[others])


def test_a_fallback_keeps_the_failures_away(shop: simulate.Estate) -> None:
    hit = flow(shop, {("recommender", "down"): 1.0})
    assert hit.failed[place(shop, "recommender"), TROUBLE].min() > 0.99
    assert hit.failed[place(shop, "storefront"), TROUBLE].max() < 0.01


def test_failing_calls_are_tried_again_and_what_follows_them_is_called_less(shop: simulate.Estate) -> None:
    calm, hit = flow(shop), flow(shop, {("payments", "errors"): 0.5})
    payments, orders = place(shop, "payments"), place(shop, "orders")
    assert hit.requests[payments, TROUBLE].mean() > 1.2 * calm.requests[payments, TROUBLE].mean()
    assert hit.requests[orders, TROUBLE].mean() < 0.9 * calm.requests[orders, TROUBLE].mean()


def test_too_few_processors_make_a_workload_slow_and_shed_load(shop: simulate.Estate) -> None:
    calm, hit = flow(shop), flow(shop, {("search", "steal"): 0.8})
    search = place(shop, "search")
    assert hit.cpu[search, TROUBLE].min() > 0.99
    assert hit.own_s[search, TROUBLE].mean() > 3 * calm.own_s[search, TROUBLE].mean()
    assert hit.failed[search, TROUBLE].mean() > 0.2


def test_nothing_is_negative_and_no_share_leaves_its_range(shop: simulate.Estate) -> None:
    effects = {("catalogue-db", "down"): 1.0, ("cart", "steal"): 0.9, ("payments", "loss"): 0.5}
    found = flow(shop, effects)
    for array in (found.requests, found.latency_s, found.own_s, found.sent):
        assert (array >= 0).all()
        assert np.isfinite(array).all()
    for share in (found.failed, found.cpu):
        assert share.min() >= 0
        assert share.max() <= 1


@pytest.mark.parametrize("workloads", [4, 8, 26, 27, 60, 300])
def test_an_estate_of_any_size_is_a_graph_without_cycles_that_users_reach(workloads: int) -> None:
    estate = simulate.make(5, 3, date(2025, 11, 3), workloads)
    assert len(estate.workloads) == workloads
    assert len({workload.name for workload in estate.workloads}) == workloads
    assert sorted(estate.order) == list(range(workloads))
    position = {node: at for at, node in enumerate(estate.order)}
    assert all(position[call.caller] < position[call.callee] for call in estate.calls)
    assert estate.entries
    assert all(estate.workloads[at].observed for at in estate.entries)


def test_a_cycle_would_be_noticed() -> None:
    calls = (Call(0, 1, "sync", 1, 0, 1), Call(1, 2, "sync", 1, 0, 1), Call(2, 1, "sync", 1, 0, 1))
    assert topological(3, calls) == [0]


@pytest.mark.parametrize(
    ("days", "workloads", "orders", "said"),
    [(5, 3, 1, "4 to 5000 workloads, not 3"), (0, 9, 1, "1 to 3660 days, not 0"), (5, 9, -1, "negative")],
)
def test_an_impossible_size_is_refused(days: int, workloads: int, orders: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        simulate.make(1, days, date(2025, 11, 3), workloads, orders)
