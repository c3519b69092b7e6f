"""What happens in the simulated cloud, and when: incidents, disturbances, cost spikes, drifts, plans, deployments.

All of it is drawn from the seed before anything is simulated, so that the truth is known and can be written apart.
Times are minutes from the estate's start, intervals half open.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from workbench.sources.simulate.estate import Estate
from workbench.sources.simulate.seeds import rng

INCIDENTS = ("cpu", "memory_leak", "latency", "errors", "disk", "network_loss", "dependency_down", "bad_deploy")
DISTURBANCES = ("busy_neighbour", "full_memory", "busy_disk", "chatty", "slow_job")
SPIKES = ("quantity", "runaway_job", "price", "new_resource", "lost_commitment")
PLANS = ("campaign", "load_test", "launch")
SHORTEST, LONGEST = 2, 60
DAY = 1_440
_STRUCK = {
    "disk": ("database", "cache"),
    "memory_leak": ("web", "api", "model", "worker"),
    "bad_deploy": ("web", "api", "model", "worker"),
    "cpu": ("web", "api", "model", "database"),
}
"""Kinds of workload that a kind of incident strikes; the others strike any."""
BESIDE = 3.0  # disturbances that come with an incident


class Happening(NamedTuple):
    """An incident, or a disturbance that hurts nobody."""

    id: str
    kind: str
    workload: int
    start: int
    end: int
    severity: float
    """0 (barely there) to 1."""


class Spike(NamedTuple):
    """Something that makes the bill jump."""

    id: str
    kind: str
    start: int
    end: int
    factor: float
    """The quantity, or the price, is so many times what it was."""
    pick: float
    """0 to 1: which of the resources that can have it."""


class Drift(NamedTuple):
    """Something that grows so slowly that no day stands out."""

    id: str
    kind: str
    start: int
    end: int
    a_day: float
    """Growth a day, as a share."""
    pick: float


class Plan(NamedTuple):
    """Something that people knew beforehand; it stands in their calendar."""

    id: str
    kind: str
    entry: int
    start: int
    end: int
    factor: float


class Deployment(NamedTuple):
    """A new version, or a change of configuration."""

    id: str
    workload: int
    at: int
    version: str
    kind: str
    incident: str
    """The incident that it causes, empty for the many that are fine."""


@dataclass(frozen=True)
class Story:
    """All that happens."""

    incidents: tuple[Happening, ...] = ()
    disturbances: tuple[Happening, ...] = ()
    spikes: tuple[Spike, ...] = ()
    drifts: tuple[Drift, ...] = ()
    plans: tuple[Plan, ...] = ()
    deployments: tuple[Deployment, ...] = field(default=())


def tell(estate: Estate, incidents_a_week: float = 3.0) -> Story:
    """Draw the story of an estate.

    Incidents last 2 to 60 minutes (evenly on a logarithmic scale), are small more often than large, and keep some
    hours apart; the eight kinds take turns. At the same time something unrelated happens elsewhere, three things on
    average, and looks worse than the incident as often as not.
    """
    noise = rng(estate.seed, "story")
    incidents = _incidents(estate, incidents_a_week, noise)
    return Story(
        incidents,
        _disturbances(estate, incidents, noise),
        _spikes(estate, noise),
        _drifts(estate, noise),
        _plans(estate, noise),
        _deployments(estate, incidents, noise),
    )


def _incidents(estate: Estate, a_week: float, noise: np.random.Generator) -> tuple[Happening, ...]:
    total = estate.days * DAY
    slots = max(round(estate.days / 7 * a_week), 1) if a_week else 0
    found: list[tuple[int, int]] = []
    for slot in range(slots):
        length = round(float(np.exp(noise.uniform(np.log(SHORTEST), np.log(LONGEST)))))
        low, high = slot * total // slots + 120, (slot + 1) * total // slots - length - 120
        if high > low:
            start = int(noise.integers(low, high))
            found.append((start, start + length))
    kinds = [kind for _ in range(len(found) // len(INCIDENTS) + 1) for kind in noise.permutation(INCIDENTS)]
    return tuple(
        _incident(f"incident-{number:04}", str(kind), span, estate, noise)
        for number, (span, kind) in enumerate(zip(found, kinds, strict=False), 1)
    )


def _incident(name: str, kind: str, span: tuple[int, int], estate: Estate, noise: np.random.Generator) -> Happening:
    return Happening(name, kind, _struck(estate, kind, noise), *span, float(noise.beta(1.0, 2.6)))


def _struck(estate: Estate, kind: str, noise: np.random.Generator) -> int:
    """A workload that this kind of incident can strike and that users' requests pass through."""
    behind = _reached(estate, ("sync",) if kind in {"errors", "dependency_down"} else ("sync", "fallback"))
    wanted = _STRUCK.get(kind)
    able = [
        at
        for at in behind
        if estate.workloads[at].kind != "external" and (wanted is None or estate.workloads[at].kind in wanted)
    ]
    if kind == "dependency_down":
        able = [at for at in behind if not estate.calls_of[at]]
    return int(noise.choice(able or behind))


