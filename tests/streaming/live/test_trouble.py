"""Trouble that does not pass is told at once, with its topic and the way out; and bad messages are no trouble."""

import json
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from tests.streaming.conftest import costs
from tests.streaming.live.looking import messages_of
from tests.streaming.mutants import mutants
from workbench.errors import BrokerRefused
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import EmbeddedCluster, KafkaCluster
from workbench.streaming.decode import decode
from workbench.streaming.feed import Feed
from workbench.streaming.live.changelog import key_of, read_parts
from workbench.streaming.live.service import Service
from workbench.streaming.processors import Windows
from workbench.streaming.topics import COST, DEAD_LETTERS, OUTPUTS, ROAD, STATE, Topic

PARTITIONS = 4


def cluster(address: str, prefix: str = "", **more: int) -> KafkaCluster:
    name = prefix or f"t{uuid.uuid4().hex[:8]}-"
    return KafkaCluster(KafkaBroker(bootstrap_servers=address, topic_prefix=name, **more))  # type: ignore[arg-type]


@pytest.fixture
def broker(kafka_address: str) -> Iterator[Broker]:
    with cluster(kafka_address) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        yield broker


def committed(broker: Broker, topic: Topic = COST, group: str = "live") -> list[int]:
    consumer = broker.consumer(broker.group(group))
    places = [TopicPartition(broker.topic(topic), partition) for partition in range(PARTITIONS)]
    found = [place.offset for place in broker.told(consumer.committed, places, timeout=10)]
    consumer.close()
    return found


def poison(broker: Broker, key: bytes, value: bytes) -> None:
    producer = broker.producer()
    producer.produce(broker.topic(STATE), value, key, partition=1)
    assert producer.flush(10) == 0


def refusal(broker: Broker) -> str:
    """Run the service into trouble; what it says, at once and once."""
    tried: list[str] = []
    with pytest.raises(BrokerRefused) as caught:
        Service(broker, [Windows()], "live", batch_s=0.1, say=tried.append).run()
    assert tried == [], "it did not try again"
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.real
@pytest.mark.slow
def test_a_poisoned_snapshot_names_topic_processor_unit_and_the_way_out_and_commits_nothing(broker: Broker) -> None:
    Feed(broker, COST, [costs(500)]).run()
    poison(broker, key_of("windows", "unit-1"), b"poison")
    said = refusal(broker)
    for word in ("finops.stream.state", "'windows'", "'unit-1'", "workbench stream reset"):
        assert word in said
    assert max(committed(broker)) < 0


@pytest.mark.real
@pytest.mark.slow
def test_a_foreign_key_in_the_state_is_told_and_the_reset_it_names_takes_it_away(
    broker: Broker,
    kafka_address: str,
    tmp_path: Path,
) -> None:
    poison(broker, b"nobody's", b"what")
    assert 'holds a key that is no processor and unit: b"nobody\'s"' in refusal(broker)
    profile = tmp_path / "stream.yaml"
    profile.write_text(
        "sources: [{name: demo, kind: demo, end: 2025-11-01}]\n"
        f"root: {tmp_path}\n"
        f"broker: {{engine: kafka, bootstrap_servers: '{kafka_address}', topic_prefix: '{broker.prefix}'}}\n"
    )
    ran = command("reset", "--profile", str(profile), "--json")
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"forgotten": 1, "replay": False})
    assert read_parts(broker, 1) == {}


