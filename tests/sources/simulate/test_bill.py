"""The simulated bill: exact, in FOCUS, restated, and in step with its truth."""

from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest

from tests.sources.simulate.conftest import made
from workbench.events import validate
from workbench.focus import SCHEMA
from workbench.sources import simulate
from workbench.sources.estate import EstateFiles
from workbench.sources.focus import read_focus
from workbench.sources.simulate import bill, truth, usage
from workbench.sources.simulate.story import SPIKES
from workbench.sources.truth import truth as told


@pytest.fixture(scope="module")
def lines(files: EstateFiles) -> pl.DataFrame:
    parts = [pl.read_parquet(path).with_columns(file=pl.lit(at)) for at, (path, _) in enumerate(files.bills())]
    return pl.concat(parts, how="diagonal_relaxed")


def test_the_reader_takes_every_line_and_keeps_every_cent(files: EstateFiles, lines: pl.DataFrame) -> None:
    read = read_focus(files.folder / "bills")
    assert sum(file.rejected.height for file in read.files) == 0
    assert sum(file.accepted for file in read.files) == lines.height
    events = read.events().collect()
    assert events["cost_amount"].sum() == lines["BilledCost"].sum()
    assert set(lines.columns) - {"file"} <= set(SCHEMA)


def test_quantity_times_price_is_the_cost_to_the_last_digit(lines: pl.DataFrame) -> None:
    metered = lines.filter((pl.col("ChargeCategory") == "Usage") & (pl.col("PricingCategory") == "Standard"))
    for cost, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
        product = pl.col("PricingQuantity").cast(pl.Decimal(38, 12)) * pl.col(price).cast(pl.Decimal(38, 12))
        assert metered.select((product.cast(pl.Decimal(38, 12)) == pl.col(cost)).all()).item()
    assert (metered["BilledCost"] == metered["ContractedCost"]).all()


def test_a_commitment_bills_what_its_use_and_its_rest_effectively_cost(lines: pl.DataFrame) -> None:
    committed = lines.filter(pl.col("CommitmentDiscountId").is_not_null())
    assert committed.height
    sums = committed.group_by("CommitmentDiscountId").agg(pl.col("BilledCost").sum(), pl.col("EffectiveCost").sum())
    assert (sums["BilledCost"] == sums["EffectiveCost"]).all()
    assert set(committed["CommitmentDiscountStatus"].drop_nulls()) == {"Used", "Unused"}


def test_the_next_statement_corrects_what_was_estimated(files: EstateFiles) -> None:
    read = {file.source_file: file for file in read_focus(files.folder / "bills").files}
    spoken = [path.name for path, _ in files.bills() if path.name.startswith("aws-")]
    seen: dict[str, Decimal] = {}
    corrected = 0
    for name in spoken:
        part = pl.read_parquet(read[name].parts)
        for key, cost in part.select("event_id", "BilledCost").iter_rows():
            if key in seen:
                corrected += seen[key] != cost
            seen[key] = cost
    assert corrected > 20


def test_weekends_and_month_starts_show(lines: pl.DataFrame) -> None:
    fees = lines.filter(pl.col("ChargeFrequency") == "Recurring", pl.col("ServiceCategory") == "Other")
    assert set(fees["ChargePeriodStart"].dt.day()) == {1}
    given = lines.filter(pl.col("ChargeCategory") == "Credit")
    assert (given["BilledCost"] < 0).all()
    assert given.height
    staging = lines.filter(pl.col("ResourceName").str.ends_with("-staging"))
    assert staging["ChargePeriodStart"].dt.weekday().max() == 5


def test_what_is_shared_is_tagged_by_nobody(lines: pl.DataFrame) -> None:
    shared = lines.filter(pl.col("ResourceName").is_in(["egress", "cluster"]))
    assert shared.height
    assert shared["Tags"].null_count() == shared.height


def test_each_spike_adds_to_the_bill_what_its_truth_says() -> None:
    """The bill with and without one spike, everything else equal, differs by its extra cost, exactly."""
    estate = made(26, 66)
    run = simulate.Run(estate, simulate.tell(estate))
    sums = run.hourly()
    for chunk in run.chunks():
        sums.add(chunk)
    hourly, everything = sums.done(), slice(0, estate.hours)

    def whole(story: simulate.Story) -> Decimal:
        used = usage.measure(estate, hourly, story)
        names = sorted({resource.provider for resource in used.resources})
        parts = [bill._usage_lines(estate, used, name, everything, slice(0, 0)) for name in names]
        return sum((part["BilledCost"].sum() for part in parts), start=Decimal(0))

    said = truth.spikes(estate, usage.measure(estate, hourly, run.story), run.story.spikes)
    assert {spike.kind for spike in run.story.spikes} == set(SPIKES)
    for spike in run.story.spikes:
        without = replace(run.story, spikes=tuple(other for other in run.story.spikes if other.id != spike.id))
        extra = said.filter(pl.col("spike_id") == spike.id)["extra_cost"].sum()
        assert whole(run.story) - whole(without) == extra
        assert extra > 0


def test_spikes_and_drifts_name_resources_that_are_on_the_bill(files: EstateFiles, lines: pl.DataFrame) -> None:
    named = set(told(files.folder, "spikes")["resource_id"]) | set(told(files.folder, "drifts")["resource_id"])
    assert named <= set(lines["ResourceId"].drop_nulls())


@pytest.mark.parametrize("kind", ["business", "resource"])
def test_every_event_is_valid_and_has_an_id_of_its_own(files: EstateFiles, kind: str) -> None:
    frame = pl.concat([pl.read_parquet(path) for path in files.events(kind)])
    checked = validate(frame, kind)
    assert checked.rejected.height == 0
    assert frame["event_id"].is_unique().all()
    assert frame["timestamp"].is_sorted()


def test_revenue_follows_the_users_and_refunds_lower_it(files: EstateFiles) -> None:
    frame = pl.concat([pl.read_parquet(path) for path in files.events("business")])
    bought = frame.filter(pl.col("event_type") == "purchase")
    by_hour = bought.group_by(pl.col("timestamp").dt.hour()).len().sort("timestamp")["len"]
    assert by_hour.max() > 2 * by_hour.min()
    assert (frame.filter(pl.col("event_type") == "refund")["revenue_impact"] < 0).all()
    assert (frame.filter(pl.col("event_type") == "feature_usage")["revenue_impact"] == 0).all()
