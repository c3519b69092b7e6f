"""What a stream has written, what an undisturbed run over the same messages would have, and how the two differ."""

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl
from confluent_kafka import OFFSET_BEGINNING, KafkaError, Message, TopicPartition

from workbench.streaming.broker import Broker
from workbench.streaming.decode import decode
from workbench.streaming.feed import values_of
from workbench.streaming.letters import headers_of
from workbench.streaming.live.changelog import read_parts
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.processors import Processor, State
from workbench.streaming.topics import DEAD_LETTERS, INPUTS, OUTPUTS, Topic

_SILENCE_S = 60.0
_AMOUNT = pl.Decimal(38, 12)
TOLD = (
    ("finops.cost.aggregations", "delta_cost", "cost", "cost_amount"),
    ("finops.roi.calculations", "delta_cost", "cost", "cost_amount"),
    ("finops.roi.calculations", "delta_revenue", "business", "revenue_impact"),
)
"""Topic and column whose sum is that of a column of the events of a kind."""

Records = dict[tuple[str, int], list[bytes]]
"""Topic and partition → values in their order."""


@dataclass
class Outcome:
    """What came of the messages."""

    records: Records = field(default_factory=dict)
    letters: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    """Headers, key and value of the dead letters; their order depends on what was read first."""
    states: dict[tuple[str, int], State] = field(default_factory=dict)
    """Processor and partition → its memory."""
    read: Counter[str] = field(default_factory=Counter)
    """Messages by kind, of an undisturbed run."""
    sums: Counter[str] = field(default_factory=Counter)
    """Sums of the amounts of the valid events, by column."""


@dataclass(frozen=True)
class Difference:
    """How what was found differs from what should be: records by topic, and what the state has forgotten."""

    outputs: int
    lost: int
    doubled: int
    strange: int
    """Records that an undisturbed run would not have written at all."""
    shuffled: Sequence[tuple[str, int]]
    """Topics and partitions with the same records in another order."""
    states: Sequence[tuple[str, int]]
    """Processors and partitions that remember something else."""
    totals: Sequence[str]
    """Sums that are not those of the events."""
    examples: Sequence[str] = ()

    @property
    def none(self) -> bool:
        """Whether all is the same."""
        return not (self.lost or self.doubled or self.strange or self.shuffled or self.states or self.totals)


def messages(broker: Broker, places: Sequence[tuple[Topic, int]]) -> Iterator[Sequence[Message]]:
    """All messages of topics and partitions that a reader of committed messages sees, each one's in order, in parts."""
    consumer = broker.consumer(f"look-{uuid.uuid4().hex}", **{"enable.partition.eof": True})
    consumer.assign([TopicPartition(broker.topic(topic), at, OFFSET_BEGINNING) for topic, at in places])
    heard, ended = time.monotonic(), set[tuple[str, int]]()
    try:
        while len(ended) < len(places):
            given = consumer.consume(50_000, timeout=0.2)
            good = [message for message in given if message.error() is None]
            for message, error in ((message, message.error()) for message in given):
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    ended.add((message.topic(), message.partition()))
            if given:
                heard = time.monotonic()
                yield good
            assert time.monotonic() - heard < _SILENCE_S, f"{len(ended)} of {len(places)} partitions came to their end"
    finally:
        consumer.close()


def found(broker: Broker, processors: Sequence[Processor], partitions: int) -> Outcome:
    """What stands in the topics, read committed, and the state as the next member would restore it."""
    seen = Outcome(_nothing(partitions))
    for part in messages(broker, [(topic, at) for topic in (*OUTPUTS, DEAD_LETTERS) for at in range(partitions)]):
        for message in part:
            topic = message.topic().removeprefix(broker.prefix)
            if topic == DEAD_LETTERS.name:
                seen.letters[tuple(message.headers()), message.key(), message.value()] += 1
            else:
                seen.records[topic, message.partition()].append(message.value())
    for partition in range(partitions):
        kept = read_parts(broker, partition)
        for processor in processors:
            seen.states[processor.name, partition] = processor.restore(kept.get(processor.name, {}))
    return seen


def undisturbed(broker: Broker, processors: Sequence[Processor], partitions: int) -> Outcome:
    """The pure processors over the same messages: each partition in one batch, without loop, broker or trouble."""
    exact = Outcome(_nothing(partitions))
    for partition in range(partitions):
        batches = _decoded(broker, partition, exact)
        for processor in processors:
            mine = {kind: batches[kind] for kind in processor.kinds if batches[kind].height}
            outputs, state = processor.step(mine, processor.empty()) if mine else ({}, processor.empty())
            for topic, frame in outputs.items():
                exact.records[topic, partition] += values_of(frame).values
            exact.states[processor.name, partition] = state
    return exact


