"""A proxy in front of a server that fails now and then, in turn in all the ways in which proxies fail."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ShakyProxy:
    """Passes requests on, but for each `every`-th; `meanwhile` may do something else at a request of its number."""

    def __init__(self, target: str, every: int = 3) -> None:
        self.target, self.every = target, every
        self.meanwhile: dict[int, Callable[[], None]] = {}
        self.failed: list[str] = []
        self.passed = 0
        self._seen = 0
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy._serve(self)

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

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self._seen += 1
            seen = self._seen
            doing = self.meanwhile.pop(seen, None)
            if doing:
                doing()
        handler.close_connection = True
        kind = ("503", "drop", "half")[seen // self.every % 3] if seen % self.every == 0 else ""
        if kind:
            self.failed.append(kind)
        if kind == "drop":
            handler.connection.close()
        elif kind == "503":
            self._send(handler, 503, b"upstream is not well", b"")
        else:
            self._pass_on(handler, half=kind == "half")

    def _pass_on(self, handler: BaseHTTPRequestHandler, *, half: bool) -> None:
        packed = {"Accept-Encoding": handler.headers.get("Accept-Encoding", "")}
        request = urllib.request.Request(self.target + handler.path, headers=packed)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                status, body, encoding = response.status, response.read(), response.headers.get("Content-Encoding", "")
        except urllib.error.HTTPError as error:
            status, body, encoding = error.code, error.read(), error.headers.get("Content-Encoding", "")
        except OSError as error:
            self.failed.append(type(error).__name__)
            self._send(handler, 502, b"nobody there", b"")
            return
        self.passed += 1
        self._send(handler, status, body, encoding.encode(), half=half)

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, encoding: bytes, *, half: bool = False
    ) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        if encoding:
            handler.send_header("Content-Encoding", encoding.decode())
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if half else body)
