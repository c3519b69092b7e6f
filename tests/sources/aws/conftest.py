"""A sink and cursors in memory, and an AWS on this machine that speaks recorded shapes."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore.loaders
import polars as pl
import pytest

from workbench.checking import Checked
from workbench.events import COST
from workbench.settings import AwsSource
from workbench.sources.aws.calls import Aws

FIXTURES = Path(__file__).parents[2] / "fixtures/aws"
ACCOUNT = "123456789012"
Answer = dict[str, Any] | tuple[int, dict[str, Any]]

_WHO = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{ACCOUNT}:user/finops</Arn><UserId>U</UserId><Account>{ACCOUNT}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""


def recorded(name: str) -> dict[str, Any]:
    """A recorded answer."""
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return found


class KeptSink:
    """Keeps the newest version of each event, as the warehouse does, and all refusals."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.rejected: list[dict[str, Any]] = []
        self.kinds: set[str] = set()
        self.calls = 0

    def take(self, kind: str, checked: Checked) -> None:
        """See `sources.handed.Sink`."""
        self.calls += 1
        self.kinds.add(kind)
        self.rows |= {row["event_id"]: row for row in checked.valid.iter_rows(named=True)}
        self.rejected += checked.rejected.to_dicts()

    def frame(self, schema: pl.Schema = COST) -> pl.DataFrame:
        """All events as they are now."""
        return pl.DataFrame(list(self.rows.values()), schema=schema)

    def known(self, collector: str, start: datetime, end: datetime) -> pl.DataFrame:
        """See `sources.handed.Known`."""
        mine = pl.col("metadata").str.json_path_match("$.collector") == collector
        return self.frame().filter(mine, pl.col("timestamp") >= start, pl.col("timestamp") < end)


class KeptCursors:
    """Cursors in memory."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """What was set."""
        return self.held.get(key)

    def set(self, key: str, value: str) -> None:
        """Set it."""
        self.held[key] = value


class LocalAws:
    """An HTTP server that answers each call with what `answers` says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: Callable[[str, dict[str, Any]], Answer] = lambda _, __: {}
        local = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                if not operation:
                    self._send(200, _WHO.encode(), "text/xml")
                    return
                request = json.loads(body)
                local.asked.append((operation, request))
                answer = local.answers(operation, request)
                status, told = answer if isinstance(answer, tuple) else (200, answer)
                self._send(status, json.dumps(told).encode(), "application/x-amz-json-1.1")

            def _send(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}"


@cache
def loader() -> Any:
    """Boto's descriptions of services, read once for all tests: each takes a third of a second."""
    return botocore.loaders.Loader(include_default_search_paths=True)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's, so that no test can reach a real account."""
    monkeypatch.setattr(botocore.loaders, "create_loader", lambda *_: loader())
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def local() -> Iterator[LocalAws]:
    server = LocalAws()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def make_aws(local: LocalAws, waits: list[float]) -> Callable[..., Aws]:
    """An `Aws` that asks the local server and never sleeps; `waits` tells how long it would have."""

    def make(**settings: Any) -> Aws:
        source = AwsSource(name="account", endpoint_url=settings.pop("endpoint_url", local.url), **settings)
        return Aws(source, waits.append, lambda: 1.0)

    return make


def at(*moment: int) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, misc]
