"""What really happened, as frames: written apart, for benches and tests only (`sources.truth` reads it)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from workbench.focus import AMOUNT, TIME
from workbench.sources.simulate import catalogue
from workbench.sources.simulate.bill import COMMITTED, NEGOTIATED
from workbench.sources.simulate.estate import VCPUS, Estate, watts
from workbench.sources.simulate.story import Deployment, Drift, Happening, Plan, Spike
from workbench.sources.simulate.usage import Hourly, Usage

INCIDENTS = pl.Schema(
    {
        "incident_id": pl.String(), "kind": pl.String(), "workload": pl.String(), "business_unit": pl.String(),
        "start": TIME, "end": TIME, "severity": pl.Float64(), "target": pl.String(),
        "affected": pl.List(pl.String()), "lost_seconds": pl.Float64(), "failed_requests": pl.Float64(),
        "lost_revenue_usd": pl.Float64(), "deployment_id": pl.String(),
    }
)  # fmt: skip
"""`workload` is the root cause, `affected` all workloads whose latency it moved by 5 %, or whose failures by 0.1 % of
the requests, in some minute, `target` the one of them that is nearest to the users. Losses are those of the target
(seconds, requests) and of all (revenue), against the same minutes without the incident."""

DISTURBANCES = pl.Schema(
    {"disturbance_id": pl.String(), "kind": pl.String(), "workload": pl.String(), "start": TIME, "end": TIME}
)
SPIKES = pl.Schema(
    {
        "spike_id": pl.String(), "kind": pl.String(), "resource_id": pl.String(), "business_unit": pl.String(),
        "service": pl.String(), "start": TIME, "end": TIME, "extra_cost": AMOUNT, "currency": pl.String(),
    }
)  # fmt: skip
"""One row a spike and resource; `extra_cost` is what it added to BilledCost, exact."""
DRIFTS = pl.Schema(
    {
        "drift_id": pl.String(),
        "kind": pl.String(),
        "resource_id": pl.String(),
        "start": TIME,
        "end": TIME,
        "a_day": pl.Float64(),
    }
)
PLANS = pl.Schema(
    {
        "plan_id": pl.String(),
        "kind": pl.String(),
        "workload": pl.String(),
        "start": TIME,
        "end": TIME,
        "factor": pl.Float64(),
    }
)
EDGES = pl.Schema(
    {
        "caller": pl.String(), "callee": pl.String(), "kind": pl.String(), "calls_per_request": pl.Float64(),
        "retries": pl.Int32(), "timeout_s": pl.Float64(), "sampling": pl.Float64(),
    }
)  # fmt: skip
DEPLOYMENTS = pl.Schema(
    {"deployment_id": pl.String(), "workload": pl.String(), "timestamp": TIME, "version": pl.String(),
     "kind": pl.String(), "incident_id": pl.String()}
)  # fmt: skip


def moment(estate: Estate, minute: int) -> datetime:
    """Minutes from the estate's start as a time."""
    return estate.start + timedelta(minutes=minute)


def _spans(estate: Estate, found: Sequence[Happening | Plan | Drift]) -> list[dict[str, object]]:
    return [{"start": moment(estate, each.start), "end": moment(estate, each.end)} for each in found]


def disturbances(estate: Estate, found: Sequence[Happening]) -> pl.DataFrame:
    """`DISTURBANCES`, by their start."""
    rows = [
        {"disturbance_id": each.id, "kind": each.kind, "workload": estate.workloads[each.workload].name, **span}
        for each, span in zip(found, _spans(estate, found), strict=True)
    ]
    return pl.DataFrame(rows, DISTURBANCES)


def plans(estate: Estate, found: Sequence[Plan]) -> pl.DataFrame:
    """`PLANS`, by their start; people know them, so they stand in the calendar too."""
    rows = [
        {"plan_id": each.id, "kind": each.kind, "workload": estate.workloads[estate.entries[each.entry]].name,
         "factor": round(each.factor, 3), **span}
        for each, span in zip(found, _spans(estate, found), strict=True)
    ]  # fmt: skip
    return pl.DataFrame(rows, PLANS)


