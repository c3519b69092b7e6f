"""Doing the same again and again: at an interval with jitter, with back-off after failures, until asked to stop."""

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from workbench.errors import BrokerError, EventError, SourceError, WarehouseError, WorkbenchError

JITTER = 0.1
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 5.0, 900.0
_PASSING = (SourceError, EventError, BrokerError, WarehouseError)
"""What may be over at the next round; anything else ends the run."""


class StopAsked(Exception):
    """Raised where a round waits and is asked to stop: what was not delivered is read again next time."""


class Stop:
    """A request to stop, from a signal or from another thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def ask(self) -> None:
        """Stop after what is being delivered."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Sleep; returns early, and True, where asked to stop."""
        return self._event.wait(seconds)

    def wait_or_raise(self, seconds: float) -> None:
        """Sleep within a round. Raises StopAsked where asked to stop."""
        if self.wait(seconds):
            raise StopAsked


@contextmanager
def stopping() -> Iterator[Stop]:
    """Let SIGTERM and SIGINT ask to stop; a second one interrupts at once."""
    stop = Stop()

    def asked(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.asked:
            raise KeyboardInterrupt
        stop.ask()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def rounds(
    work: Callable[[], bool],
    every: timedelta,
    stop: Stop,
    told: Callable[[WorkbenchError, float], None],
    chance: Callable[[], float] = random.random,
) -> bool:
    """Work until asked to stop; returns whether the last round was good.

    Parameters
    ----------
    work
        One round; returns whether all of it was good.
    every
        From the end of a round to the start of the next, give or take a tenth.
    stop
        Asked between rounds, and wherever a round waits.
    told
        Is told an error, and after how many seconds the next round begins.
    chance
        A random number from 0 to 1.
    """
    failures, good = 0, True
    while not stop.asked:
        pause = every.total_seconds() * (1 + JITTER * (2 * chance() - 1))
        try:
            good, failures = work(), 0
        except StopAsked:
            break
        except _PASSING as error:
            good, failures = False, failures + 1
            pause = back_off(failures, pause, chance())
            told(error, pause)
        stop.wait(pause)
    return good


def back_off(failures: int, longest: float, chance: float) -> float:
    """Seconds to wait after so many failures in a row: doubling, at most the usual pause, and by chance half of it."""
    most: float = min(FIRST_BACK_OFF_S * 2.0 ** min(failures - 1, 30), LONGEST_BACK_OFF_S, longest)
    return most * (0.5 + chance / 2)
