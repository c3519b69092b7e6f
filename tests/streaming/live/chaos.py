"""Trouble for a group under load: members killed at random moments, the broker killed and restarted; how long it lasts.

Kills come in bursts of one to four, some seconds apart, so that some hit while the group rebalances or a member
starts; after a burst the group gets the time to recover, because how long that takes is to be known. The same seed
makes the same choices; what they hit depends on the machine.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition

from tests.real.kafka import start as kafka
from tests.streaming.live.crew import Crew
from workbench.streaming.broker import Broker
from workbench.streaming.topics import INPUTS

_LOOK_S = 0.1
_SETTLE_S = 0.3  # what was on its way when a member died is through by then, and nobody has taken over yet
_RECOVERY_S = 180.0
_END_S = 120.0
_BURSTS = (1, 2, 2, 3, 4)


@dataclass
class Trouble:
    """Something that happened, and until when its partitions committed nothing."""

    partitions: list[int]
    """Those that have to go on. For a member that had none, all of the group's."""
    at: float
    """When it happened, in monotonic seconds."""
    since: float
    """From when on a commit counts."""
    had_partitions: bool = True
    alone: bool = True
    """Whether nothing else had happened that was not over yet."""
    before: dict[int, int] | None = None
    recovery_s: float | None = None


class Progress:
    """How far the group has committed."""

    def __init__(self, broker: Broker, group: str, partitions: int) -> None:
        self.partitions = list(range(partitions))
        self._broker, self._group = broker, broker.group(group)
        self._places = [TopicPartition(broker.topic(topic), at) for topic in INPUTS.values() for at in self.partitions]
        # Committed and no more: a reader of committed messages would wait for the transaction of a dead member.
        self._consumer = broker.consumer(self._group, **{"isolation.level": "read_uncommitted"})

    def committed(self) -> dict[int, int] | None:
        """Partition → messages of all kinds that are done; None while nobody answers."""
        try:
            places = self._consumer.committed(self._places, timeout=1)
        except KafkaException:
            return None
        if any(place.error for place in places):
            return None
        return {at: sum(max(place.offset, 0) for place in places if place.partition == at) for at in self.partitions}

    def waiting(self) -> int | None:
        """Messages that are not done; None while nobody answers."""
        done = self.committed()
        ends = [self._broker.watermarks(self._consumer, place.topic, place.partition)[1] for place in self._places]
        return None if done is None else sum(ends) - sum(done.values())

    def close(self) -> None:
        """Let go."""
        self._consumer.close()


@dataclass
class Node:
    """A broker of our own that may be restarted: it keeps its port and its data."""

    port: int
    folder: Path
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        self.process = kafka.start(self.port, self.folder)

    def end(self, how: signal.Signals) -> None:
        """End it, by a signal; one that does not end in time is killed."""
        self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            kafka.stop(self.process)

    def start(self) -> None:
        """Start it again, on its data."""
        self.process = kafka.start(self.port, self.folder)


class Chaos:
    """Kills members and restarts the broker, and watches how long it takes until all goes on."""

    def __init__(
        self, crew: Crew, progress: Progress, node: Node, seed: int, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._crew, self._progress, self._node, self._say = crew, progress, node, say
        self._chance = random.Random(seed)
        self._open: list[Trouble] = []
        self.kills: list[Trouble] = []
        self.restarts: dict[str, list[Trouble]] = {"SIGKILL": [], "SIGTERM": []}
        self.in_rebalance = 0
        """Kills while some partition was nobody's."""
        self.at_start = 0
        """Kills of members that had no partition yet."""

    def run(self, kills: int, restarts: int) -> None:
        """Kill so many times, and restart the broker so many times, spread over the kills.

        Raises
        ------
        AssertionError
            The group did not go on.
        """
        self.recover()
        due = [kills * (at + 1) // (restarts + 1) for at in range(restarts)]
        while len(self.kills) < kills or due:
            for _ in range(min(self._chance.choice(_BURSTS), kills - len(self.kills))):
                self._kill()
            if due and len(self.kills) >= due[0]:
                due.pop(0)
                self._restart_broker()
            self._recover_and_rest()

    def recover(self) -> None:
        """Wait until each partition has committed since now."""
        now = time.monotonic()
        self._open.append(Trouble(self._progress.partitions, now, now))
        self._until(lambda: not self._open, _RECOVERY_S)

    def finish(self) -> None:
        """Wait until all is read; nothing may be sent any more."""
        self._until(lambda: self._progress.waiting() == 0, _END_S)

    def _recover_and_rest(self) -> None:
        self._until(lambda: not self._open, _RECOVERY_S)
        self._wait(self._chance.uniform(0, 2))

    def _kill(self) -> None:
        """Kill one, after a while, and start another one in its place, after a moment."""
        self._wait(self._chance.uniform(0.1, 4))
        place = self._chance.randrange(len(self._crew.members))
        self.in_rebalance += self._crew.partitions() != self._progress.partitions
        victim = self._crew.kill(place)
        now = time.monotonic()
        held = list(victim.partitions)
        self.at_start += not victim.ready
        trouble = Trouble(held or self._progress.partitions, now, now + _SETTLE_S, bool(held), not self._open)
        for other in self._open:
            other.alone = False
        self._open.append(trouble)
        self.kills.append(trouble)
        self._wait(self._chance.uniform(0, 1))
        self._crew.start(place)
        self._say(f"killed {len(self.kills)}")

    def _restart_broker(self) -> None:
        how = signal.SIGTERM if len(self.restarts["SIGKILL"]) > len(self.restarts["SIGTERM"]) else signal.SIGKILL
        self._wait(self._chance.uniform(0, 2))
        began = time.monotonic()
        self._node.end(how)
        time.sleep(self._chance.uniform(0, 2))
        self._node.start()
        trouble = Trouble(self._progress.partitions, began, time.monotonic(), alone=not self._open)
        for other in self._open:
            other.alone = False
        self._open.append(trouble)
        self.restarts[how.name].append(trouble)
        self._say(f"broker restarted by {how.name}")

    def _wait(self, seconds: float) -> None:
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            self._look()
            time.sleep(min(_LOOK_S, left))

    def _until(self, over: Callable[[], bool], seconds: float) -> None:
        limit = time.monotonic() + seconds
        while not over():
            assert time.monotonic() < limit, self._stuck(seconds)
            self._look()
            time.sleep(_LOOK_S)

    def _look(self) -> None:
        """Note what has recovered."""
        self._crew.replace_ended()
        done = self._progress.committed()
        now = time.monotonic()
        if done is None:
            return
        for trouble in self._open:
            if trouble.before is None and now >= trouble.since:
                trouble.before = done
            elif trouble.before is not None and _gone_on(trouble, trouble.before, done):
                trouble.recovery_s = now - trouble.at
        self._open = [trouble for trouble in self._open if trouble.recovery_s is None]

    def _stuck(self, seconds: float) -> str:
        members = {place: (member.process.poll(), member.partitions) for place, member in enumerate(self._crew.members)}
        logs = [self._crew.log(place).read_text()[-800:] for place in members]
        return f"nothing went on for {seconds:g} s; members (exit code, partitions): {members}; they said: {logs}"


def _gone_on(trouble: Trouble, before: Mapping[int, int], done: Mapping[int, int]) -> bool:
    return all(done[partition] > before[partition] for partition in trouble.partitions)
