"""The two kinds of broker: the embedded one, which lives in this process, and a Kafka."""

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicCollection

from workbench.errors import BrokerRefused, BrokerUnavailable
from workbench.settings import EmbeddedBroker, KafkaBroker
from workbench.streaming.broker import ANSWER_S, QUIET, Broker
from workbench.streaming.topics import INPUTS, ROAD, STATE, Topic


class EmbeddedCluster(Broker):
    """librdkafka's mock cluster: it lives as long as this object, in this process; any process here can use it.

    Topics have four partitions, each keeps only its last 5 MB: who sends has to wait for who reads.
    """

    engine = "embedded"
    keeps_bytes = 5 * 1024 * 1024
    advice = "it lives in the process that opened it, for a run only: run again"

    def __init__(self, timeout_s: float = 30) -> None:
        super().__init__("", timeout_s)
        self._holder = Producer({"test.mock.num.brokers": 1, **QUIET})
        brokers = self._holder.list_topics(timeout=ANSWER_S).brokers.values()
        self._address = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    @property
    def address(self) -> str:
        """host:port, for other processes too."""
        return self._address

    def prepare(self, topics: Iterable[Topic] = ROAD) -> dict[str, int]:
        """See `Broker.prepare`: a topic is made by asking for it."""
        with self._lock:
            return {name: len(self._metadata(name)[name].partitions) for name in map(self.topic, topics)}

    def close(self) -> None:
        """End the cluster; what it held is gone."""
        super().close()
        self._holder = None


