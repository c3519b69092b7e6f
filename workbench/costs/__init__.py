"""What was spent, on what, what changed, and what came of it. Pure: frames in, frames out.

A *daily* frame has `date` (UTC), `BillingCurrency`, `BilledCost` (decimal) and any further columns to split by.
Currencies are never summed: every result has `BillingCurrency` in its key.
"""

from workbench.costs.changes import Weeks, largest_changes, week_over_week, weeks
from workbench.costs.coverage import coverage, missing_days
from workbench.costs.economics import overlap, roi, unit_economics
from workbench.costs.hours import by_rule, return_by_unit, spells
from workbench.costs.names import combined, currencies, named, only, top_share
from workbench.costs.reconcile import against_files, reconcile
from workbench.costs.spend import daily_totals, spend
from workbench.costs.workloads import workload_costs

__all__ = [
    "Weeks",
    "against_files",
    "by_rule",
    "combined",
    "coverage",
    "currencies",
    "daily_totals",
    "largest_changes",
    "missing_days",
    "named",
    "only",
    "overlap",
    "reconcile",
    "return_by_unit",
    "roi",
    "spells",
    "spend",
    "top_share",
    "unit_economics",
    "week_over_week",
    "weeks",
    "workload_costs",
]
