"""A transaction that hangs holds neither the stream nor the end of the process."""

import subprocess
import sys
import threading
import time
import uuid
from typing import Any

import pytest

from tests.real.kafka.fixture import kafka_address  # noqa: F401
from tests.streaming.live.chaos import Progress
from tests.streaming.live.load import Generated, Load
from tests.streaming.live.outcome import difference, found, undisturbed
from tests.streaming.live.worker import GROUP, PARTITIONS, processors
from workbench.settings import KafkaBroker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.live import member
from workbench.streaming.live.hands import Hands
from workbench.streaming.live.service import Service
from workbench.streaming.live.task import PartitionTask
from workbench.streaming.topics import OUTPUTS, ROAD, STATE


def test_what_is_begun_tells_what_came_of_it() -> None:
    hands = Hands(2)
    assert hands.begin(divmod, 7, 3).result(5) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        hands.begin(divmod, 7, 0).result(5)


def test_no_more_is_done_at_a_time_than_there_are_hands() -> None:
    hands, go = Hands(2), threading.Event()
    begun = [hands.begin(go.wait, 10) for _ in range(3)]
    last = hands.begin(time.monotonic)
    time.sleep(0.1)
    assert not last.done()
    go.set()
    assert all(future.result(5) for future in begun)
    assert last.result(5)


@pytest.mark.slow
def test_a_process_ends_although_something_hangs() -> None:
    code = "import threading\nfrom workbench.streaming.live.hands import Hands\nHands().begin(threading.Event().wait)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


@pytest.mark.real
@pytest.mark.slow
def test_a_transaction_that_hangs_is_given_up_and_the_stream_goes_on_as_if_nothing_had_been(
    kafka_address: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit, hanging, go = PartitionTask.commit, threading.Semaphore(1), threading.Event()

    def hangs_once(task: PartitionTask, *given: Any) -> int:
        if hanging.acquire(blocking=False):
            go.wait(60)
        return commit(task, *given)

    monkeypatch.setattr(member, "STUCK_S", 5.0)
    monkeypatch.setattr(PartitionTask, "commit", hangs_once)
    settings = KafkaBroker(bootstrap_servers=kafka_address, topic_prefix=f"t{uuid.uuid4().hex[:8]}-")
    said: list[str] = []
    with KafkaCluster(settings) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        load = Load(broker, Generated(hours_per_s=1.5))
        load.send_until(3)
        load.flush()
        service = Service(broker, processors(), GROUP, batch=2_000, batch_s=0.1, say=said.append)
        thread = threading.Thread(target=service.run, args=(3_600.0,))
        thread.start()
        progress = Progress(broker, GROUP, PARTITIONS)
        try:
            limit = time.monotonic() + 90
            while progress.waiting() != 0 and time.monotonic() < limit:
                time.sleep(0.2)
            go.set()  # now it comes back, and finds that it is fenced
            time.sleep(1)
        finally:
            go.set()
            service.stop()
            thread.join(30)
            progress.close()
        assert service.counts.restarts >= 1
        assert "given up" in said[0]
        exact = undisturbed(broker, processors(), PARTITIONS)
        differs = difference(found(broker, processors(), PARTITIONS), exact, processors())
    assert sum(exact.read.values()) == sum(load.sent.values())
    assert differs.none, differs
