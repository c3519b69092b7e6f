"""Business events: JSON lines from a file that grows, from a stream, and by HTTP."""

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.sources.aws.conftest import KeptCursors, KeptSink
from workbench.errors import BrokerError, SourceError, UsageError
from workbench.sources import business
from workbench.sources.business import GrowingFile, send_stream
from workbench.sources.endpoint import Endpoint, address_of, check_token

NOW = datetime(2025, 11, 1, tzinfo=UTC)
TOKEN = "0123456789abcdef" * 2


def event(number: int, **more: Any) -> bytes:
    """One line."""
    usual = {"event_id": f"e-{number}", "timestamp": "2025-10-31T10:00:00Z", "event_type": "purchase",
             "revenue_impact": "12.50", "currency": "USD", "business_unit": "shop"}  # fmt: skip
    return json.dumps(usual | more).encode()


def growing(path: Path, sink: KeptSink, cursors: KeptCursors) -> GrowingFile:
    return GrowingFile(path, sink, cursors, lambda: NOW, lambda: False)


# A file


def test_each_round_sends_what_was_added_and_leaves_a_half_line_alone(tmp_path: Path) -> None:
    path, sink, cursors = tmp_path / "events.jsonl", KeptSink(), KeptCursors()
    path.write_bytes(event(1) + b"\n\n" + event(2) + b"\n" + event(3)[:20])
    assert growing(path, sink, cursors).round().accepted == 2
    with path.open("ab") as file:
        file.write(event(3)[20:] + b"\r\n")
    assert growing(path, sink, cursors).round().accepted == 1
    assert growing(path, sink, cursors).round().read == 0
    assert list(sink.rows) == ["e-1", "e-2", "e-3"]
    assert sink.kinds == {"business"}
    with path.open("ab") as file:
        file.write(event(4))
    assert growing(path, sink, cursors).round(last=True).accepted == 1


def test_a_file_that_was_replaced_or_cut_is_read_from_its_start(tmp_path: Path) -> None:
    path, sink, cursors = tmp_path / "events.jsonl", KeptSink(), KeptCursors()
    path.write_bytes(event(1) + b"\n" + event(2) + b"\n")
    growing(path, sink, cursors).round()
    path.write_bytes(event(5) + b"\n")  # the same file, shorter
    assert growing(path, sink, cursors).round().accepted == 1
    again = path.read_bytes()
    path.write_bytes(event(4) + b"\n" + again)  # the same file, as long as it was and more
    assert growing(path, sink, cursors).round().accepted == 2
    (tmp_path / "new").write_bytes(event(6) + b"\n" + event(7) + b"\n" + event(8) + b"\n")
    (tmp_path / "new").replace(path)
    assert growing(path, sink, cursors).round().accepted == 3


def test_a_long_file_goes_in_batches_with_a_cursor_after_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(business, "BATCH_LINES", 10)
    path, cursors = tmp_path / "events.jsonl", KeptCursors()
    path.write_bytes(b"".join(event(number) + b"\n" for number in range(35)))

    class Failing(KeptSink):
        def take(self, kind: str, checked: Any) -> None:
            if self.calls == 2:
                raise BrokerError("gone")
            super().take(kind, checked)

    failing = Failing()
    with pytest.raises(BrokerError):
        growing(path, failing, cursors).round()
    sink = KeptSink()
    growing(path, sink, cursors).round()
    assert len(failing.rows) == 20
    assert list(sink.rows) == [f"e-{number}" for number in range(20, 35)]


def test_a_long_file_stops_after_a_batch_where_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(business, "BATCH_LINES", 10)
    path, sink, cursors = tmp_path / "events.jsonl", KeptSink(), KeptCursors()
    path.write_bytes(b"".join(event(number) + b"\n" for number in range(35)))
    assert GrowingFile(path, sink, cursors, lambda: NOW, lambda: True).round().accepted == 10
    assert growing(path, sink, cursors).round().accepted == 25


def test_bad_lines_are_refused_with_their_reason_and_the_others_go_on(tmp_path: Path) -> None:
    bad = [b"no json", b"[1]", b"\xff\xfe", event(1, revenue_impact=12.5), event(2, currency="dollars"),
           event(3, timestamp="yesterday"), event(4, event_id=None)]  # fmt: skip
    path, sink = tmp_path / "events.jsonl", KeptSink()
    path.write_bytes(b"\n".join([event(9), *bad, event(10)]) + b"\n")
    read = growing(path, sink, KeptCursors()).round()
    assert (read.accepted, read.rejected) == (2, len(bad))
    assert sum(read.reasons.values()) == len(bad)
    assert read.reasons["is not a JSON object"] == 3
    assert len(sink.rejected) == len(bad)
    assert sink.rows["e-9"]["revenue_impact"] == Decimal("12.5")
    assert sink.rows["e-9"]["observed_at"] == NOW


def test_a_line_that_is_too_long_is_refused_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(business, "LONGEST_LINE", 5_000)
    path, sink = tmp_path / "events.jsonl", KeptSink()
    path.write_bytes(event(1) + b"\n" + event(2, feature="x" * 23_000) + b"\n" + event(3) + b"\n")
    read = growing(path, sink, KeptCursors()).round()
    assert (read.accepted, read.rejected) == (2, 1)
    assert max(len(each["record"]) for each in sink.rejected) < 2_000


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none.jsonl: can't be read"):
        growing(tmp_path / "none.jsonl", KeptSink(), KeptCursors()).round()


def test_a_stream_is_sent_to_its_end(tmp_path: Path) -> None:
    sink = KeptSink()
    (tmp_path / "lines").write_bytes(event(1) + b"\n\n" + event(2))
    with (tmp_path / "lines").open("rb") as file:
        read = send_stream(file, sink, lambda: NOW, lambda: False)
    assert (read.read, list(sink.rows)) == (2, ["e-1", "e-2"])


