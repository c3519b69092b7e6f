"""What holds on every broker: what is sent arrives once, in order, and is only forgotten when it is done."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from tests.streaming.conftest import costs, good_values, send_raw
from workbench.errors import BrokerError
from workbench.streaming.broker import Broker
from workbench.streaming.feed import Feed, values_of
from workbench.streaming.letters import DeadLetters
from workbench.streaming.loop import Loop, Taken
from workbench.streaming.pace import Pace
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.producer import EventProducer
from workbench.streaming.reader import TopicReader, reading
from workbench.streaming.status import topics_status
from workbench.streaming.topics import COST, DEAD_LETTERS, INPUTS, MESSAGE_LIMIT, ROAD, Topic

pytestmark = pytest.mark.slow


class Table:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[pl.DataFrame] = []
        self.dead: list[DeadLetter] = []

    def __call__(self, frame: pl.DataFrame, dead: list[DeadLetter]) -> None:
        """Take."""
        self.frames.append(frame)
        self.dead += dead

    @property
    def ids(self) -> list[str]:
        """The ids of all events taken."""
        return sorted(pl.concat(self.frames)["event_id"]) if self.frames else []


def take(broker: Broker, sink: Callable[..., None], group: str = "test", feed: Feed | None = None) -> Taken:
    """Run the loop up to the end of the topic (of what `feed` sends)."""
    with reading(broker, COST, group) as reader:
        if feed:
            feed.start()
        end: dict[int, int] = {}

        def until() -> dict[int, int] | None:
            if not end and (feed is None or feed.done):
                end.update(reader.ends())
            return end or None

        return Loop(reader, "cost", sink, DeadLetters(broker)).run(until)


def dead_in_topic(broker: Broker) -> list[tuple[bytes, dict[str, str]]]:
    with reading(broker, DEAD_LETTERS, "letters") as reader:
        ends, found = reader.ends(), []
        while any(reader.position[partition] < end for partition, end in ends.items()):
            found += reader.batch()
            reader.expect_more()
    return [(message.value(), {name: value.decode() for name, value in message.headers()}) for message in found]


def test_all_inputs_have_the_same_number_of_partitions_and_making_them_twice_is_harmless(broker: Broker) -> None:
    first = broker.prepare(ROAD)
    assert broker.prepare(ROAD) == broker.check(ROAD) == first
    assert {first[broker.topic(topic)] for topic in INPUTS.values()} == {4}


def test_what_is_sent_is_delivered_and_read_once(broker: Broker) -> None:
    table = Table()
    feed = Feed(broker, COST, [costs(3_000, "a", unit="shop"), costs(2_000, "b", unit="data")])
    taken = take(broker, table, feed=feed)
    assert (feed.counts.sent, feed.counts.delivered) == (5_000, 5_000)
    assert (taken.read, taken.valid, taken.dead) == (5_000, 5_000, 0)
    assert len(set(table.ids)) == len(table.ids) == 5_000


def test_the_events_of_a_unit_come_in_the_order_in_which_they_were_sent(broker: Broker) -> None:
    table = Table()
    take(broker, table, feed=Feed(broker, COST, [costs(2_000)]))
    assert pl.concat(table.frames)["event_id"].to_list() == [f"e-{number}" for number in range(2_000)]


def test_what_has_been_taken_is_not_read_again_but_by_another_group(broker: Broker) -> None:
    take(broker, first := Table(), feed=Feed(broker, COST, [costs(100)]))
    take(broker, again := Table())
    take(broker, other := Table(), "other")
    assert (len(first.ids), len(again.ids), len(other.ids)) == (100, 0, 100)


@pytest.mark.parametrize("error", [OSError("no space left on device"), MemoryError()])
def test_when_the_sink_refuses_nothing_is_committed_and_the_next_run_completes(
    broker: Broker, error: Exception
) -> None:
    def full(*_: object) -> None:
        raise error

    with pytest.raises(type(error)):
        take(broker, full, feed=Feed(broker, COST, [costs(500)]))
    status = topics_status(broker, "test").filter(pl.col("topic") == broker.topic(COST))
    assert status["committed"].drop_nulls().to_list() == []
    assert status["lag"].sum() == 500
    take(broker, table := Table())
    assert len(table.ids) == 500
    assert topics_status(broker, "test").filter(pl.col("topic") == broker.topic(COST))["lag"].sum() == 0


def test_what_cannot_be_read_is_a_dead_letter_with_its_reason_and_the_original_bytes(broker: Broker) -> None:
    one = good_values(4, "ok").values
    bad = {
        b"\xff\xfe\x00": "is not a JSON object",
        b'{"event_id": "\xff"}': "is not a JSON object",
        b"[1, 2]": "is not a JSON object",
        b"  ": "is not a JSON object",
        one[0] + b"\n" + one[1]: "is not a JSON object",
        one[0].replace(b'"1.5', b'"x1.5'): "cost_amount is not a number",
        one[0].replace(b'"cost_amount":"1.500000000000"', b'"cost_amount":1.5'): "an amount is a JSON number",
        one[0].replace(b'"service":"compute"', b'"service":"' + b"x" * 5_000 + b'"'): "service is longer than 4096",
    }
    send_raw(broker, [{"key": "shop", "value": value} for value in (one[0], *bad, *one[1:])])
    taken = take(broker, table := Table())
    assert (taken.read, taken.valid, taken.dead) == (4 + len(bad), 4, len(bad))
    assert table.ids == [f"ok-{number}" for number in range(4)]
    letters = {letter.value: letter for letter in table.dead}
    assert letters.keys() == bad.keys()
    for value, reason in bad.items():
        assert letters[value].reason.startswith(reason)
    in_topic = dict(dead_in_topic(broker))
    assert in_topic.keys() == bad.keys()
    for value, headers in in_topic.items():
        assert headers["reason"] == letters[value].reason
        assert headers["topic"] == broker.topic(COST)
        assert headers["offset"] == str(letters[value].offset)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"value": None}, "the value is null or empty"),
        ({"value": b""}, "the value is null or empty"),
        ({"headers": None}, "no schema_version in the header"),
        ({"headers": [("schema_version", b"2")]}, "another schema_version in the header than 1"),
        ({"headers": [("schema_version", None)]}, "another schema_version in the header than 1"),
        ({"headers": [("trace", b"x")]}, "no schema_version in the header"),
    ],
)
def test_a_wrong_envelope_is_a_dead_letter(broker: Broker, message: dict[str, object], reason: str) -> None:
    fine = good_values(2)
    send_raw(broker, [{"key": "shop", "value": fine.values[0], **message}, {"key": "shop", "value": fine.values[1]}])
    take(broker, table := Table())
    assert [letter.reason.startswith(reason) for letter in table.dead] == [True]
    assert table.ids == ["e-1"]


def test_a_null_key_other_headers_and_line_ends_within_an_event_are_fine(broker: Broker) -> None:
    fine = good_values(3).values
    more = [("trace", b"1"), ("schema_version", b"1")]
    send_raw(
        broker, [{"value": fine[0]}, {"value": fine[1].replace(b",", b",\n ")}, {"value": fine[2], "headers": more}]
    )
    take(broker, table := Table())
    assert (table.ids, table.dead) == (["e-0", "e-1", "e-2"], [])


def test_a_longest_event_travels_and_a_longer_one_is_refused_with_the_reason(broker: Broker) -> None:
    start, end = b'{"event_id":"long","metadata":"', b'"}'
    longest = start + b"x" * (MESSAGE_LIMIT - len(start) - len(end)) + end
    fine = good_values(2).values
    with reading(broker, COST, "test", Pace(4_000_000, 10)) as reader:
        producer = EventProducer(broker, COST)
        producer.send([fine[0], longest, longest + b" ", fine[1]], ["shop"] * 4)
        sent = producer.flush()
        assert (sent.sent, sent.delivered, len(sent.refused)) == (3, 3, 1)
        assert "longer than 10000000 bytes" in sent.refused[0].reason
        end_at = reader.ends()
        loop = Loop(reader, "cost", table := Table(), DeadLetters(broker))
        taken = loop.run(lambda: end_at)
    assert (taken.valid, taken.dead) == (2, 1)
    assert table.dead[0].value == longest
    assert [value for value, _ in dead_in_topic(broker)] == [longest]


def test_an_event_that_does_not_say_when_it_was_observed_says_the_same_when_read_again(broker: Broker) -> None:
    values = values_of(costs(3).drop("observed_at")).values
    send_raw(broker, [{"key": "shop", "value": value} for value in values])
    take(broker, first := Table())
    take(broker, again := Table(), "other")
    assert first.frames[0].equals(again.frames[0])


def test_the_lag_counts_what_has_not_been_taken(broker: Broker) -> None:
    take(broker, Table(), feed=Feed(broker, COST, [costs(10)]))
    send_raw(broker, [{"key": "shop", "value": value} for value in good_values(5, "later").values])
    status = topics_status(broker, "test").filter(pl.col("topic") == broker.topic(COST))
    assert (status["high"].sum(), status["lag"].sum()) == (15, 5)


def test_a_broker_that_goes_away_while_more_is_expected_is_an_error_after_a_bounded_time(broker: Broker) -> None:
    broker.timeout_s = 0.5
    with reading(broker, COST, "test") as reader, pytest.raises(BrokerError, match="nothing has come from"):
        Loop(reader, "cost", Table(), DeadLetters(broker)).run(lambda: dict.fromkeys(reader.position, 5))


def test_a_position_beyond_the_topics_end_starts_anew(broker: Broker) -> None:
    take(broker, Table(), feed=Feed(broker, COST, [costs(10)]))
    reader = TopicReader(broker, COST, "test")
    reader.commit(dict.fromkeys(reader.position, 1_000))
    reader.close()
    take(broker, table := Table())
    assert len(table.ids) == 10


def test_a_topic_that_is_not_there_is_an_error_that_names_it(broker: Broker) -> None:
    with pytest.raises(BrokerError, match="there is no topic .*finops.nowhere"):
        TopicReader(broker, Topic("finops.nowhere"), "test")


def murmur2(key: bytes) -> int:
    """Java's hash of a key, written down from its definition."""
    mask, mixed = 0xFFFFFFFF, 0x5BD1E995
    value = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        part = int.from_bytes(key[at : at + 4], "little") * mixed & mask
        value = value * mixed & mask ^ (part ^ part >> 24) * mixed & mask
    if whole < len(key):
        value = (value ^ int.from_bytes(key[whole:], "little")) * mixed & mask
    value = (value ^ value >> 13) * mixed & mask
    return value ^ value >> 15


def test_a_unit_is_on_the_partition_that_javas_clients_would_choose(broker: Broker) -> None:
    units = [f"unit-{number}" for number in range(40)] + ["ä", "Research & Development", "x"]
    producer = EventProducer(broker, COST)
    producer.send([b"{}"] * len(units), units)
    producer.flush()
    with reading(broker, COST, "test") as reader:
        found: list[Any] = []
        while len(found) < len(units):
            found += reader.batch()
            reader.expect_more()
    chosen = {message.key().decode(): message.partition() for message in found}
    assert chosen == {unit: (murmur2(unit.encode()) & 0x7FFFFFFF) % 4 for unit in units}
