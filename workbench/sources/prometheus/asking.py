"""One question to one server over HTTP: bounded in time and size, asked again where that may help.

Source: Prometheus' HTTP API, <https://prometheus.io/docs/prometheus/latest/querying/api/>: 400 and 422 are the
question's fault, 503 is a query that took too long or was broken off.
"""

import http.client
import json
import random
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from workbench.errors import SourceError
from workbench.sources.prometheus.server import PASSWORD, TOKEN, USERNAME, Server, without_secrets

ATTEMPTS = 7
FIRST_S, LONGEST_S = 0.5, 10.0
LARGEST_BODY = 256 << 20
"""Bytes of an answer, unpacked. A question is cut so that its answer stays far below."""

_LONGEST_ADDRESS = 2000  # a longer question goes as a form
_LONGEST_WORDS = 600
_GZIP = 16 + zlib.MAX_WBITS
_PART = 1 << 16
_PASSING = {408, 425, 429, *range(500, 600)} - {501, 505}


class Unanswered(SourceError):
    """A server could not be asked; another one may know."""


class TooMuch(SourceError):
    """An answer is larger than may be read."""


class _Passing(Exception):
    """What may be otherwise a moment later, and how many seconds the server asks to wait."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Answer:
    """What a server said: its data, and what it wants to be known about them."""

    data: Any
    warnings: tuple[str, ...] = ()


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the right to ask to somewhere else."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow none."""


