"""The daily history that forecasts rest on, read through Snowpark, and the business events by day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import UsageError, WarehouseError, did_you_mean
from workbench.focus import AMOUNT, SCHEMA, UNALLOCATED
from workbench.forecasts import split_fees
from workbench.pipelines.ingest import FOCUS_COSTS

if TYPE_CHECKING:
    from workbench.warehouse import Warehouse

BUSINESS_EVENTS = "finops_curated.business_events"
_SPLITS = ("business_unit", "event_type", "feature", "action")
_EXAMPLES = ("ServiceName", "RegionId", "ProviderName", "business_unit", "event_type", "feature", "action")
_CHARGE = ("ServiceName", "ChargeCategory", "ChargeFrequency")


def cost_history(warehouse: "Warehouse", as_of: date, known_at: datetime, by: Sequence[str]) -> pl.DataFrame:
    """Return spend by day with the part that is charged by the month; see `Workbench.cost_history`.

    The sums are made where the data lies: a Snowpark frame is built here, and only its result, one row a day and
    charge, comes over, as Arrow, with amounts exact.
    """
    checked(by, SCHEMA, "costs")
    charges = _received(daily_charges(warehouse.session, as_of, known_at, by))
    keys = ["date", *_keys(by), "covers_days", "BilledCost"]
    names = dict(zip(charges.columns, keys, strict=True))
    types = dict(SCHEMA) | {"date": pl.Date(), "covers_days": pl.Int64()}
    typed = charges.rename(names).with_columns(pl.col(name).cast(types[name]) for name in names.values())
    return split_fees(typed, *by)


def daily_charges(session: Any, as_of: date, known_at: datetime, by: Sequence[str]) -> Any:  # noqa: ANN401 (Snowpark)
    """The Snowpark frame behind `cost_history`: every charge by day, before `as_of`, as it was known at `known_at`."""
    from snowflake.snowpark import functions as sf

    knew = sf.lit(known_at.astimezone(UTC).replace(tzinfo=None))
    start = sf.col("ChargePeriodStart")
    believed = (sf.col("loaded_at") <= knew) & (sf.col("superseded_at").is_null() | (sf.col("superseded_at") > knew))
    lines = session.table(f"{FOCUS_COSTS}_versions").filter(
        (start < sf.lit(datetime.combine(as_of, time()))) & believed
    )
    covers = sf.datediff("day", start, sf.col("ChargePeriodEnd"))
    keys = [sf.to_date(start).alias("charge_date"), *map(sf.col, _keys(by)), covers.alias("covers")]
    chosen = lines.select(*keys, sf.col("BilledCost"))
    return chosen.group_by(*chosen.columns[:-1]).agg(sf.sum("BilledCost").alias("billed"))


def _keys(by: Sequence[str]) -> list[str]:
    """What tells charges of a day apart, each column once."""
    return list(dict.fromkeys([*by, "BillingCurrency", *_CHARGE]))


def business_days(warehouse: "Warehouse", as_of: date, known_at: datetime, by: Sequence[str]) -> pl.DataFrame:
    """Return business events by day; see `Workbench.revenue`."""
    checked(by, _SPLITS, "revenue")
    shown = "".join(
        f", COALESCE({name}, '{UNALLOCATED}') AS {name}" if name == "business_unit" else f", {name}" for name in by
    )
    keys = ", ".join(str(at) for at in range(1, len(by) + 3))
    sql = f"""
        SELECT CAST(timestamp AS DATE) AS event_date{shown}, currency, COUNT(*) AS event_total,
               SUM(CASE WHEN revenue_impact > 0 THEN 1 ELSE 0 END) AS earning, SUM(revenue_impact) AS revenue_impact
        FROM {BUSINESS_EVENTS}_versions
        WHERE timestamp < ? AND loaded_at <= ? AND (superseded_at IS NULL OR superseded_at > ?)
        GROUP BY {keys}
        ORDER BY {keys}
    """  # noqa: S608 (names are checked against the schema)
    end = datetime.combine(as_of, time(), UTC)
    frame = warehouse.query(sql, (end, known_at, known_at)).rename({"event_date": "date", "event_total": "events"})
    texts = [pl.col(name).cast(pl.String) for name in (*by, "currency")]
    return frame.with_columns(
        pl.col("date").cast(pl.Date), *texts, pl.col("earning").cast(pl.Int64), pl.col("revenue_impact").cast(AMOUNT)
    )


def checked(by: Sequence[str], known: Sequence[str] | pl.Schema, what: str) -> None:
    """Raise UsageError for a name that is no column: it would stand in SQL."""
    for name in by:
        if name not in known:
            raise UsageError(f"{what} can't be split by '{name}'{did_you_mean(name, known)}; "
                             f"e.g. {', '.join(name for name in _EXAMPLES if name in known)}")  # fmt: skip


def _received(frame: Any) -> pl.DataFrame:  # noqa: ANN401 (Snowpark)
    """A Snowpark frame's result, through Arrow."""
    from snowflake.connector.errors import Error
    from snowflake.snowpark.exceptions import SnowparkClientException

    try:
        return pl.DataFrame(pl.from_arrow(frame.to_arrow()))
    except (Error, SnowparkClientException) as error:
        raise WarehouseError(f"the warehouse refused the cost history: {error}. `workbench doctor` says whether it is "
                             "there") from error  # fmt: skip
