"""What the stream processors have told, as a notebook asks for it: as of a day, with the knowledge of a moment."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import EventError, did_you_mean
from workbench.events import SCHEMAS
from workbench.pipelines.told import REPLAY, STREAM, TOLD
from workbench.streaming.records import RECORDS

if TYPE_CHECKING:
    from workbench.warehouse import Warehouse

# ruff: noqa: S608 (our own names; values are bound)

_KNOWN = "loaded_at <= ? AND (superseded_at IS NULL OR superseded_at > ?)"
_TYPES = {name: dtype for schema in RECORDS.values() for name, dtype in schema.items()}

_TELLER = " UNION ALL ".join(
    f"SELECT COUNT(*) AS told FROM {told.table}_versions WHERE origin = '{STREAM}' AND loaded_at <= ?" for told in TOLD
)
_WINDOWS = f"""
    SELECT business_unit, service, currency, window_start, window_end,
           CAST(SUM(delta_cost) AS NUMBER(38,12)) AS total_cost,
           COALESCE(MAX(CASE WHEN NOT beyond_horizon THEN events END), 0)
               + SUM(CASE WHEN beyond_horizon THEN events ELSE 0 END) AS events,
           COALESCE(MAX(CASE WHEN NOT beyond_horizon THEN late_events END), 0)
               + SUM(CASE WHEN beyond_horizon THEN late_events ELSE 0 END) AS late_events,
           COUNT(*) AS records, MAX(closed_at) AS last_told_at
    FROM finops_aggregated.cost_windows_versions
    WHERE window_end <= ? AND {_KNOWN} AND origin = ? AND events > 0
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY window_start, business_unit, service, currency, window_end
"""
_SPIKES = f"""
    SELECT anomaly_id, window_start, window_end, business_unit, service, currency, cost_amount, expected_amount,
           excess_amount, ratio, deviation, deviation_percent, business_impact, streak, revision, detected_at
    FROM finops_aggregated.cost_anomalies_versions
    WHERE window_end <= ? AND {_KNOWN} AND origin = ? AND NOT resolved
    ORDER BY window_start, business_unit, service, currency
"""
_ROI = f"""
    SELECT business_unit, currency, timestamp, window_start, window_end,
           CAST(MAX_BY(cost, COALESCE(revision, -1)) AS NUMBER(38,12)) AS cost,
           CAST(MAX_BY(revenue, COALESCE(revision, -1)) AS NUMBER(38,12)) AS revenue,
           CAST(MAX_BY(gain, COALESCE(revision, -1)) AS NUMBER(38,12)) AS gain,
           MAX_BY(roi, COALESCE(revision, -1)) AS roi,
           CAST(SUM(delta_cost) AS NUMBER(38,12)) AS own_cost,
           CAST(SUM(delta_revenue) AS NUMBER(38,12)) AS own_revenue
    FROM finops_aggregated.roi_calculations_versions
    WHERE timestamp < ? AND {_KNOWN} AND origin = ? AND cost_events + revenue_events > 0
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY timestamp, business_unit, currency
"""
_ADVICE = f"""
    SELECT recommendation_id, recommended_at, business_unit, service, resource_id, resource_type, currency, action,
           target_type, utilization_quantile, utilization_mean, coverage, off_hours_per_week, hourly_price,
           monthly_saving, confidence, window_start, window_end
    FROM finops_aggregated.optimization_recommendations_versions
    WHERE window_end <= ? AND {_KNOWN} AND origin = ?
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY business_unit, resource_id, currency ORDER BY recommended_at DESC, recommendation_id
    ) = 1 AND action <> 'keep'
    ORDER BY monthly_saving DESC NULLS LAST, resource_id
"""
_COSTS = f"""
    SELECT currency, SUM(cost_amount) AS in_events FROM finops_curated.cost_events_versions
    WHERE timestamp >= ? AND timestamp < ? AND {_KNOWN} GROUP BY currency
