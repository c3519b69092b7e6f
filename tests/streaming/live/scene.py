"""A Kafka of its own, members of a group, a load, and trouble: what the test and the bench of exactly once share."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.real.kafka import start as kafka
from tests.streaming.live.chaos import Chaos, Node, Progress
from tests.streaming.live.crew import Crew
from tests.streaming.live.load import Events, Load
from tests.streaming.live.outcome import Difference, difference, found, undisturbed
from tests.streaming.live.worker import GROUP, PARTITIONS, processors
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.topics import OUTPUTS, ROAD, STATE


@dataclass(frozen=True)
class End:
    """What came of it all."""

    sent: int
    load_s: float
    records: dict[str, int]
    """Topic → records that an undisturbed run writes."""
    letters: int
    difference: Difference
    exit_codes: list[int]


@dataclass(frozen=True)
class Scene:
    """All under way."""

    broker: Broker
    crew: Crew
    load: Load
    chaos: Chaos
    began: float

    def end(self) -> End:
        """End the load, wait until all is read, let the members leave, and compare.

        Raises
        ------
        AssertionError
            What was sent is not in the topics: then there is nothing to compare with.
        """
        sent = self.load.finish()
        loaded = time.monotonic() - self.began
        self.chaos.finish()
        codes = self.crew.stop()
        exact = undisturbed(self.broker, processors(), PARTITIONS)
        assert exact.read == Counter(sent), f"sent {sent}, in the topics are {exact.read}"
        differs = difference(found(self.broker, processors(), PARTITIONS), exact, processors())
        records: Counter[str] = Counter()
        for (topic, _), values in exact.records.items():
            records[topic] += len(values)
        return End(sum(sent.values()), loaded, dict(records), exact.letters.total(), differs, codes)


@contextlib.contextmanager
def scene(
    events: Events, folder: Path, seed: int, *, members: int = 2, say: Callable[[str], None] = lambda _: None
) -> Iterator[Scene]:
    """Start everything in a folder; at the end nothing is left running."""
    with contextlib.ExitStack() as stack:
        node = Node(kafka.free_port(), folder / "kafka")
        stack.callback(lambda: kafka.stop(node.process))
        settings = KafkaBroker(bootstrap_servers=f"127.0.0.1:{node.port}", topic_prefix="soak-", partitions=PARTITIONS)
        broker = stack.enter_context(KafkaCluster(settings))
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        progress = Progress(broker, GROUP, PARTITIONS)
        stack.callback(progress.close)
        load = Load(broker, events)
        crew = stack.enter_context(Crew(broker, members, folder))
        load.start()
        yield Scene(broker, crew, load, Chaos(crew, progress, node, seed, say), time.monotonic())
