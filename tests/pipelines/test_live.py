"""`workbench stream run` and `stream reset`, as a person starts them."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.kafka.fixture import kafka_address  # noqa: F401
from tests.streaming.live.looking import costs, messages_of, read_all, send
from workbench.errors import BrokerError, UsageError
from workbench.pipelines import live
from workbench.settings import KafkaBroker, load
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.topics import OUTPUTS, ROAD, STATE, Topic

SUMS = Topic("finops.cost.aggregations")


def profile(folder: Path, address: str, prefix: str) -> Path:
    path = folder / "stream.yaml"
    path.write_text(
        "sources: [{name: demo, kind: demo, end: 2025-11-01}]\n"
        f"root: {folder}\n"
        f"broker: {{engine: kafka, bootstrap_servers: '{address}', topic_prefix: '{prefix}'}}\n"
    )
    return path


def run(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", "from workbench.cli import main; main()", "stream", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(what: Callable[[], Any], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.3)


@pytest.fixture
def place(tmp_path: Path, kafka_address: str) -> Iterator[tuple[Path, Broker]]:  # noqa: F811
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    with KafkaCluster(KafkaBroker(bootstrap_servers=kafka_address, topic_prefix=prefix)) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        yield profile(tmp_path, kafka_address, prefix), broker


@pytest.mark.real
@pytest.mark.slow
def test_it_runs_until_a_signal_and_can_begin_anew(place: tuple[Path, Broker]) -> None:
    path, broker = place
    send(broker, costs(3_000))
    service = run("run", "--profile", str(path), "--metrics", "", "--batch-s", "0.1", "--json")
    try:
        until(lambda: len(messages_of(broker, SUMS, 1)) > 10)
        with pytest.raises(BrokerError, match="the stream is running .* stop it first"):
            live.reset(load(path, check_files=False), [], replay=True)
    finally:
        service.send_signal(signal.SIGTERM)
        out, err = service.communicate(timeout=40)
    assert service.returncode == 0, err
    done = json.loads(out)
    assert done["read"] == 3_000
    before = read_all(broker, SUMS)
    assert done["written"] >= before.height

    settings = load(path, check_files=False)
    assert live.reset(settings, ["spikes"], replay=False) == 20  # units
    until(lambda: live.reset(settings, [], replay=True) >= 0)
    again = run("run", "--profile", str(path), "--processor", "windows", "--metrics", "", "--batch-s", "0.1")
    try:
        until(lambda: read_all(broker, SUMS).height == 2 * before.height)
    finally:
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=40)
    assert again.returncode == 0
    assert read_all(broker, SUMS).unique().height == before.height


def test_the_embedded_broker_has_no_stream_and_the_way_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"sources: [{{name: demo, kind: demo, end: 2025-11-01}}]\nroot: {tmp_path}\n")
    with pytest.raises(UsageError, match="make kafka"):
        live.reset(load(path, check_files=False), [], replay=False)
    with pytest.raises(UsageError, match="make kafka"):
        live.run_stream(load(path, check_files=False), [], "", 0.5, print)


@pytest.mark.parametrize(
    ("names", "metrics", "batch_s", "said"),
    [
        (["windos"], "", 0.5, "no processor 'windos'.*did you mean 'windows'"),
        ([], "9108x", 0.5, "'9108x' is no address"),
        ([], "", 0.0, "--batch-s"),
    ],
)
def test_words_that_are_not_understood_are_refused(
    tmp_path: Path, names: list[str], metrics: str, batch_s: float, said: str
) -> None:
    settings = load(profile(tmp_path, "127.0.0.1:1", ""), check_files=False)
    with pytest.raises(UsageError, match=said):
        live.run_stream(settings, names, metrics, batch_s, print)


def test_a_replay_for_some_processors_is_refused(tmp_path: Path) -> None:
    settings = load(profile(tmp_path, "127.0.0.1:1", ""), check_files=False)
    with pytest.raises(UsageError, match="begins anew for all of them"):
        live.reset(settings, ["windows"], replay=True)
