"""The load of the tests of exactly once: what it sends, and what of it can't be read."""

from pathlib import Path

import confluent_kafka
import pytest

from tests.streaming.live.load import BROKEN_IN, Generated, Message, Recorded
from workbench.errors import UsageError
from workbench.streaming.decode import decode
from workbench.streaming.topics import INPUTS


def as_read(message: Message, offset: int) -> "confluent_kafka.Message":
    key = None if message.key is None else message.key.encode()
    return confluent_kafka.Message(
        topic=INPUTS[message.kind].name, partition=0, offset=offset, key=key, value=message.value,
        headers=list(message.headers), timestamp=(2, 1_760_000_000_000),
    )  # fmt: skip


@pytest.mark.parametrize("kind", INPUTS)
def test_all_that_is_broken_is_a_dead_letter_and_nothing_else(kind: str) -> None:
    sent = [as_read(message, at) for at, message in enumerate(Generated().messages(kind, 0, 4_000))]
    read = decode(sent, kind)
    assert sorted(letter.offset or 0 for letter in read.dead) == list(range(0, 4_000, BROKEN_IN))
    assert len({letter.reason for letter in read.dead}) > 4
    assert read.valid.height == 4_000 - len(read.dead)


@pytest.mark.parametrize("kind", INPUTS)
def test_the_same_numbers_are_the_same_messages_however_they_are_asked_for(kind: str) -> None:
    parts = [Generated().messages(kind, first, first + 250) for first in range(0, 1_000, 250)]
    assert [message for part in parts for message in part] == Generated().messages(kind, 0, 1_000)
    assert Generated().messages(kind, 0, 250) != Generated(seed=8).messages(kind, 0, 250)


def test_times_go_up_but_for_the_late_ones() -> None:
    times = Generated().events("cost", 0, 4_000)["timestamp"]
    late = times.to_physical() < times.to_physical().cum_max()
    assert 0.005 < late.mean() < 0.05


def test_somebodys_own_messages_are_sent_as_they_are_over_the_time_that_is_given(tmp_path: Path) -> None:
    lines = [b'{"business_unit":"shop","cost_amount":"1"}', b"not JSON", b'{"business_unit":7}', b"[1]"]
    (tmp_path / "cost.jsonl").write_bytes(b"\n".join(lines))
    own = Recorded(tmp_path, seconds=8)
    assert own.rates == {"cost": 0.5}
    assert [(message.value, message.key) for message in own.messages("cost", 0, 9)] == [
        (lines[0], "shop"),
        (lines[1], None),
        (lines[2], None),
        (lines[3], None),
    ]
    assert own.messages("cost", 4, 9) == []


def test_a_folder_without_messages_is_told_with_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cost\.jsonl, business\.jsonl, resource\.jsonl"):
        Recorded(tmp_path, seconds=8)
