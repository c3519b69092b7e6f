"""Event time: how far a partition has come, and what that closes.

The watermark of a kind of event is the latest time among the events before, in the order of the partition. Time is cut
into *buckets* of one length. An event falls into the bucket of its own time and *arrives* in the bucket of the
watermark, itself included. Whether it is late is the difference of the two: nothing else decides, neither where a batch
ended nor what other topics held by then. Nothing is told of a bucket of arrival before it is over.

Processors that read two kinds wait for the slower one, so that it doesn't matter which topic was read first.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import polars as pl

from workbench.errors import EventError
from workbench.focus import TIME
from workbench.streaming.processors.processor import Batches, Outputs
from workbench.streaming.processors.state import UNIT, State, restored

MARKS = pl.Schema({UNIT: pl.String(), "kind": pl.String(), "seen": pl.Int64()})
"""The latest time seen (microseconds since 1970) by unit and kind."""

_US = timedelta(microseconds=1)
_NEVER = -(2**62)


@dataclass(frozen=True, kw_only=True)
class Watermarked(ABC):
    """A processor that tells of buckets when the watermark has passed them.

    Parameters
    ----------
    bucket
        Length of a bucket.
    lateness
        How long a bucket is held open for events out of order; a whole number of buckets.
    idle
        How long nothing has to come before the clock takes over (`advance`).
    ahead
        How far one kind may run ahead of another, so that what waits has an end; the watermark of the slower one then
        follows at this distance, and what comes of it is late. Only beyond it does it matter what was read first.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]

    bucket: timedelta = timedelta(minutes=5)
    lateness: timedelta = timedelta(minutes=5)
    idle: timedelta = timedelta(minutes=1)
    ahead: timedelta = timedelta(days=1)

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns of events that it looks at."""

    @property
    @abstractmethod
    def frames(self) -> Mapping[str, pl.Schema]:
        """Columns of the state: `marks`, `pending` (with a `due`), and more."""

    def waiting(self, state: State) -> pl.DataFrame:
        """What is open: `business_unit` and `due`."""
        return state["pending"].select(UNIT, "due")

    @abstractmethod
    def absorb(self, kind: str, frame: pl.DataFrame, state: State) -> State:
        """Add the events of one kind to what is pending, and to the marks."""

    @abstractmethod
    def settle(self, state: State, upto: int) -> tuple[Outputs, State]:
        """Tell what is due until the bucket `upto` begins."""

    def empty(self) -> State:
        """Return the state before the first event."""
        return State(self.name, {name: schema.to_frame() for name, schema in self.frames.items()})

    def step(self, batches: Batches, state: State) -> tuple[Outputs, State]:
        """Take the next events of the partition; kinds that aren't read are left alone."""
        given = {kind: batches[kind] for kind in self.kinds if kind in batches and batches[kind].height}
        for kind, frame in given.items():
            state = self.absorb(kind, frame, state)
        state = replace(state, clocks={kind: at for kind, at in state.clocks.items() if kind not in given})
        return self._tell(state)

    def advance(self, state: State, now: datetime) -> tuple[Outputs, State]:
        """Let event time go on by the clock where nothing comes.

        To be called from time to time while all that the topics hold has been read. A kind of which nothing has come
        for `idle` since the first such call holds nobody up: its watermark follows the other's. When nothing comes at
        all, the watermark goes on as fast as the clock. It never jumps to the clock, because a bill that comes a day
        late would then be late altogether. What is told then, and when, depends on the clock: a replay, which has
        none, tells the same sums but may tell them in other records.
        """
        at = micros(now)
        marks = watermarks(state["marks"])
        clocks = {kind: state.clocks.get(kind, at) for kind in self.kinds}
        waited = {kind: at - since for kind, since in clocks.items() if at - since >= self.idle // _US}
        noted = replace(state, clocks=clocks)
        if not waited or not marks:
            return self._tell(noted)
        coming = [mark for kind, mark in marks.items() if kind not in waited]
        lead = max(coming or [mark + waited[kind] for kind, mark in marks.items()])
        moved = noted.having(marks=self._moved(state, dict.fromkeys(waited, lead)))
        outputs, after = self._tell(moved)
        if not any(frame.height for frame in outputs.values()):
            return outputs, noted
        return outputs, replace(after, clocks=clocks | dict.fromkeys(waited, at))

    def close(self, state: State) -> tuple[Outputs, State]:
        """Tell of all that is open."""
        last = self.waiting(state)["due"].max()
        return self.settle(state, last if isinstance(last, int) else _NEVER)

    def restore(self, snapshots: Mapping[str, bytes]) -> State:
        """Make a state of the snapshots of its units. Raises BrokerError for one that can't be read."""
        return restored(self.empty(), snapshots)

    def _moved(self, state: State, marks: Mapping[str, int]) -> pl.DataFrame:
        """Move the watermarks, noted at the units that wait for it, because only those are written."""
        units = self.waiting(state).select(pl.col(UNIT).unique())
        moved = pl.DataFrame(
            {"kind": list(marks), "seen": list(marks.values())}, {name: MARKS[name] for name in ("kind", "seen")}
        )
        new = units.join(moved, how="cross").select(MARKS.names())
        return pl.concat([state["marks"], new]).group_by(UNIT, "kind").agg(pl.max("seen")).sort(UNIT, "kind")

    def _tell(self, state: State) -> tuple[Outputs, State]:
        marks = watermarks(state["marks"])
        least = max(marks.values(), default=_NEVER) - self.ahead // _US
        if marks and (behind := [kind for kind in self.kinds if marks.get(kind, _NEVER) < least]):
            state = state.having(marks=self._moved(state, dict.fromkeys(behind, least)))
        slowest = min(max(marks.get(kind, _NEVER), least) for kind in self.kinds)
        return self.settle(state, slowest // (self.bucket // _US))


def micros(time: datetime) -> int:
    """Microseconds since 1970. Raises EventError for a time without a zone."""
    if time.tzinfo is None:
        raise EventError(f"{time} has no time zone; give one, as in datetime.now(UTC)")
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // _US


def buckets_in(length: timedelta, bucket: timedelta, what: str) -> int:
    """How many buckets make up `length`. Raises EventError unless they are whole, and not fewer than none."""
    if bucket <= timedelta(0):
        raise EventError(f"a bucket of {bucket} is no length of time; give one of minutes, as timedelta(minutes=5)")
    count, rest = divmod(length, bucket)
    if rest or count < 0:
        raise EventError(f"{what} of {length} is not a whole number of buckets of {bucket}; give a multiple of it")
    return count


def watermarks(marks: pl.DataFrame) -> dict[str, int]:
    """Kind → the latest time seen, in microseconds since 1970."""
    seen = sorted(zip(marks["seen"].to_list(), marks["kind"].to_list(), strict=True))
    return {kind: at for at, kind in seen}  # the last one stays


def time_of(bucket: pl.Expr, length: timedelta) -> pl.Expr:
    """When the bucket of this number begins."""
    return (bucket * (length // _US)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def arrivals(
    frame: pl.DataFrame, mark: int | None, bucket: timedelta, by: Sequence[str], values: Mapping[str, pl.Expr]
) -> pl.DataFrame:
    """Sum events up by their own bucket and the one in which they arrived.

    Parameters
    ----------
    frame
        Events of one kind in the order of the partition.
    mark
        The watermark before the first of them, in microseconds since 1970.
    bucket
        Length of a bucket.
    by
        Columns to keep apart; `business_unit` is the first.
    values
        What to make of the rows of a group.

    Returns
    -------
    polars.DataFrame
        `by`, `bucket` and `epoch` (numbers of buckets since 1970), `values`, and `seen` (microseconds since 1970).

    Raises
    ------
    EventError
        A column is missing, or the timestamps are of another type.
    """
    needed = {*by, "timestamp"}.union(*(value.meta.root_names() for value in values.values()))
    if missing := sorted(needed - set(frame.columns)):
        raise EventError(f"the events have no {', '.join(missing)}, only {frame.columns[:12]}; see workbench.events")
    if frame.schema["timestamp"] != TIME:
        raise EventError(f"timestamp is {frame.schema['timestamp']}, not {TIME}; pass what events.validate gives")
    time, length = pl.col("timestamp").to_physical(), bucket // _US
    reached = time.cum_max() if mark is None else pl.max_horizontal(time.cum_max(), pl.lit(mark))
    groups = frame.group_by(*by, (time // length).alias("bucket"), (reached // length).alias("epoch"))
    return groups.agg(seen=time.max(), **values)


def marked(marks: pl.DataFrame, kind: str, arrived: pl.DataFrame) -> pl.DataFrame:
    """Note the latest times of what arrived."""
    new = arrived.lazy().select(UNIT, pl.lit(kind).alias("kind"), "seen")
    both = pl.concat([marks.lazy(), new])
    return both.group_by(UNIT, "kind").agg(pl.max("seen")).sort(UNIT, "kind").collect()
