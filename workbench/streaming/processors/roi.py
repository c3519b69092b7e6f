"""What a unit earned against what it cost within half an hour before and after."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import ClassVar

import polars as pl

from workbench.focus import AMOUNT
from workbench.streaming.processors.processor import Outputs
from workbench.streaming.processors.quotient import quotient
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

TOPIC = "finops.roi.calculations"

_SIDES = {"cost": "cost_amount", "business": "revenue_impact"}
_OWN = ("own_cost", "own_revenue")
_AMOUNTS = ("cost", "revenue", *_OWN)
_COUNTS = ("cost_events", "revenue_events", "own_events")


@dataclass(frozen=True, kw_only=True)
class Roi(Watermarked):
    """Cost and revenue of the same unit and currency around each five-minute bucket.

    Each side is summed by bucket before the two meet, so that no cost counts once for each sale near it. For a bucket
    from t on, in which the unit had cost or revenue, both sides are summed over [t - `reach`, t + `reach`). The
    watermark is that of the slower side.

    Parameters
    ----------
    bucket
        Length of a bucket.
    reach
        How far cost and revenue may be apart; a whole number of buckets.
    lateness, horizon
        As for `Windows`, counted from the end of t + `reach`.
    cost_above, revenue_above
        Events count only if they are of more than this; None: all count, credits and refunds too.

    Notes
    -----
    A record of `finops.roi.calculations` has `business_unit`, `currency`, `timestamp` (t), `window_start`,
    `window_end`, `cost`, `revenue`, `gain` (revenue - cost; all exact), `roi` (gain to cost; null where there is no
    cost to divide by), `roi_percentage` (the same, times 100), `cost_events`, `revenue_events`, `delta_cost` and
    `delta_revenue` (what this record adds to the bucket's own; these add up to all cost and revenue, while the windows
    overlap and do not), `revision`, `beyond_horizon` and `calculated_at` (event time). The larger revision counts.
    """

    name: ClassVar[str] = "roi"
    kinds: ClassVar[tuple[str, ...]] = ("cost", "business")

    reach: timedelta = timedelta(minutes=30)
    horizon: timedelta = timedelta(hours=6)
    cost_above: Decimal | None = None
    revenue_above: Decimal | None = None

    @classmethod
    def article(cls) -> "Roi":
        """Count costs above 50 and revenues above 0, as the article on event-driven FinOps does."""
        return cls(cost_above=Decimal(50), revenue_above=Decimal(0))

    @cached_property
    def ledger(self) -> Ledger:
        """How the windows are kept: one a bucket, closing when its last bucket does."""
        after = self._reach + buckets_in(self.lateness, self.bucket, "a lateness")
        horizon = buckets_in(self.horizon, self.bucket, "a horizon")
        return Ledger(("business_unit", "currency"), _AMOUNTS, _COUNTS, after, horizon)

    @cached_property
    def _reach(self) -> int:
        return buckets_in(self.reach, self.bucket, "a reach")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of events that it looks at."""
        return ("timestamp", *_SIDES.values(), *self.ledger.by)

    @property
    def frames(self) -> dict[str, pl.Schema]:
        """Columns of the state."""
        return {"marks": MARKS, "pending": self.ledger.pending, "closed": self.ledger.closed}

    def absorb(self, kind: str, frame: pl.DataFrame, state: State) -> State:
        """Add events to all windows that they are near to."""
        mark = watermarks(state["marks"]).get(kind)
        value = pl.col(_SIDES[kind])
        above = self.cost_above if kind == "cost" else self.revenue_above
        counts = value.is_not_null() if above is None else value > pl.lit(above, AMOUNT)
        sums = {"amount": value.filter(counts).sum(), "events": counts.sum()}
        arrived = arrivals(frame, mark, self.bucket, self.ledger.by, sums)
        spread = self._spread(arrived.filter(pl.col("events") > 0), kind)
        return state.having(
            marks=marked(state["marks"], kind, arrived), pending=self.ledger.add(state["pending"], spread)
        )

    def _spread(self, arrived: pl.DataFrame, kind: str) -> pl.DataFrame:
        """One contribution for each window that reaches over the bucket."""
        near = pl.DataFrame({"away": range(1 - self._reach, self._reach + 1)}, schema={"away": pl.Int64})
        own, here = pl.col("away") == 0, kind == "cost"
        amount, events = pl.col("amount"), pl.col("events").cast(pl.Int64)
        none, nothing = pl.lit(0, AMOUNT), pl.lit(0, pl.Int64)
        return arrived.join(near, how="cross").with_columns(
            bucket=pl.col("bucket") + pl.col("away"),
            cost=amount if here else none,
            revenue=none if here else amount,
            own_cost=pl.when(own).then(amount).otherwise(none) if here else none,
            own_revenue=none if here else pl.when(own).then(amount).otherwise(none),
            cost_events=events if here else nothing,
            revenue_events=nothing if here else events,
            own_events=pl.when(own).then(events).otherwise(nothing),
        )

    def settle(self, state: State, upto: int) -> tuple[Outputs, State]:
        """Tell of the windows that both sides have passed, and of what came late."""
        records, pending, closed = self.ledger.settle(state["pending"], state["closed"], upto)
        return {TOPIC: self._written(records)}, state.having(pending=pending, closed=closed)

    def _written(self, records: pl.DataFrame) -> pl.DataFrame:
        own = pl.when("beyond").then("delta_own_events").otherwise("own_events") > 0
        gain = (pl.col("revenue") - pl.col("cost")).cast(AMOUNT)
        roi = pl.when(pl.col("cost") > 0).then(quotient(gain, pl.col("cost")))
        start, reach = pl.col("bucket"), self._reach
        return records.filter(own).select(
            *self.ledger.by,
            time_of(start, self.bucket).alias("timestamp"),
            time_of(start - reach, self.bucket).alias("window_start"),
            time_of(start + reach, self.bucket).alias("window_end"),
            "cost",
            "revenue",
            gain.alias("gain"),
            roi.alias("roi"),
            (roi * 100).alias("roi_percentage"),
            pl.coalesce("cost_events", "delta_cost_events").alias("cost_events"),
            pl.coalesce("revenue_events", "delta_revenue_events").alias("revenue_events"),
            pl.col("delta_own_cost").alias("delta_cost"),
            pl.col("delta_own_revenue").alias("delta_revenue"),
            "revision",
            pl.col("beyond").alias("beyond_horizon"),
            time_of(pl.col("due"), self.bucket).alias("calculated_at"),
        )
