"""The loop as a service: it joins again after trouble, and tells how it is doing."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException

from workbench.errors import BrokerError, BrokerRefused, BrokerUnavailable
from workbench.streaming.broker import Broker
from workbench.streaming.live.member import BATCH, Counts, Member
from workbench.streaming.processors.processor import Processor
from workbench.streaming.topics import DEAD_LETTERS, INPUTS, OUTPUTS, STATE

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_WAIT_S = 30.0
HOPELESS = 5
"""So many failures in a row without one transaction in between: then it is no passing trouble."""
SILENT_S = 30.0
LOOK_EVERY_S = 30.0
"""Seconds between two looks whether the topics are still there."""


class Service:
    """Runs members of the group, one after the other, until it is stopped.

    A member that fails has committed nothing of what it failed at: the next one reads state and offsets as they stand
    in the broker, and goes on.
    """

    def __init__(
        self, broker: Broker, processors: Sequence[Processor], group: str, *, batch: int = BATCH, batch_s: float = 0.5,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.broker, self.processors, self.group = broker, processors, group
        self.batch, self.batch_s, self.say = batch, batch_s, say
        self.counts = Counts()
        self._stop = threading.Event()
        self._looked = time.monotonic()
        inputs = [INPUTS[kind] for kind in sorted({kind for processor in processors for kind in processor.kinds})]
        outputs = [topic for topic in OUTPUTS if any(topic.name in names for names in map(_told, processors))]
        self._access = {"reads": (*inputs, STATE), "writes": (*outputs, DEAD_LETTERS, STATE)}
        self._topics = (*inputs, *outputs, DEAD_LETTERS, STATE)

    def stop(self) -> None:
        """Finish the batch under way, commit it, and leave the group."""
        self._stop.set()

    def run(self, idle_s: float = 60.0) -> None:
        """Go on until `stop`.

        Raises
        ------
        BrokerRefused
            Trouble that does not pass, told at once: a state that can't be read, a topic that is not there and may not
            be made, partitions that don't fit, something that we may not do. Its text says what to do.
        BrokerUnavailable
            Nobody answers at the start, or nobody may log in.
        BrokerError
            The same trouble again and again.
        """
        self.broker.prepare(self._topics)
        self.broker.must_allow(**self._access)
        failed, done = 0, 0
        while not self._stop.is_set():
            try:
                self._once(idle_s, again=failed > 0)
            except BrokerRefused:
                raise
            except BrokerError as error:
                failed = 1 if self.counts.transactions > done else failed + 1
                done = self.counts.transactions
                if failed >= HOPELESS:
                    raise
                self.counts.restarts += 1
                self.say(f"{error}; joining again")
                self._stop.wait(min(2.0 ** (failed - 1), LONGEST_WAIT_S))

    def _must_be_there(self) -> None:
        """Raise BrokerRefused for a topic that has gone: a consumer would wait for it for ever, without a word."""
        self._looked = time.monotonic()
        try:
            there = self.broker.check(self._topics)
        except BrokerUnavailable:
            return  # passes, and the member hears of it by itself
        if gone := sorted({self.broker.topic(topic) for topic in self._topics} - there.keys()):
            raise BrokerRefused(
                f"topic {', '.join(gone)} has gone from {self.broker.address} while the stream was running; what "
                "nobody had read of it is lost. `workbench stream run` makes it anew, where it may; then load or send "
                "again what was lost, which does no harm"
            )

    def _stopped(self) -> bool:
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._must_be_there()
        return self._stop.is_set()

    def _once(self, idle_s: float, *, again: bool) -> None:
        """One membership, to its end."""
        try:
            if again:
                self._must_be_there()
                self.broker.must_allow(**self._access)
            member = Member(self.broker, self.processors, self.group, batch=self.batch, batch_s=self.batch_s,
                            counts=self.counts)  # fmt: skip
            member.run(self._stopped, idle_s)
        except KafkaException as error:
            raise self.broker.error(error.args[0], "the stream") from error

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether it works, and what it has done."""
        counts = self.counts
        silent = time.monotonic() - counts.polled
        healthy = counts.polled > 0 and silent < SILENT_S
        return healthy, {
            "healthy": healthy, "partitions": counts.partitions, "read": counts.read, "dead": counts.dead,
            "written": counts.written, "transactions": counts.transactions, "restarts": counts.restarts,
            "lag": sum(counts.lag.values()), "seconds_since_poll": round(silent, 1) if counts.polled else None,
        }  # fmt: skip


def _told(processor: Processor) -> Collection[str]:
    """The names of the topics that a processor writes to."""
    return processor.close(processor.empty())[0].keys()


@contextmanager
def watched(service: Service, host: str, port: int) -> "Iterator[str]":
    """Serve `/metrics` (Prometheus) and `/healthz` (JSON; 503 when it does not work) beside the service.

    Yields the address; port 0 takes a free one.
    """
    import uvicorn

    config = uvicorn.Config(_app(service), host=host, port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="metrics", daemon=True)
    thread.start()
    limit = time.monotonic() + 10
    while not server.started and thread.is_alive() and time.monotonic() < limit:
        time.sleep(0.02)
    if not server.started:
        raise BrokerError(f"metrics can't be served at {host}:{port}; is the port taken? Name another with --metrics")
    taken = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{host}:{taken}"
    finally:
        server.should_exit = True
        thread.join(timeout=5)


def _app(service: Service) -> Any:  # noqa: ANN401 (Starlette)
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    def healthz(_: Request) -> Response:
        healthy, about = service.health()
        return JSONResponse(about, status_code=200 if healthy else 503)

    def metrics(_: Request) -> Response:
        return PlainTextResponse(exposition(service.counts), media_type="text/plain; version=0.0.4")

    return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])


def exposition(counts: Counts) -> bytes:
    """What Prometheus scrapes."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    class _Counts:
        def collect(self) -> "Iterator[Any]":
            for name, help_text, value in (
                ("read", "Messages read and committed", counts.read),
                ("dead_letters", "Messages that could not be read", counts.dead),
                ("written", "Messages written to output topics", counts.written),
                ("transactions", "Transactions committed", counts.transactions),
                ("restarts", "Times that the group was joined again after trouble", counts.restarts),
            ):
                yield CounterMetricFamily(f"workbench_stream_{name}", help_text, value=value)
            lag = GaugeMetricFamily("workbench_stream_lag", "Messages that wait", labels=["topic", "partition"])
            for (topic, partition), waiting in counts.lag.items():
                lag.add_metric([topic, str(partition)], waiting)
            yield lag

    registry = CollectorRegistry()
    registry.register(_Counts())
    return bytes(generate_latest(registry))
