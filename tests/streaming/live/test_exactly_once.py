"""Exactly once, on a real Kafka: members are killed at random moments, and no output is lost or doubled."""

import json
import signal
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from tests.real.kafka import start
from tests.real.kafka.fixture import kafka_address  # noqa: F401
from tests.streaming.live.chaos import Progress
from tests.streaming.live.crew import Crew
from tests.streaming.live.load import BROKEN_IN, UNITS, Generated, Load
from tests.streaming.live.outcome import difference, found, undisturbed
from tests.streaming.live.scene import scene
from tests.streaming.live.worker import GROUP, PARTITIONS, processors
from workbench.errors import BrokerError
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.live.changelog import key_of, read_parts
from workbench.streaming.live.service import Service, watched
from workbench.streaming.processors import Windows
from workbench.streaming.topics import COST, OUTPUTS, ROAD, STATE

EVENTS = Generated(hours_per_s=1.5)
"""Fast enough that a day comes to its end."""
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def broker(kafka_address: str) -> Iterator[Broker]:  # noqa: F811
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    with KafkaCluster(KafkaBroker(bootstrap_servers=kafka_address, topic_prefix=prefix)) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        yield broker


@pytest.fixture
def progress(broker: Broker) -> Iterator[Progress]:
    progress = Progress(broker, GROUP, PARTITIONS)
    yield progress
    progress.close()


def wait_until_read(progress: Progress, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while (waiting := progress.waiting()) != 0:
        assert time.monotonic() < limit, f"{waiting} messages wait"
        time.sleep(0.2)


@pytest.mark.timeout(600)  # a minute on a machine that does nothing else
def test_killed_members_and_a_killed_broker_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    if lacking := start.missing():
        pytest.skip(f"no Kafka of our own to restart: {lacking}")
    with scene(EVENTS, tmp_path, seed=7) as played:
        played.chaos.run(kills=4, restarts=1)
        end = played.end()
    assert len(played.chaos.kills) == 4
    assert len(played.chaos.restarts["SIGKILL"]) == 1
    assert end.difference.none, end.difference
    assert [topic for topic, records in end.records.items() if records] == [
        "finops.cost.anomalies",
        "finops.cost.aggregations",
        "finops.roi.calculations",
        "finops.optimization.recommendations",
    ]
    assert end.letters > 100
    assert played.crew.gave_up == 0
    assert end.exit_codes == [0, 0]


def test_the_state_goes_on_where_it_was_and_a_second_member_takes_its_share(
    broker: Broker, progress: Progress, tmp_path: Path
) -> None:
    load = Load(broker, EVENTS)
    load.send_until(6)
    load.flush()
    with Crew(broker, 1, tmp_path) as crew:
        wait_until_read(progress)
        assert crew.stop() == [0]
    parts = [read_parts(broker, partition) for partition in range(PARTITIONS)]
    for processor in processors():
        assert sum(len(part[processor.name]) for part in parts) == UNITS
    load.send_until(12)
    load.finish()
    with Crew(broker, 2, tmp_path) as crew:
        wait_until_read(progress)
        assert crew.stop() == [0, 0]
    differs = difference(
        found(broker, processors(), PARTITIONS), undisturbed(broker, processors(), PARTITIONS), processors()
    )
    assert differs.none, differs


def test_a_member_that_leaves_has_committed_what_it_was_at(broker: Broker, progress: Progress, tmp_path: Path) -> None:
    load = Load(broker, EVENTS)
    load.start()
    with Crew(broker, 1, tmp_path) as crew:
        limit = time.monotonic() + 60
        while not sum((progress.committed() or {}).values()) and time.monotonic() < limit:
            time.sleep(0.2)
        began = time.monotonic()
        assert crew.members[0].end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 15
    load.finish()
    with Crew(broker, 1, tmp_path):
        wait_until_read(progress)
    exact = undisturbed(broker, processors(), PARTITIONS)
    differs = difference(found(broker, processors(), PARTITIONS), exact, processors())
    assert differs.none, differs


def test_a_state_that_cannot_be_read_is_an_error_with_a_way_out_and_commits_nothing(broker: Broker) -> None:
    producer = broker.producer()
    producer.produce(broker.topic(STATE), b"poison", key_of("windows", "unit-1"), partition=1)
    assert producer.flush(10) == 0
    load = Load(broker, EVENTS)
    load.send_until(0.2)
    load.finish()
    service = Service(broker, [Windows()], GROUP, batch_s=0.1)
    with pytest.raises(BrokerError, match=r"unit-1.*can't be read.*stream reset"):
        service.run()
    consumer = broker.consumer(broker.group(GROUP))
    places = consumer.committed([TopicPartition(broker.topic(COST), at) for at in range(PARTITIONS)], timeout=10)
    assert all(place.offset < 0 for place in places)
    consumer.close()


def test_it_tells_how_it_is_doing(broker: Broker) -> None:
    load = Load(broker, EVENTS)
    load.send_until(1)
    costs = load.finish()["cost"]
    service = Service(broker, [Windows()], GROUP, batch=500, batch_s=0.1)
    with watched(service, "127.0.0.1", 0) as address:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{address}/healthz")  # noqa: S310
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            limit = time.monotonic() + 60
            while service.counts.read < costs and time.monotonic() < limit:
                time.sleep(0.1)
            told = json.load(urllib.request.urlopen(f"{address}/healthz"))  # noqa: S310
            metrics = urllib.request.urlopen(f"{address}/metrics").read().decode()  # noqa: S310
        finally:
            service.stop()
            thread.join(20)
    assert told["healthy"]
    assert told["partitions"] == [0, 1, 2, 3]
    assert told["read"] == costs
    assert told["dead"] == -(-costs // BROKEN_IN)
    assert f"workbench_stream_read_total {costs}.0" in metrics
