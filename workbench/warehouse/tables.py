"""The tables that frames go into, and what a merge must know of each."""

import re
from dataclasses import dataclass, field

from workbench import focus
from workbench.errors import WarehouseError, did_you_mean

_OWNERS = ("business_unit", "project_id", "environment")
_MEASURES = tuple(name for name, kind in focus.COLUMNS.items() if kind in {"amount", "quantity"})


@dataclass(frozen=True)
class Table:
    """A table of the warehouse.

    `content` are the columns that make a row another statement about the same event: if one of them differs, the row
    is restated and its former version kept. The others (names, descriptions, where it came from) are refreshed by a
    later observation without leaving a trace.
    """

    name: str
    period: str
    """When it happened: the start of the charge period, or of whatever the row speaks of."""
    amount: str = ""
    currency: str = ""
    content: tuple[str, ...] = ()
    labels: tuple[str, ...] = _OWNERS
    """Content that is the reader's own word and not the source's: another label at the same moment restates."""
    key: str = "event_id"
    provenance: tuple[str, ...] = field(default=("source_name", "source_file", "line_count"))

    @property
    def short(self) -> str:
        """The name without its schema."""
        return self.name.rpartition(".")[2]

    @property
    def merges(self) -> bool:
        """Whether rows have an identity, so that they can be merged."""
        return bool(self.content)

    @property
    def history(self) -> str:
        """The table of the former versions."""
        return f"{self.name}_history"


FOCUS_COSTS = Table(
    "finops_curated.focus_costs", "chargeperiodstart", "billedcost", "billingcurrency",
    content=tuple(name.lower() for name in (*_MEASURES, "Tags")) + _OWNERS,
)  # fmt: skip
COST_EVENTS = Table(
    "finops_curated.cost_events", "timestamp", "cost_amount", "currency",
    content=("cost_amount", *_OWNERS, "metadata"),
)  # fmt: skip
BUSINESS_EVENTS = Table(
    "finops_curated.business_events", "timestamp", "revenue_impact", "currency",
    content=("revenue_impact", "business_unit", "metadata"),
)  # fmt: skip
RESOURCE_EVENTS = Table(
    "finops_curated.resource_events", "timestamp", "cost_estimate", "currency",
    content=("cost_estimate", "utilization", *_OWNERS, "metadata"),
)  # fmt: skip

# What the stream processors tell. Shares and ratios follow from the amounts, and are described, not compared.
COST_ANOMALIES = Table(
    "finops_aggregated.cost_anomalies", "window_start", "cost_amount", "currency", key="record_id", labels=(),
    content=("revision", "status", "resolved", "cost_amount", "expected_amount", "excess_amount", "business_impact",
             "history", "streak", "detected_at"),
)  # fmt: skip
COST_WINDOWS = Table(
    "finops_aggregated.cost_windows", "window_start", "delta_cost", "currency", key="record_id", labels=(),
    content=("total_cost", "delta_cost", "events", "late_events", "revision"),
)  # fmt: skip
ROI_CALCULATIONS = Table(
    "finops_aggregated.roi_calculations", "window_start", "delta_cost", "currency", key="record_id", labels=(),
    content=("cost", "revenue", "gain", "delta_cost", "delta_revenue", "cost_events", "revenue_events", "revision"),
)  # fmt: skip
RECOMMENDATIONS = Table(
    "finops_aggregated.optimization_recommendations", "recommended_at", "monthly_saving", "currency", key="record_id",
    content=("action", "previous_action", "target_type", "off_hours_per_week", "hourly_price", "monthly_saving"),
    labels=(),
)  # fmt: skip

TABLES = {
    table.name: table
    for table in (
        FOCUS_COSTS,
        COST_EVENTS,
        BUSINESS_EVENTS,
        RESOURCE_EVENTS,
        Table("finops_staging.ingest_runs", "loaded_at"),
        Table("finops_staging.ingest_totals", ""),
        Table("finops_staging.rejected_rows", "loaded_at"),
        Table("finops_staging.stream_runs", "loaded_at"),
        Table("finops_staging.dead_letters", "loaded_at"),
        Table("finops_staging.cursors", "updated_at"),
        COST_ANOMALIES,
        COST_WINDOWS,
        ROI_CALCULATIONS,
        RECOMMENDATIONS,
    )
}
"""Every table that a frame can be loaded or merged into."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def table(name: str) -> Table:
    """The table called `name`, with or without its schema. Raises WarehouseError for any other name."""
    folded = name.casefold()
    for full, found in TABLES.items():
        if folded in {full, found.short}:
            return found
    raise WarehouseError(f"no table '{name}' to load into; there are {', '.join(TABLES)}{did_you_mean(name, TABLES)}")


def column(name: str) -> str:
    """`name`, if it is a plain identifier, so that no SQL comes in by a name. Raises WarehouseError if not."""
    if not _NAME.fullmatch(name):
        raise WarehouseError(f"'{name[:60]}' can't be a column's name: letters, digits and underscores only")
    return name
