"""The processes that run notebooks: some get ready while others work, and none outlives the run."""

import queue
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.reports.jobs import Events, Job


class Crew:
    """Processes whose kernels work in `folder`; what they say arrives in `events`."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.events: Events = queue.Queue()
        self._folder, self._scratch = folder, scratch
        self._spare: list[Job] = []
        self._taken: list[Job] = []

    def prepare(self, count: int) -> None:
        """Let processes get ready until `count` of them wait: each takes seconds to come up."""
        while len(self._spare) < count:
            self._spare.append(Job.prepare(self._folder, self._scratch, self.events))

    def take(self) -> Job:
        """One process, the readiest."""
        self.prepare(1)
        self._taken.append(self._spare.pop(0))
        return self._taken[-1]

    def dismiss(self) -> None:
        """End them all."""
        for job in (*self._taken, *self._spare):
            job.end()


@contextmanager
def crew(folder: Path) -> Iterator[Crew]:
    """A crew for notebooks that work in `folder`; however the block ends, no process and no file of it is left."""
    with tempfile.TemporaryDirectory(prefix="workbench-report-") as scratch, _ended_by_signal():
        found = Crew(folder, Path(scratch))
        try:
            yield found
        finally:
            found.dismiss()


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Make a scheduler's SIGTERM what Ctrl-C is: everything is cleaned up on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
