"""Servers that are not well, and secrets that stay secret."""

import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import formatdate

import pytest
from pydantic import SecretStr

from tests.sources.prometheus.conftest import MINUTE, START, FakePrometheus, Trouble, server
from workbench.errors import SourceError, UsageError, WorkbenchError
from workbench.settings import PrometheusServer
from workbench.sources.collect import collect_url
from workbench.sources.prometheus import Server, Wanted, read_ranges, server_at, server_of
from workbench.sources.prometheus.asking import ATTEMPTS, LARGEST_BODY, Asker

Make = Callable[..., Wanted]
HOUR = timedelta(hours=1)
SECRET = "hunter2-very-secret"  # noqa: S105


def read(fake: FakePrometheus, wanted: Wanted) -> int:
    return read_ranges([server(fake)], wanted, START, START + HOUR, MINUTE).frame.height


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(status=500),
        Trouble(status=502, body=b"<html>bad gateway</html>", headers={"Content-Type": "text/html"}),
        Trouble(status=503, body=b'{"status":"error","errorType":"timeout","error":"query timed out"}'),
        Trouble(status=429),
        Trouble(drop=True),
        Trouble(cut=True),
        Trouble(body=b'{"status":"success","data":{"resultTy'),
        Trouble(body=b"null"),
    ],
    ids=["500", "502", "503", "429", "reset", "half a body", "half of JSON", "null"],
)
@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_what_passes_is_asked_again(
    fake: FakePrometheus, wanted: Make, waits: list[float], trouble: Trouble, packed: bool
) -> None:
    fake.gzip = packed
    fake.troubles = [trouble, trouble, Trouble(), trouble]
    assert read(fake, wanted()) == 60
    assert len(waits) == 3
    assert waits[0] < waits[1], "each pause is longer than the one before"


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_is_not_asked_again_and_names_query_and_reason(
    fake: FakePrometheus, wanted: Make, waits: list[float], status: int
) -> None:
    said = b'{"status":"error","errorType":"execution","error":"query would load too many samples into memory"}'
    fake.always = Trouble(status=status, body=said)
    with pytest.raises(SourceError, match="execution: query would load too many samples") as caught:
        read(fake, wanted())
    assert "'up', up" in str(caught.value)
    assert f"HTTP {status}" in str(caught.value)
    assert not waits
    assert len(fake.asked) == 2, "one count, which is not told of, and the query itself"


def test_one_bad_query_ends_it_all_with_its_name(fake: FakePrometheus, wanted: Make) -> None:
    with pytest.raises(SourceError, match=r"the query of 'rate\(', rate\(.*parse error"):
        read_ranges([server(fake)], wanted("up", "rate("), START, START + HOUR, MINUTE)


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_a_server_that_asks_to_wait_is_waited_for(
    fake: FakePrometheus, wanted: Make, waits: list[float], as_date: bool
) -> None:
    after = formatdate(time.time() + 15, usegmt=True) if as_date else "15"
    fake.troubles = [Trouble(status=429, headers={"Retry-After": after})]
    assert read(fake, wanted(timeout_s=60)) == 60
    assert 5 < waits[0] <= 15


def test_a_server_that_asks_to_wait_too_long_is_given_up(fake: FakePrometheus, wanted: Make) -> None:
    fake.always = Trouble(status=503, headers={"Retry-After": "86400"})
    with pytest.raises(SourceError, match="no answer to .* in one attempt .HTTP 503"):
        read(fake, wanted())


def test_a_server_that_stays_ill_is_given_up_for_all_queries(fake: FakePrometheus, wanted: Make) -> None:
    fake.always = Trouble(status=500)
    queries = [f"q{number}" for number in range(40)]
    with pytest.raises(SourceError, match=f"no answer to .* in {ATTEMPTS} attempts"):
        read_ranges([server(fake)], wanted(*queries), START, START + HOUR, MINUTE)
    assert len(fake.asked) < 12 * ATTEMPTS, "not 40 times all the attempts"


def test_a_hanging_server_ends_in_a_clear_error_in_time(fake: FakePrometheus, wanted: Make) -> None:
    fake.always = Trouble(hang_s=60)
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"no answer to .*silent for.*timeout_s") as caught:
        read(fake, wanted(timeout_s=1.0))
    assert fake.url in str(caught.value)
    assert time.monotonic() - began < 5


def test_a_server_that_answers_drop_by_drop_ends_in_time_too(fake: FakePrometheus, wanted: Make) -> None:
    def drip(handler: object, status: int, body: bytes, _: Trouble) -> None:
        handler.send_response(status)  # type: ignore[attr-defined]
        handler.send_header("Content-Length", str(len(body)))  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        for byte in body:
            handler.wfile.write(bytes([byte]))  # type: ignore[attr-defined]
            if fake.ended.wait(0.05):
                return

    fake.send = drip  # type: ignore[method-assign, assignment]
    began = time.monotonic()
    with pytest.raises(SourceError, match="time was up in the middle"):
        read(fake, wanted(timeout_s=1.0))
    assert time.monotonic() - began < 5


