"""A hundred thousand mutated messages: each is a valid event, read as a slow reader reads it, or a dead letter."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import Message

from tests.streaming import slow_reading
from tests.streaming.mutants import GOOD_HEADERS, event, mutants, written
from workbench.events import SCHEMAS
from workbench.streaming.decode import decode
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.topics import INPUTS, MESSAGE_LIMIT

MESSAGES = 34_000  # of each of the three kinds
KINDS = tuple(SCHEMAS)

Verdict = dict[str, Any] | str
"""An event, or the reason why it is none."""


def verdicts(messages: Sequence[Message], kind: str) -> dict[int, Verdict]:
    """Offset → what became of the message; nothing is lost, and a letter holds what came."""
    decoded = decode(messages, kind)
    assert decoded.read == len(messages) == decoded.valid.height + len(decoded.dead)
    by_offset = {message.offset(): message for message in messages}
    found: dict[int, Verdict] = {}
    for letter in decoded.dead:
        assert original(letter, by_offset[letter.offset or 0])
        found[letter.offset or 0] = letter.reason
    left = [message.offset() for message in messages if message.offset() not in found]
    found |= dict(zip(left, decoded.valid.iter_rows(named=True), strict=True))
    assert found.keys() == by_offset.keys()
    return found


def original(letter: DeadLetter, message: Message) -> bool:
    where = (message.topic(), message.partition(), message.offset(), message.key(), message.value())
    return bool(letter.reason) and where == (letter.topic, letter.partition, letter.offset, letter.key, letter.value)


def complaint(message: Message, verdict: Verdict, kind: str) -> str:
    """What is wrong with a verdict; empty if the slow reader agrees."""
    if isinstance(verdict, str):
        return f"refused: {verdict}" if slow_reading.is_plain(message, kind) else ""
    try:
        slowly = slow_reading.read(message, kind)
    except slow_reading.TooDeep:
        return ""
    except slow_reading.Wrong as reason:
        return f"taken, though {reason}"
    other = {name: (verdict[name], slowly[name]) for name in verdict
             if not slow_reading.same(name, verdict[name], slowly[name])}  # fmt: skip
    return f"read otherwise: {other}" if other else ""


def batches(messages: Sequence[Message], seed: int) -> Iterator[Sequence[Message]]:
    """Batches of all sizes, as they come from a broker."""
    chance, start = random.Random(seed), 0
    while start < len(messages):
        size = chance.choice([1, 7, 100, 1_000, 5_000])
        yield messages[start : start + size]
        start += size


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_mutated_message_is_a_valid_event_as_a_slow_reader_reads_it_or_a_dead_letter(kind: str) -> None:
    messages = list(mutants(7, MESSAGES, kind))
    found: dict[int, Verdict] = {}
    for batch in batches(messages, 8):
        found |= verdicts(batch, kind)
    complaints = {message.value(): said for message in messages
                  if (said := complaint(message, found[message.offset()], kind))}  # fmt: skip
    assert complaints == {}
    dead = sum(isinstance(verdict, str) for verdict in found.values())
    assert 0.2 < dead / MESSAGES < 0.8, "both ways are taken often"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_message_gets_the_same_verdict_alone_and_in_any_company(kind: str) -> None:
    messages = list(mutants(9, 2_000, kind))
    together = verdicts(messages, kind)
    random.Random(10).shuffle(messages)
    shuffled: dict[int, Verdict] = {}
    for batch in batches(messages, 11):
        shuffled |= verdicts(batch, kind)
    alone: dict[int, Verdict] = {}
    for message in messages[:300]:
        alone |= verdicts([message], kind)
    assert shuffled == together
    assert alone == {offset: together[offset] for offset in alone}


def test_a_clean_batch_is_taken_whole_and_a_bad_message_in_it_changes_nothing_else() -> None:
    chance = random.Random(12)
    good = [message(written(chance, event(chance, "cost")), offset) for offset in range(50)]
    bad = [message(b'{"event_id": "\\ud800"}', 99)]
    clean = verdicts(good, "cost")
    assert not any(isinstance(verdict, str) for verdict in clean.values())
    mixed = verdicts([*good[:20], *bad, *good[20:]], "cost")
    assert isinstance(mixed.pop(99), str)
    assert mixed == clean


@pytest.mark.slow
def test_values_of_ten_megabytes_are_read_or_refused_like_any_other() -> None:
    start = written(random.Random(13), event(random.Random(13), "cost")).rstrip()[:-1] + b', "more": "'
    longest = start + b"x" * (MESSAGE_LIMIT - len(start) - 2) + b'"}'
    deep = start[:-1] + b"[" * 4_000_000 + b"]" * 4_000_000 + b"}"
    found = verdicts(
        [message(longest, 0), message(longest + b" ", 1), message(longest[:-1], 2), message(deep, 3),
         message(b"\x00" * MESSAGE_LIMIT, 4), message(b"\\u0000" * (MESSAGE_LIMIT // 6), 5)],
        "cost",
    )  # fmt: skip
    assert isinstance(found[0], dict)
    assert found[1] == f"the value is longer than {MESSAGE_LIMIT} bytes"
    assert [found[at] for at in (2, 3, 4, 5)] == ["is not a JSON object"] * 4


# What the mutants found


def test_a_blank_observation_time_is_the_brokers_and_not_the_readers_clock() -> None:
    held = event(random.Random(14), "cost") | {"observed_at": "  "}
    found = verdicts([message(written(random.Random(0), held), 0)], "cost")[0]
    assert isinstance(found, dict)
    assert found["observed_at"].timestamp() == 1_762_000_000


@pytest.mark.parametrize("name", ["cost\\u005famount", "\\u0063ost_amount", "cost_amoun\\u0074"])
def test_an_amount_under_a_name_with_an_escape_may_be_no_number_either(name: str) -> None:
    value = written(random.Random(15), event(random.Random(15), "cost"))
    numbered = value.replace(b'"cost_amount"', b'"x"').rstrip()[:-1] + f', "{name}": 1.1234567890123456789}}'.encode()
    assert str(verdicts([message(numbered, 0)], "cost")[0]).startswith("an amount is a JSON number")


@pytest.mark.parametrize(
    "twice", [b'{"cost_amount": 1.5, "cost_amount": "2",', b'{"cost_amount":"2","cost_amount":1.5,']
)
def test_an_amount_that_stands_twice_and_once_as_a_number_is_refused(twice: bytes) -> None:
    held = event(random.Random(16), "cost")
    del held["cost_amount"]
    value = twice + written(random.Random(0), held).lstrip()[1:]
    assert str(verdicts([message(value, 0)], "cost")[0]).startswith("an amount is a JSON number")


def test_half_of_a_surrogate_pair_is_refused_and_does_not_become_another_text() -> None:
    held = event(random.Random(17), "cost") | {"business_unit": "@"}
    value = written(random.Random(0), held)
    found = verdicts([message(value.replace(b"@", half), at) for at, half in
                      enumerate((b"\\ud800", b"\\ud83d\\ude00", b"\\\\ud800"))], "cost")  # fmt: skip
    assert found[0] == "holds half of a surrogate pair, which is no character"
    assert [found[at]["business_unit"] for at in (1, 2)] == ["😀", "\\ud800"]  # type: ignore[index]


def test_metadata_that_is_an_object_stays_one_whatever_its_texts_hold() -> None:
    said = {"said": 'a "word" \\ and\n"collector":"x"', "n": [1, {"deep": '"'}]}
    held = event(random.Random(18), "cost") | {"metadata": said}
    found = verdicts([message(written(random.Random(way), held), way) for way in range(8)], "cost")
    assert [slow_reading.json_of(each["metadata"]) for each in found.values()] == [slow_reading.json_of_value(said)] * 8  # type: ignore[index]


def message(value: bytes, offset: int) -> Message:
    return Message(topic=INPUTS["cost"].name, partition=0, offset=offset, key=b"shop", value=value,
                   headers=GOOD_HEADERS, timestamp=(2, 1_762_000_000_000))  # fmt: skip
