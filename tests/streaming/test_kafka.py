"""What only a broker of one kind can do: lose messages, have other partitions, be dead, keep what was committed."""

import time
from pathlib import Path

import polars as pl
import pytest
from pydantic import SecretStr

from tests.real.kafka import start
from tests.streaming.conftest import costs, good_values, real, send_raw
from tests.streaming.test_contract import Table, take
from workbench.errors import BrokerError, BrokerUnavailable
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import EmbeddedCluster, KafkaCluster, connect
from workbench.streaming.feed import Feed
from workbench.streaming.letters import DeadLetters
from workbench.streaming.loop import Loop
from workbench.streaming.pace import Pace
from workbench.streaming.producer import EventProducer
from workbench.streaming.reader import TopicReader, reading
from workbench.streaming.topics import COST, ROAD, Topic

pytestmark = pytest.mark.slow  # each test starts a broker, and waits for what does not come


@pytest.fixture
def incompressible() -> list[bytes]:
    """8 MB of values that hardly shrink."""
    import random

    noise = random.Random(1)
    return [b'{"event_id":"' + noise.randbytes(20_000).hex().encode() + b'"}' for _ in range(400)]


# The embedded broker


def test_messages_that_the_embedded_broker_forgot_before_they_were_read_are_an_error(
    embedded: Broker, incompressible: list[bytes]
) -> None:
    send_raw(embedded, [{"key": "shop", "value": value} for value in incompressible])
    with pytest.raises(
        BrokerError, match=r"partition \d, are lost: the next to read is 0, but .* keeps only the last 5 MB"
    ):
        take(embedded, Table())


def test_messages_that_get_lost_while_the_reader_is_behind_are_an_error_too(
    embedded: Broker, incompressible: list[bytes]
) -> None:
    with reading(embedded, COST, "test") as reader:
        reader._consumer.pause(places := reader._consumer.assignment())
        send_raw(embedded, [{"key": "shop", "value": value} for value in incompressible])
        reader._consumer.resume(places)
        ends = reader.ends()
        with pytest.raises(BrokerError, match="are lost"):
            Loop(reader, "cost", Table(), DeadLetters(embedded)).run(lambda: ends)


def test_the_producer_waits_for_the_reader_so_that_nothing_is_lost(
    embedded: Broker, incompressible: list[bytes]
) -> None:
    from workbench.streaming.feed import Values

    pace = Pace(4_000_000, 10)
    with reading(embedded, COST, "test", pace) as reader:
        feed = Feed(embedded, COST, [Values(incompressible, ["shop"] * len(incompressible))] * 3, pace)
        feed.start()
        table, ends = Table(), {}

        def until() -> dict[int, int] | None:
            if not ends and feed.done:
                ends.update(reader.ends())
            return ends or None

        taken = Loop(reader, "cost", table, DeadLetters(embedded)).run(until)
    assert taken.read == 1_200


def test_a_producer_that_nobody_reads_after_gives_up_in_a_bounded_time(
    embedded: Broker, incompressible: list[bytes]
) -> None:
    producer = EventProducer(embedded, COST, Pace(4_000_000, 0.5))
    started = time.monotonic()
    with pytest.raises(BrokerError, match="nobody has read"):
        producer.send(incompressible, ["shop"] * len(incompressible))
    assert time.monotonic() - started < 10


def test_another_process_can_use_the_embedded_broker_by_its_address(embedded: Broker) -> None:
    import subprocess
    import sys

    code = (
        "from confluent_kafka import Producer; import sys\n"
        "producer = Producer({'bootstrap.servers': sys.argv[1]})\n"
        "producer.produce(sys.argv[2], sys.argv[3], 'shop', headers={'schema_version': b'1'})\n"
        "assert producer.flush(10) == 0\n"
    )
    value = good_values(1).values[0].decode()
    subprocess.run([sys.executable, "-c", code, embedded.address, COST.name, value], check=True, timeout=60)
    take(embedded, table := Table())
    assert table.ids == ["e-0"]


# A Kafka


def dead(**more: object) -> KafkaBroker:
    return KafkaBroker(bootstrap_servers=f"127.0.0.1:{start.free_port()}", timeout_s=1, **more)  # type: ignore[arg-type]