def test_lines_of_a_slow_stream_do_not_wait_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(business, "_PATIENCE_S", 0.1)
    sink, stop = KeptSink(), threading.Event()
    receiving, sending = os.pipe()
    with os.fdopen(receiving, "rb") as given, os.fdopen(sending, "wb", buffering=0) as out:
        reads: list[Any] = []
        thread = threading.Thread(target=lambda: reads.append(send_stream(given, sink, lambda: NOW, stop.is_set)))
        thread.start()
        out.write(event(1) + b"\n" + event(2)[:10])
        limit = time.monotonic() + 20
        while not sink.rows and time.monotonic() < limit:
            time.sleep(0.01)
        assert list(sink.rows) == ["e-1"]
        out.write(event(2)[10:] + b"\n" + event(3)[:10])
        while len(sink.rows) < 2 and time.monotonic() < limit:
            time.sleep(0.01)
        stop.set()  # the sender goes on, we do not
        thread.join(20)
    assert list(sink.rows) == ["e-1", "e-2"]
    assert (reads[0].accepted, reads[0].rejected) == (2, 1)


# HTTP


class Answer:
    """What a server said."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status_code = answer.status
        self.headers = dict(answer.getheaders())
        self.text = answer.read().decode()

    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)


class Client:
    """Asks a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, content: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, content, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, path: str, content: Any, headers: dict[str, str] | None = None) -> Answer:
        """A POST."""
        return self.ask("POST", path, content, headers)


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Client]]:
    """Serve an endpoint in a thread."""
    servers: list[uvicorn.Server] = []

    def serve(sink: KeptSink, **more: Any) -> Client:
        app = Endpoint(sink, lambda: NOW, **{"told": lambda _: None, **more}).app()
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
        servers.append(server)
        threading.Thread(target=server.run, daemon=True).start()
        while not server.started:
            time.sleep(0.01)
        return Client(server.servers[0].sockets[0].getsockname()[1])

    yield serve
    for server in servers:
        server.should_exit = True


def test_a_post_is_answered_with_what_became_of_each_line(endpoint: Callable[..., Client]) -> None:
    sink = KeptSink()
    client = endpoint(sink)
    answer = client.post("/events", content=event(1) + b"\n\n" + b"{broken\n" + event(2) + b"\n")
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 2, "rejected": 1, "reasons": [{"line": 3, "reason": "is not a JSON object"}],
    }  # fmt: skip
    assert list(sink.rows) == ["e-1", "e-2"]
    assert client.ask("GET", "/healthz").json() == {"status": "ok", "accepted": 2, "rejected": 1}
    assert client.post("/events", content=b"nothing").status_code == 422
    assert client.post("/events", content=b"").json()["accepted"] == 0
    assert client.ask("GET", "/events").status_code == 405


def test_a_body_that_is_too_long_is_not_taken_whatever_its_header_says(endpoint: Callable[..., Client]) -> None:
    sink = KeptSink()
    client = endpoint(sink, longest=1_000)
    assert client.post("/events", content=b"x" * 1_001).status_code == 413

    def parts() -> Any:
        yield from [event(number) + b"\n" for number in range(20)]

    assert client.post("/events", content=parts()).status_code == 413
    assert sink.calls == 0


def test_with_a_token_only_who_shows_it_may_send(endpoint: Callable[..., Client]) -> None:
    sink = KeptSink()
    client = endpoint(sink, token=TOKEN)
    for headers in ({}, {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": f"Basic {TOKEN}"}):
        refused = client.post("/events", content=event(1), headers=headers)
        assert refused.status_code == 401
        assert TOKEN not in refused.text
    assert client.post("/events", content=event(1), headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert TOKEN not in repr(Endpoint(sink, lambda: NOW, print, TOKEN))


def test_a_web_page_cannot_send_events_by_the_browser_of_who_sits_here(endpoint: Callable[..., Client]) -> None:
    sink = KeptSink()
    answer = endpoint(sink).post("/events", event(1), {"Origin": "https://example.org", "Content-Type": "text/plain"})
    assert (answer.status_code, sink.calls) == (403, 0)


def test_when_events_cannot_be_delivered_the_sender_is_told_to_come_back(endpoint: Callable[..., Client]) -> None:
    class Failing(KeptSink):
        def take(self, *_: object) -> None:
            raise BrokerError("no broker answers at kafka-1:9093")

    said: list[str] = []
    answer = endpoint(Failing(), told=said.append).post("/events", content=event(1))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert "kafka-1" not in answer.text
    assert said == ["no broker answers at kafka-1:9093"]


@pytest.mark.parametrize(
    ("text", "host", "port", "local"),
    [
        ("8080", "127.0.0.1", 8080, True),
        ("[::1]:80", "::1", 80, True),
        ("localhost:1", "localhost", 1, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),  # noqa: S104 (what is being tested)
        ("example.org:80", "example.org", 80, False),
    ],
)
def test_an_address_is_read_and_known_to_be_local_or_not(text: str, host: str, port: int, local: bool) -> None:
    address = address_of(text)
    assert (address.host, address.port, address.is_local) == (host, port, local)
    if local:
        check_token(address, None)
        return
    with pytest.raises(UsageError, match="WORKBENCH_PRODUCE_TOKEN"):
        check_token(address, None)
    check_token(address, TOKEN)


def test_wrong_addresses_and_short_tokens_are_refused() -> None:
    for text in ("", "x", "a:b", "a:99999"):
        with pytest.raises(UsageError, match="is no address"):
            address_of(text)
    with pytest.raises(UsageError, match="fewer than 16"):
        check_token(address_of("80"), "short")
