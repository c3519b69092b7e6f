"""The whole job on the embedded broker, for the bench `stream`.

It keeps the last 5 MB of a partition only, so it is filled in rounds; what is timed is from the moment when the
partitions are there to the last commit.
"""

import statistics
import threading
import time
from collections.abc import Mapping

from benchmarks import _stream_data as data
from workbench.pipelines.live import PROCESSORS
from workbench.streaming.clusters import EmbeddedCluster
from workbench.streaming.live.member import Counts, Member
from workbench.streaming.topics import OUTPUTS, ROAD, STATE

_ROUND = 3  # parts that the events are sent in


def embedded_rate(counts: Mapping[str, int]) -> int:
    """Committed events a second, the median of three parts of the events."""
    rates = []
    for _ in range(_ROUND):
        with EmbeddedCluster() as broker:
            broker.prepare((*ROAD, *OUTPUTS, STATE))
            sent = data.send(broker, data.made({kind: count // _ROUND for kind, count in counts.items()}))
            rates.append(_rate(broker, sent.events))
    return round(statistics.median(rates))


def _rate(broker: EmbeddedCluster, total: int) -> float:
    done = Counts()
    member = Member(broker, [make() for make in PROCESSORS.values()], "live", counts=done)
    marks: list[tuple[float, int]] = []
    ended = threading.Event()

    def stopped() -> bool:
        if done.partitions and (not marks or done.read > marks[-1][1]):
            marks.append((time.monotonic(), done.read))
        return done.read >= total or ended.is_set()

    limit = threading.Timer(120, ended.set)
    limit.start()
    member.run(stopped)
    limit.cancel()
    if done.read != total:
        raise AssertionError(f"of {total} events on the embedded broker {done.read} were read")
    return (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])
