"""The HTTP side of the owner: fakesnow's server with a door, a clock and a memory of who its clients are."""

import contextlib
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.warehouse import models
from workbench.warehouse.process import CLIENT_PARAMETER, TOKEN_HEADER, process_lives


class Service:
    """What the owner knows of its clients, and the application they talk to."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._fakesnow = import_module("fakesnow.server")
        self._clients: dict[str, str] = {}
        self._ddl = threading.Lock()
        self.running = 0
        self.last_asked = time.monotonic()

    def app(self) -> ASGIApp:
        """The application: fakesnow's routes, the login through our door, and our own routes."""
        login = "/session/v1/login-request"
        routes = [
            Route(login, self._login, methods=["POST"]),
            Route("/workbench/health", self._guarded(self._health), methods=["GET"]),
            Route("/workbench/init", self._guarded(self._init), methods=["POST"]),
            *(route for route in self._fakesnow.routes if route.path != login),
        ]
        return _Counted(Starlette(routes=routes), self)

    def idle_s(self) -> float:
        """Seconds since the last question was answered; 0 while one is being answered."""
        return 0.0 if self.running else time.monotonic() - self.last_asked

    def init(self) -> list[str]:
        """Run all SQL files; the only place where the embedded database's tables are made."""
        with self._ddl:
            connection = self._fakesnow.shared_fs.connect("FINOPS", None)
            try:
                return models.run_all(connection.cursor())
            finally:
                connection.close()

    def forget_dead_clients(self) -> None:
        """End the sessions, and undo the transactions, of processes that are no more."""
        for session, client in list(self._clients.items()):
            if session not in self._fakesnow.sessions:
                self._clients.pop(session, None)
            elif not process_lives(client):
                self._clients.pop(session, None)
                self._end(session)

    def end_all(self) -> None:
        """End every session."""
        for session in list(self._fakesnow.sessions):
            self._end(session)

    def _end(self, session: str) -> None:
        connection = self._fakesnow.sessions.pop(session, None)
        if connection is not None:
            with contextlib.suppress(Exception):  # it is going away either way
                connection._duck_conn.interrupt()  # noqa: SLF001
                connection._duck_conn.close()  # noqa: SLF001

    async def _login(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        data = json.loads(body)["data"]
        if data.get("PASSWORD") != self.token:
            # Another profile's owner may have had this port before.
            return JSONResponse({"data": None, "code": "390100", "message": "wrong token", "success": False})
        response: Response = await self._fakesnow.login_request(request)
        session = json.loads(bytes(response.body))["data"]["token"]
        self._clients[session] = str(data.get("SESSION_PARAMETERS", {}).get(CLIENT_PARAMETER, ""))
        return response

    def _guarded(self, answer: Callable[[], Awaitable[dict[str, Any]]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if request.headers.get(TOKEN_HEADER) != self.token:
                return JSONResponse({"error": "wrong token"}, status_code=403)
            try:
                return JSONResponse(await answer())
            except Exception as error:  # noqa: BLE001 (the client gets it, whatever it is)
                return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=409)

        return guarded

    async def _health(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "sessions": len(self._fakesnow.sessions), "running": self.running}

    async def _init(self) -> dict[str, Any]:
        return {"files": await run_in_threadpool(self.init)}


class _Counted:
    """Counts the questions that are being answered, which is how idleness is known."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._service.running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._service.running -= 1
            self._service.last_asked = time.monotonic()
