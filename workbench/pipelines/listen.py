"""The endpoint for business events as a service: it ends on SIGTERM with what has come delivered."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.pipelines.produce import Producer, business_account
from workbench.sources.endpoint import Address, Endpoint

if TYPE_CHECKING:
    import uvicorn

_GRACE_S = 30


def serve(producer: Producer, address: Address, token: str | None, told: Callable[[str], None]) -> dict[str, Any]:
    """Listen until asked to stop; requests that have come by then are answered. Returns the account of all.

    Raises
    ------
    UsageError
        Nobody may listen there, or somebody does already.
    """
    import socket

    import uvicorn

    endpoint = Endpoint(producer.sink, lambda: datetime.now(UTC), told, token)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((address.host, address.port))
            listening.listen()
        except OSError as error:
            raise UsageError(f"--http {address.host}:{address.port}: can't listen there ({error.strerror})") from error
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            endpoint.app(), log_level="warning", access_log=False, lifespan="off", limit_concurrency=64,
            timeout_graceful_shutdown=_GRACE_S,
        )  # fmt: skip
        server = uvicorn.Server(config)
        threading.Thread(target=_end_when_asked, args=(producer, server), daemon=True).start()
        told(f"listening for POST http://{address.host}:{port}/events; Ctrl-C ends it")
        server.run(sockets=[listening])
    return business_account(f"http://{address.host}:{port}", endpoint.done)


def _end_when_asked(producer: Producer, server: "uvicorn.Server") -> None:
    while not producer.stop.wait(0.5):
        if server.should_exit:
            return
    server.should_exit = True
