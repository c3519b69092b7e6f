"""Requests through the call graph, minute by minute: load runs down, latency and failures run up.

Pure: arrays in, arrays out. Two rounds, because each direction bends the other: a failing callee is tried again and
keeps its caller from the calls that would have followed; load makes latency.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.sources.simulate.estate import VCPUS, Estate

Effects = Mapping[tuple[int, str], np.ndarray]
"""(workload, what) → the effect at each minute. What: `latency` (a factor), `errors`, `steal`, `loss`, `down`,
`memory`, `disk` (shares that come on top)."""

ROUNDS = 2
INDEPENDENT = 0.7
"""How far the second try of a call is a fresh throw: 1 would make retries perfect, 0 useless."""
FAST_FAIL_S = 0.004
RETRANSMIT_S = 0.9
"""What a lost packet costs a request, on average (a retransmission time-out and what follows)."""


@dataclass(frozen=True)
class Flow:
    """What goes on at each workload and minute: arrays of shape (workloads, minutes).

    `requests` that arrive, `failed` of them (share, 0 to 1), mean `latency_s` of a request with all that it waits for,
    `own_s` of it spent in the workload itself, `cpu` (busy share of all processors, 0 to 1), `sent`: calls over each
    edge (edges, minutes).
    """

    requests: np.ndarray
    failed: np.ndarray
    latency_s: np.ndarray
    own_s: np.ndarray
    cpu: np.ndarray
    sent: np.ndarray


def propagate(estate: Estate, users: np.ndarray, instances: np.ndarray, mood: np.ndarray, effects: Effects) -> Flow:
    """Let the users' requests flow.

    Parameters
    ----------
    users
        Requests a minute at each entry, shape (entries, minutes).
    instances
        Instances of each workload, shape (workloads, minutes).
    mood
        Factor on the latency of each workload itself on a day on which nothing is wrong, shape (workloads, minutes).
    effects
        What is wrong, and when.
    """
    model = _Model(estate, users, instances, mood, effects)
    for _ in range(ROUNDS):
        model.load_down()
        model.trouble_up()
    return model.flow()


class _Model:
    """The arrays of one propagation, changed in place."""

    def __init__(
        self, estate: Estate, users: np.ndarray, instances: np.ndarray, mood: np.ndarray, effects: Effects
    ) -> None:
        shape = (len(estate.workloads), users.shape[1])
        self.estate, self.users, self.mood, self.effects = estate, users, mood, effects
        size = np.array([VCPUS[workload.kind] for workload in estate.workloads])[:, None]
        self.processors = np.maximum(instances * size, 1e-9)
        self.requests, self.failed, self.latency = (np.zeros(shape) for _ in range(3))
        self.own, self.cpu = np.zeros(shape), np.zeros(shape)
        self.sent = np.zeros((len(estate.calls), shape[1]))
        self.seen = np.zeros_like(self.sent)  # share of the calls of an edge that fail for good
        self.tries = np.ones_like(self.sent)

    def effect(self, node: int, what: str, neutral: float) -> np.ndarray | float:
        """What is wrong with a node, or the neutral value."""
        return self.effects.get((node, what), neutral)

    def load_down(self) -> None:
        """From the users to the leaves: how many requests reach each workload."""
        self.requests[:] = 0.0
        self.requests[self.estate.entries] = self.users
        for node in self.estate.order:
            left = self.requests[node].copy()  # requests that have not failed yet
            for at in self.estate.calls_of[node]:
                call = self.estate.calls[at]
                sent = left * call.calls * self.tries[at]
                self.sent[at] = _delayed(sent) if call.kind == "async" else sent
                self.requests[call.callee] += self.sent[at]
                if call.kind == "sync":
                    left = left * (1.0 - np.minimum(self.seen[at] * min(call.calls, 1.0), 1.0))

    def trouble_up(self) -> None:
        """From the leaves to the users: how long a request takes at each workload, and how often it fails."""
        for node in reversed(self.estate.order):
            latency, works = self._own(node)
            for at in self.estate.calls_of[node]:
                call = self.estate.calls[at]
                if call.kind == "async":
                    continue
                waited, lost = self._called(at)
                latency = latency + call.calls * waited
                if call.kind == "sync":
                    works = works * (1.0 - lost) ** call.calls
            self.latency[node], self.failed[node] = latency, 1.0 - works

    def _own(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """Seconds in the workload itself, and the share that it does not spoil by itself."""
        workload = self.estate.workloads[node]
        steal = self.effect(node, "steal", 0.0)
        busy = self.requests[node] / 60 * workload.cpu_s / (self.processors[node] * (1.0 - steal))
        self.cpu[node] = np.minimum(np.minimum(busy, 1.0) * (1.0 - steal) + steal, 1.0)
        used = np.minimum(busy, 0.99)
        square = used * used
        queue = 1.0 + 0.6 * square * square / (1.02 - used)
        loss = self.effect(node, "loss", 0.0)
        seconds = workload.latency_s * queue * self.mood[node] * self.effect(node, "latency", 1.0)
        seconds = seconds + loss * RETRANSMIT_S
        shed = np.maximum(1.0 - 1.0 / np.maximum(busy, 1e-9), 0.0)
        works = (1.0 - workload.error_rate) * (1.0 - self.effect(node, "errors", 0.0)) * (1.0 - 0.25 * loss)
        works = works * (1.0 - shed) * (1.0 - self.effect(node, "down", 0.0))
        self.own[node] = seconds
        return seconds, works

    def _called(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Seconds that a caller waits for one call of an edge, all tries included, and how often it fails for good."""
        call = self.estate.calls[at]
        latency, failed = self.latency[call.callee], self.failed[call.callee]
        late = _late(latency, call.timeout_s, self.estate.workloads[call.callee].spread)
        once = 1.0 - (1.0 - failed) * (1.0 - late)
        down = self.effect(call.callee, "down", 0.0)
        each = np.minimum(latency, call.timeout_s) * (1.0 - down) + FAST_FAIL_S * down
        again = np.zeros_like(once)
        lost = once
        for _ in range(call.retries):
            again = again + lost
            lost = lost * (1.0 - INDEPENDENT + INDEPENDENT * once)
        self.tries[at], self.seen[at] = 1.0 + again, lost
        return each * (1.0 + again), lost

    def flow(self) -> Flow:
        """What came of it."""
        return Flow(self.requests, self.failed, self.latency, self.own, self.cpu, self.sent)


def _late(latency: np.ndarray, timeout_s: float, spread: float) -> np.ndarray:
    """Share of the calls that take longer than the time-out: a logistic in the logarithm, near the normal's tail."""
    ratio = latency.max() / timeout_s
    if ratio < 0.12:  # beyond four sigma for every spread that there is
        return np.zeros_like(latency)
    z = (np.log(timeout_s / latency) + 0.5 * spread**2) / spread
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(1.5976 * z + 0.07056 * z**3, 50.0))))


_QUEUE = np.array([0.1, 0.25, 0.3, 0.2, 0.1, 0.05])
"""How a message waits before it is taken: shares by minute."""


def _delayed(sent: np.ndarray) -> np.ndarray:
    padded = np.concatenate([np.full(len(_QUEUE) - 1, sent[0]), sent])
    return np.convolve(padded, _QUEUE, "valid")