def _nothing(partitions: int) -> Records:
    return {(topic.name, partition): [] for topic in OUTPUTS for partition in range(partitions)}


def _decoded(broker: Broker, partition: int, exact: Outcome) -> dict[str, pl.DataFrame]:
    """The valid events of a partition by kind; the rest is noted among the letters."""
    frames = {kind: [decode([], kind).valid] for kind in INPUTS}
    names = {broker.topic(topic): kind for kind, topic in INPUTS.items()}
    for part in messages(broker, [(topic, partition) for topic in INPUTS.values()]):
        for name, kind in names.items():
            read = decode([message for message in part if message.topic() == name], kind)
            frames[kind].append(read.valid)
            exact.read[kind] += read.read
            exact.letters.update(map(_as_sent, read.dead))
    valid = {kind: pl.concat(parts) for kind, parts in frames.items()}
    for _, _, kind, column in TOLD[1:]:
        exact.sums[column] += valid[kind][column].sum() or Decimal(0)
    return valid


def _as_sent(letter: DeadLetter) -> tuple[Any, ...]:
    return tuple(headers_of(letter).items()), letter.key, letter.value


def difference(seen: Outcome, exact: Outcome, processors: Sequence[Processor]) -> Difference:
    """Compare record for record, state for state, sum for sum."""
    kinds = [_counted(seen.letters, exact.letters)]
    kinds += [_counted(Counter(seen.records[place]), Counter(exact.records[place])) for place in exact.records]
    lost, doubled, strange = (sum((kind[at] for kind in kinds), Counter()) for at in range(3))
    shuffled = [
        place for place, values in exact.records.items()
        if seen.records[place] != values and Counter(seen.records[place]) == Counter(values)
    ]  # fmt: skip
    states = [place for place, state in exact.states.items() if not _same(seen.states[place], state)]
    examples = [f"{what} {record!r}" for what, of in (("lost", lost), ("doubled", doubled), ("strange", strange))
                for record, _ in of.most_common(3)]  # fmt: skip
    return Difference(
        sum(map(len, exact.records.values())), lost.total(), doubled.total(), strange.total(), shuffled, states,
        _wrong_totals(seen, exact, processors), examples,
    )  # fmt: skip


def _counted(seen: Counter[Any], exact: Counter[Any]) -> tuple[Counter[Any], Counter[Any], Counter[Any]]:
    """What is lost, what is there too often, and what should not be there at all."""
    more = seen - exact
    doubled = Counter({record: count for record, count in more.items() if record in exact})
    return exact - seen, doubled, more - doubled


def _same(seen: State, exact: State) -> bool:
    """Whether two states hold the same, in any order of their rows."""
    return all(_settled(seen[name]).equals(_settled(frame)) for name, frame in exact.frames.items())


def _settled(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows in one order. Use that is pending stands in as many rows as there were batches: then in one."""
    if "level" in frame.columns:
        by = [name for name in frame.columns if name in {"business_unit", "resource_id", "currency", "bucket", "epoch"}]
        rest = [pl.last(name) for name in frame.columns if name not in {*by, "level"}]
        frame = frame.group_by(by, maintain_order=True).agg(pl.max("level"), *rest)
    return frame.sort([name for name, dtype in frame.schema.items() if not dtype.is_nested()])


def _wrong_totals(seen: Outcome, exact: Outcome, processors: Sequence[Processor]) -> list[str]:
    """Sums over all that was told and all that is still open, beside the plain sums of the events."""
    open_still: dict[str, list[pl.DataFrame]] = {}
    for processor in processors:
        for (name, _), state in seen.states.items():
            if name == processor.name:
                for topic, frame in processor.close(state)[0].items():
                    open_still.setdefault(topic, []).append(frame)
    wrong = []
    for topic, column, _, of in TOLD:
        total = _total(seen.records, topic, column) + sum(frame[column].sum() for frame in open_still[topic])
        if total != exact.sums[of]:
            wrong.append(f"{column} in {topic} is {total}, of the events {exact.sums[of]}")
    return wrong


def _total(records: Mapping[tuple[str, int], Sequence[bytes]], topic: str, column: str) -> Decimal:
    values = [value for (name, _), part in records.items() if name == topic for value in part]
    if not values:
        return Decimal(0)
    told = pl.read_ndjson(b"\n".join(values), schema_overrides={column: pl.String})[column]
    return Decimal(told.cast(_AMOUNT).sum())
