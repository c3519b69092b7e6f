"""Python out of the way of many messages: no garbage collector among them, and threads that take turns often."""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SWITCH_S = 0.0005
_SWEEP_S = 10.0


@contextmanager
def no_collection() -> Iterator[None]:
    """Without Python's garbage collector: among a million messages it would look for cycles that there are none of.

    Reading takes half as long. What is let go is freed at once all the same.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def swift_switches() -> Iterator[None]:
    """Python's threads take turns often: who sends would otherwise keep who reads waiting 5 ms at each call."""
    was = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(was)


class Sweeper:
    """Now and then does what the collector would have done, for who is without it for ever."""

    def __init__(self) -> None:
        self._swept = time.monotonic()

    def sweep(self) -> None:
        """Free the cycles among what is young, if it is time."""
        if time.monotonic() - self._swept > _SWEEP_S:
            gc.collect(1)
            self._swept = time.monotonic()
