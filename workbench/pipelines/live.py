"""The stream as a service: which processors, by which broker; and how to begin anew."""

import signal
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from workbench.errors import BrokerError, UsageError, did_you_mean
from workbench.settings import KafkaBroker, Settings
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.live.changelog import owner_of, read_state
from workbench.streaming.live.service import Service, watched
from workbench.streaming.processors.processor import Processor
from workbench.streaming.processors.rightsizing import RightSizing
from workbench.streaming.processors.roi import Roi
from workbench.streaming.processors.spikes import Spikes
from workbench.streaming.processors.windows import Windows
from workbench.streaming.topics import INPUTS, STATE

PROCESSORS: dict[str, Callable[[], Processor]] = {
    "windows": Windows, "spikes": Spikes, "roi": Roi, "rightsizing": RightSizing,
}  # fmt: skip
GROUP = "live"
_WAIT_S = 20.0


def chosen(names: Sequence[str]) -> list[Processor]:
    """Return the processors of these names, all where there are none. Raises UsageError for any other name."""
    for name in names:
        if name not in PROCESSORS:
            raise UsageError(
                f"no processor '{name}'; there are {', '.join(PROCESSORS)}{did_you_mean(name, PROCESSORS)}"
            )
    return [PROCESSORS[name]() for name in names or PROCESSORS]


def run_stream(
    settings: Settings, names: Sequence[str], metrics: str, batch_s: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Run the processors until SIGTERM or SIGINT; returns what was done.

    Parameters
    ----------
    names
        Of the processors; empty: all.
    metrics
        `host:port` to serve `/metrics` and `/healthz` at; empty: nowhere.
    batch_s
        How long a batch gathers, in seconds: what comes out comes so much later.
    say
        Told of trouble that passed, and of the address.

    Raises
    ------
    UsageError
        The profile's broker lives for a run only, or a word that is not understood.
    BrokerError
        Trouble that does not pass.
    """
    if batch_s <= 0:
        raise UsageError(f"--batch-s is the time that a batch gathers, {batch_s:g} s is none; 0.5 is usual")
    processors = chosen(names)
    with _broker(settings) as broker:
        service = Service(broker, processors, GROUP, batch_s=batch_s, say=say)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: service.stop())
        if metrics:
            host, port = _address(metrics)
            with watched(service, host, port) as address:
                say(f"metrics at {address}/metrics, health at {address}/healthz")
                service.run()
        else:
            service.run()
    return service.health()[1]


def reset(settings: Settings, names: Sequence[str], *, replay: bool) -> int:
    """Forget the state of processors; returns how many parts were forgotten.

    Parameters
    ----------
    names
        Of the processors; empty: all.
    replay
        Also read the input topics from their beginning again; for all processors together only. What they wrote before
        stays in the output topics.

    Raises
    ------
    UsageError
        `replay` for some processors: they share the offsets.
    BrokerError
        The service is running: stop it first.
    """
    processors = chosen(names)
    if replay and len(processors) < len(PROCESSORS):
        raise UsageError(
            "the processors share what was read: --replay begins anew for all of them, without --processor"
        )
    with _broker(settings) as broker:
        broker.prepare((*INPUTS.values(), STATE))
        broker.must_allow(reads=(*INPUTS.values(), STATE) if replay else (STATE,), writes=[STATE])
        admin = AdminClient(broker.connection())
        _must_rest(admin, broker)
        forgotten = _forget(broker, {processor.name for processor in processors})
        if replay:
            _rewind(admin, broker)
    return forgotten


def _broker(settings: Settings) -> KafkaCluster:
    if not isinstance(settings.broker, KafkaBroker):
        raise UsageError(
            f"profile '{settings.name}' has the embedded broker, which lives for a run only; a stream needs a Kafka: "
            "`make kafka` starts one, params/kafka.yaml names it; `workbench.streaming.replay` runs the same functions "
            "over history without any"
        )
    return KafkaCluster(settings.broker)


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit():
        raise UsageError(f"'{text}' is no address; write host:port, like 127.0.0.1:9108")
    return host or "127.0.0.1", int(port)


def _must_rest(admin: AdminClient, broker: Broker) -> None:
    """Raise BrokerError while the group has members: they would write the state again."""
    name = broker.group(GROUP)

    def ask() -> Any:  # noqa: ANN401
        return admin.describe_consumer_groups([name], request_timeout=_WAIT_S)[name].result()

    members = broker.told(ask).members
    if members:
        raise BrokerError(f"the stream is running ({len(members)} members of {name}): stop it first")


def _forget(broker: Broker, names: set[str]) -> int:
    """Write over the parts of the state with nothing, in all partitions."""
    producer, topic = broker.producer(), broker.topic(STATE)
    forgotten, errors = 0, []
    for partition in range(broker.partitions([STATE])[topic]):
        for key in read_state(broker, partition):
            owner = owner_of(key)
            if (owner[0] in names) if owner else (names == set(PROCESSORS)):  # what is nobody's goes with all
                producer.produce(
                    topic, None, key, partition=partition, on_delivery=lambda error, _: errors.append(error)
                )
                forgotten += 1
    left = producer.flush(_WAIT_S)
    if refused := [error for error in errors if error is not None]:
        raise broker.error(refused[0], f"{topic} did not take all that was to be forgotten")
    if left:
        raise BrokerError(f"{topic} did not take all that was to be forgotten; run it again")
    return forgotten


def _rewind(admin: AdminClient, broker: Broker) -> None:
    places = [
        TopicPartition(name, partition, 0)
        for name, count in broker.partitions(INPUTS.values()).items()
        for partition in range(count)
    ]
    name = broker.group(GROUP)

    def ask() -> None:
        admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, places)], request_timeout=_WAIT_S)[
            name
        ].result()

    broker.told(ask)
