"""What a notebook works with: a profile's data as of a day, and a place for its tables and figures."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import polars as pl

from workbench.costs import against_files, reconcile
from workbench.focus import AMOUNT, SCHEMA
from workbench.pipelines.book import REJECTED, RUNS, TOTALS
from workbench.pipelines.history import business_days, checked, cost_history
from workbench.pipelines.ingest import FOCUS_COSTS
from workbench.pipelines.observed import by_minute, standing
from workbench.pipelines.outcomes import Outcomes
from workbench.pipelines.outputs import Figure, LookAt, Note, Outputs, Table, read_records, read_table
from workbench.pipelines.streambook import BY_DAY_SQL, LETTERS_SQL, RUNS_SQL, TWO_ROADS_SQL
from workbench.settings import Settings

if TYPE_CHECKING:
    from workbench.warehouse import Warehouse

_VERSIONS = f"{FOCUS_COSTS}_versions"
_MEASURES = ("BilledCost", "EffectiveCost", "ListCost")


class Workbench(Outcomes):
    """A profile's data, as of a day and with the knowledge of a moment.

    Attributes
    ----------
    settings
        The profile.
    as_of
        Charges before that day, 00:00 UTC, count; those from it on don't.
    known_at
        Of restated charges the amount counts that was known at that moment (UTC).
    """

    def __init__(
        self, settings: Settings, warehouse: "Warehouse", as_of: date, known_at: datetime, outputs: Outputs
    ) -> None:
        self.settings = settings
        self.warehouse = warehouse
        self.as_of = as_of
        self.known_at = known_at
        self._outputs = outputs

    def query(self, sql: str, params: Sequence[Any] = ()) -> pl.DataFrame:
        """Ask the warehouse in Snowflake SQL with bound `?`; see `Warehouse.query`."""
        return self.warehouse.query(sql, params)

    def costs(self, *by: str, first: date | None = None) -> pl.DataFrame:
        """Return spend by day.

        Parameters
        ----------
        by
            Further columns to split by: FOCUS names and the workbench's (`business_unit`, `source_file`, …).
        first
            Not before that day.

        Returns
        -------
        polars.DataFrame
            `date` (UTC, the day the charge period begins), `by`, `BillingCurrency`, `lines`, `BilledCost`,
            `EffectiveCost`, `ListCost` (exact, in that currency; null where no line has it).
        """
        checked(by, SCHEMA, "costs")
        names = "".join(f", {name}" for name in by)
        sums = ", ".join(f"SUM({name}) AS {name}" for name in _MEASURES)
        sql = f"""
            SELECT CAST(ChargePeriodStart AS DATE) AS cost_date{names}, BillingCurrency, COUNT(*) AS line_total, {sums}
            FROM {_VERSIONS}
            WHERE ChargePeriodStart < ? AND ChargePeriodStart >= ?
              AND loaded_at <= ? AND (superseded_at IS NULL OR superseded_at > ?)
            GROUP BY CAST(ChargePeriodStart AS DATE){names}, BillingCurrency
            ORDER BY cost_date{names}, BillingCurrency
        """  # noqa: S608 (names are checked against the schema)
        since = midnight(first or date(1970, 1, 1))
        frame = self.query(sql, (midnight(self.as_of), since, self.known_at, self.known_at))
        return frame.rename({"cost_date": "date", "line_total": "lines"}).with_columns(
            pl.col("lines").cast(pl.Int64), pl.col(*_MEASURES).cast(AMOUNT)
        )

    def cost_history(self, *by: str) -> pl.DataFrame:
        """Return spend by day for a forecast, read through Snowpark.

        Returns
        -------
        polars.DataFrame
            `date` (UTC), `by`, `BillingCurrency`, `BilledCost` (all charges), `fees` (the part of it that is charged by
            the month: `workbench.forecasts.split_fees`); both exact, in that currency.
        """
        return cost_history(self.warehouse, self.as_of, self.known_at, by)

    def revenue(self, *by: str) -> pl.DataFrame:
        """Return business events by day: what users did and what it earned.

        Parameters
        ----------
        by
            Further columns to split by: `business_unit`, `event_type`, `feature`, `action`.

        Returns
        -------
        polars.DataFrame
            `date` (UTC), `by`, `currency`, `events` (count), `earning` (count of those that brought money),
            `revenue_impact` (exact, in that currency; refunds are negative). Empty where no events have come in.
        """
        return business_days(self.warehouse, self.as_of, self.known_at, by)

    def lines(self, most: int = 1_000) -> pl.DataFrame:
        """Return the latest `most` bill lines with all their columns."""
        sql = f"""
            SELECT * FROM {_VERSIONS}
            WHERE ChargePeriodStart < ? AND loaded_at <= ? AND (superseded_at IS NULL OR superseded_at > ?)
            ORDER BY ChargePeriodStart DESC, event_id LIMIT {int(most)}
        """  # noqa: S608
        return self.query(sql, (midnight(self.as_of), self.known_at, self.known_at))

    def workloads(self) -> pl.DataFrame:
        """Return what is known of the workloads: `workload`, `business_unit`, `region`, `kind`, `entry`, …."""
        return standing(self.settings, "workloads")

    def graph(self) -> pl.DataFrame:
        """Return who calls whom: `caller`, `callee`, `kind` (`call`, or `message`: nobody waits for it)."""
        return standing(self.settings, "graph")

    def metrics(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Return metrics by minute in a half-open span (UTC); columns as in `sources.simulate.observe.METRICS`."""
        return by_minute(self.settings, "metrics", start, min(end, midnight(self.as_of)))

    def ingests(self) -> pl.DataFrame:
        """Return one row for each file of each ingestion: rows read, accepted, rejected, new, restated, …."""
        return self.query(f"SELECT * FROM {RUNS} WHERE loaded_at <= ? ORDER BY loaded_at", (self.known_at,))  # noqa: S608

    def latest_loads(self) -> pl.DataFrame:
        """Return the latest row of `ingests` for each file."""
        newest = pl.col("loaded_at") == pl.col("loaded_at").max().over("source_name", "source_file")
        return self.ingests().filter(newest)

    def ingest_totals(self) -> pl.DataFrame:
        """Return the exact totals of each file and load (`pipelines.ingest.file_totals`, with `run_id` and file)."""
        return self.query(f"SELECT * FROM {TOTALS} ORDER BY run_id, source_file, currency, measure", ())  # noqa: S608

    def rejected(self) -> pl.DataFrame:
        """Return the refused rows of the last ingestion of each file, with reason and content."""
        sql = f"""
            SELECT r.* FROM {REJECTED} r
            JOIN (SELECT source_file, MAX(run_id) AS run_id FROM {RUNS} GROUP BY source_file) last
              ON last.run_id = r.run_id AND last.source_file = r.source_file
            ORDER BY r.source_file, r.row_number
        """  # noqa: S608
        return self.query(sql, ())

    def stream_runs(self) -> pl.DataFrame:
        """Return one row for each run through the broker: events sent, read, valid, dead, new, …, its rate, its lag."""
        return self.query(RUNS_SQL, (self.known_at,))

    def dead_letters(self, most: int = 1_000) -> pl.DataFrame:
        """Return the latest `most` messages that could not be read: where they were, why, and the original bytes."""
        return self.query(LETTERS_SQL, (self.known_at, int(most)))

    def events_by_day(self) -> pl.DataFrame:
        """Count the events of each `kind` (cost, business, resource) by `date` (UTC): `events`."""
        moments = (midnight(self.as_of), self.known_at, self.known_at)
        frame = self.query(BY_DAY_SQL, moments * 3).rename({"event_date": "date", "event_total": "events"})
        return frame.with_columns(pl.col("date").cast(pl.Date), pl.col("events").cast(pl.Int64)).sort("date", "kind")

    def two_roads(self) -> pl.DataFrame:
        """Hold what the loader brought against what the broker brought.

        Returns
        -------
        polars.DataFrame
            By `currency`: `by_loader` (BilledCost of all lines), `by_broker` (cost_amount of all cost events),
            `difference`; 0 when both roads tell the same.
        """
        sums = self.query(TWO_ROADS_SQL).with_columns(pl.col("by_loader", "by_broker").cast(AMOUNT))
        return sums.with_columns(difference=(pl.col("by_broker") - pl.col("by_loader")).cast(AMOUNT))

    def reconcile(self) -> pl.DataFrame:
        """Hold what all loads brought against what the warehouse holds, by currency (`workbench.costs.reconcile`)."""
        return reconcile(self._billed_totals(), self._held("BillingCurrency AS currency"))

    def against_files(self) -> pl.DataFrame:
        """Hold what the files say against the warehouse, by source (`workbench.costs.against_files`)."""
        last = self.latest_loads().select("run_id", "source_file", "source_name")
        said = self._billed_totals().join(last, on=["run_id", "source_file"])
        return against_files(said, self._held("source_name, BillingCurrency AS currency"))

    def _billed_totals(self) -> pl.DataFrame:
        return self.ingest_totals().filter(pl.col("measure") == "BilledCost")

    def _held(self, by: str) -> pl.DataFrame:
        keys = by.replace(" AS currency", "")
        sql = f"SELECT {by}, SUM(BilledCost) AS in_warehouse FROM {FOCUS_COSTS} GROUP BY {keys}"  # noqa: S608 (our words)
        return self.query(sql, ()).with_columns(pl.col("in_warehouse").cast(AMOUNT))

    def table(
        self,
        name: str,
        frame: pl.DataFrame,
        title: str = "",
        labels: dict[str, str] | None = None,
        *,
        exact: bool = False,
    ) -> Table:
        """Show a table, and in a run offer it as CSV and in the notebook's workbook."""
        return self._outputs.table(name, Table(frame, title, labels, exact=exact))

    def note(self, sentence: str, **values: object) -> Note:
        """Say a sentence with values from the data: `wb.note("{unit} spent most.", unit=name)`; values are escaped."""
        return Note(sentence, **values)

    def record(self, figures: Sequence[Figure], look_at: Sequence[LookAt] = ()) -> dict[str, Any]:
        """Write the notebook's record: its figures, and what a reader should look at."""
        return self._outputs.record(figures, look_at)

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the other notebooks of this run (in JupyterLab: of the last report for this day)."""
        return read_records(self._run_folder())

    def recorded(self, notebook: str, table: str) -> pl.DataFrame:
        """Return a table of another notebook of this run, its amounts as floats, to be drawn; empty without one."""
        return read_table(self._run_folder(), notebook, table)

    def _run_folder(self) -> Path:
        return self._outputs.run_dir or self.settings.reports / self.settings.name / self.as_of.isoformat()

    def close(self) -> None:
        """Let go of the warehouse."""
        self.warehouse.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        known = f"{self.known_at:%Y-%m-%d %H:%M:%S}"
        return self.note("Profile {name}, charges before {day}, known at {known} UTC.",
                         name=self.settings.name, day=self.as_of, known=known)._repr_html_()  # fmt: skip

    def __repr__(self) -> str:
        return f"<Workbench {self.settings.name}, as of {self.as_of}, known at {self.known_at:%Y-%m-%d %H:%M:%S} UTC>"


def midnight(day: date) -> datetime:
    """Return the first moment of a day in UTC."""
    return datetime.combine(day, time(), UTC)
