"""The two kinds of broker: the embedded one, which lives in this process, and a Kafka."""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaException, Producer

from workbench.errors import BrokerError
from workbench.settings import EmbeddedBroker, KafkaBroker
from workbench.streaming.broker import ANSWER_S, QUIET, Broker
from workbench.streaming.topics import ROAD, Topic


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

    def connection(self) -> dict[str, Any]:
        """Address, security and log-in."""
        given = self._settings
        password = given.password.get_secret_value() if given.password else None
        security = {
            "security.protocol": given.security_protocol,
            "sasl.mechanism": given.sasl_mechanism,
            "sasl.username": given.username,
            "sasl.password": password,
            "ssl.ca.location": str(given.ca_path) if given.ca_path else None,
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
        return there | dict.fromkeys(map(self.topic, missing), self._settings.partitions)

    def check(self, topics: Iterable[Topic] = ROAD) -> dict[str, int]:
        """See `Broker.check`."""
        asked = tuple(topics)
        there = self.partitions(asked)
        for topic in asked:
            name = self.topic(topic)
            if topic.kind and there.get(name, self._settings.partitions) != self._settings.partitions:
                raise BrokerError(
                    f"topic {name} has {there[name]} partitions, and {self._settings.partitions} are wanted, as many "
                    f"as all inputs have, so that a unit's events of all kinds meet: set broker.partitions to "
                    f"{there[name]} if all of them have so many, else make the topic anew or add partitions"
                )
        return there

    def _make(self, topics: list[Topic]) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic

        count, copies = self._settings.partitions, self._settings.replication
        new = [NewTopic(self.topic(topic), count, copies, config=topic.configuration) for topic in topics]
        admin = AdminClient(self.connection())  # to be held until it has answered
        for name, made in admin.create_topics(new, operation_timeout=ANSWER_S).items():
            try:
                made.result(timeout=ANSWER_S * 2)
            except KafkaException as error:
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":  # somebody else was quicker
                    raise self.error(error.args[0], f"topic {name} can't be made") from error


def connect(settings: EmbeddedBroker | KafkaBroker) -> Broker:
    """Open the broker that the profile names."""
    if isinstance(settings, KafkaBroker):
        return KafkaCluster(settings)
    return EmbeddedCluster(settings.timeout_s)
