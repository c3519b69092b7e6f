"""The standing part of the simulated cloud: workloads, who calls whom, and how large everything is."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import NamedTuple

import numpy as np

from workbench.errors import UsageError
from workbench.sources.simulate import catalogue
from workbench.sources.simulate.seeds import rng

SMALLEST, LARGEST = 4, 5_000
UNOBSERVED = 0.16
"""Share of the workloads that export no metrics: the managed and the forgotten."""
VCPUS = {"web": 4, "api": 4, "worker": 4, "model": 4, "database": 8, "cache": 2, "external": 0, "batch": 16}
"""Processors of one instance, by kind of workload."""
WATTS_IDLE, WATTS_BUSY, PUE = 1.1, 3.6, 1.15
"""What one processor really draws, memory and network apart, and what cooling adds (power usage effectiveness)."""


def watts(busy: np.ndarray) -> np.ndarray:
    """Return what one processor draws at a busy share of 0 to 1, cooling included."""
    return (WATTS_IDLE + busy * (WATTS_BUSY - WATTS_IDLE)) * PUE


class Workload(NamedTuple):
    """A microservice, a database, or whatever else is a node of the call graph."""

    name: str
    unit: str
    region: str
    kind: str
    latency_s: float
    """Of the workload itself, without what it calls, when nothing is busy."""
    cpu_s: float
    """Processor time of one request."""
    kb_out: float
    users: float
    """Requests a minute that come from outside at the base level; 0: only from other workloads."""
    spread: float
    """Sigma of the lognormal distribution of its latency."""
    error_rate: float
    memory: float
    """Share of memory in use when nothing is wrong."""
    observed: bool
    """Whether it exports metrics at all."""
    sampling: float
    """Share of the calls that its traces count; they are not scaled up."""

    @property
    def provider(self) -> str:
        """The provider of its region; empty for what is not ours."""
        return catalogue.REGIONS[self.region].provider if self.region else ""


class Call(NamedTuple):
    """An edge of the call graph."""

    caller: int
    callee: int
    kind: str
    """`sync`: the caller waits and fails with it; `fallback`: it waits but can do without; `async`: it does neither."""
    calls: float
    """For each request of the caller."""
    retries: int
    timeout_s: float


@dataclass(frozen=True)
class Estate:
    """A simulated cloud for some days.

    Attributes
    ----------
    seed
        The same seed, size and days give the same estate, bit by bit.
    days, end
        It covers the `days` before `end`, 00:00 UTC.
    workloads, calls
        Nodes and edges; an edge holds the nodes' places in `workloads`. There is no cycle.
    orders_per_day
        What customers buy on a day at the base level; scales the number of business events.
    """

    seed: int
    days: int
    end: date
    workloads: tuple[Workload, ...]
    calls: tuple[Call, ...]
    orders_per_day: float

    @property
    def start(self) -> datetime:
        """The first moment."""
        return datetime.combine(self.end, time(), UTC) - timedelta(days=self.days)

    @property
    def hours(self) -> int:
        """How many hours it covers."""
        return 24 * self.days

    @cached_property
    def order(self) -> list[int]:
        """Places of the workloads, callers before callees."""
        return topological(len(self.workloads), self.calls)

    @cached_property
    def entries(self) -> list[int]:
        """Places of the workloads that users call."""
        return [at for at, workload in enumerate(self.workloads) if workload.users]

    @cached_property
    def calls_of(self) -> list[list[int]]:
        """For each workload the places of its calls, in the order in which it makes them."""
        made: list[list[int]] = [[] for _ in self.workloads]
        for at, call in enumerate(self.calls):
            made[call.caller].append(at)
        return made

    def array(self, field: str) -> np.ndarray:
        """One field of all workloads as a column vector."""
        return np.array([getattr(workload, field) for workload in self.workloads])[:, None]

    def fan_out(self) -> np.ndarray:
        """Requests of each workload for one request at each entry: shape (workloads, entries), nothing failing."""
        reach = np.zeros((len(self.workloads), len(self.entries)))
        reach[self.entries, np.arange(len(self.entries))] = 1.0
        for node in self.order:
            for at in self.calls_of[node]:
                call = self.calls[at]
                reach[call.callee] += reach[node] * call.calls
        return reach


def topological(nodes: int, calls: tuple[Call, ...]) -> list[int]:
    """Order the nodes so that each caller stands before what it calls (Kahn's algorithm, smallest place first)."""
    waiting = np.zeros(nodes, int)
    called: list[list[int]] = [[] for _ in range(nodes)]
    for call in calls:
        waiting[call.callee] += 1
        called[call.caller].append(call.callee)
    ready = [node for node in range(nodes) if not waiting[node]]
    order: list[int] = []
    while ready:
        node = ready.pop(0)
        order.append(node)
        for callee in called[node]:
            waiting[callee] -= 1
            if not waiting[callee]:
                ready.append(callee)
    return order


def make(seed: int, days: int, end: date, workloads: int = 26, orders_per_day: float = 420.0) -> Estate:
    """Plan an estate of so many workloads.

    Raises
    ------
    UsageError
        Fewer than 4 or more than 5,000 workloads, no day, or a negative number.
    """
    if not SMALLEST <= workloads <= LARGEST:
        raise UsageError(f"an estate has {SMALLEST} to {LARGEST} workloads, not {workloads}")
    if not 1 <= days <= 3_660:
        raise UsageError(f"an estate covers 1 to 3660 days, not {days}")
    if seed < 0 or orders_per_day < 0:
        raise UsageError(f"seed ({seed}) and orders a day ({orders_per_day}) can't be negative")
    noise = rng(seed, "estate")
    rows = [line.split("|") for line in catalogue.WORKLOADS.strip().splitlines()]
    nodes = [_workload(row, noise) for row in _first(rows, workloads)]
    names = {node.name: at for at, node in enumerate(nodes)}
    calls = [call for line in catalogue.CALLS.strip().splitlines() if (call := _call(line.split("|"), names))]
    _grow(nodes, calls, workloads, noise)
    return Estate(seed, days, end, tuple(nodes), tuple(calls), orders_per_day)


def _first(rows: list[list[str]], count: int) -> list[list[str]]:
    """The first `count` workloads by hand; a small estate takes those that make a chain."""
    if count >= len(rows):
        return rows
    chain = ["storefront", "catalogue", "catalogue-db", "cart", "cart-cache", "checkout", "payments", "payments-db"]
    ranked = sorted(rows, key=lambda row: chain.index(row[0]) if row[0] in chain else len(chain))
    return ranked[:count]


def _workload(row: list[str], noise: np.random.Generator) -> Workload:
    name, unit, region, kind, latency_ms, cpu_ms, kb_out, users = row
    hidden = kind in {"external", "batch"} or noise.random() < UNOBSERVED
    return Workload(
        name, unit, region, kind, float(latency_ms) / 1e3, float(cpu_ms) / 1e3, float(kb_out), float(users or 0),
        spread=float(noise.uniform(0.35, 0.8)),
        error_rate=float(10 ** noise.uniform(-4.2, -3.0)),
        memory=float(noise.uniform(0.35, 0.65)),
        observed=bool(users) or not hidden,
        sampling=float(noise.choice([1.0, 1.0, 1.0, 0.5, 0.1])),
    )  # fmt: skip


def _call(row: list[str], names: dict[str, int]) -> Call | None:
    caller, callee, kind, calls, retries, timeout = row
    if caller not in names or callee not in names:
        return None
    return Call(names[caller], names[callee], kind, float(calls), int(retries), float(timeout))


def _grow(nodes: list[Workload], calls: list[Call], count: int, noise: np.random.Generator) -> None:
    """Add domains of an api with what it needs, called by what is there, until there are `count` workloads."""
    regions = list(catalogue.REGIONS)
    number = 0
    while len(nodes) < count:
        domain = catalogue.DOMAINS[number % len(catalogue.DOMAINS)]
        round_number = number // len(catalogue.DOMAINS)
        prefix = f"{domain}-{round_number + 1}" if round_number else domain
        unit, region = str(noise.choice(catalogue.UNITS)), str(noise.choice(regions))
        entry = number % 9 == 8  # now and then another product with users of its own
        kinds = [
            "web" if entry else "api",
            *noise.permutation(["database", "cache", "worker", "api"])[: noise.integers(1, 4)],
        ]
        first = len(nodes)
        for at, kind in enumerate(kinds[: count - len(nodes)]):
            suffix = {"database": "db", "web": "web"}.get(kind, kind) + ("2" if at and kind == "api" else "")
            users = f"{noise.uniform(8_000, 30_000):.0f}" if entry and not at else ""
            nodes.append(_workload([f"{prefix}-{suffix}", unit, region, kind, *_size(kind, noise), users], noise))
        if not entry:
            _be_called(nodes, calls, first, noise)
        calls += [_new_call(first, callee, nodes[callee].kind, noise) for callee in range(first + 1, len(nodes))]
        if noise.random() < 0.4:
            leaves = [at for at in range(first) if nodes[at].kind in {"database", "cache"}]
            if leaves:
                calls.append(_new_call(first, int(noise.choice(leaves)), "database", noise))
        number += 1


def _size(kind: str, noise: np.random.Generator) -> tuple[str, str, str]:
    """Latency ms, CPU ms and kB of a workload of a kind."""
    latency = {"web": 18, "api": 12, "worker": 40, "database": 4, "cache": 1}[kind] * noise.uniform(0.5, 2.0)
    cpu = {"web": 30, "api": 16, "worker": 10, "database": 5, "cache": 0.8}[kind] * noise.uniform(0.6, 1.6)
    return f"{latency:.2f}", f"{cpu:.2f}", f"{noise.uniform(1, 15):.1f}"


def _be_called(nodes: list[Workload], calls: list[Call], callee: int, noise: np.random.Generator) -> None:
    able = [at for at in range(callee) if nodes[at].kind in {"web", "api"}]
    callers = noise.choice(able, size=min(int(noise.integers(1, 4)), len(able)), replace=False)
    calls += [_new_call(int(caller), callee, nodes[callee].kind, noise) for caller in callers]


def _new_call(caller: int, callee: int, kind: str, noise: np.random.Generator) -> Call:
    if kind == "worker":
        return Call(caller, callee, "async", round(float(noise.uniform(0.1, 0.8)), 2), 0, 0.0)
    inner = kind in {"database", "cache"}
    fallback = not inner and noise.random() < 0.2
    calls = noise.uniform(0.8, 2.0) if inner else noise.uniform(0.1, 0.7)
    retries, timeout = int(noise.random() < 0.4), noise.uniform(0.5, 2.0)
    return Call(
        caller, callee, "fallback" if fallback else "sync", round(float(calls), 2), retries, round(float(timeout), 2)
    )