class KafkaCluster(Broker):
    """A Kafka, as the profile describes it."""

    engine = "kafka"

    def __init__(self, settings: KafkaBroker) -> None:
        super().__init__(settings.topic_prefix, settings.timeout_s)
        self._settings = settings

    @property
    def address(self) -> str:
        """The profile's bootstrap servers."""
        return self._settings.bootstrap_servers

    @property
    def advice(self) -> str:
        """What to do when it does not answer."""
        return (
            "check broker.bootstrap_servers and the log-in in the profile; `make kafka` starts a broker on this machine"
        )

    @property
    def who(self) -> str:
        """See `Broker.who`."""
        if self._settings.username:
            return f"user '{self._settings.username}'"
        return "the owner of the client's certificate" if self._settings.certificate_path else "us"

    def connection(self) -> dict[str, Any]:
        """Address, security and log-in."""
        given = self._settings
        password = given.password.get_secret_value() if given.password else None
        key_password = given.key_password.get_secret_value() if given.key_password else None
        security = {
            "security.protocol": given.security_protocol,
            "sasl.mechanism": given.sasl_mechanism,
            "sasl.username": given.username,
            "sasl.password": password,
            "ssl.ca.location": str(given.ca_path) if given.ca_path else None,
            "ssl.certificate.location": str(given.certificate_path) if given.certificate_path else None,
            "ssl.key.location": str(given.key_path) if given.key_path else None,
            "ssl.key.password": key_password,
        }
        return super().connection() | {key: value for key, value in security.items() if value is not None}

    def prepare(self, topics: Iterable[Topic] = ROAD) -> dict[str, int]:
        """See `Broker.prepare`."""
        wanted = tuple(topics)
        there = self.check(wanted)
        missing = [topic for topic in wanted if self.topic(topic) not in there]
        if not missing:
            return there
        self._make(missing)
        return there | self._seen(missing)

    def _seen(self, topics: Sequence[Topic]) -> dict[str, int]:
        """Wait until topics that were made can be seen by all: the broker says so a moment before they can."""
        limit = time.monotonic() + ANSWER_S
        while len(there := self.partitions(topics)) < len(topics):
            if time.monotonic() > limit:
                gone = sorted(set(map(self.topic, topics)) - there.keys())
                raise BrokerUnavailable(
                    f"topics were made, but can't be seen in {ANSWER_S:g} s: {', '.join(gone)}; try again"
                )
            time.sleep(0.05)
        return there

    def check(self, topics: Iterable[Topic] = ROAD) -> dict[str, int]:
        """See `Broker.check`."""
        asked = tuple(topics)
        there = self.partitions(asked)
        for topic in asked:
            name = self.topic(topic)
            if topic in _AS_MANY and there.get(name, self._settings.partitions) != self._settings.partitions:
                raise BrokerRefused(
                    f"topic {name} has {there[name]} partitions, and {self._settings.partitions} are wanted, as "
                    "many as all inputs and the state have, so that a unit's events of all kinds meet: set "
                    f"broker.partitions to {there[name]} if all have so many, else make the topic anew"
                )
        return there

    def _make(self, topics: list[Topic]) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic

        count, copies = self._settings.partitions, self._settings.replication
        new = [NewTopic(self.topic(topic), count, copies, config=topic.configuration) for topic in topics]
        admin = AdminClient(self.connection())  # to be held until it has answered
        for name, made in admin.create_topics(new, operation_timeout=ANSWER_S).items():
            try:
                self._made(admin, made, new, name)
            except KafkaException as error:
                if error.args[0].name() in _MAY_NOT:
                    raise self._may_not_make(name, topics) from error
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":  # somebody else was quicker
                    raise self.error(error.args[0], f"topic {name} can't be made") from error

    def _made(self, admin: Any, made: Any, new: list[Any], name: str) -> None:  # noqa: ANN401
        """Wait for a topic; once more while the broker listens already, but its controller has not seen it yet."""
        limit = time.monotonic() + ANSWER_S
        while True:
            try:
                made.result(timeout=ANSWER_S * 2)
            except KafkaException as error:
                if "fenced" not in error.args[0].str() or time.monotonic() > limit:
                    raise
                time.sleep(0.3)
                made = admin.create_topics([topic for topic in new if topic.topic == name])[name]
            else:
                return

    def _may_not_make(self, name: str, topics: list[Topic]) -> BrokerRefused:
        [topic] = [topic for topic in topics if self.topic(topic) == name]
        settings = ", ".join(f"{key}={value}" for key, value in topic.configuration.items())
        return BrokerRefused(
            f"topic {name} is not at {self.address}, or hidden from {self.who}, who may not make it: let who "
            f"administers the broker make it ({self._settings.partitions} partitions, {settings}) or allow DESCRIBE on "
            "it, or CREATE; deploy/kafka/ACLS.md lists what each role needs"
        )

    def must_allow(self, *, reads: Iterable[Topic] = (), writes: Iterable[Topic] = ()) -> None:
        """See `Broker.must_allow`."""
        from confluent_kafka.admin import AclOperation, AdminClient

        needed = [(self.topic(topic), AclOperation.READ) for topic in reads]
        needed += [(self.topic(topic), AclOperation.WRITE) for topic in writes]
        admin = AdminClient(self.connection())
        allowed = {name: self._allowed(admin, name) for name in sorted({name for name, _ in needed})}
        lacking = [
            f"{operation.name} on topic {name}"
            for name, operation in needed
            if (operations := allowed[name]) is not None and operation not in operations
        ]
        if lacking:
            raise BrokerRefused(
                f"the broker at {self.address} does not allow to {self.who}: {', '.join(lacking)}. Grant it; "
                "deploy/kafka/ACLS.md lists what each role needs"
            )

    def _allowed(self, admin: Any, name: str) -> Collection[Any] | None:  # noqa: ANN401 (an AdminClient)
        """The operations on a topic that are allowed to us; None where the broker doesn't say."""

        def ask() -> Any:  # noqa: ANN401
            asked = TopicCollection([name])
            described = admin.describe_topics(asked, include_authorized_operations=True, request_timeout=ANSWER_S)
            return described[name].result().authorized_operations

        try:
            found: Collection[Any] | None = self.told(ask)
        except BrokerRefused:
            return ()  # not even to see it
        return found


_AS_MANY = (*INPUTS.values(), STATE)
"""Have the same number of partitions: a partition of the inputs and of the state are the same units."""
_MAY_NOT = {"TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"}


def connect(settings: EmbeddedBroker | KafkaBroker) -> Broker:
    """Open the broker that the profile names."""
    if isinstance(settings, KafkaBroker):
        return KafkaCluster(settings)
    return EmbeddedCluster(settings.timeout_s)
