"""What a stream processor is: a pure function from events and a state to outputs and the next state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import polars as pl

from workbench.streaming.processors.state import State

Batches = Mapping[str, pl.DataFrame]
"""Kind of event → events of one partition, in the order of the partition; typed as `workbench.events.SCHEMAS`."""

Outputs = dict[str, pl.DataFrame]
"""Topic → records, in the order in which they became known."""


class Processor(Protocol):
    """Events in, records out, and all that is remembered in between is in the state.

    A state belongs to one partition. It is never changed: each call returns the next one. However a stream is cut into
    batches, the outputs are the same, and in the same order.
    """

    @property
    def name(self) -> str:
        """Stands in the key of its snapshots."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of events it reads; a batch may hold others."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of events that it looks at, of all kinds together."""

    def empty(self) -> State:
        """Return the state before the first event."""

    def step(self, batches: Batches, state: State) -> tuple[Outputs, State]:
        """Take the next events of the partition."""

    def advance(self, state: State, now: datetime) -> tuple[Outputs, State]:
        """Close by the clock what waits for events that do not come; `now` has a time zone."""

    def close(self, state: State) -> tuple[Outputs, State]:
        """Close all that is open, because no more will ever come: the end of a replay."""

    def restore(self, snapshots: Mapping[str, bytes]) -> State:
        """Make a state of the snapshots of its units (`State.snapshots`)."""
