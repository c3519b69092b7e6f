"""What the stream processors tell, as rows of the warehouse: which table, which id, known when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from workbench import keys
from workbench.focus import AMOUNT, TIME

STREAM, REPLAY = "stream", "replay"
"""Who told it: the live processors by their topic, or the same functions over what the warehouse holds."""


@dataclass(frozen=True)
class Told:
    """Where the records of a topic go.

    `key` is what tells records apart within an origin; `known` the event time at which one was known; `nothing` what
    its columns become when a later replay no longer tells it, and `stands` whether that has not happened yet. `about`
    is, in SQL, the moment that a record speaks of.
    """

    topic: str
    table: str
    about: str
    key: Sequence[str]
    known: str
    nothing: tuple[pl.Expr, ...]
    stands: pl.Expr


_NONE, _ZERO = pl.lit(0, pl.Int64), pl.lit(0, AMOUNT)


def _zero(*names: str) -> tuple[pl.Expr, ...]:
    return tuple(_ZERO.alias(name) for name in names)


TOLD = (
    Told(
        "finops.cost.aggregations", "finops_aggregated.cost_windows", "window_start",
        ("business_unit", "service", "currency", "window_start", "window_end", "closed_at", "beyond_horizon"),
        "closed_at", (*_zero("total_cost", "delta_cost"), _NONE.alias("events"), _NONE.alias("late_events")),
        pl.col("events") > 0,
    ),
    Told(
        "finops.cost.anomalies", "finops_aggregated.cost_anomalies", "window_start", ("anomaly_id", "window_end"),
        "detected_at", (pl.lit("withdrawn").alias("status"), pl.lit(value=True).alias("resolved")), ~pl.col("resolved"),
    ),
    Told(
        "finops.roi.calculations", "finops_aggregated.roi_calculations", "timestamp",
        ("business_unit", "currency", "timestamp", "window_start", "window_end", "calculated_at", "beyond_horizon"),
        "calculated_at",
        (*_zero("cost", "revenue", "gain", "delta_cost", "delta_revenue"), _NONE.alias("cost_events"),
         _NONE.alias("revenue_events"), *(pl.lit(None, pl.Float64).alias(name) for name in ("roi", "roi_percentage"))),
        pl.col("cost_events") + pl.col("revenue_events") > 0,
    ),
    Told(
        "finops.optimization.recommendations", "finops_aggregated.optimization_recommendations",
        "DATEADD('DAY', -1, window_end)", ("recommendation_id",), "recommended_at",
        (pl.lit("keep").alias("action"), *_zero("monthly_saving")), pl.col("action") != "keep",
    ),
)  # fmt: skip
"""One for each topic that is loaded."""


def rows_of(records: pl.DataFrame, told: Told, origin: str, observed_at: datetime | None = None) -> pl.DataFrame:
    """Return records as rows of their table, with `origin`, `record_id` and `observed_at`.

    Of two records with one id the one observed later counts: of a spike's revisions the larger, because it is known
    later; a microsecond a revision decides where they are known at the same time.

    Parameters
    ----------
    records
        As `workbench.streaming.records.RECORDS` says.
    told
        Where they go.
    origin
        `STREAM` or `REPLAY`.
    observed_at
        When a replay was made, so that the later one counts; None: each record when it was known.
    """
    rows = records.with_columns(pl.lit(origin).alias("origin"))
    missing = [pl.lit(None, pl.String).alias(name) for name in told.key if name not in rows.columns]
    rows = rows.with_columns(missing)
    at = pl.col(told.known) if observed_at is None else pl.lit(observed_at, TIME)
    revision = pl.col("revision").fill_null(0) if "revision" in rows.columns else _NONE
    return rows.with_columns(
        keys.ids(rows, ["origin", *told.key]).alias("record_id"),
        (at + pl.duration(microseconds=revision)).alias("observed_at"),
    )
