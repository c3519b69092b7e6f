"""Make the peers: `python -m benchmarks.peers.make`. What can't be made here is left out, saying so."""

import shutil
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_PEERS = Path(__file__).parents[2] / ".peers"


class Lacking(Exception):
    """Something that would have to be installed first."""


def kafka_streams() -> None:
    """Let Maven make the jar and its libraries."""
    lacking = [tool for tool in ("javac", "mvn") if shutil.which(tool) is None]
    if lacking:
        raise Lacking(f"{' and '.join(lacking)} not found: install a JDK of Java 17 or later, and Maven")
    _run("mvn", "-q", "-B", "-f", _HERE / "kafka_streams" / "pom.xml", "package")


def quixstreams() -> None:
    """Make a Python environment of its own, because it asks for an older client of Kafka."""
    python, uv = _PEERS / "quixstreams" / "bin" / "python", Path(sys.executable).with_name("uv")
    if not python.exists():
        _run(sys.executable, "-m", "venv", _PEERS / "quixstreams")
    _run(uv, "pip", "sync", "-q", _HERE / "quixstreams.lock", "--python", python)


def main() -> int:
    """Make both; 1 if one failed. What only lacks a tool is left out."""
    failed = 0
    for make in (kafka_streams, quixstreams):
        try:
            make()
        except Lacking as reason:
            print(f"{make.__name__}: left out: {reason}")
        except subprocess.CalledProcessError as error:
            failed = 1
            print(f"{make.__name__}: could not be made:\n{(error.stdout + error.stderr).strip()[-2000:]}")
        else:
            print(f"{make.__name__}: made in .peers/{make.__name__}")
    return failed


def _run(*command: str | Path) -> None:
    subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)


if __name__ == "__main__":
    sys.exit(main())
