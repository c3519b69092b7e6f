"""A real Prometheus on this machine: loaded with history, written to, killed and started again."""

import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels, Sequence[tuple[int, float]]]
"""Name, labels, and samples: seconds since 1970 and value, by time."""

_UP_WITHIN_S = 30.0
_CONFIG = "global: {evaluation_interval: 1s}\n"


def missing() -> str:
    """What is not installed; empty where all is there."""
    return ", ".join(name for name in ("prometheus", "promtool") if not shutil.which(name))


def load_history(storage: Path, series: Iterable[Series], kinds: Mapping[str, str]) -> None:
    """Write blocks of past samples, by promtool; the server must not run.

    Parameters
    ----------
    kinds
        Name of a family → its type in OpenMetrics.
    """
    storage.mkdir(parents=True, exist_ok=True)
    file = storage.with_suffix(".openmetrics")
    lines = [f"# TYPE {family} {kind}" for family, kind in kinds.items()]
    lines += [f"{name}{{{_shown(labels)}}} {value} {at}" for name, labels, samples in series for at, value in samples]
    file.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    told = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(file), str(storage)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr


@dataclass
class RealPrometheus:
    """One server with storage of its own."""

    storage: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.port = self.port or _free_port()
        config = self.storage.with_suffix(".yaml")
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(_CONFIG, encoding="utf-8")
        with self.storage.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.storage}",
                 "--storage.tsdb.retention.time=10y", f"--web.listen-address=127.0.0.1:{self.port}",
                 "--web.enable-remote-write-receiver"],
                stdout=log, stderr=log,
            )  # fmt: skip
        limit = time.monotonic() + _UP_WITHIN_S
        while not self._ready():
            assert self._runs(), self.storage.with_suffix(".log").read_text()[-2000:]
            assert time.monotonic() < limit, "Prometheus did not come up"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without a chance to put anything in order."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def write(self, series: Iterable[Series]) -> None:
        """Send samples by remote write; returns when the server has taken them."""
        body = _snappy(b"".join(_field(1, _time_series(each)) for each in series))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
                   "X-Prometheus-Remote-Write-Version": "0.1.0"}  # fmt: skip
        request = urllib.request.Request(f"{self.url}/api/v1/write", data=body, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            assert response.status in (200, 204)

    def _runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False


# Remote write: <https://prometheus.io/docs/specs/prw/remote_write_spec/>, protobuf in a block of snappy.


def _time_series(series: Series) -> bytes:
    name, labels, samples = series
    named = sorted([("__name__", name), *labels])
    told = b"".join(_field(1, _field(1, key.encode()) + _field(2, value.encode())) for key, value in named)
    return told + b"".join(_field(2, _sample(at, value)) for at, value in samples)


def _sample(at: int, value: float) -> bytes:
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at * 1000)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _snappy(content: bytes) -> bytes:
    """A block of literals alone, which is what snappy makes of what it can't compress."""
    parts = [content[at : at + 65_536] for at in range(0, len(content), 65_536)]
    literals = (bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part for part in parts)
    return _varint(len(content)) + b"".join(literals)


def _shown(labels: Labels) -> str:
    escaped = ((name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for name, value in labels)
    return ",".join(f'{name}="{value}"' for name, value in escaped)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port
