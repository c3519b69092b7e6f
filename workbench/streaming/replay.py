"""History through the code that runs live."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import polars as pl

from workbench.errors import EventError
from workbench.streaming.processors.processor import Batches, Outputs, Processor


def replay(
    events: pl.DataFrame | Mapping[str, pl.DataFrame],
    processor: Processor,
    batch_rows: int | None = None,
    *,
    close: bool = True,
) -> Outputs:
    """Run a processor over events that have happened, in the order of their rows.

    Parameters
    ----------
    events
        Events of one kind, or kind → events, typed as in `workbench.events.SCHEMAS`. Sort them by `timestamp` for a
        stream without latecomers, by `observed_at` for one as it came.
    processor
        For instance `Windows()` or `Spikes.article()`.
    batch_rows
        How many rows are taken at a time; None: all at once. It changes nothing but the memory that is used.
    close
        Whether what is open at the end is told of too. False: as it stands while more may come.

    Returns
    -------
    dict
        Topic → records, as the live stream would have sent them.

    Raises
    ------
    EventError
        A frame alone for a processor of several kinds, a kind that it does not read, a missing column.

    Examples
    --------
    >>> from workbench.streaming import replay
    >>> from workbench.streaming.processors import Spikes
    >>> replay(last_month, Spikes.article())["finops.cost.anomalies"]  # doctest: +SKIP
    """
    given = _by_kind(events, processor)
    state = processor.empty()
    told: list[Outputs] = []
    for batches in _batches(given, batch_rows):
        outputs, state = processor.step(batches, state)
        told.append(outputs)
    if close:
        told.append(processor.close(state)[0])
    return {topic: pl.concat(outputs[topic] for outputs in told if topic in outputs) for topic in told[0]}


def _by_kind(events: pl.DataFrame | Mapping[str, pl.DataFrame], processor: Processor) -> Batches:
    kinds = ", ".join(processor.kinds)
    if isinstance(events, pl.DataFrame):
        if len(processor.kinds) > 1:
            raise EventError(f"'{processor.name}' reads several kinds of events ({kinds}); give {{kind: frame}}")
        return {processor.kinds[0]: events}
    if unknown := set(events) - set(processor.kinds):
        raise EventError(f"'{processor.name}' reads no {', '.join(sorted(unknown))} events, but {kinds}")
    return events


def _batches(events: Batches, rows: int | None) -> Iterator[Batches]:
    """Cut all kinds into equally many parts, so that they keep pace."""
    if rows is not None and rows < 1:
        raise EventError(f"batch_rows is {rows}; give 1 or more, or None for all at once")
    height = sum(frame.height for frame in events.values())
    parts = max(1, -(-height // rows)) if rows else 1
    for part, following in pairwise(range(parts + 1)):
        yield {
            kind: frame[frame.height * part // parts : frame.height * following // parts]
            for kind, frame in events.items()
        }