def _reached(estate: Estate, kinds: Sequence[str]) -> list[int]:
    """Workloads that users reach over calls of these kinds, the entries among them."""
    reached = set(estate.entries)
    for node in estate.order:
        if node in reached:
            reached |= {estate.calls[at].callee for at in estate.calls_of[node] if estate.calls[at].kind in kinds}
    return sorted(reached)


def _disturbances(estate: Estate, incidents: Sequence[Happening], noise: np.random.Generator) -> tuple[Happening, ...]:
    """Things that look strange and hurt nobody: alone, or beside an incident."""
    waited_for = set(_reached(estate, ("sync", "fallback")))
    aside = [at for at, workload in enumerate(estate.workloads) if at not in waited_for and workload.kind == "worker"]
    able = [at for at, workload in enumerate(estate.workloads) if workload.kind not in {"external", "batch"}]
    starts = [int(start) for start in noise.integers(0, estate.days * DAY, estate.days * len(able) // 16 + 1)]
    beside = [incident for incident in incidents for _ in range(noise.poisson(BESIDE))]
    starts += [max(incident.start + int(noise.integers(-5, 6)), 0) for incident in beside]
    found = []
    for number, start in enumerate(sorted(starts), 1):
        kind = str(noise.choice(DISTURBANCES if aside else DISTURBANCES[:-1]))
        workload = int(noise.choice(aside if kind == "slow_job" else able))
        end = min(start + int(noise.integers(5, 90)), estate.days * DAY)
        found.append(Happening(f"disturbance-{number:04}", kind, workload, start, end, float(noise.beta(2, 1.5))))
    return tuple(found)


def _spikes(estate: Estate, noise: np.random.Generator) -> tuple[Spike, ...]:
    """One every 11 days, counted back from the end so that the last week has one; never two at once, kinds in turn."""
    found = []
    for number, before in enumerate(range(5, estate.days - 8, 11)):
        start = (estate.days - before) * DAY + 60 * int(noise.integers(0, 24))
        kind = SPIKES[number % len(SPIKES)]
        hours = {"price": 240, "new_resource": 96, "lost_commitment": 120, "runaway_job": 52, "quantity": 40}[kind]
        end = min(start + 60 * int(hours * noise.uniform(0.6, 1.0)), estate.days * DAY)
        factor = {
            "price": noise.uniform(1.15, 1.5),
            "quantity": noise.uniform(5, 14),
            "runaway_job": noise.uniform(6, 14),
        }
        found.append((kind, start, end, float(factor.get(kind, 1.0)), float(noise.random())))
    ordered = sorted(found, key=lambda spike: spike[1])
    return tuple(Spike(f"spike-{number:04}", *spike) for number, spike in enumerate(ordered, 1))


def _drifts(estate: Estate, noise: np.random.Generator) -> tuple[Drift, ...]:
    total = estate.days * DAY
    logs = Drift(
        "drift-0001", "log_volume", total // 3, total, float(noise.uniform(0.008, 0.016)), float(noise.random())
    )
    storage = Drift("drift-0002", "storage", 0, total, float(noise.uniform(0.003, 0.006)), float(noise.random()))
    return (logs, storage)


def _plans(estate: Estate, noise: np.random.Generator) -> tuple[Plan, ...]:
    found = []
    for number, day in enumerate(range(12, estate.days, 23), 1):
        kind = PLANS[number % len(PLANS)]
        hours = {"campaign": 48, "load_test": 2, "launch": 14 * 24}[kind]
        factor = {
            "campaign": noise.uniform(1.3, 1.8),
            "load_test": noise.uniform(1.5, 2.2),
            "launch": noise.uniform(1.08, 1.2),
        }[kind]
        start = day * DAY + 60 * int(noise.integers(0, 18))
        entry = int(noise.integers(len(estate.entries)))
        found.append(
            Plan(f"plan-{number:04}", kind, entry, start, min(start + 60 * hours, estate.days * DAY), float(factor))
        )
    return tuple(found)


def _deployments(estate: Estate, incidents: Sequence[Happening], noise: np.random.Generator) -> tuple[Deployment, ...]:
    """Every workload about once in six working days, and those that go wrong (with their way back)."""
    made: list[tuple[int, int, str, str]] = []
    for at, workload in enumerate(estate.workloads):
        if workload.kind not in {"external", "batch"}:
            count = noise.poisson(estate.days / (30 if workload.kind in {"database", "cache"} else 8))
            days = noise.integers(0, estate.days, count)
            made += [(int(day) * DAY + int(noise.integers(8 * 60, 18 * 60)), at, _what(noise), "") for day in days]
    for incident in incidents:
        if incident.kind == "bad_deploy":
            made += [(max(incident.start - int(noise.integers(0, 3)), 0), incident.workload, "deploy", incident.id),
                     (incident.end, incident.workload, "rollback", "")]  # fmt: skip
    versions: dict[int, int] = {}
    found = []
    for number, (minute, at, kind, incident_id) in enumerate(sorted(made), 1):
        versions[at] = versions.get(at, 0) + 1
        found.append(
            Deployment(
                f"deployment-{number:05}",
                at,
                minute,
                f"v{1 + versions[at] // 12}.{versions[at] % 12}",
                kind,
                incident_id,
            )
        )
    return tuple(found)


def _what(noise: np.random.Generator) -> str:
    return "config" if noise.random() < 0.25 else "deploy"
