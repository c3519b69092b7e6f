"""A small HTTP endpoint for business events: POST JSON lines, get back what became of them.

    POST /events    JSON lines → 200 {"accepted": 2, "rejected": 1, "reasons": [{"line": 3, "reason": "…"}]}
    GET  /healthz   200 {"status": "ok", "accepted": …, "rejected": …}

The answer comes when the accepted ones are delivered; after an error (503) all of them may be sent again. It listens on
this machine only, unless a bearer token is set.
"""

import hmac
import ipaddress
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError, WorkbenchError
from workbench.sources.business import LinesRead, check_lines
from workbench.sources.handed import Clock, Sink

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

TOKEN_VARIABLE = "WORKBENCH_PRODUCE_TOKEN"  # noqa: S105 (the variable's name)
LONGEST_BODY = 8_000_000
LEAST_TOKEN = 16
_MOST_REASONS = 100


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def address_of(text: str) -> Address:
    """`8080`, `127.0.0.1:8080` or `[::1]:8080`. Raises UsageError for anything else."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) < 1 << 16:
        raise UsageError(f"--http '{text}' is no address; write HOST:PORT or PORT, e.g. 127.0.0.1:8080")
    return Address(host.strip("[]") or "127.0.0.1", int(port))


def check_token(address: Address, token: str | None) -> None:
    """Raise UsageError where anybody could send events, or a token can be guessed."""
    if token is not None and len(token) < LEAST_TOKEN:
        raise UsageError(f"{TOKEN_VARIABLE} has fewer than {LEAST_TOKEN} characters; e.g. `openssl rand -hex 32`")
    if not address.is_local and token is None:
        raise UsageError(
            f"--http {address.host} can be reached from elsewhere: set the environment variable {TOKEN_VARIABLE} to a "
            "secret that senders show as `Authorization: Bearer …`, or listen on 127.0.0.1"
        )


class _Refusal(Exception):
    """A request that is not taken."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Endpoint:
    """The routes. One delivery at a time; requests wait for each other."""

    sink: Sink
    clock: Clock
    told: Callable[[str], None] = field(repr=False)
    """Is told what a sender is not: why events could not be delivered."""
    token: str | None = field(default=None, repr=False)
    longest: int = LONGEST_BODY
    done: LinesRead = field(default_factory=LinesRead)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def app(self) -> "Starlette":
        """As an ASGI application."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        return Starlette(routes=[
            Route("/events", self._post, methods=["POST"]), Route("/healthz", self._health, methods=["GET"]),
        ])  # fmt: skip

    async def _post(self, request: "Request") -> "Response":
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        try:
            self._authorise(request)
            body = await self._body(request)
            answer = await run_in_threadpool(self.take, body)
        except _Refusal as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=refusal.status)
        except WorkbenchError as error:
            self.told(str(error))  # the sender need not know what is behind
            return JSONResponse(
                {"error": "the events could not be delivered; send them again later"},
                status_code=503,
                headers={"Retry-After": "10"},
            )
        return JSONResponse(answer, status_code=422 if answer["rejected"] and not answer["accepted"] else 200)

    async def _health(self, request: "Request") -> "Response":
        from starlette.responses import JSONResponse

        del request
        return JSONResponse({"status": "ok", "accepted": self.done.accepted, "rejected": self.done.rejected})

    def take(self, body: bytes) -> dict[str, Any]:
        """Check the lines of a body, deliver the valid ones, and say what became of all."""
        numbered = [(at, line.strip()) for at, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        checked = check_lines([line for _, line in numbered], self.clock)
        if checked.valid.height:
            with self._lock:
                self.sink.take("business", checked._replace(rejected=checked.rejected.clear()))
        self.done.add(checked)
        wrong = checked.rejected.head(_MOST_REASONS)
        reasons = [{"line": numbered[row][0], "reason": reason} for row, reason in wrong.select("row", "reason").rows()]
        return {"accepted": checked.valid.height, "rejected": checked.rejected.height, "reasons": reasons}

    def _authorise(self, request: "Request") -> None:
        if "origin" in request.headers:
            raise _Refusal(403, "a web page may not send events")  # any page could, by the browser of who sits here
        if self.token is None:
            return
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        if kind.casefold() != "bearer" or not hmac.compare_digest(shown.strip().encode(), self.token.encode()):
            raise _Refusal(401, "no bearer token, or a wrong one")

    async def _body(self, request: "Request") -> bytes:
        """The body, as long as it is short enough, whatever its header says."""
        said = request.headers.get("content-length", "0")
        body = bytearray()
        if not said.isdecimal() or int(said) <= self.longest:
            async for part in request.stream():
                body += part
                if len(body) > self.longest:
                    break
            else:
                return bytes(body)
        raise _Refusal(413, f"the body is longer than {self.longest} bytes; send fewer lines at once")
