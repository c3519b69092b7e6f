"""Messages → checked events, and dead letters with what was wrong: nothing is lost between the two."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, chain
from typing import Any

import polars as pl

from workbench import events
from workbench.lines import one_block
from workbench.streaming.parcels import DeadLetter, Parcel, parcels


@dataclass(frozen=True)
class Decoded:
    """What a batch of messages holds: `valid` in the schema of the kind, in the order of the messages; and the rest."""

    valid: pl.DataFrame
    dead: list[DeadLetter]
    read: int


def decode(messages: Sequence[Any], kind: str, columns: Collection[str] | None = None) -> Decoded:
    """Read a batch of messages (`confluent_kafka.Message`) of events of `kind` at once.

    An event that does not say when it was observed was observed when the broker took it: read again it says the same.
    A message without a key is read; its unit stands in the value. `columns`: as for `events.validate`.
    """
    return unpacked(parcels(messages), kind, columns)


def unpacked(given: Sequence[Parcel], kind: str, columns: Collection[str] | None = None) -> Decoded:
    """Read messages of one kind that were taken apart; see `decode`."""
    values = one_block([parcel.values for parcel in given]) if given else []
    read = events.read_values(values, kind, columns)
    frame = _observed(read.frame, given, read.kept)
    checked = events.with_refused(events.validate(frame, kind, columns=columns), read, values)
    starts = list(accumulate((len(parcel.values) for parcel in given), initial=0))
    dead = list(chain.from_iterable(parcel.dead for parcel in given))
    for row, reason in zip(checked.rejected["row"], checked.rejected["reason"], strict=True):
        at = bisect_right(starts, row) - 1
        dead.append(given[at].letter(row - starts[at], reason))
    count = sum(parcel.read for parcel in given)
    if checked.valid.height + len(dead) != count:
        raise AssertionError(f"{count} messages became {checked.valid.height} events and {len(dead)} letters")
    return Decoded(checked.valid, dead, count)


def _observed(frame: pl.DataFrame, given: Sequence[Parcel], kept: Sequence[int]) -> pl.DataFrame:
    """Fill in when the broker took what does not say when it was observed."""
    observed = frame["observed_at"]
    lacking = observed.is_null() | (observed.str.strip_chars() == "")
    if not lacking.any():
        return frame
    stamps = list(chain.from_iterable(parcel.stamps for parcel in given))
    taken = [datetime.fromtimestamp(stamps[at][1] / 1000, UTC).isoformat() for at in kept]
    return frame.with_columns(observed.set(lacking, None).fill_null(pl.Series(taken, dtype=pl.String)))
