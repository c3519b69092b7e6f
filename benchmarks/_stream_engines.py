"""The engines of the bench `stream`: ours, started as anyone starts it, and the peers."""

import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks._stream_race import WINDOWS, Entry
from benchmarks.peers.commands import Run, between, command, missing
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.topics import OUTPUTS, ROAD

Engine = Callable[[], AbstractContextManager[Entry]] | str
"""Opens an entry for one run; or says why there is none."""

_WORKBENCH = str(Path(sys.executable).with_name("workbench"))
_PROFILE = """\
sources:
  - {{name: demo, kind: demo, end: 2025-11-01}}
broker:
  engine: kafka
  bootstrap_servers: {address}
  topic_prefix: {prefix}
"""


def ours(broker: Broker, *more: str) -> Engine:
    """`workbench stream run`, each time from the beginning of the topics."""

    @contextmanager
    def entry() -> Iterator[Entry]:
        with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
            profile = Path(folder) / "bench.yaml"
            profile.write_text(_PROFILE.format(address=broker.address, prefix=broker.prefix))
            stream, of = [_WORKBENCH, "stream"], ["--profile", str(profile)]
            subprocess.run([*stream, "reset", "--replay", *of], check=True, stdout=subprocess.DEVNULL)
            start = [*stream, "run", "--metrics", "", *of, *more]
            yield Entry("ours", start, broker.group("live"), broker.topic(WINDOWS), deltas=True)

    return entry


def peer(broker: Broker, name: str, commit_ms: int, *, exact: bool = True) -> Engine:
    """Another engine, with a group and output topics of its own each time."""
    if lacking := missing(name):
        return lacking

    @contextmanager
    def entry() -> Iterator[Entry]:
        out = f"{name}-{uuid.uuid4().hex[:8]}-".replace("_", "-")
        with KafkaCluster(KafkaBroker(bootstrap_servers=broker.address, topic_prefix=out)) as outputs:
            outputs.prepare((*OUTPUTS, *ROAD))
        with tempfile.TemporaryDirectory(prefix="workbench-peer-") as folder:
            run = Run(broker.address, f"{out}app", broker.prefix, out, Path(folder), commit_ms=commit_ms)
            passed_on = between(name, run.application)
            yield Entry(name, command(name, run), run.application, f"{out}{WINDOWS.name}", passed_on, exact=exact)

    return entry
