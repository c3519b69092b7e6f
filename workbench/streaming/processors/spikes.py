"""Spikes: five minutes of a service that cost far more than its five minutes usually do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import ClassVar

import numpy as np
import polars as pl

from workbench import keys
from workbench.errors import EventError
from workbench.focus import AMOUNT, TIME
from workbench.streaming.processors.baseline import Baseline, Rule, judge
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

TOPIC = "finops.cost.anomalies"

_BY = ("business_unit", "service", "currency")
_KEY = [*_BY, "bucket"]
_TEXTS = {name: pl.String() for name in _BY}
_VERDICT = {"expected": pl.Float64(), "spread": pl.Float64(), "history": pl.Int64(), "streak": pl.Int64()}
_JUDGED = pl.Schema({**_TEXTS, "bucket": pl.Int64(), "cost": AMOUNT, **_VERDICT, "flagged": pl.Boolean(),
                     "revision": pl.Int64()})  # fmt: skip
_LEARNED = {
    "level": pl.Float64(),
    "spread": pl.Float64(),
    "history": pl.Int64(),
    "streak": pl.Int64(),
    "last": pl.Int64(),
}
_BASELINES = pl.Schema({**_TEXTS, **_LEARNED})
_WRITTEN = pl.Schema(
    {
        "anomaly_id": pl.String(),
        "detected_at": TIME,
        "anomaly_type": pl.String(),
        **_TEXTS,
        "window_start": TIME,
        "window_end": TIME,
        **dict.fromkeys(("cost_amount", "expected_amount", "excess_amount"), AMOUNT),
        **dict.fromkeys(("ratio", "deviation", "deviation_percent"), pl.Float64()),
        "business_impact": pl.String(),
        "history": pl.Int64(),
        "streak": pl.Int64(),
        "status": pl.String(),
        "revision": pl.Int64(),
        "resolved": pl.Boolean(),
    }
)
_EXPECTED_DIGITS = 6  # a baseline is no exact amount: more digits would only be noise


@dataclass(frozen=True, kw_only=True)
class Spikes(Watermarked):
    """Judges closed buckets of cost by business unit, service and currency against what was usual before.

    A bucket without events is no value of 0: nothing is learned from it. What comes late is added to its bucket, which
    is judged again by the baseline it was judged by; the baseline itself learns from each bucket once, as it was first
    known. A spike teaches it nothing.

    Parameters
    ----------
    rule
        What a spike is.
    bucket, lateness
        As for `Windows`.
    horizon
        How long a judged bucket is remembered; what comes later still is left to `Windows` to tell of.

    Notes
    -----
    A record of `finops.cost.anomalies` has `anomaly_id` (the same for all revisions), `detected_at` (event time),
    `anomaly_type` (`cost_spike`), `business_unit`, `service`, `currency`, `window_start`, `window_end`, `cost_amount`
    (exact), `expected_amount` (the baseline, to 6 digits), `excess_amount` (their difference), `ratio` (cost to
    expected; null where nothing was expected), `deviation` (excess in spreads of the baseline; null without spread),
    `deviation_percent`, `business_impact` (`CRITICAL` above 100 %, `HIGH` above 50 %, else `MEDIUM`), `history` (how
    many buckets were learned from), `streak` (spikes in a row), `status` (`raised`, `revised`, `withdrawn`), `revision`
    and `resolved` (true for what is withdrawn).
    """

    name: ClassVar[str] = "spikes"
    kinds: ClassVar[tuple[str, ...]] = ("cost",)

    rule: Rule = field(default_factory=Rule)
    horizon: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.rule.least_history < 1:
            raise EventError(f"least_history is {self.rule.least_history}: a spike is judged by what was before; "
                             "give 1 or more")  # fmt: skip

    @classmethod
    def article(cls) -> "Spikes":
        """Twice a mean that keeps 0.9 and takes 0.1, above 100: the article's rule, but it learns from no spike."""
        return cls(
            rule=Rule(ratio=2, floor=100, deviations=0, least_history=1, weight=0.1, accept_after=0, robust=False)
        )

    @cached_property
    def ledger(self) -> Ledger:
        """How the buckets are kept until they are judged."""
        after = 1 + buckets_in(self.lateness, self.bucket, "a lateness")
        return Ledger(_BY, ("cost",), (), after, buckets_in(self.horizon, self.bucket, "a horizon"))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of events that it looks at."""
        return ("timestamp", "cost_amount", *_BY)

    @property
    def frames(self) -> Mapping[str, pl.Schema]:
        """Columns of the state."""
        return {"marks": MARKS, "pending": self.ledger.pending, "judged": _JUDGED, "baselines": _BASELINES}

    def absorb(self, kind: str, frame: pl.DataFrame, state: State) -> State:
        """Add costs to their buckets."""
        mark = watermarks(state["marks"]).get(kind)
        arrived = arrivals(frame, mark, self.bucket, _BY, {"cost": pl.sum("cost_amount")})
        return state.having(
            marks=marked(state["marks"], kind, arrived), pending=self.ledger.add(state["pending"], arrived)
        )

    def settle(self, state: State, upto: int) -> tuple[Outputs, State]:
        """Judge the buckets that are closed, and again those to which something came late."""
        within = state["pending"].filter((pl.col("due") <= upto) & ~pl.col("beyond")).sort(*_BY, "due", "bucket")
        if within.is_empty():
            return {TOPIC: _WRITTEN.to_frame()}, self._kept(state, state["judged"], state["baselines"], upto)
        first, later = _first(within, state["judged"])
        judged, baselines = self._judge(first, state["baselines"])
        told = pl.concat([state["judged"], judged.select(_JUDGED.names())])
        records = judged.filter("flagged")
        if later.height:
            again = self._judge_again(later, told)
            told = pl.concat([told, again.select(_JUDGED.names())])
            records = pl.concat([records, again.filter(pl.col("flagged") | pl.col("was"))], how="diagonal")
        return {TOPIC: self._written(records)}, self._kept(state, told, baselines, upto)

    def _judge(self, first: pl.DataFrame, baselines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Judge buckets by their baselines, which learn from them."""
        unknown = first.select(_BY).unique().join(baselines, on=_BY, how="anti", nulls_equal=True)
        fresh = unknown.with_columns(pl.lit(0, dtype).alias(name) for name, dtype in _LEARNED.items())
        known = pl.concat([baselines, fresh.select(baselines.columns)]).sort(_BY)
        place = known.select(_BY).with_row_index("series")
        at = first.select(_BY).join(place, on=_BY, how="left", nulls_equal=True, maintain_order="left")["series"]
        base = Baseline(*(known[name].to_numpy().copy() for name in _LEARNED))
        amounts = first["cost"].cast(pl.Float64).to_numpy()
        found = judge(self.rule, base, at.to_numpy().astype(np.int64), first["bucket"].to_numpy(), amounts)
        verdict = {name: pl.Series(name, getattr(found, name)) for name in (*_VERDICT, "flagged")}
        judged = first.with_columns(**verdict, revision=pl.lit(0, pl.Int64), was=pl.lit(value=False))
        return judged, known.with_columns(pl.Series(name, getattr(base, name)) for name in _LEARNED)

    def _judge_again(self, later: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
        """Judge buckets with what came late, by what was expected of them before."""
        before = judged.rename({"cost": "before", "flagged": "was"})
        rows = later.join(before, on=_KEY, how="left", nulls_equal=True, maintain_order="left")
        so_far = pl.col("before") + pl.col("cost").cum_sum().over(_KEY)
        rows = rows.with_columns(
            so_far.cast(AMOUNT).alias("cost"), pl.col("revision") + pl.int_range(1, pl.len() + 1).over(_KEY)
        )
        amounts, level, spread = (rows[name].cast(pl.Float64).to_numpy() for name in ("cost", "expected", "spread"))
        flagged = self.rule.flags(amounts, level, spread, rows["history"].to_numpy())
        rows = rows.with_columns(flagged=pl.Series(flagged, dtype=pl.Boolean))
        return rows.with_columns(was=pl.coalesce(pl.col("flagged").shift().over(_KEY), "was"))

    def _kept(self, state: State, told: pl.DataFrame, baselines: pl.DataFrame, upto: int) -> State:
        """Without what nothing can reach any more."""
        reach = self.ledger.closes_after + self.ledger.horizon
        last = told.filter(pl.col("bucket") + reach > upto).unique(_KEY, keep="last", maintain_order=True).sort(_KEY)
        living = baselines.filter(pl.col("last") + (reach + self.rule.forget) > upto)
        return state.having(pending=state["pending"].filter(pl.col("due") > upto), judged=last, baselines=living)

    def _written(self, records: pl.DataFrame) -> pl.DataFrame:
        if records.is_empty():
            return _WRITTEN.to_frame()
        expected = pl.col("expected").round(_EXPECTED_DIGITS).cast(pl.Decimal(38, _EXPECTED_DIGITS)).cast(AMOUNT)
        found = records.sort("due", *_KEY).with_columns(
            expected_amount=expected,
            ratio=pl.when(pl.col("expected") > 0).then(quotient(pl.col("cost"), pl.col("expected"))),
            window_start=time_of(pl.col("bucket"), self.bucket),
            anomaly_type=pl.lit("cost_spike"),
        )
        excess = (pl.col("cost") - pl.col("expected_amount")).cast(AMOUNT)
        percent = (pl.col("ratio") - 1) * 100
        impact = pl.when(percent <= 50).then(pl.lit("MEDIUM")).when(percent <= 100).then(pl.lit("HIGH"))
        status = pl.when(pl.col("flagged") & ~pl.col("was")).then(pl.lit("raised"))
        told = found.with_columns(
            keys.ids(found, ["anomaly_type", *_BY, "window_start"]).alias("anomaly_id"),
            detected_at=time_of(pl.col("due"), self.bucket),
            window_end=time_of(pl.col("bucket") + 1, self.bucket),
            cost_amount="cost",
            excess_amount=excess,
            deviation=pl.when(pl.col("spread") > 0).then(quotient(excess, pl.col("spread"))),
            deviation_percent=percent,
            business_impact=impact.otherwise(pl.lit("CRITICAL")),
            status=status.when("flagged").then(pl.lit("revised")).otherwise(pl.lit("withdrawn")),
            resolved=~pl.col("flagged"),
        )
        return told.select(_WRITTEN.names()).cast(_WRITTEN)


def _first(within: pl.DataFrame, judged: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is heard first of a bucket, and what comes after it."""
    known = judged.select(*_KEY, pl.lit(value=True).alias("known"))
    rows = within.join(known, on=_KEY, how="left", nulls_equal=True, maintain_order="left")
    first = pl.col("known").is_null() & pl.struct(_KEY).is_first_distinct()
    parted = rows.with_columns(first=first).drop("known")
    return parted.filter("first").drop("first"), parted.filter(~pl.col("first")).drop("first")
