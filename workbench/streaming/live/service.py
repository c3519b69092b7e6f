"""The loop as a service: it joins again after trouble, and tells how it is doing."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.errors import BrokerError
from workbench.streaming.broker import Broker
from workbench.streaming.live.member import Counts, Member
from workbench.streaming.processors.processor import Processor
from workbench.streaming.topics import OUTPUTS, ROAD, STATE

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_WAIT_S = 30.0
HOPELESS = 5
"""So many failures in a row without one transaction in between: then it is no passing trouble."""
SILENT_S = 30.0


class Service:
    """Runs members of the group, one after the other, until it is stopped.

    A member that fails has committed nothing of what it failed at: the next one reads state and offsets as they stand
    in the broker, and goes on.
    """

    def __init__(
        self, broker: Broker, processors: Sequence[Processor], group: str, *, batch: int = 50_000, batch_s: float = 0.5,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.broker, self.processors, self.group = broker, processors, group
        self.batch, self.batch_s, self.say = batch, batch_s, say
        self.counts = Counts()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Finish the batch under way, commit it, and leave the group."""
        self._stop.set()

    def run(self, idle_s: float = 60.0) -> None:
        """Go on until `stop`.

        Raises
        ------
        BrokerError
            The same trouble again and again, or a state that can't be read: its text says what to do.
        """
        self.broker.prepare((*ROAD, *OUTPUTS, STATE))
        failed, done = 0, 0
        while not self._stop.is_set():
            member = Member(self.broker, self.processors, self.group, batch=self.batch, batch_s=self.batch_s,
                            counts=self.counts)  # fmt: skip
            try:
                member.run(self._stop.is_set, idle_s)
            except BrokerError as error:
                failed = 1 if self.counts.transactions > done else failed + 1
                done = self.counts.transactions
                if failed >= HOPELESS:
                    raise
                self.counts.restarts += 1
                self.say(f"{error}; joining again")
                self._stop.wait(min(2.0 ** (failed - 1), LONGEST_WAIT_S))

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