def test_a_dead_broker_is_one_clear_error_after_a_bounded_time() -> None:
    settings, started = dead(), time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught, connect(settings) as broker:
        broker.prepare()
    assert time.monotonic() - started < 10
    assert settings.bootstrap_servers in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert "broker.bootstrap_servers" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_security_settings_reach_the_client(tmp_path: Path) -> None:
    settings = KafkaBroker(
        bootstrap_servers="kafka:9093", security_protocol="sasl_ssl", sasl_mechanism="SCRAM-SHA-512", username="u",
        password=SecretStr("p"), ca_path=tmp_path / "ca.pem",
    )  # fmt: skip
    given = KafkaCluster(settings).connection()
    assert given["security.protocol"] == "sasl_ssl"
    assert given["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (given["sasl.username"], given["sasl.password"]) == ("u", "p")
    assert given["ssl.ca.location"] == str(tmp_path / "ca.pem")
    assert "'p'" not in repr(settings)


@pytest.mark.real
def test_a_topic_with_another_number_of_partitions_is_named_with_both_numbers_and_the_way_out(
    kafka_address: str,
) -> None:
    with real(kafka_address, partitions=4) as four:
        four.prepare([Topic("finops.business.events", "business")])
        with real(kafka_address, partitions=3, topic_prefix=four.prefix) as three:
            with pytest.raises(BrokerError) as caught:
                three.prepare(ROAD)
            assert three.partitions([COST]) == {}, "nothing is made where something is wrong"
    said = str(caught.value)
    assert f"{four.prefix}finops.business.events has 4 partitions, and 3 are wanted" in said
    assert "set broker.partitions to 4" in said


@pytest.mark.real
def test_a_topics_events_of_long_ago_are_kept_because_the_brokers_clock_counts(kafka_address: str) -> None:
    with real(kafka_address) as broker:
        broker.prepare(ROAD)
        long_ago = {"timestamp": 946_684_800_000}
        send_raw(broker, [{"key": "shop", "value": value, **long_ago} for value in good_values(5).values])
        with reading(broker, COST, "test") as reader:
            messages = reader.batch() or reader.batch()
        assert {message.timestamp()[1] > 1_600_000_000_000 for message in messages} == {True}


@pytest.mark.real
def test_what_kafka_deleted_before_it_was_read_is_an_error_with_the_way_out(kafka_address: str) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    with real(kafka_address) as broker:
        broker.prepare(ROAD)
        reader = TopicReader(broker, COST, "test")
        reader.commit(dict.fromkeys(reader.position, 0))
        reader.close()
        Feed(broker, COST, [costs(50)]).run()
        name = broker.topic(COST)
        admin = AdminClient(broker.connection())
        places = [TopicPartition(name, partition, -1) for partition in range(4)]
        for deleted in admin.delete_records(places).values():
            deleted.result(timeout=20)
        with pytest.raises(BrokerError, match=r"the broker has deleted all before 50\. .*--to-earliest"):
            take(broker, Table())


@pytest.mark.real
def test_a_broker_that_is_killed_while_events_are_sent_is_one_error_and_nothing_is_lost_when_it_is_back(
    tmp_path: Path,
) -> None:
    if lacking := start.missing():
        pytest.skip(f"no real Kafka: {lacking}")
    port = start.free_port()
    process = start.start(port, tmp_path)
    try:
        with real(f"127.0.0.1:{port}", timeout_s=3) as broker:
            broker.prepare(ROAD)
            take(broker, first := Table(), feed=Feed(broker, COST, [costs(100, "a")]))
            start.stop(process)
            with pytest.raises(BrokerError):
                take(broker, Table(), feed=Feed(broker, COST, [costs(100, "b")]))
            process = start.start(port, tmp_path)
        with real(f"127.0.0.1:{port}", topic_prefix=broker.prefix) as broker:
            take(broker, second := Table(), feed=Feed(broker, COST, [costs(100, "b")]))
    finally:
        start.stop(process)
    assert len(first.ids) == 100
    assert set(second.ids) == {f"b-{number}" for number in range(100)}


LOG_IN = """\
listeners=PLAINTEXT://127.0.0.1:{inside},CONTROLLER://127.0.0.1:{controller},SAFE://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:{inside},SAFE://127.0.0.1:{port}
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SAFE:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.safe.plain.sasl.jaas.config=\\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_u="right";
"""


@pytest.mark.real
def test_a_log_in_that_is_right_works_and_a_wrong_one_says_so(tmp_path: Path) -> None:
    if lacking := start.missing():
        pytest.skip(f"no real Kafka: {lacking}")
    port, inside, controller = (start.free_port() for _ in range(3))
    process = start.start(port, tmp_path, LOG_IN.format(port=port, inside=inside, controller=controller))
    try:
        log_in = {"security_protocol": "sasl_plaintext", "sasl_mechanism": "PLAIN", "username": "u"}
        with real(f"127.0.0.1:{port}", **log_in, password=SecretStr("right")) as broker:
            broker.prepare(ROAD)
            take(broker, table := Table(), feed=Feed(broker, COST, [costs(10)]))
        assert len(table.ids) == 10
        said = pytest.raises(BrokerUnavailable, match="Invalid username or password.*the log-in in the profile")
        with said, real(f"127.0.0.1:{port}", **log_in, password=SecretStr("wrong"), timeout_s=2) as broker:
            broker.prepare(ROAD)
    finally:
        start.stop(process)


def test_two_embedded_brokers_in_one_process_do_not_meet() -> None:
    with EmbeddedCluster() as one, EmbeddedCluster() as two:
        one.prepare(ROAD)
        two.prepare(ROAD)
        take(one, first := Table(), feed=Feed(one, COST, [costs(10)]))
        take(two, second := Table())
    assert (len(first.ids), len(second.ids)) == (10, 0)


def test_a_jump_of_the_clock_stops_nothing(embedded: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**9, 7_200))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)) if next(clock) % 3 else 0.0)
    take(embedded, table := Table(), feed=Feed(embedded, COST, [costs(2_000)]))
    assert pl.concat(table.frames)["event_id"].n_unique() == 2_000


def test_the_id_of_a_new_cluster_is_never_taken_for_an_option() -> None:
    from tests.real.kafka.start import cluster_id

    assert not any(cluster_id().startswith("-") for _ in range(2_000))  # one in 64 would