def deployments(estate: Estate, found: Sequence[Deployment]) -> pl.DataFrame:
    """`DEPLOYMENTS`, by time."""
    rows = [
        (
            each.id,
            estate.workloads[each.workload].name,
            moment(estate, each.at),
            each.version,
            each.kind,
            each.incident or None,
        )
        for each in found
    ]
    return pl.DataFrame(rows, DEPLOYMENTS, orient="row")


def edges(estate: Estate) -> pl.DataFrame:
    """`EDGES`, as they are."""
    names = [workload.name for workload in estate.workloads]
    rows = [
        (names[call.caller], names[call.callee], call.kind, call.calls, call.retries, call.timeout_s,
         estate.workloads[call.caller].sampling)
        for call in estate.calls
    ]  # fmt: skip
    return pl.DataFrame(rows, EDGES, orient="row")


def drifts(estate: Estate, usage: Usage, found: Sequence[Drift]) -> pl.DataFrame:
    """`DRIFTS`, one row a drift that struck something."""
    rows = [
        {"drift_id": each.id, "kind": each.kind, "resource_id": usage.resources[at].id, "a_day": each.a_day, **span}
        for each, span in zip(found, _spans(estate, found), strict=True)
        for at in usage.struck.get(each.id, [])
    ]
    return pl.DataFrame(rows, DRIFTS)


def spikes(estate: Estate, usage: Usage, found: Sequence[Spike]) -> pl.DataFrame:
    """`SPIKES`: what each spike added to the bill, by the bill's own arithmetic with and without it."""
    rows = []
    for spike in found:
        for at in usage.struck.get(spike.id, []):
            resource, hours = usage.resources[at], slice(spike.start // 60, spike.end // 60)
            extra = _billed(usage, at, hours, spiked=True) - _billed(usage, at, hours, spiked=False)
            rows.append(
                {"spike_id": spike.id, "kind": spike.kind, "resource_id": resource.id,
                 "business_unit": resource.unit or "unallocated", "service": resource.sku.service,
                 "start": moment(estate, hours.start * 60), "end": moment(estate, hours.stop * 60),
                 "extra_cost": Decimal(extra).scaleb(-12), "currency": "USD"}
            )  # fmt: skip
    return pl.DataFrame(rows, SPIKES)


def _billed(usage: Usage, at: int, hours: slice, *, spiked: bool) -> int:
    """BilledCost of a resource and its commitment in trillionths of a dollar."""
    quantity = (usage.quantity if spiked else usage.baseline)[at, hours]
    reserved = (usage.reserved if spiked else usage.held)[at, hours]
    price = usage.price[at, hours] if spiked else np.broadcast_to(usage.list_price[at], quantity.shape)
    negotiated = np.rint(price * NEGOTIATED[usage.resources[at].provider]).astype(np.int64)
    committed = int(np.rint(usage.list_price[at, 0] * COMMITTED))
    return int((np.maximum(quantity - reserved, 0) * negotiated + reserved * committed).sum())


def energy(estate: Estate, hourly: Hourly) -> pl.DataFrame:
    """What the processors really drew: `timestamp` (the hour's start), `workload`, `region`, `zone`, `energy_kwh`."""
    frames = []
    end = estate.start + timedelta(hours=estate.hours)
    stamps = pl.datetime_range(estate.start, end, "1h", closed="left", time_unit="us", eager=True).alias("timestamp")
    for at, workload in enumerate(estate.workloads):
        if workload.region:
            running = hourly.instances[at] + hourly.machines[at]
            kwh = running * VCPUS[workload.kind] * watts(hourly.cpu[at]) / 1e3
            frames.append(
                pl.DataFrame([stamps, pl.Series("energy_kwh", kwh)]).with_columns(
                    workload=pl.lit(workload.name), region=pl.lit(workload.region),
                    zone=pl.lit(catalogue.REGIONS[workload.region].zone),
                )
            )  # fmt: skip
    return pl.concat(frames).select("timestamp", "workload", "region", "zone", "energy_kwh")
