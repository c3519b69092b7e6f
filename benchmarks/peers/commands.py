"""How a peer is started, and what it lacks here."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_STREAMS = _ROOT / ".peers" / "kafka_streams"
_QUIX = _ROOT / ".peers" / "quixstreams" / "bin" / "python"
_JAVA = {
    "sum": ("peers.Sum",),
    "whole": ("peers.Whole",),
    "article": ("peers.Article",),
    "article_by_unit": ("peers.Article", "--join-by", "unit"),
}
"""Peer → its class in the jar, and further words of its command line."""

_CLOSED = ("--tell", "closed", "--grace-hours", "1")
_QUIXSTREAMS = {"quixstreams_sum": (), "quixstreams_sum_closed": _CLOSED}
"""Peer → further words of its command line."""

_BETWEEN = {"article": ("by-unit", "by-resource_id", "by-user_id"), "article_by_unit": ("by-unit",)}

PEERS = (*_JAVA, *_QUIXSTREAMS)

_TUNED = ("-Xms512m", "-Xmx512m", "-XX:+UseParallelGC")


@dataclass(frozen=True)
class Run:
    """What a peer is to read and write; `application` is its consumer group too."""

    bootstrap: str
    application: str
    prefix: str
    out: str
    state_dir: Path
    threads: int = 2
    commit_ms: int = 100
    idle_ms: int = 60_000
    """Of those that close by the clock: after so long without an event all that is open is closed."""

    @property
    def options(self) -> list[str]:
        """The command line that all peers share."""
        given = {
            "bootstrap": self.bootstrap,
            "application": self.application,
            "prefix": self.prefix,
            "out": self.out,
            "state-dir": self.state_dir,
            "threads": self.threads,
            "commit-ms": self.commit_ms,
            "idle-ms": self.idle_ms,
        }
        return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def missing(peer: str) -> str:
    """Say what a peer lacks here; empty: it can be started. Raises KeyError for a name that is not in `PEERS`."""
    if peer not in PEERS:
        raise KeyError(f"no peer '{peer}'; there are {', '.join(PEERS)}")
    if peer not in _JAVA:
        return "" if _QUIX.exists() else "quixstreams is not there; `make peers` makes it"
    if not (_STREAMS / "peers.jar").exists():
        return "kafka_streams is not there; `make peers` makes it"
    return "" if shutil.which("java") else "java not found: install Java 17"


def command(peer: str, run: Run, jvm: Sequence[str] = _TUNED) -> list[str]:
    """The command that runs a peer until SIGTERM; it prints READY when it reads. Raises KeyError for no peer."""
    if peer in _JAVA:
        path = f"{_STREAMS / 'peers.jar'}:{_STREAMS / 'libs'}/*"
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        program, *more = _JAVA[peer]
        return ["java", *jvm, quiet, "-cp", path, program, *run.options, *more]
    script = Path(__file__).with_name("quixstreams_sum.py")
    return [str(_QUIX), str(script), *run.options, *_QUIXSTREAMS[peer]]


def between(peer: str, application: str) -> list[str]:
    """The topics in which a peer passes events on to itself: it has done its work once it has read these too."""
    return [f"{application}-{name}-repartition" for name in _BETWEEN.get(peer, ())]
