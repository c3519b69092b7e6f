"""Log-ins, certificates and ACLs of a real Kafka: each role can do its work with what is written down, and no less."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import ScramMechanism
from pydantic import SecretStr

from tests.real.kafka import start
from tests.streaming.conftest import costs, good_values
from tests.streaming.secured import PASSWORD, PROFILE, Acl, Rights, Secured, roles, secured, topics
from tests.streaming.test_contract import Table, take
from workbench.errors import BrokerError, BrokerRefused, BrokerUnavailable
from workbench.pipelines import live
from workbench.settings import KafkaBroker, Settings
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.feed import Feed
from workbench.streaming.letters import DeadLetters
from workbench.streaming.live.service import Service
from workbench.streaming.loop import Loop
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.reader import reading
from workbench.streaming.records import RECORDS, decode_records
from workbench.streaming.redrive import Choice, redrive
from workbench.streaming.status import topics_status
from workbench.streaming.topics import COST, DEAD_LETTERS, INPUTS, OUTPUTS, ROAD, STATE

pytestmark = [pytest.mark.real, pytest.mark.slow]

LETTER = DeadLetter("somewhere", 0, 0, "a reason", b"shop", b"{}")
LOAD = f"{PROFILE}.load"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    if lacking := start.missing():
        pytest.skip(f"no real Kafka: {lacking}")
    with secured(tmp_path_factory.mktemp("secured")) as running:
        yield running


@pytest.fixture(scope="module")
def rights(kafka: Secured) -> Rights:
    return Rights(kafka)


# Who may come in


def comes_in(settings: KafkaBroker) -> None:
    """Log in, and ask for something."""
    with KafkaCluster(settings) as broker:
        broker.partitions(ROAD)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
def test_a_right_password_comes_in_and_a_wrong_one_is_told_at_once(
    kafka: Secured, rights: Rights, mechanism: Any
) -> None:
    name = "plain" if mechanism == "PLAIN" else f"u-{mechanism.lower()}"
    if mechanism != "PLAIN":
        rights.user(name, ScramMechanism[mechanism.replace("-", "_")])
    comes_in(kafka.user(name, sasl_mechanism=mechanism))
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        comes_in(kafka.user(name, sasl_mechanism=mechanism, password=SecretStr("wrong one"), timeout_s=60))
    assert time.monotonic() - began < 8, "not after the whole time-out"
    said = str(caught.value)
    assert f"no log-in of user '{name}' at 127.0.0.1:{kafka.login}" in said
    assert "the log-in in the profile" in said
    assert "wrong one" not in said


def test_a_certificate_of_our_own_comes_in_with_and_without_a_password_on_its_key(kafka: Secured) -> None:
    mutual = by_certificate(kafka)
    comes_in(KafkaBroker(**mutual))
    locked = {"key_path": kafka.folder / "locked.key", "key_password": SecretStr(PASSWORD)}
    comes_in(KafkaBroker(**{**mutual, **locked}))


@pytest.mark.parametrize(
    "other",
    [
        {"certificate_path": "stranger.crt", "key_path": "stranger.key"},
        {"certificate_path": None, "key_path": None},
        {"ca_path": "other.crt"},
    ],
    ids=["a stranger's", "none", "a broker nobody vouches for"],
)
def test_a_certificate_that_nobody_vouches_for_is_told(kafka: Secured, other: dict[str, str | None]) -> None:
    given = by_certificate(kafka) | {key: name and kafka.folder / name for key, name in other.items()}
    with pytest.raises(BrokerUnavailable, match=r"(?i)certificate|ssl"):
        comes_in(KafkaBroker(**given))


def test_a_password_over_tls(kafka: Secured, rights: Rights) -> None:
    rights.user("both")
    tls = {"bootstrap_servers": f"127.0.0.1:{kafka.both}", "security_protocol": "sasl_ssl",
           "ca_path": kafka.folder / "ca.crt"}  # fmt: skip
    comes_in(kafka.user("both", **tls))


def by_certificate(kafka: Secured) -> dict[str, Any]:
    return {
        "bootstrap_servers": f"127.0.0.1:{kafka.mutual}", "security_protocol": "ssl",
        "ca_path": kafka.folder / "ca.crt", "certificate_path": kafka.folder / "client.crt",
        "key_path": kafka.folder / "client.key", "timeout_s": 10,
    }  # fmt: skip


# What each role does


def produce(broker: Broker) -> None:
    broker.prepare()
    for topic in INPUTS.values():
        feed = Feed(broker, topic, [costs(20)])
        feed.run()
        assert feed.done
    letters = DeadLetters(broker)
    letters.write([LETTER])


def stream(broker: Broker) -> None:
    service = Service(broker, live.chosen([]), "live", batch_s=0.1)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            service.run(idle_s=1)
        except BaseException as error:  # noqa: BLE001 (raised again by who waits)
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    limit = time.monotonic() + 60
    while thread.is_alive() and service.counts.read < 22 and not service.counts.restarts and time.monotonic() < limit:
        time.sleep(0.1)
    service.stop()
    thread.join(60)
    if failed:
        raise failed[0]
    if service.counts.restarts:
        raise BrokerError("it had to join again")
    assert (service.counts.read, service.counts.dead) == (22, 2)


def ingest(broker: Broker) -> None:
    broker.prepare()
    letters = DeadLetters(broker)
    letters.write([LETTER])
    for kind, topic in INPUTS.items():
        with reading(broker, topic, LOAD) as reader:
            feed = Feed(broker, topic, [costs(5)])
            feed.run()
            assert feed.done
            ends = reader.ends()
            Loop(reader, kind, Table(), letters).run(lambda ends=ends: ends)


def load(broker: Broker) -> None:
    told = [topic for topic in OUTPUTS if topic.name in RECORDS]
    broker.prepare((*told, DEAD_LETTERS))
    for topic in told:
        with reading(broker, topic, LOAD) as reader:
            reader.commit(dict.fromkeys(reader.position, 0))
            Loop(reader, topic.name, Table(), DeadLetters(broker), decode_records).run(reader.until_end)
    DeadLetters(broker).write([LETTER])


def redriving(broker: Broker) -> None:
    topics_of_letters = len([*INPUTS, *RECORDS])
    assert redrive(broker, Choice()).chosen.total() == topics_of_letters


def status(broker: Broker) -> None:
    seen = topics_status(broker, LOAD)
    assert seen["topic"].n_unique() == len(ROAD) + len(RECORDS) + 1


def resetting(broker: KafkaCluster) -> None:
    source = [{"name": "demo", "kind": "demo", "end": "2025-11-01"}]
    live.reset(Settings(name=PROFILE, sources=source, broker=broker._settings), [], replay=True)  # type: ignore[arg-type]


JOBS: dict[str, Callable[[Any], None]] = {
    "producer": produce, "stream": stream, "ingest": ingest, "load": load, "redrive": redriving, "status": status,
    "reset": resetting,
}  # fmt: skip


def what_there_is(administrator: KafkaCluster, role: str) -> None:
    """Something for a role to work on."""
    producer = administrator.producer()
    if role == "stream":
        Feed(administrator, COST, [costs(20)]).run()
        for value in (b"no json", None):
            producer.produce(administrator.topic(COST), value, "shop")
    if role == "redrive":
        for name in (*(topic.name for topic in INPUTS.values()), *RECORDS):
            about = {"reason": "x", "topic": administrator.prefix + name, "schema_version": "1"}
            producer.produce(administrator.topic(DEAD_LETTERS), b"{}", headers=about)
    if role == "reset":
        producer.produce(administrator.topic(STATE), b"x", b"windows\x1fshop", partition=0)
    assert producer.flush(20) == 0


def works(kafka: Secured, rights: Rights, role: str, allowed: list[Acl]) -> None:
    """Let a role do its work with these rights; raises what stands in its way."""
    with topics(kafka) as administrator:
        what_there_is(administrator, role)
        user = f"{role}-{administrator.prefix}"
        rights.user(user)
        rights.grant(user, [acl.binding(user, administrator.prefix) for acl in allowed])
        with KafkaCluster(kafka.user(user, administrator.prefix)) as broker:
            JOBS[role](broker)


@pytest.mark.parametrize("role", JOBS)
def test_what_is_written_down_is_enough_for_the_role(kafka: Secured, rights: Rights, role: str) -> None:
    works(kafka, rights, role, roles()[role])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", JOBS)
def test_no_less_is_enough_and_what_is_missing_is_named(kafka: Secured, rights: Rights, role: str) -> None:
    """Each kind of right of the role is taken away in turn, on one thing of each kind."""
    needed = roles()[role]
    for lacking in telling(needed):
        with pytest.raises((BrokerError, AssertionError)) as caught:
            works(kafka, rights, role, [acl for acl in needed if acl != lacking])
        said = str(caught.value)
        if isinstance(caught.value, BrokerError):
            assert lacking.name.format(profile=PROFILE) in said or lacking.type != "topic", (lacking, said)
            assert "ACLS.md" in said or isinstance(caught.value, BrokerUnavailable), (lacking, said)


def telling(acls: list[Acl]) -> list[Acl]:
    """One of each kind: the other inputs and outputs tell the same."""
    kinds = {(acl.type, acl.operation, acl.name if "finops.c" not in acl.name else acl.name[:8]): acl
             for acl in acls if not re.search(r"business|resource|roi|optimization|anomalies", acl.name)}  # fmt: skip
    return list(kinds.values())


def test_the_file_names_every_role_that_has_a_command() -> None:
    assert set(roles()) == set(JOBS)


def test_a_topic_that_is_not_there_and_may_not_be_made_is_told_with_all_that_makes_it(
    kafka: Secured, rights: Rights
) -> None:
    rights.user("maker")
    with KafkaCluster(kafka.user("maker", "nowhere-")) as broker, pytest.raises(BrokerRefused) as caught:
        Service(broker, live.chosen(["windows"]), "live").run()
    said = str(caught.value)
    assert "topic nowhere-finops." in said
    assert "user 'maker', who may not make it" in said
    assert "4 partitions, retention.ms=" in said


def test_who_may_make_topics_makes_them(kafka: Secured, rights: Rights) -> None:
    rights.user("founder")
    for operation in ("CREATE", "DESCRIBE"):
        rights.grant("founder", [Acl("topic", "finops.", "prefixed", operation).binding("founder", "founded-")])
    with KafkaCluster(kafka.user("founder", "founded-")) as broker:
        made = broker.prepare((*ROAD, STATE))
        assert broker.check((*ROAD, STATE)) == made
        assert set(made.values()) == {4}


def test_the_message_of_the_commands_names_user_topic_and_acl(kafka: Secured, rights: Rights, tmp_path: Path) -> None:
    del tmp_path
    with topics(kafka) as administrator:
        user = f"half-{administrator.prefix}"
        rights.user(user)
        allowed = [acl for acl in roles()["stream"] if "anomalies" not in acl.name]
        seen = Acl("topic", "finops.cost.anomalies", "literal", "DESCRIBE")
        rights.grant(user, [acl.binding(user, administrator.prefix) for acl in [*allowed, seen]])
        with KafkaCluster(kafka.user(user, administrator.prefix)) as broker, pytest.raises(BrokerRefused) as caught:
            Service(broker, live.chosen([]), "live").run()
    assert f"does not allow to user '{user}': WRITE on topic {administrator.prefix}finops.cost.anomalies" in str(
        caught.value
    )


def test_somebody_who_may_only_read_takes_nothing_away(kafka: Secured, rights: Rights) -> None:
    """A reader without the group's right reads nothing, and commits nothing."""
    with topics(kafka) as administrator:
        Feed(administrator, COST, [costs(10)]).run()
        user = f"reader-{administrator.prefix}"
        rights.user(user)
        rights.grant(user, [Acl("topic", COST.name, "literal", "READ").binding(user, administrator.prefix)])
        said = pytest.raises(BrokerRefused, match="READ is needed on the groups that begin with")
        with KafkaCluster(kafka.user(user, administrator.prefix)) as broker, said:
            take(broker, Table())
        take(administrator, table := Table())
        assert len(table.ids) == len(good_values(10).values)
