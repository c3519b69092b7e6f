"""Exact sums over windows that close, and what late events change in them.

Each contribution is due once: when its window closes, or, if that has happened, when the bucket is over in which it
arrived. What is due together for a window is one record: its first, or a correction. The deltas of all records of a
window add up to its sum, whatever came late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from workbench.focus import AMOUNT


@dataclass(frozen=True)
class Ledger:
    """How windows are kept.

    `by`: key of a window beside its bucket, the unit first. `amounts`, `counts`: what is summed. A window closes
    `closes_after` buckets after its own begins; `horizon` buckets later it is forgotten, and what arrives then is
    *beyond*.
    """

    by: tuple[str, ...]
    amounts: tuple[str, ...]
    counts: tuple[str, ...]
    closes_after: int
    horizon: int

    @property
    def key(self) -> list[str]:
        """What tells windows apart."""
        return [*self.by, "bucket"]

    @property
    def sums(self) -> list[str]:
        """What is added up, by the names of the columns."""
        return [*self.amounts, *self.counts]

    @property
    def pending(self) -> pl.Schema:
        """Contributions that aren't due yet: `due` (number of a bucket), `beyond` (too late for its window)."""
        return pl.Schema({**self._key_schema, "due": pl.Int64(), "beyond": pl.Boolean(), **self._sum_schema})

    @property
    def closed(self) -> pl.Schema:
        """Sums of windows that were told of, with the number of corrections."""
        return pl.Schema({**self._key_schema, **self._sum_schema, "revision": pl.Int64()})

    @property
    def _key_schema(self) -> dict[str, pl.DataType]:
        return {**{name: pl.String() for name in self.by}, "bucket": pl.Int64()}

    @property
    def _sum_schema(self) -> dict[str, pl.DataType]:
        return {**dict.fromkeys(self.amounts, AMOUNT), **{name: pl.Int64() for name in self.counts}}

    def add(self, pending: pl.DataFrame, arrived: pl.DataFrame) -> pl.DataFrame:
        """Add contributions, which have an `epoch`, to those that are pending."""
        closing = pl.col("bucket") + self.closes_after
        due = pl.max_horizontal(pl.col("epoch") + 1, closing).alias("due")
        beyond = (pl.col("epoch") >= closing + self.horizon).alias("beyond")
        new = arrived.lazy().with_columns(due, beyond).select(self.pending.names()).cast(self.pending)
        both = pl.concat([pending.lazy(), new])
        return _summed(both, [*self.key, "due", "beyond"], self.sums).sort(*self.key, "due").collect()

    def settle(self, pending: pl.DataFrame, closed: pl.DataFrame, upto: int) -> tuple[pl.DataFrame, ...]:
        """Tell what is due until the bucket `upto` begins.

        Returns
        -------
        records, pending, closed
            Records have the key, `due`, `beyond`, for each sum its `delta_…` and (null beyond the horizon) its value
            since the window began, and `revision`: 0 as it closed, then 1, 2 … (null beyond). They are in the order
            in which they are due.
        """
        first = pending["due"].min()
        if not isinstance(first, int) or first > upto:
            return self._nothing, pending, self._kept(closed.lazy(), upto).collect()
        ripe, known = pl.col("due") <= upto, closed.lazy()
        due = pending.filter(ripe).lazy()
        revised = (pl.col("due") > pl.col("bucket") + self.closes_after).cast(pl.Int64).alias("revision")
        within = due.filter(~pl.col("beyond")).with_columns(revised)
        told = _summed(pl.concat([known, within.select(closed.columns)]), self.key, [*self.sums, "revision"])
        records = self._records(due, self._running(known, within))
        found = pl.collect_all([records, self._kept(told, upto).sort(self.key)])
        return found[0], pending.filter(~ripe), found[1]

    @cached_property
    def _nothing(self) -> pl.DataFrame:
        """No records."""
        deltas = {f"delta_{name}" if name in self.sums else name: dtype for name, dtype in self.pending.items()}
        return pl.DataFrame(schema={**deltas, **self._sum_schema, "revision": pl.Int64()})

    def _running(self, closed: pl.LazyFrame, within: pl.LazyFrame) -> pl.LazyFrame:
        """The sums as they stand after each record."""
        known = closed.join(within.select(self.key).unique(), on=self.key, how="semi", nulls_equal=True)
        before = known.select(*self.key, pl.lit(None, pl.Int64).alias("due"), *self.sums, "revision")
        after = pl.concat([before, within.select(*self.key, "due", *self.sums, "revision")])
        running = pl.col(*self.sums, "revision").cum_sum().over(self.key)
        ordered = after.sort(*self.key, "due", nulls_last=False)
        return ordered.with_columns(running).filter(pl.col("due").is_not_null())

    def _records(self, due: pl.LazyFrame, totals: pl.LazyFrame) -> pl.LazyFrame:
        deltas = due.rename({name: f"delta_{name}" for name in self.sums})
        within = totals.select(*self.key, "due", *self.sums, "revision", pl.lit(value=False).alias("beyond"))
        on = [*self.key, "due", "beyond"]
        return deltas.join(within, on=on, how="left", nulls_equal=True).sort("due", *self.key, "beyond")

    def _kept(self, closed: pl.LazyFrame, upto: int) -> pl.LazyFrame:
        """Without the windows that nothing can reach any more."""
        return closed.filter(pl.col("bucket") + (self.closes_after + self.horizon) > upto)


def _summed(frame: pl.LazyFrame, by: Sequence[str], sums: Sequence[str]) -> pl.LazyFrame:
    columns = [*by, *(name for name in sums)]
    return frame.group_by(by).agg(pl.sum(*sums)).select(columns)
