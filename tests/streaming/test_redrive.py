"""Dead letters go back to their topics: each once, with its own bytes; what does not match is left, and not lost."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.streaming.conftest import good_values, real, send_raw
from tests.streaming.test_contract import Table, take
from workbench.errors import BrokerError
from workbench.streaming import redrive as module
from workbench.streaming.broker import Broker
from workbench.streaming.reader import reading
from workbench.streaming.redrive import Choice, Redriven, redrive
from workbench.streaming.topics import COST, DEAD_LETTERS, OUTPUTS, ROAD, STATE

GOOD = good_values(40).values
NUMBER = [value.replace(b'"cost_amount":"1.500000000000"', b'"cost_amount":1.5') for value in GOOD[:6]]
LONG = [value.replace(b'"service":"compute"', b'"service":"' + b"x" * 5_000 + b'"') for value in GOOD[6:10]]
BROKEN = [b"\xff\xfe{", b"[1]"]
BAD = [*NUMBER, *LONG, *BROKEN]


pytestmark = [pytest.mark.real, pytest.mark.slow]  # the embedded broker forgets the offsets of a transaction


@pytest.fixture
def broker(kafka_address: str) -> Iterator[Broker]:
    with real(kafka_address) as made:
        made.prepare((*ROAD, *OUTPUTS, STATE))
        yield made


def die(broker: Broker, values: list[bytes], **more: Any) -> None:
    """Send values and let them become dead letters."""
    send_raw(broker, [{"key": f"unit-{at}", "value": value, **more} for at, value in enumerate(values)])
    assert take(broker, Table()).dead == len(values)


def reasons(counted: "Counter[tuple[str, str]]") -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, reason), count in counted.items():
        found[reason] += count
    return dict(found)


def sent_back(broker: Broker) -> list[tuple[bytes | None, bytes, list[tuple[str, bytes]]]]:
    """What is in the cost topic and has been a letter: key, value, headers."""
    with reading(broker, COST, "look") as reader:
        found: list[Any] = []
        until = reader.ends()
        while any(reader.position[at] < min(end, reader.until_end()[at]) for at, end in until.items()):
            found += reader.batch()
    again = [message for message in found if "redrives" in dict(message.headers())]
    return [(message.key(), message.value(), message.headers()) for message in again]


def test_letters_go_back_once_with_their_own_key_value_and_a_count(broker: Broker) -> None:
    die(broker, BAD)
    done = redrive(broker, Choice())
    assert (done.read, done.chosen.total(), done.left.total()) == (len(BAD), len(BAD), 0)
    back = sent_back(broker)
    assert Counter((key, value) for key, value, _ in back) == Counter(
        (f"unit-{at}".encode(), value) for at, value in enumerate(BAD)
    )
    assert all(headers == [("schema_version", b"1"), ("redrives", b"1")] for _, _, headers in back)
    assert redrive(broker, Choice()) == Redriven(), "nothing is there any more"
    assert len(sent_back(broker)) == len(BAD)


def test_what_is_still_bad_becomes_a_letter_again_and_says_how_often_it_was_sent_back(broker: Broker) -> None:
    die(broker, BROKEN)
    for turn in (1, 2):
        assert redrive(broker, Choice()).chosen.total() == len(BROKEN)
        assert take(broker, Table()).dead == len(BROKEN)
        again = [headers for _, headers in dead_in_topic_of(broker) if headers.get("redrives") == str(turn)]
        assert len(again) == len(BROKEN)
        assert {headers["topic"] for headers in again} == {broker.topic(COST)}


def test_letters_that_a_mended_reader_understands_arrive(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    die(broker, BAD)
    monkeypatch.setattr("workbench.events._LONGEST_TEXT", 10_000)
    done = redrive(broker, Choice(reason="Longer than 4096"))
    assert reasons(done.chosen) == {"service is longer than 4096 bytes": len(LONG)}
    taken = take(broker, table := Table())
    assert (taken.valid, taken.dead) == (len(LONG), 0)
    assert table.ids == sorted(f"e-{at}" for at in range(6, 10))


def test_with_a_filter_the_others_are_left_for_the_next_time_in_whatever_order(broker: Broker) -> None:
    values = [*BAD]
    random.Random(3).shuffle(values)
    die(broker, values)
    first = redrive(broker, Choice(reason="JSON number"))
    assert (first.read, first.chosen.total()) == (len(BAD), len(NUMBER))
    nothing = redrive(broker, Choice(reason="no such reason"))
    assert (nothing.chosen.total(), nothing.left.total()) == (0, len(BAD) - len(NUMBER))
    second = redrive(broker, Choice(reason="longer than"))
    assert (second.chosen.total(), second.left.total()) == (len(LONG), len(BROKEN))
    third = redrive(broker, Choice())
    assert (third.chosen.total(), third.left.total()) == (len(BROKEN), 0)
    assert Counter(value for _, value, _ in sent_back(broker)) == Counter(BAD)


def test_a_limit_is_kept_and_the_rest_comes_next_time(broker: Broker) -> None:
    die(broker, BAD)
    counts = [redrive(broker, Choice(limit=5)).chosen.total() for _ in range(4)]
    assert counts == [5, 5, 2, 0]
    assert Counter(value for _, value, _ in sent_back(broker)) == Counter(BAD)


def test_a_dry_run_says_the_same_and_does_nothing(broker: Broker) -> None:
    die(broker, BAD)
    dry = redrive(broker, Choice(reason="is not a JSON object"), dry_run=True)
    assert sent_back(broker) == []
    assert redrive(broker, Choice(reason="is not a JSON object")) == dry


@pytest.mark.parametrize("headers", [None, [("schema_version", b"2")]])
def test_a_letter_without_a_known_version_is_sent_back_only_where_somebody_says_that_it_is_one(
    broker: Broker, headers: list[tuple[str, bytes]] | None
) -> None:
    die(broker, list(GOOD[:3]), headers=headers)
    assert redrive(broker, Choice()).chosen.total() == 0
    assert redrive(broker, Choice(any_version=True)).chosen.total() == 3
    assert take(broker, Table()).valid == 3


def test_a_letter_of_an_unknown_topic_is_left(broker: Broker) -> None:
    producer = broker.producer()
    about = {"reason": b"x", "topic": b"somebody.elses", "schema_version": b"1"}
    producer.produce(broker.topic(DEAD_LETTERS), b"{}", headers=about)
    producer.produce(broker.topic(DEAD_LETTERS), b"{}")
    assert producer.flush(10) == 0
    done = redrive(broker, Choice())
    assert (done.chosen.total(), done.left.total()) == (0, 2)


def test_a_redrive_that_dies_half_way_has_sent_nothing_twice_and_lost_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(broker, BAD)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    send, calls = module._Sender.send, []

    def dies(self: Any, messages: Any, reader: Any) -> None:
        calls.append(1)
        if len(calls) == 4:
            self._producer.begin_transaction()
            for message in messages:
                self._produce(message)
            self._producer.flush(10)
            raise BrokerError("killed before it was committed")
        send(self, messages, reader)

    monkeypatch.setattr(module._Sender, "send", dies)
    with pytest.raises(BrokerError, match="killed"):
        redrive(broker, Choice(reason="JSON number"))
    monkeypatch.setattr(module._Sender, "send", send)
    redrive(broker, Choice(reason="JSON number"))
    assert redrive(broker, Choice(reason="JSON number"), dry_run=True).chosen.total() == 0
    assert Counter(value for _, value, _ in sent_back(broker)) == Counter(NUMBER)
    assert reasons(redrive(broker, Choice(), dry_run=True).chosen) == {
        "is not a JSON object": len(BROKEN), "service is longer than 4096 bytes": len(LONG),
    }  # fmt: skip


def dead_in_topic_of(broker: Broker) -> list[tuple[bytes, dict[str, str]]]:
    """All letters there ever were."""
    with reading(broker, DEAD_LETTERS, "letters") as reader:
        found: list[Any] = []
        until = reader.ends()
        while any(reader.position[at] < min(end, reader.until_end()[at]) for at, end in until.items()):
            found += reader.batch()
    return [(message.value(), {name: value.decode() for name, value in message.headers()}) for message in found]
