"""What an incident does to the workload it strikes: a kind and a severity → effects by minute."""

from collections.abc import Iterable

import numpy as np

from workbench.sources.simulate.seeds import rng
from workbench.sources.simulate.story import Happening

OUT_OF_MEMORY = 0.97


Effects = dict[tuple[int, str], np.ndarray]
"""(workload, what) → the effect at each minute; see `flow.propagate`. Beyond its words, `busy`, `writes` and
`chatter` are load on processors, disk and network that hurts no request."""


def effects_of(happenings: Iterable[Happening], first_minute: int, length: int, seed: int) -> Effects:
    """Return the effects of incidents and disturbances within a window, as `flow.propagate` takes them.

    Minutes are counted from the estate's start. Where two strike the same workload at once, both count.
    """
    found: Effects = {}
    for happening in happenings:
        if happening.end <= first_minute or happening.start >= first_minute + length:
            continue
        at = np.arange(first_minute, first_minute + length)
        inside = (at >= happening.start) & (at < happening.end)
        since = (at - happening.start)[inside].astype(float)
        for what, values in _shape(happening, since, seed).items():
            _add(found, (happening.workload, what), values, inside)
    return found


def _add(found: Effects, key: tuple[int, str], values: np.ndarray, inside: np.ndarray) -> None:
    factor = key[1] == "latency"
    held = found.setdefault(key, np.full(len(inside), 1.0 if factor else 0.0))
    if factor:
        held[inside] *= values
    elif key[1] == "chatter":
        held[inside] += values
    else:
        held[inside] = 1.0 - (1.0 - held[inside]) * (1.0 - np.minimum(values, 1.0))


def _shape(happening: Happening, since: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The effects at each minute of the happening; `since` are minutes from its start."""
    length = happening.end - happening.start
    noise = rng(seed, "effects", happening.start, happening.workload)
    onset = float(noise.uniform(0.5, 3.0))
    ramp = np.minimum((since + 1) / onset, 1.0)
    uneven = np.exp(0.15 * noise.standard_normal(length))[since.astype(int)]
    return _KINDS[happening.kind](happening.severity, ramp * uneven, (since + 1) / length)


def _cpu(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    steal = np.minimum((0.15 + 0.4 * severity) * shape, 0.9)
    return {"steal": steal, "latency": 1.0 / (1.0 - 0.8 * steal)}


def _memory_leak(severity: float, shape: np.ndarray, through: np.ndarray) -> dict[str, np.ndarray]:
    memory = 0.9 * through ** (1.6 - severity)
    killed = (memory > OUT_OF_MEMORY - 0.25).astype(float)
    return {
        "memory": memory,
        "latency": 1.0 + (0.4 + 1.5 * severity) * through**2 * shape,
        "errors": killed * (0.01 + 0.05 * severity) * shape,
    }


def _latency(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"latency": 1.0 + (0.3 + 1.8 * severity) * shape}


def _errors(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"errors": np.minimum((0.006 + 0.08 * severity) * shape, 1.0)}


def _disk(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"disk": np.minimum((0.3 + 0.5 * severity) * shape, 1.0), "latency": 1.0 + (0.3 + 1.6 * severity) * shape}


def _network_loss(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"loss": np.minimum((0.005 + 0.04 * severity) * shape, 1.0)}


def _dependency_down(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"down": np.minimum((0.1 + 0.9 * severity) * np.minimum(shape, 1.0), 1.0)}


def _bad_deploy(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "latency": 1.0 + (0.25 + 0.9 * severity) * shape,
        "errors": np.minimum((0.004 + 0.04 * severity) * shape, 1.0),
        "steal": np.minimum((0.05 + 0.2 * severity) * shape, 0.9),
    }


def _busy_neighbour(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"busy": np.minimum((0.1 + 0.3 * severity) * shape, 0.9)}


def _full_memory(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"memory": np.minimum((0.2 + 0.4 * severity) * shape, 0.9)}


def _busy_disk(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"writes": np.minimum((0.2 + 0.6 * severity) * shape, 0.95)}


def _chatty(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"chatter": (0.3 + 2.0 * severity) * shape}


def _slow_job(severity: float, shape: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
    return {"latency": 1.0 + (0.5 + 3.0 * severity) * shape, "disk": np.minimum(0.4 * shape, 1.0)}


_KINDS = {
    "cpu": _cpu, "memory_leak": _memory_leak, "latency": _latency, "errors": _errors, "disk": _disk,
    "network_loss": _network_loss, "dependency_down": _dependency_down, "bad_deploy": _bad_deploy,
    "busy_neighbour": _busy_neighbour, "full_memory": _full_memory, "busy_disk": _busy_disk,
    "chatty": _chatty, "slow_job": _slow_job,
}  # fmt: skip
