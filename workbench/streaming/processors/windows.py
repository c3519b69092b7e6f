"""What each unit cost in five minutes, corrected when something comes late."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import ClassVar

import polars as pl

from workbench.streaming.processors.processor import Outputs
from workbench.streaming.processors.state import State
from workbench.streaming.processors.sums import Ledger
from workbench.streaming.processors.watermark import (
    MARKS,
    Watermarked,
    arrivals,
    buckets_in,
    marked,
    time_of,
    watermarks,
)

TOPIC = "finops.cost.aggregations"


@dataclass(frozen=True, kw_only=True)
class Windows(Watermarked):
    """Tumbling windows of cost by business unit and currency, told of once the watermark has passed them.

    Parameters
    ----------
    bucket
        Length of a window.
    lateness
        How long after its end a window is held open.
    horizon
        How long after its closing a window is remembered, so that a late event is told of with the new sum.
    by_service
        Whether the services are kept apart too.

    Notes
    -----
    A record of `finops.cost.aggregations` has `business_unit`, `currency` (and `service`), `window_start`,
    `window_end`, `total_cost` (all of the window so far, exact), `delta_cost` (what this record adds), `events` and
    `late_events` (counts so far), `revision` (0: as the window closed; from 1 on: corrections), `beyond_horizon` and
    `closed_at` (event time at which it was known). A correction beyond the horizon has the delta and its events only.
    The `delta_cost` of all records of a window add up to all that the unit cost in it.
    """

    name: ClassVar[str] = "windows"
    kinds: ClassVar[tuple[str, ...]] = ("cost",)

    horizon: timedelta = timedelta(hours=6)
    by_service: bool = False

    @cached_property
    def ledger(self) -> Ledger:
        """How the windows are kept."""
        return Ledger(
            ("business_unit", "currency", *(("service",) if self.by_service else ())),
            ("cost",),
            ("events", "late_events"),
            1 + buckets_in(self.lateness, self.bucket, "a lateness"),
            buckets_in(self.horizon, self.bucket, "a horizon"),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of events that it looks at."""
        return ("timestamp", "cost_amount", *self.ledger.by)

    @property
    def frames(self) -> dict[str, pl.Schema]:
        """Columns of the state."""
        return {"marks": MARKS, "pending": self.ledger.pending, "closed": self.ledger.closed}

    def absorb(self, kind: str, frame: pl.DataFrame, state: State) -> State:
        """Add costs to their windows."""
        mark = watermarks(state["marks"]).get(kind)
        arrived = arrivals(
            frame, mark, self.bucket, self.ledger.by, {"cost": pl.sum("cost_amount"), "events": pl.len()}
        )
        late = pl.col("epoch") >= pl.col("bucket") + self.ledger.closes_after
        counted = arrived.with_columns(late_events=pl.when(late).then("events").otherwise(0))
        return state.having(
            marks=marked(state["marks"], kind, arrived), pending=self.ledger.add(state["pending"], counted)
        )

    def settle(self, state: State, upto: int) -> tuple[Outputs, State]:
        """Tell of the windows that are closed, and of what came late."""
        records, pending, closed = self.ledger.settle(state["pending"], state["closed"], upto)
        return {TOPIC: self._written(records)}, state.having(pending=pending, closed=closed)

    def _written(self, records: pl.DataFrame) -> pl.DataFrame:
        return records.select(
            *self.ledger.by,
            time_of(pl.col("bucket"), self.bucket).alias("window_start"),
            time_of(pl.col("bucket") + 1, self.bucket).alias("window_end"),
            pl.col("cost").alias("total_cost"),
            "delta_cost",
            pl.coalesce("events", "delta_events").alias("events"),
            pl.coalesce("late_events", "delta_late_events").alias("late_events"),
            "revision",
            pl.col("beyond").alias("beyond_horizon"),
            time_of(pl.col("due"), self.bucket).alias("closed_at"),
        )
