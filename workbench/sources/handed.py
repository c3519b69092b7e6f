"""What a producer is handed by whoever runs it: where events go, how far it had come, and when to stop.

A source knows neither broker nor warehouse. What it hands to its sink is delivered when the call returns; only then it
moves its cursor. Whatever happens between the two is read and sent again, which changes nothing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import polars as pl

from workbench.checking import Checked

Clock = Callable[[], datetime]
"""The time, in UTC."""

Wait = Callable[[float], None]
"""Sleeps for so many seconds; raises what ends the run where it is asked to stop meanwhile."""


class Sink(Protocol):
    """Where events go."""

    def take(self, kind: str, checked: Checked) -> None:
        """Deliver the valid ones, keep the refused ones with their reasons. Raises where it can't."""


class Cursors(Protocol):
    """How far a source has been read, by key."""

    def get(self, key: str) -> str | None:
        """Return what was set last, or None."""

    def set(self, key: str, value: str) -> None:
        """Remember, for the next run too."""


Known = Callable[[str, datetime, datetime], pl.DataFrame]
"""The cost events of a collector that are known in a half-open span (`workbench.events.COST`); may be empty."""
