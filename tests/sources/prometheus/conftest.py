"""A small server that speaks Prometheus' HTTP API, and does what servers do when they are not well."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from workbench.sources.prometheus import Limits, Server, Wanted

START = datetime(2025, 10, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Labels = dict[str, str]
Value = Callable[[Labels, int], float | str | None]
"""Labels and seconds since 1970 → the sample there; None where there is none."""


@dataclass
class Trouble:
    """What goes wrong with the next questions."""

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    drop: bool = False
    cut: bool = False


@dataclass
class Asked:
    """One question as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def is_count(self) -> bool:
        """Whether it asks how many series there are."""
        return self.query.get("query", "").startswith("count(")


class FakePrometheus:
    """Answers range queries from `series` and `value`; `troubles` come first, one a question."""

    def __init__(self) -> None:
        self.series: dict[str, list[Labels]] = {"up": [{"__name__": "up", "workload": "checkout"}]}
        self.value: Value = lambda _, at: at % 7
        self.troubles: list[Trouble] = []
        self.always: Trouble | None = None
        self.asked: list[Asked] = []
        self.warnings: list[str] = []
        self.gzip = True
        self.most_points = 11_000
        self.ended = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fake.serve(self, urlsplit(self.path).query)

            def do_POST(self) -> None:
                fake.serve(self, self.rfile.read(int(self.headers["Content-Length"])).decode())

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that went away
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def read(self) -> list[Asked]:
        """The questions that are no counts."""
        return [each for each in self.asked if not each.is_count]

    def serve(self, handler: BaseHTTPRequestHandler, form: str) -> None:
        """Answer a request, or do what the next trouble says."""
        query = {name: values[0] for name, values in parse_qs(form).items()}
        headers = {name.casefold(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.command, urlsplit(handler.path).path, query, headers))
        trouble = self.troubles.pop(0) if self.troubles else self.always or Trouble()
        self.ended.wait(trouble.hang_s)
        if trouble.drop:
            handler.close_connection = True
            handler.connection.close()
            return
        fine = trouble.status == 200 and trouble.body is None
        status, told = self.answer(query) if fine else (trouble.status, None)
        body = trouble.body if trouble.body is not None else json.dumps(told).encode() if told else b""
        self.send(handler, status, body, trouble)

    def send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes, trouble: Trouble) -> None:
        """Send an answer, packed if the client takes it."""
        packed = self.gzip and "gzip" in handler.headers.get("Accept-Encoding", "")
        sent = gzip.compress(body) if packed else body
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **trouble.headers}.items():
            handler.send_header(name, value)
        if packed:
            handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(sent)))
        handler.end_headers()
        handler.wfile.write(sent[: len(sent) // 2] if trouble.cut else sent)
        handler.close_connection = True

    def answer(self, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and envelope of a range query."""
        start, end, step = (int(query[name]) for name in ("start", "end", "step"))
        if (end - start) // step > self.most_points:
            text = "exceeded maximum resolution of 11,000 points per timeseries"
            return 400, {"status": "error", "errorType": "bad_data", "error": text}
        name = query["query"].removeprefix("count(\n").removesuffix("\n)")
        if name not in self.series:
            return 400, {"status": "error", "errorType": "bad_data", "error": f"parse error: unknown {name}"}
        times = range(start, end + 1, step)
        if name != query["query"]:
            result = [
                {"metric": {}, "values": [[at, str(self.count(name, at))] for at in times if self.count(name, at)]}
            ]
        else:
            result = [self.one(labels, times) for labels in self.series[name]]
        found = [series for series in result if series["values"]]
        data = {"resultType": "matrix", "result": found}
        return 200, {"status": "success", "data": data, **({"warnings": self.warnings} if self.warnings else {})}

    def count(self, name: str, at: int) -> int:
        """How many series there are at a moment."""
        return sum(self.value(labels, at) is not None for labels in self.series[name])

    def one(self, labels: Labels, times: range) -> dict[str, Any]:
        """One series of a matrix."""
        values = [[at, str(value)] for at in times if (value := self.value(labels, at)) is not None]
        return {"metric": labels, "values": values}

    def close(self) -> None:
        """End it, and whoever hangs."""
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def fake() -> Iterator[FakePrometheus]:
    made = FakePrometheus()
    yield made
    made.close()


@pytest.fixture
def twin() -> Iterator[FakePrometheus]:
    made = FakePrometheus()
    yield made
    made.close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def wanted(waits: list[float]) -> Callable[..., Wanted]:
    """What to read, by default `up`; never sleeps, `waits` tells how long it would have."""

    def make(*queries: str, series: int = 50_000, samples: int = 50_000_000, **more: Any) -> Wanted:
        named = {name: name for name in queries or ("up",)}
        return Wanted(named, limits=Limits(series, samples), **{"timeout_s": 20.0, "pause": waits.append, **more})

    return make


def server(fake: FakePrometheus, **headers: str) -> Server:
    return Server(fake.url, headers)
