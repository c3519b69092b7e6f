"""Whom to ask, and with which right to ask. Secrets stay out of every text that this module makes."""

import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from workbench.errors import SourceError, UsageError
from workbench.settings import PrometheusServer

TOKEN, USERNAME, PASSWORD, CA_FILE = (
    f"WORKBENCH_PROMETHEUS_{what}" for what in ("TOKEN", "USERNAME", "PASSWORD", "CA_FILE")
)
"""Environment variables that a server named by nothing but its URL is asked with."""

_EXAMPLE = "write https://prometheus.example.com:9090"


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes
    ----------
    url
        Its address, without `/api/v1`, name and password: may be shown.
    headers
        Go with each request; hold the right to ask, and are never shown.
    ca_path
        Certificates to trust, instead of the system's.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_path: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """What its certificate is checked with; None where it has none.

        Raises
        ------
        SourceError
            The file of certificates cannot be read.
        """
        if not self.url.startswith("https"):
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_path)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"{self.url}: the certificates in '{self.ca_path}' can't be read ({error.strerror or error.args[0]}); "
                "name a PEM file"
            ) from None


def server_of(settings: PrometheusServer) -> Server:
    """A server of a profile."""
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    if settings.username and settings.password:
        headers["Authorization"] = _basic(settings.username, settings.password.get_secret_value())
    if settings.token:
        headers["Authorization"] = _bearer(settings.token.get_secret_value())
    return Server(_clean(urlsplit(settings.url)), _sendable(headers), settings.ca_path)


def server_at(url: str, environment: Mapping[str, str] | None = None) -> Server:
    """A server that is known by its URL alone; the right to ask it comes from the environment, or stands in the URL.

    Parameters
    ----------
    url
        `http://host:9090`, also with a path, and with `name:password@`. Without `http://` that is meant.
    environment
        Instead of `os.environ`: `TOKEN`; `USERNAME` and `PASSWORD`; `CA_FILE`.

    Raises
    ------
    UsageError
        It is no address of a server.
    """
    known = os.environ if environment is None else environment
    parts = _parts(url)
    headers = {}
    if token := known.get(TOKEN):
        headers["Authorization"] = _bearer(token)
    elif parts.username is not None:
        headers["Authorization"] = _basic(unquote(parts.username), unquote(parts.password or ""))
    elif name := known.get(USERNAME):
        headers["Authorization"] = _basic(name, known.get(PASSWORD, ""))
    certificates = known.get(CA_FILE)
    return Server(_clean(parts), _sendable(headers), Path(certificates) if certificates else None)


def without_secrets(url: str) -> str:
    """An address that somebody else gave, without name, password and query.

    >>> without_secrets("https://me:secret@host:9090/login?token=secret")
    'https://host:9090/login'
    """
    try:
        return _clean(urlsplit(url))
    except ValueError:
        return "an address that can't be read"


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment:
        shown = without_secrets(url)
        raise UsageError(f"'{shown}' is no address of a Prometheus server; {_EXAMPLE}")
    return parts


def _clean(parts: SplitResult) -> str:
    path = parts.path.rstrip("/").removesuffix("/api/v1")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def _bearer(token: str) -> str:
    return f"Bearer {token.strip()}"


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not (name + value).isprintable() or not (name + value).isascii() or ":" in name or not name:
            raise SourceError(
                f"the header '{name}' (value hidden) can't be sent: it holds a line break or other characters that "
                "HTTP does not allow; look at the environment variable it comes from"
            )
    return headers
