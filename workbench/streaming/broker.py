"""A broker to talk to: its clients, the questions that are asked, and its errors in our words. See `clusters`."""

import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from workbench.errors import BrokerError, BrokerRefused, BrokerUnavailable
from workbench.streaming.topics import MESSAGE_LIMIT, ROAD, ROOM, Topic

QUIET = {"log_level": 0, "socket.keepalive.enable": True}
ANSWER_S = 10.0
"""How long a question to the broker may take."""


class Broker:
    """A connection's settings, and the few questions that are asked about topics.

    Use one of `clusters.EmbeddedCluster` and `clusters.KafkaCluster`, or `clusters.connect`, which chooses.
    """

    engine = ""
    keeps_bytes: int | None = None
    """How much a topic's partition keeps before it forgets the oldest; None: it forgets nothing unread."""

    def __init__(self, prefix: str, timeout_s: float) -> None:
        self.prefix = prefix
        self.timeout_s = timeout_s
        self._client: Any = None
        self._asker: Any = None
        self._heard = ""
        self._turned_away = False
        self._lock = threading.RLock()

    @property
    def address(self) -> str:
        """host:port, for other processes too."""
        raise NotImplementedError

    def connection(self) -> dict[str, Any]:
        """What every client of librdkafka is configured with."""
        return {"bootstrap.servers": self.address, "error_cb": self._hear, **QUIET}

    @property
    def client(self) -> Any:  # noqa: ANN401 (confluent_kafka's classes have no types)
        """The producer of events, one for all: a new one needs half a second before it may send.

        It reports failures only. One sender at a time.
        """
        with self._lock:
            if self._client is None:
                self._client = self.producer(ROOM // 2, **{"delivery.report.only.error": True})
            return self._client

    def renew_client(self) -> None:
        """Forget the producer of events; the next one who asks gets a new one."""
        with self._lock:
            self._client = None

    def topic(self, topic: Topic) -> str:
        """The topic's name on this broker."""
        return self.prefix + topic.name

    def group(self, name: str) -> str:
        """The name of a group of consumers on this broker."""
        return f"{self.prefix}workbench.{name}"

    def producer(self, room: int = 0, **more: Any) -> Any:  # noqa: ANN401
        """A producer: nothing sent twice, nothing out of order, keys on the partitions that Java would choose."""
        return Producer(
            {
                **self.connection(),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "compression.type": "zstd",
                "compression.level": 1,
                "linger.ms": 20,
                "batch.size": 1_000_000,
                "batch.num.messages": 50_000,
                "message.max.bytes": MESSAGE_LIMIT + room,
                "queue.buffering.max.messages": 500_000,
                "queue.buffering.max.kbytes": 200_000,
                "message.timeout.ms": int(self.timeout_s * 1000),
                **more,
            }
        )

    def consumer(self, group: str, **more: Any) -> Any:  # noqa: ANN401
        """A consumer that takes much at once and commits only when it is told to.

        A fetch is compressed: what it brings is up to ten times as much, and what librdkafka adds to a message is more
        than an event. One partition may fill it: a step of many events of one partition costs less than many small
        steps. A message that is larger than a fetch still comes, alone.
        """
        return Consumer(
            {
                **self.connection(),
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "queued.min.messages": 1_000_000,
                "queued.max.messages.kbytes": 20_000,
                "fetch.max.bytes": 4_000_000,
                "max.partition.fetch.bytes": 4_000_000,
                "receive.message.max.bytes": 100_000_000,
                "fetch.wait.max.ms": 20,
                "fetch.queue.backoff.ms": 10,
                "fetch.error.backoff.ms": 50,
                **more,
            }
        )

    def partitions(self, topics: Iterable[Topic]) -> dict[str, int]:
        """How many partitions each of the topics has; those that are not there are left out."""
        with self._lock:
            held = self._metadata()
        names = {self.topic(topic) for topic in topics}
        return {name: len(held[name].partitions) for name in names & held.keys()}

    def prepare(self, topics: Iterable[Topic] = ROAD) -> dict[str, int]:
        """Make what is missing, check what is there; returns the partitions of each.

        Raises
        ------
        BrokerUnavailable
            Nobody answers in time, or we may not log in.
        BrokerRefused
            A topic has another number of partitions than the others, or is not there and may not be made.
        """
        raise NotImplementedError

    def check(self, topics: Iterable[Topic] = ROAD) -> dict[str, int]:
        """Look whether those of the topics that are there fit; returns the partitions of each. Raises as `prepare`."""
        return self.partitions(topics)

    def must_allow(self, *, reads: Iterable[Topic] = (), writes: Iterable[Topic] = ()) -> None:
        """Look whether we may read and write what we will have to.

        Raises
        ------
        BrokerRefused
            We may not; the text names each ACL that is missing.
        """

    def watermarks(self, consumer: Any, name: str, partition: int) -> tuple[int, int]:  # noqa: ANN401
        """The first offset that is still there, and the one after the last."""
        low, high = self.told(consumer.get_watermark_offsets, TopicPartition(name, partition), timeout=ANSWER_S)
        return int(low), int(high)

    def committed(self, consumer: Any, places: list[TopicPartition]) -> list[TopicPartition]:  # noqa: ANN401
        """What a consumer's group has committed."""
        try:
            found: list[TopicPartition] = self.told(consumer.committed, places, timeout=ANSWER_S)
        except BrokerUnavailable:
            for message in consumer.consume(10, timeout=0.5):  # who may not ask is told there, and waits here
                if message.error() is not None and message.error().name() in _NOT_ALLOWED:
                    raise self.error(message.error(), "asking what has been read") from None
            raise
        return found

    def told(self, ask: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Ask a client, again while the broker is still getting ready; its error in our words."""
        limit = time.monotonic() + min(ANSWER_S, self.timeout_s)
        while True:
            try:
                return ask(*args, **options)
            except KafkaException as error:
                if error.args[0].name() not in _NOT_YET or time.monotonic() > limit:
                    raise self.error(error.args[0]) from error
                time.sleep(0.05)

    def error(self, error: Any, what: str = "") -> BrokerError:  # noqa: ANN401 (confluent_kafka.KafkaError)
        """A KafkaError in our words."""
        about = f"{what}: " if what else ""
        if error.name() in _NOBODY:
            said = self._heard or error.str()
            if self._turned_away:
                return BrokerUnavailable(f"{about}no log-in of {self.who} at {self.address} ({said}); {self.advice}")
            return BrokerUnavailable(f"{about}no broker answers at {self.address} ({said}); {self.advice}")
        if error.name() in _NOT_ALLOWED:
            needed = _NOT_ALLOWED[error.name()].format(prefix=self.prefix, group=self.group(""))
            return BrokerRefused(
                f"{about}the broker at {self.address} does not allow it to {self.who} ({error.str()}): {needed}; "
                "deploy/kafka/ACLS.md lists what each role needs"
            )
        return BrokerError(f"{about}the broker at {self.address} refused: {error}; {self.advice}")

    @property
    def who(self) -> str:
        """As whom we speak to the broker."""
        return "us"

    @property
    def advice(self) -> str:
        """What to do when it does not answer."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go."""
        self.renew_client()
        self._asker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hear(self, error: Any) -> None:  # noqa: ANN401
        """Called by a client in trouble: the reason why nobody answers, where it says more than that nobody does."""
        if error.name() not in {"_ALL_BROKERS_DOWN", "_TIMED_OUT"}:
            self._heard = error.str()
            self._turned_away = error.name() in _TURNED_AWAY

    def _asking(self) -> Any:  # noqa: ANN401 (confluent_kafka.admin.AdminClient)
        """The client of questions about topics. Not a producer of events: who may only look may not be one."""
        from confluent_kafka.admin import AdminClient

        with self._lock:
            if self._asker is None:
                self._asker = AdminClient(self.connection())
            return self._asker

    def _metadata(self, topic: str | None = None) -> Mapping[str, Any]:
        client, asked = self._asking(), [topic] if topic else []
        self._turned_away = False
        limit = time.monotonic() + min(ANSWER_S, self.timeout_s)

        def ask() -> Any:  # noqa: ANN401
            while True:
                try:
                    return client.list_topics(*asked, timeout=_LOOK_S)
                except KafkaException:
                    client.poll(0)  # lets it say what is wrong
                    if self._turned_away or time.monotonic() > limit:
                        raise

        found = self.told(ask)
        return {name: held for name, held in found.topics.items() if held.error is None}


_NOBODY = {"_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE", "_AUTHENTICATION", "_SSL", "_MSG_TIMED_OUT",
           "SASL_AUTHENTICATION_FAILED", "REQUEST_TIMED_OUT", "BROKER_NOT_AVAILABLE"}  # fmt: skip
_TURNED_AWAY = {"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "_SSL"}
_LOOK_S = 1.0  # between two looks whether the log-in was refused
_NOT_ALLOWED = {
    "TOPIC_AUTHORIZATION_FAILED": "READ is needed on a topic that is read, WRITE on one that is written to",
    "GROUP_AUTHORIZATION_FAILED": "READ is needed on the groups that begin with '{group}'",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "WRITE and DESCRIBE are needed on the transactional ids that begin with "
    "'{group}'",
    "CLUSTER_AUTHORIZATION_FAILED": "WRITE is needed on a topic at least, or IDEMPOTENT_WRITE on the cluster",
}
_NOT_YET = {"NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE", "UNKNOWN_TOPIC_OR_PART", "NOT_COORDINATOR",
            "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE"}  # fmt: skip