"""


class Outcomes:
    """The part of a `Workbench` that asks what the stream told.

    All of it comes from one teller: the live processors, as `workbench stream load` brought it, where they have told
    anything; else the replay over the warehouse's own events (`pipelines.replayed`).
    """

    warehouse: "Warehouse"
    as_of: date
    known_at: datetime

    def teller(self) -> str:
        """Return who told the windows, spikes, returns and advice: `"stream"` or `"replay"`."""
        told = self.warehouse.query(_TELLER, [self.known_at] * len(TOLD))["told"].sum()
        return STREAM if told else REPLAY

    def cost_windows(self) -> pl.DataFrame:
        """Return what each unit cost window by window, corrections by late events included.

        Returns
        -------
        polars.DataFrame
            `business_unit`, `service` (null where services are not kept apart), `currency`, `window_start`,
            `window_end` (UTC, half open), `total_cost` (exact, in that currency), `events` and `late_events`
            (counts), `records` (how often it was told of), `last_told_at`. One row a window.
        """
        return self._told(_WINDOWS)

    def spikes(self) -> pl.DataFrame:
        """Return the spikes of cost that still stand, each with its latest revision.

        Returns
        -------
        polars.DataFrame
            `anomaly_id`, `window_start`, `window_end` (UTC), `business_unit`, `service`, `currency`, `cost_amount`,
            `expected_amount`, `excess_amount` (exact, in that currency), `ratio` (cost to expected), `deviation`
            (excess in spreads of the baseline), `deviation_percent`, `business_impact`, `streak` (spikes in a row),
            `revision`, `detected_at`.
        """
        return self._told(_SPIKES)

    def stream_roi(self) -> pl.DataFrame:
        """Return cost against revenue of each unit around each moment; `workbench.costs.roi` holds whole days.

        Returns
        -------
        polars.DataFrame
            `business_unit`, `currency`, `timestamp` (UTC), `window_start`, `window_end`, `cost`, `revenue`, `gain`
            (exact, in that currency, over the whole window; windows overlap, so these do not add up), `roi` (gain to
            cost; null without cost), `own_cost` and `own_revenue` (of the moment's own bucket: these do).
        """
        return self._told(_ROI)

    def recommendations(self) -> pl.DataFrame:
        """Return the advice on sizes that holds: the latest of each resource, unless it was taken back.

        Returns
        -------
        polars.DataFrame
            `recommendation_id`, `recommended_at` (UTC), `business_unit`, `service`, `resource_id`, `resource_type`,
            `currency`, `action` (`terminate`, `downsize`, `upsize`, `schedule-off`), `target_type`,
            `utilization_quantile`, `utilization_mean`, `coverage`, `confidence` (0 to 1), `off_hours_per_week`,
            `hourly_price`, `monthly_saving` (exact, in that currency; negative for `upsize`), and the window looked
            at. The largest saving first.
        """
        return self._told(_ADVICE)

    def windows_check(self) -> pl.DataFrame:
        """Hold the windows against the cost events of the days that they cover.

        Returns
        -------
        polars.DataFrame
            By `currency`: `windows` and `events` (counts), `in_windows`, `in_events` (exact), `difference`. 0 where
            the windows are as recent as the events: a live stream is ahead of its input's load, or behind it.
        """
        windows = self.cost_windows()
        told = windows.group_by("currency").agg(
            pl.len().cast(pl.Int64).alias("windows"),
            pl.col("events").sum(),
            pl.col("total_cost").sum().alias("in_windows"),
        )
        first = windows["window_start"].min()
        since = first if isinstance(first, datetime) else datetime.combine(self.as_of, time(), UTC)
        end = datetime.combine(self.as_of, time(), UTC)
        known = (since, end, self.known_at, self.known_at)
        held = self.warehouse.query(_COSTS, known).with_columns(pl.col("in_events").cast(_TYPES["cost"]))
        both = told.join(held, on="currency", how="left").with_columns(pl.col("in_events").fill_null(0))
        return both.with_columns(difference=pl.col("in_windows") - pl.col("in_events")).sort("currency")

    def events(self, kind: str, days: int = 30) -> pl.DataFrame:
        """Return the events of the last `days` before `as_of`, in the order of their time, ready to be replayed.

        Parameters
        ----------
        kind
            `"cost"`, `"business"` or `"resource"`.
        days
            How many.

        Returns
        -------
        polars.DataFrame
            Columns and types of `workbench.events.SCHEMAS[kind]`.
        """
        end = datetime.combine(self.as_of, time(), UTC)
        return events_of(self.warehouse, kind, (end - timedelta(days=days), end), self.known_at)

    def _told(self, sql: str) -> pl.DataFrame:
        end = datetime.combine(self.as_of, time(), UTC)
        found = self.warehouse.query(sql, (end, self.known_at, self.known_at, self.teller()))
        more = dict.fromkeys(("own_cost", "own_revenue"), _TYPES["cost"]) | {"records": pl.Int64()}
        types = _TYPES | more
        return found.with_columns(pl.col(name).cast(types[name]) for name in found.columns if name in types)


def events_of(
    warehouse: "Warehouse", kind: str, span: tuple[datetime, datetime], known_at: datetime, columns: Sequence[str] = ()
) -> pl.DataFrame:
    """Return the events of a half-open span as they were known at a moment, in the order of their time.

    All columns of the kind, or those of `columns` that it has.

    Raises
    ------
    EventError
        An unknown kind.
    """
    if kind not in SCHEMAS:
        raise EventError(f"no event kind '{kind}'; there are {', '.join(SCHEMAS)}{did_you_mean(kind, SCHEMAS)}")
    schema = {name: dtype for name, dtype in SCHEMAS[kind].items() if name in columns or not columns}
    sql = f"""
        SELECT {", ".join(schema)} FROM finops_curated.{kind}_events_versions
        WHERE timestamp >= ? AND timestamp < ? AND {_KNOWN}
        ORDER BY timestamp, event_id
    """
    params: Sequence[Any] = (*span, known_at, known_at)
    return warehouse.query(sql, params).with_columns(pl.col(name).cast(dtype) for name, dtype in schema.items())
