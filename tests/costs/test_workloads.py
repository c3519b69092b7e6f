"""The cost of each workload beside its owner."""

import datetime as dt
from decimal import Decimal

import polars as pl

from workbench.costs import workload_costs

FIRST, END = dt.date(2025, 10, 1), dt.date(2025, 10, 4)


def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    daily = pl.DataFrame(
        {
            "date": [FIRST, FIRST, dt.date(2025, 10, 3), END, FIRST],
            "project_id": ["shop", None, "shop", "shop", "lake"],
            "business_unit": ["store", None, "store", "store", "data"],
            "BilledCost": ["3", "1.5", "4", "100", "9"],
        }
    ).with_columns(pl.col("BilledCost").cast(pl.Decimal(38, 12)))
    known = pl.DataFrame(
        {
            "workload": ["shop", "bank"], "business_unit": ["store", "pay"], "kind": ["web", "external"],
            "region": ["eu-west-1", None], "entry": [True, False],
        }
    )  # fmt: skip
    return daily, known


def test_every_cost_of_the_span_stands_beside_a_name() -> None:
    daily, known = frames()
    found = workload_costs(daily, known, FIRST, END)
    assert found["name"].to_list() == ["bank", "lake", "shared", "shop"]
    spent = daily.filter(pl.col("date") < END)["BilledCost"].sum()
    assert abs(found["amount"].sum() * 3 - spent) < Decimal("1e-10")
    assert dict(zip(found["name"], found["group"], strict=True)) == {
        "bank": "pay", "lake": "data", "shared": "unallocated", "shop": "store",
    }  # fmt: skip


def test_a_workload_that_no_bill_knows_has_no_cost_rather_than_none_to_pay() -> None:
    found = {row["name"]: row for row in workload_costs(*frames(), FIRST, END).iter_rows(named=True)}
    assert found["bank"]["amount"] is None
    assert found["bank"]["words"] == "external"
    assert found["shop"]["words"] == "web in eu-west-1"
    assert [name for name, row in found.items() if row["entry"]] == ["shop"]
