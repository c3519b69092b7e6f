"""A member of the group in a process of its own, to be killed: `python -m tests.streaming.live.worker ADDRESS PREFIX`.

It tells on standard output which partitions it has, a JSON line at each change, and ends when standard input does:
nobody is left behind by a parent that died.
"""

import json
import os
import signal
import sys
import threading
import time
from datetime import timedelta

from workbench.settings import KafkaBroker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.live.service import Service
from workbench.streaming.processors import Limits, Processor, RightSizing, Roi, Spikes, Windows

GROUP = "live"
PARTITIONS = 4
_LOOK_S = 0.02
_NEVER_S = 3_600.0
"""The clock closes nothing: an undisturbed run has no clock."""


def processors() -> list[Processor]:
    """All four.

    Revenue may run ahead of cost as far as it likes, so that it can't matter what was read first; a day is enough for
    advice on size, so that there is some.
    """
    sizing = RightSizing(window=timedelta(days=1), limits=Limits(hold=1))
    return [Windows(), Spikes(), Roi(ahead=timedelta(days=3_650)), sizing]


def main(address: str, prefix: str, batch: int, batch_s: float) -> None:
    """Run the service until SIGTERM."""
    settings = KafkaBroker(bootstrap_servers=address, topic_prefix=prefix, partitions=PARTITIONS)
    with KafkaCluster(settings) as broker:
        service = Service(broker, processors(), GROUP, batch=batch, batch_s=batch_s, say=_say)
        signal.signal(signal.SIGTERM, lambda *_: service.stop())
        for watch in (_end_with_parent, lambda: _tell(service)):
            threading.Thread(target=watch, daemon=True).start()
        service.run(idle_s=_NEVER_S)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not sys.stdin, whose lock the end of the interpreter would wait for
        pass
    os._exit(1)


def _tell(service: Service) -> None:
    told: list[int] | None = None
    while True:
        if service.counts.partitions != told:
            told = list(service.counts.partitions)
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
