"""The flow of the whole estate, a few days at a time, and what each incident cost in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workbench.sources.simulate import jobs, traffic
from workbench.sources.simulate.business import revenue_per_order, will_to_buy
from workbench.sources.simulate.effects import Effects, effects_of
from workbench.sources.simulate.estate import LARGEST, Estate
from workbench.sources.simulate.flow import Flow, propagate
from workbench.sources.simulate.story import Happening, Story
from workbench.sources.simulate.usage import Hourly

DAY = 1_440
DAYS_AT_ONCE = 4
BEFORE, AFTER = 5, 20  # minutes around an incident in which it is looked at
MOVED_LATENCY, MOVED_FAILURES = 0.05, 0.001


@dataclass(frozen=True)
class Chunk:
    """Some days of the flow."""

    first_day: int
    days: int
    flow: Flow
    effects: Effects
    orders: np.ndarray
    """Orders that are expected in each minute."""


@dataclass(frozen=True)
class Loss:
    """What an incident took, against the same minutes without it."""

    target: str
    affected: list[str]
    lost_seconds: float
    failed_requests: float
    lost_revenue_usd: float


class Run:
    """An estate with its story, ready to be simulated; any days in any order give the same result."""

    def __init__(self, estate: Estate, story: Story) -> None:
        self.estate, self.story = estate, story
        surges = [traffic.Surge(plan.entry, plan.start // 60, plan.end // 60, plan.factor) for plan in story.plans]
        self.users = traffic.hourly(estate, surges)
        self.instances = traffic.instances(estate, self.users)
        self.jobs = jobs.plan(estate)

    @cached_property
    def calm_latency_s(self) -> np.ndarray:
        """Latency of each workload on a usual day without trouble, shape (workloads,)."""
        hours = min(24, self.estate.hours)
        calm = np.ones((len(self.estate.workloads), hours))
        flow = propagate(self.estate, self.users[:, :hours], self.instances[:, :hours], calm, {})
        return np.asarray(np.median(flow.latency_s, axis=1))

    def chunks(self) -> Iterator[Chunk]:
        """The whole time, a few days at once: memory does not grow with the days."""
        for first in range(0, self.estate.days, DAYS_AT_ONCE):
            yield self.chunk(first, min(DAYS_AT_ONCE, self.estate.days - first))

    def chunk(self, first_day: int, days: int) -> Chunk:
        """Some days of the flow."""
        happenings = (*self.story.incidents, *self.story.disturbances)
        effects = effects_of(happenings, first_day * DAY, days * DAY, self.estate.seed)
        flow = propagate(self.estate, *self._inputs(first_day, days), effects)
        return Chunk(first_day, days, flow, effects, will_to_buy(self.estate, flow, self.calm_latency_s))

    def _inputs(self, first_day: int, days: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        running = np.repeat(self.instances[:, 24 * first_day : 24 * (first_day + days)], 60, axis=1)
        users = traffic.minutes(self.estate, self.users, first_day, days)
        return users, running, traffic.mood(self.estate, first_day, days)

    def loss(self, incident: Happening) -> Loss:
        """What an incident took: its minutes are run with it and without it, all else being equal."""
        first, last = incident.start // DAY, min((incident.end + AFTER) // DAY, self.estate.days - 1)
        low = max(incident.start - BEFORE - first * DAY, 0)
        span = slice(low, incident.end + AFTER - first * DAY)
        users, running, mood = (array[:, span] for array in self._inputs(first, last - first + 1))
        length = users.shape[1]
        others = [each for each in (*self.story.incidents, *self.story.disturbances) if each.id != incident.id]
        without = effects_of(others, first * DAY + low, length, self.estate.seed)
        with_it = effects_of([*others, incident], first * DAY + low, length, self.estate.seed)
        hit, calm = (propagate(self.estate, users, running, mood, effects) for effects in (with_it, without))
        return self._difference(hit, calm)

    def _difference(self, hit: Flow, calm: Flow) -> Loss:
        seconds = (hit.requests * (hit.latency_s - calm.latency_s)).sum(axis=1)
        failures = (hit.requests * (hit.failed - calm.failed)).sum(axis=1)
        slower = (hit.latency_s - calm.latency_s).max(axis=1) > MOVED_LATENCY * calm.latency_s.mean(axis=1)
        worse = (hit.failed - calm.failed).max(axis=1) > MOVED_FAILURES
        affected = [int(at) for at in np.nonzero(slower | worse)[0]]
        target = self._nearest_users(affected, seconds + 5.0 * failures)
        orders = [will_to_buy(self.estate, flow, self.calm_latency_s).sum() for flow in (hit, calm)]
        names = [workload.name for workload in self.estate.workloads]
        return Loss(
            names[target], [names[at] for at in affected], float(seconds[target]),
            float(failures[target]), float((orders[1] - orders[0]) * revenue_per_order()),
        )  # fmt: skip

    def _nearest_users(self, affected: list[int], hurt: np.ndarray) -> int:
        """The affected workload with the fewest calls between it and the users, of these the one that lost most."""
        depth = dict.fromkeys(self.estate.entries, 0)
        for node in self.estate.order:
            for at in self.estate.calls_of[node]:
                callee = self.estate.calls[at].callee
                depth[callee] = min(depth.get(callee, LARGEST), depth.get(node, LARGEST) + 1)
        able = affected or self.estate.entries
        return min(able, key=lambda at: (depth.get(at, LARGEST), -hurt[at]))

    def hourly(self) -> "HourlySums":
        """An empty sum by hour, to be filled chunk by chunk."""
        return HourlySums(self)


class HourlySums:
    """What the chunks come to by hour."""

    def __init__(self, run: Run) -> None:
        shape = (len(run.estate.workloads), run.estate.hours)
        self.run = run
        self.requests, self.failed, self.cpu = (np.zeros(shape, np.float32) for _ in range(3))

    def add(self, chunk: Chunk) -> None:
        """Take in some days."""
        span, flow = slice(24 * chunk.first_day, 24 * (chunk.first_day + chunk.days)), chunk.flow
        shape = (len(flow.requests), 24 * chunk.days, 60)
        self.requests[:, span] = flow.requests.reshape(shape).sum(axis=2)
        self.failed[:, span] = (flow.requests * flow.failed).reshape(shape).sum(axis=2)
        self.cpu[:, span] = flow.cpu.reshape(shape).mean(axis=2)

    def done(self) -> Hourly:
        """The sums of all chunks."""
        machines = jobs.machine_hours(self.run.estate, self.run.jobs)
        cpu = np.where(machines > 0, jobs.BUSY, self.cpu)
        return Hourly(self.requests.astype(float), self.failed.astype(float), cpu, self.run.instances, machines)