@pytest.mark.real
@pytest.mark.slow
def test_the_command_ends_with_one_sentence_and_exit_code_1(
    broker: Broker,
    kafka_address: str,
    tmp_path: Path,
) -> None:
    poison(broker, key_of("roi", "shop"), b"\x00" * 40)
    profile = tmp_path / "stream.yaml"
    profile.write_text(
        "sources: [{name: demo, kind: demo, end: 2025-11-01}]\n"
        f"root: {tmp_path}\n"
        f"broker: {{engine: kafka, bootstrap_servers: '{kafka_address}', topic_prefix: '{broker.prefix}'}}\n"
    )
    ran = command("run", "--profile", str(profile), "--metrics", "")
    assert ran.returncode == 1
    assert ran.stderr.startswith("workbench: the snapshot of 'roi' for the unit 'shop'")
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 1


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    code = [sys.executable, "-c", "from workbench.cli import main; main()", "stream", *arguments]
    return subprocess.run(code, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("topic", [COST, STATE])
def test_other_partitions_than_the_profile_wants_are_told_with_both_numbers(
    kafka_address: str,
    topic: Topic,
) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    with cluster(kafka_address) as broker:
        name = broker.topic(topic)
        admin = AdminClient(broker.connection())
        admin.create_topics([NewTopic(name, 3, 1)])[name].result(timeout=20)
        said = refusal(broker)
        assert f"topic {name} has 3 partitions, and 4 are wanted" in said
        assert "set broker.partitions to 3" in said


@pytest.mark.real
@pytest.mark.slow
def test_a_topic_that_goes_while_the_stream_runs_stops_it_with_its_name(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka.admin import AdminClient

    monkeypatch.setattr("workbench.streaming.live.service.LOOK_EVERY_S", 1.0)
    Feed(broker, COST, [costs(100)]).run()
    service, raised = Service(broker, [Windows()], "live", batch_s=0.1), []

    def run() -> None:
        try:
            service.run()
        except BrokerRefused as error:
            raised.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        until(lambda: service.counts.read == 100)
        name = broker.topic(COST)
        admin = AdminClient(broker.connection())  # to be held until it has answered
        admin.delete_topics([name])[name].result(timeout=20)
        thread.join(60)
        assert not thread.is_alive()
    finally:
        service.stop()
        thread.join(20)
    assert raised[0].startswith(f"topic {name} has gone from {broker.address}")


@pytest.mark.slow
def test_a_state_whose_first_messages_the_embedded_broker_dropped_is_an_error_and_not_a_part_of_a_state() -> None:
    noise = random.Random(1)
    with EmbeddedCluster(timeout_s=10) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        for number in range(14):
            poison(broker, key_of("windows", f"unit-{number}"), noise.randbytes(500_000))
        with pytest.raises(
            BrokerRefused, match=r"a part of the state in finops\.stream\.state, partition 1, is gone.*5 MB"
        ):
            read_parts(broker, 1)
        assert read_parts(broker, 0) == {}


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.1)


# Bad messages are no trouble


@pytest.mark.real
@pytest.mark.slow
def test_thousands_of_mutated_messages_do_not_stop_the_stream_and_each_bad_one_is_a_letter(broker: Broker) -> None:
    count = 4_000
    producer = broker.producer(1_000_000)
    for mutant in mutants(21, count, "cost"):
        producer.produce(broker.topic(COST), mutant.value(), mutant.key(), headers=mutant.headers())
    assert producer.flush(30) == 0
    service = Service(broker, [Windows()], "live", batch=500, batch_s=0.1)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        until(lambda: service.counts.read >= count or not thread.is_alive())
        assert thread.is_alive(), "it stopped"
    finally:
        service.stop()
        thread.join(30)
    sent = [message for partition in range(PARTITIONS) for message in messages_of(broker, COST, partition)]
    expected = decode(sent, "cost", Windows().columns)
    assert service.counts.read == len(sent) == count
    assert service.counts.dead == len(expected.dead)
    assert service.counts.restarts == 0

    letters = [letter for at in range(PARTITIONS) for letter in messages_of(broker, DEAD_LETTERS, at)]
    found = {}
    for letter in letters:
        about = {name: value.decode() for name, value in letter.headers()}
        found[about["topic"], about["partition"], about["offset"]] = (about["reason"], letter.key(), letter.value())
    wanted = {(broker.topic(COST), str(each.partition), str(each.offset)): (each.reason, each.key, each.value)
              for each in expected.dead}  # fmt: skip
    assert len(letters) == len(found)
    assert found == wanted
    assert committed(broker) == [len(messages_of(broker, COST, partition)) for partition in range(PARTITIONS)]