def test_nobody_at_the_address_is_told(wanted: Make) -> None:
    with pytest.raises(SourceError, match=r"http://127.0.0.1:9 gave no answer .*refused"):
        read_ranges([Server("http://127.0.0.1:9")], wanted(), START, START + HOUR, MINUTE)


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_an_answer_without_end_is_broken_off(fake: FakePrometheus, packed: bool) -> None:
    fake.gzip = packed
    fake.always = Trouble(body=b'{"status": "success", "data": "' + b"a" * 3_000_000 + b'"}')
    asker = Asker(server(fake), time.monotonic() + 20, 10, largest=1 << 20)
    with pytest.raises(SourceError, match="more than 1 MB"):
        asker.ask("query_range", {"query": "up"}, "up")
    assert LARGEST_BODY <= 1 << 28


def test_a_web_page_is_no_prometheus(fake: FakePrometheus, wanted: Make, waits: list[float]) -> None:
    fake.always = Trouble(body=b"<html>log in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(SourceError, match="web page"):
        read(fake, wanted())
    assert not waits


def test_something_else_at_the_address_is_told(fake: FakePrometheus, wanted: Make) -> None:
    fake.always = Trouble(status=404, body=b"404 page not found", headers={"Content-Type": "text/plain"})
    with pytest.raises(SourceError, match="knows no /api/v1"):
        read(fake, wanted())
    fake.always = Trouble(body=b'{"status":"success","data":{"resultType":"vector","result":[]}}')
    with pytest.raises(SourceError, match="a vector instead of a matrix"):
        read(fake, wanted())


def test_a_redirect_is_told_and_takes_no_secret_along(fake: FakePrometheus, twin: FakePrometheus, wanted: Make) -> None:
    place = twin.url.replace("//", f"//me:{SECRET}@") + f"/login?token={SECRET}"
    fake.always = Trouble(status=302, headers={"Location": place})
    with pytest.raises(SourceError, match=f"sends elsewhere: {twin.url}/login") as caught:
        read_ranges([server(fake, Authorization=SECRET)], wanted(), START, START + HOUR, MINUTE)
    assert SECRET not in str(caught.value)
    assert not twin.asked


# Who asks


def test_basic_auth_a_token_and_headers_come_along(fake: FakePrometheus, wanted: Make) -> None:
    asked = [
        PrometheusServer(url=fake.url, username="me", password=SecretStr(SECRET)),
        PrometheusServer(url=fake.url, token=SecretStr(SECRET), headers={"X-Scope-OrgID": SecretStr("acme")}),
    ]
    read_ranges([server_of(each) for each in asked], wanted(), START, START + HOUR, MINUTE)
    shown = {each.headers["authorization"] for each in fake.asked}
    assert shown == {"Basic bWU6aHVudGVyMi12ZXJ5LXNlY3JldA==", f"Bearer {SECRET}"}
    assert "acme" in {each.headers.get("x-scope-orgid") for each in fake.asked}


def test_for_a_bare_url_they_come_from_the_environment_or_the_url(fake: FakePrometheus) -> None:
    host = fake.url.removeprefix("http://")
    end = START + HOUR
    collect_url(fake.url, START, end, MINUTE, {"up": "up"}, environment={"WORKBENCH_PROMETHEUS_TOKEN": SECRET})
    collect_url(host, START, end, MINUTE, {"up": "up"}, environment={
        "WORKBENCH_PROMETHEUS_USERNAME": "me", "WORKBENCH_PROMETHEUS_PASSWORD": SECRET})  # fmt: skip
    collect_url(f"http://me:{SECRET}@{host}/", START, end, MINUTE, {"up": "up"}, environment={})
    shown = [each.headers["authorization"] for each in fake.read]
    assert shown == [f"Bearer {SECRET}", *["Basic bWU6aHVudGVyMi12ZXJ5LXNlY3JldA=="] * 2]
    assert {each.path for each in fake.asked} == {"/api/v1/query_range"}


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(status=401),
        Trouble(status=403),
        Trouble(status=500),
        Trouble(status=422),
        Trouble(drop=True),
        Trouble(body=b"[]"),
        Trouble(body=b"", headers={"Content-Type": "text/html"}),
    ],
)
def test_no_error_shows_a_secret(fake: FakePrometheus, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.sources.prometheus.asking.FIRST_S", 0.001)
    fake.always = trouble
    url = fake.url.replace("//", f"//me:{SECRET}@")
    with pytest.raises(WorkbenchError) as caught:
        collect_url(url, START, START + HOUR, MINUTE, environment={})
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(server_at(url, {}))
    assert fake.url in str(caught.value)


@pytest.mark.parametrize(
    "url", [f"ftp://me:{SECRET}@host", "http://", f"http://host:port:{SECRET}@x:y", f"http://host/?token={SECRET}", ""]
)
def test_what_is_no_address_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(UsageError, match="no address of a Prometheus server; write") as caught:
        server_at(url, {})
    assert SECRET not in str(caught.value)


def test_a_token_with_a_line_break_is_not_sent() -> None:
    with pytest.raises(SourceError, match=r"'Authorization' \(value hidden\)") as caught:
        server_at("http://host", {"WORKBENCH_PROMETHEUS_TOKEN": f"{SECRET}\nX-Admin: yes"})
    assert SECRET not in str(caught.value)


def test_certificates_that_cannot_be_read_are_told(wanted: Make) -> None:
    asked = server_at("https://127.0.0.1:9", {"WORKBENCH_PROMETHEUS_CA_FILE": "nowhere.pem"})
    with pytest.raises(SourceError, match=r"certificates in 'nowhere.pem' can't be read"):
        read_ranges([asked], wanted(), START, START + HOUR, MINUTE)
