"""Members of a group, each a process of its own, that are killed and started again."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from workbench.streaming.broker import Broker

_ROOT = Path(__file__).parents[3]
_END_S = 60.0


class Member:
    """A running member; `partitions` are those it has told of."""

    def __init__(self, broker: Broker, log: Path, batch: int, batch_s: float) -> None:
        worker = [sys.executable, "-m", "tests.streaming.live.worker", broker.address, broker.prefix, str(batch)]
        self.began = time.monotonic()
        self.partitions: list[int] = []
        self.ready = False
        """Whether it has had partitions."""
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*worker, str(batch_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=_ROOT
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):  # else it was killed while it wrote
                self.partitions = json.loads(line)
                self.ready |= bool(self.partitions)

    def end(self, how: signal.Signals, seconds: float = _END_S) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(how)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return code


class Crew:
    """So many members, whoever they are just now. Leaving it kills them."""

    def __init__(self, broker: Broker, count: int, folder: Path, *, batch: int = 50_000, batch_s: float = 0.25) -> None:
        self._broker, self._folder = broker, folder
        self._batch, self._batch_s = batch, batch_s
        self.gave_up = 0
        """How often a member that had been at work ended by itself."""
        self.never_began = 0
        """How often one ended before that: it found no broker."""
        self._killed: set[int] = set()
        self.members = [self._started(place) for place in range(count)]

    def _started(self, place: int) -> Member:
        return Member(self._broker, self.log(place), self._batch, self._batch_s)

    def log(self, place: int) -> Path:
        """What the members at a place have said of their troubles."""
        return self._folder / f"member-{place}.log"

    def partitions(self) -> list[int]:
        """Those that somebody has who lives."""
        held = [
            partition for member in self.members if member.process.poll() is None for partition in member.partitions
        ]
        return sorted(held)

    def kill(self, place: int) -> Member:
        """Kill -9 the member at a place; returns it as it was."""
        member = self.members[place]
        self._killed.add(place)
        member.end(signal.SIGKILL)
        return member

    def start(self, place: int) -> None:
        """Start another one in the place of one that ended."""
        self._killed.discard(place)
        self.members[place] = self._started(place)

    def replace_ended(self) -> None:
        """Count those that ended by themselves, and start others, as Kubernetes would."""
        for place, member in enumerate(self.members):
            if place not in self._killed and member.process.poll() is not None:
                member.end(signal.SIGKILL)  # it is gone; this lets go of its pipes
                self.gave_up += member.ready
                self.never_began += not member.ready
                self.start(place)

    def stop(self) -> list[int]:
        """Let all finish what they are at and leave; returns their exit codes."""
        return [member.end(signal.SIGTERM) for member in self.members]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.end(signal.SIGKILL)