@dataclass
class Asker:
    """Asks one server; may be used by several threads at once.

    Parameters
    ----------
    until
        When it is too late, by `time.monotonic`.
    silence_s
        A question without a word from the server for so long is asked again.
    """

    server: Server
    until: float
    silence_s: float
    wait: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    largest: int = LARGEST_BODY
    _opener: OpenerDirector = field(init=False, repr=False)
    _given_up: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        self._opener = build_opener(_NoRedirect, HTTPSHandler(context=self.server.context()))

    def ask(self, path: str, question: Mapping[str, str], about: str) -> Answer:
        """Ask, again and again where the server can't answer for the moment.

        Parameters
        ----------
        path
            E.g. `query_range`.
        question
            The parameters.
        about
            What is asked for, as a reader knows it; stands in errors.

        Raises
        ------
        Unanswered
            Nobody answers, or not in time, or not in the words of Prometheus.
        SourceError
            The server refuses the question: what it was and what the server says.
        TooMuch
            The answer is too large.
        """
        for attempt in range(1, ATTEMPTS + 1):
            if self._given_up:  # what one thread has waited for in vain the others need not
                raise Unanswered(self._given_up)
            try:
                return self._once(path, question, about)
            except _Passing as trouble:
                pause = max(self.pause(attempt), trouble.wait_s)
                if attempt == ATTEMPTS or time.monotonic() + pause > self.until:
                    raise self._no_answer(trouble, attempt, about) from None
                self.wait(pause)
        raise AssertionError("the last attempt returns or raises")

    def stop(self) -> None:
        """Ask no more: whoever still waits for an answer is not waited for."""
        self._given_up = self._given_up or f"{self.server.url} is asked no more"

    def pause(self, attempt: int) -> float:
        """Seconds before the next attempt: doubling, and by chance between half of it and all."""
        longest: float = min(LONGEST_S, FIRST_S * 2 ** (attempt - 1))
        return longest * (0.5 + self.chance() / 2)

    def _no_answer(self, trouble: _Passing, attempt: int, about: str) -> Unanswered:
        times = f"{attempt} attempts" if attempt > 1 else "one attempt"
        told = (f"{self.server.url} gave no answer to {about} in {times} ({trouble}); see whether it runs, or give it "
                "more time (timeout_s)")  # fmt: skip
        self._given_up = told
        return Unanswered(told)

    def _once(self, path: str, question: Mapping[str, str], about: str) -> Answer:
        silence = min(self.silence_s, self.until - time.monotonic())
        if silence <= 0:
            raise _Passing("the time is up")
        try:
            with self._opener.open(self._request(path, question), timeout=silence) as response:
                kind, body = response.headers.get("Content-Type", ""), self._body(response, about)
        except HTTPError as error:
            with error:
                raise self._refused(error, about) from None
        except TimeoutError:
            raise _Passing(f"silent for {silence:.0f} s") from None
        except URLError as error:
            raise self._unreached(error.reason, silence) from None
        except (http.client.HTTPException, ConnectionError, zlib.error, OSError) as error:
            raise _Passing(f"the answer broke off: {_said(error)}") from None
        return self._read(body, kind, about)

    def _request(self, path: str, question: Mapping[str, str]) -> Request:
        address, form = f"{self.server.url}/api/v1/{path}", urlencode(question)
        long = len(form) > _LONGEST_ADDRESS
        request = Request(  # noqa: S310 (http and https only: `server_of` and `server_at` see to it)
            address if long else f"{address}?{form}", data=form.encode() if long else None
        )
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "workbench"}
        for name, value in {**headers, **self.server.headers}.items():
            request.add_unredirected_header(name, value)
        return request

    def _body(self, response: http.client.HTTPResponse, about: str) -> bytes:
        """The body, unpacked, in parts: so that neither its size nor its slowness can be without end."""
        packed = response.headers.get("Content-Encoding", "") == "gzip"
        unpack = zlib.decompressobj(_GZIP) if packed else None
        body = bytearray()
        while part := response.read1(_PART):
            left = self.largest + 1 - len(body)
            body += unpack.decompress(part, left) if unpack else part
            if len(body) > self.largest:
                raise TooMuch(
                    f"{self.server.url} answers {about} with more than {self.largest >> 20} MB; narrow the query, or "
                    "sum over the label that makes so many series"
                )
            if self._given_up or time.monotonic() > self.until:
                raise _Passing("the time was up in the middle of the answer")
        if response.length or (unpack and not unpack.eof):
            raise _Passing("the answer broke off")
        return bytes(body)

    def _read(self, body: bytes, kind: str, about: str) -> Answer:
        if "html" in kind:
            raise Unanswered(f"{self.server.url} answers {about} with a web page, which no Prometheus does; see "
                             "whether the address is right and whether a login page is in between")  # fmt: skip
        try:
            told = json.loads(body)
            data = told["data"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _Passing("the answer is not what Prometheus' API says") from None
        return Answer(data, tuple(str(warning) for warning in told.get("warnings") or ()))

    def _refused(self, error: HTTPError, about: str) -> Exception:
        """What an answer that is no 200 means."""
        said = _words(error)
        if error.code in _PASSING:
            return _Passing(f"HTTP {error.code}{said}", _retry_after(error.headers.get("Retry-After")))
        if error.code in (401, 403):
            return Unanswered(f"{self.server.url} lets nobody ask {about} (HTTP {error.code}{said}); give token, or "
                              "username and password, in the profile; for a bare URL set "
                              f"{TOKEN}, or {USERNAME} and {PASSWORD}")  # fmt: skip
        if 300 <= error.code < 400:
            place = without_secrets(error.headers.get("Location", ""))
            return Unanswered(f"{self.server.url} sends elsewhere: {place}; give the address that it sends to, "
                              "without what follows from /api/v1 on")  # fmt: skip
        if error.code == 404 and not said:
            return Unanswered(f"{self.server.url} knows no /api/v1 (HTTP 404); see whether the address is right")
        return SourceError(f"{self.server.url} refuses {about} (HTTP {error.code}{said}); put the query right")

    def _unreached(self, reason: object, silence: float) -> Exception:
        import ssl

        if isinstance(reason, ssl.SSLCertVerificationError):
            return Unanswered(f"{self.server.url} shows a certificate that is not trusted ({reason.verify_message}); "
                              "name the certificates to trust by ca_path, for a bare URL by "
                              "WORKBENCH_PROMETHEUS_CA_FILE")  # fmt: skip
        if isinstance(reason, TimeoutError):
            return _Passing(f"silent for {silence:.0f} s")
        return _Passing(_said(reason))


def _words(error: HTTPError) -> str:
    """`: bad_data: …`, the server's own words; empty where it has none."""
    try:
        packed = error.headers.get("Content-Encoding", "") == "gzip"
        read = error.read(_PART)
        told = json.loads(zlib.decompressobj(_GZIP).decompress(read, _PART) if packed else read)
        return f": {told.get('errorType', 'error')}: {told['error']}"[:_LONGEST_WORDS]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, zlib.error, http.client.HTTPException):
        return ""


def _said(reason: object) -> str:
    """An error of the network in a person's words."""
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


def _retry_after(text: str | None) -> float:
    """Seconds that a server asks to wait: a number or a date (RFC 9110, 10.2.3); 0 where it says nothing."""
    if not text:
        return 0.0
    try:
        if text.strip().isdecimal():
            return float(text)
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
