"""What a processor remembers, as frames, and its snapshots: one a business unit, as Arrow streams behind a checksum.

A unit's snapshot is all that the processor knows of the unit, so a partition's state is the union of its units' last
snapshots. The watermark too: it is the latest time seen in any unit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow as pa
from xxhash import xxh3_64_digest

from workbench.errors import BrokerRefused
from workbench.streaming.topics import STATE

SNAPSHOT_LIMIT = 1_000_000
"""Bytes of the largest snapshot of a unit."""

UNIT = "business_unit"
_VERSION = b"1"
_DIGEST = 8  # bytes of the checksum at the start
_OPTIONS = pa.ipc.IpcWriteOptions()
_TEXT = pl.CompatLevel.oldest()


@dataclass(frozen=True)
class State:
    """The memory of one processor for one partition.

    `frames` each begin with `business_unit`. `clocks` tell since when (microseconds since 1970)
    nothing came of a kind, while somebody watched; they are not part of a snapshot.
    """

    processor: str
    frames: Mapping[str, pl.DataFrame]
    clocks: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.frames[name]

    def having(self, **frames: pl.DataFrame) -> "State":
        """Return the same state with other `frames`."""
        return replace(self, frames={**self.frames, **frames})

    @cached_property
    def snapshots(self) -> dict[str, bytes]:
        """Unit → all that is known of it.

        Raises
        ------
        BrokerRefused
            A snapshot is larger than the state topic takes.
        """
        sinks: dict[str, pa.BufferOutputStream] = {}
        for name, frame in self.frames.items():
            meta = {b"processor": self.processor.encode(), b"frame": name.encode(), b"version": _VERSION}
            for unit, rows in _by_unit(frame):
                sink = sinks.setdefault(unit, pa.BufferOutputStream())
                with pa.ipc.new_stream(sink, rows.schema.with_metadata(meta), options=_OPTIONS) as stream:
                    stream.write_batch(rows)
        streams = {unit: sink.getvalue().to_pybytes() for unit, sink in sinks.items()}
        written = {unit: xxh3_64_digest(stream) + stream for unit, stream in streams.items()}
        for unit, snapshot in written.items():
            if len(snapshot) >= SNAPSHOT_LIMIT:
                raise BrokerRefused(f"the state of '{self.processor}' for the unit '{unit}' takes {len(snapshot):,} "
                                  f"bytes, {STATE.name} allows {SNAPSHOT_LIMIT:,}; give the processor a shorter "
                                  "horizon, or split the unit")  # fmt: skip
        return written


def changed(before: State, after: State) -> dict[str, bytes]:
    """Return the snapshots of `after` that differ from those of `before`: what has to be written."""
    known = before.snapshots
    return {unit: snapshot for unit, snapshot in after.snapshots.items() if known.get(unit) != snapshot}


def restored(empty: State, snapshots: Mapping[str, bytes]) -> State:
    """Make a state of snapshots.

    Parameters
    ----------
    empty
        The processor's empty state: it says which frames there are, and their columns.
    snapshots
        Unit → what `State.snapshots` gave for it.

    Raises
    ------
    BrokerRefused
        A snapshot that cannot be read, or is of another processor or version.
    """
    found: dict[str, list[pl.DataFrame]] = {name: [frame] for name, frame in empty.frames.items()}
    for unit, snapshot in snapshots.items():
        try:
            for name, rows in _read(snapshot, empty.processor):
                found[name].append(_with_unit(rows, unit, empty[name].schema))
        except (pa.ArrowException, pl.exceptions.PolarsError, KeyError, ValueError, OSError) as error:
            raise BrokerRefused(
                f"the snapshot of '{empty.processor}' for the unit '{unit}' in {STATE.name} can't be read ({error}); "
                "nothing was committed. Rebuild the state from the events: `workbench stream reset --replay`; or begin "
                f"without one: `workbench stream reset --processor {empty.processor}`"
            ) from error
    return replace(empty, frames={name: pl.concat(parts) for name, parts in found.items()})


def _by_unit(frame: pl.DataFrame) -> Iterator[tuple[str, Any]]:
    """The rows of each unit as Arrow, without the unit."""
    if frame.is_empty():
        return
    frame = frame.sort(UNIT, maintain_order=True)
    runs = frame[UNIT].rle().struct.unnest()
    table = frame.drop(UNIT).rechunk().to_arrow(compat_level=_TEXT).combine_chunks()
    [rows] = table.to_batches()
    start = 0
    for length, unit in zip(runs["len"].to_list(), runs["value"].to_list(), strict=True):
        # Copied, because a mere slice is written with some of its neighbours' bytes.
        yield unit, pa.concat_batches([rows.slice(0, 0), rows.slice(start, length)])
        start += length


def _read(snapshot: bytes, processor: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The frames in a snapshot, with their names."""
    digest, streams = snapshot[:_DIGEST], snapshot[_DIGEST:]
    if digest != xxh3_64_digest(streams):
        raise ValueError("its checksum is wrong")
    source = pa.BufferReader(streams)
    while source.tell() < len(streams):
        table = pa.ipc.open_stream(source).read_all()
        meta = table.schema.metadata or {}
        if (meta.get(b"processor"), meta.get(b"version")) != (processor.encode(), _VERSION):
            raise ValueError(f"it is of {meta.get(b'processor')!r}, version {meta.get(b'version')!r}")
        frame = pl.from_arrow(table.replace_schema_metadata(None))
        yield meta[b"frame"].decode(), frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def _with_unit(rows: pl.DataFrame, unit: str, schema: pl.Schema) -> pl.DataFrame:
    frame = rows.select(pl.lit(unit).alias(UNIT), pl.all())
    if frame.schema != schema:
        raise ValueError(f"its columns are {dict(frame.schema)}, not {dict(schema)}")
    return frame
