"""How busy the machines were, hour by hour, as resource events."""

import numpy as np
import polars as pl

from workbench.events import ids
from workbench.focus import TIME
from workbench.sources.simulate.bill import trillionths
from workbench.sources.simulate.estate import Estate
from workbench.sources.simulate.usage import MICRO, Hourly, Usage

_TYPES = {"database": "database", "cache": "cache", "batch": "batch"}
COLUMNS = ("event_id", "timestamp", "event_type", "service", "region", "resource_id", "resource_type", "utilization",
           "cost_estimate", "business_unit", "project_id", "environment", "metadata", "currency",
           "observed_at")  # fmt: skip


def events(estate: Estate, hourly: Hourly, usage: Usage, first_hour: int, end_hour: int) -> pl.DataFrame:
    """Return resource events (`events.RESOURCE` without `loaded_at`) of some hours, by time and resource.

    One an hour and group of machines that runs: `utilization` is the mean busy share of its processors,
    `cost_estimate` what the group costs an hour at the price on the bill.
    """
    able = [at for at, resource in enumerate(usage.resources) if resource.driver == "instances"]
    quantity = usage.quantity[able, first_hour:end_hour]
    row, hour = np.nonzero(quantity)
    place = np.array(able, np.int64)[row]
    workload = np.array([usage.resources[at].workload for at in able], np.int64)[row]
    cpu = np.clip(hourly.cpu[workload, hour + first_hour], 0.0, 1.0)
    start = pl.lit(estate.start, TIME) + pl.lit(pl.Series((hour + first_hour) * 3_600_000_000)).cast(pl.Duration("us"))
    instances = pl.lit(pl.Series(quantity[row, hour] // MICRO))
    words = _words(estate, usage).select(pl.all().gather(pl.lit(pl.Series(place))))
    frame = words.with_columns(
        timestamp=start,
        event_type=pl.lit("utilization"),
        utilization=pl.Series(np.round(cpu, 4)),
        cost_estimate=trillionths(quantity[row, hour] * usage.price[place, hour + first_hour]),
        currency=pl.lit("USD"),
        metadata=pl.concat_str(pl.lit('{"instances": '), instances.cast(pl.String), pl.lit("}")),
    ).with_columns(observed_at=pl.col("timestamp").dt.offset_by("1h"))
    frame = frame.with_columns(event_id=ids(frame, ["timestamp", "resource_id", "event_type"]))
    return frame.select(COLUMNS).sort("timestamp", "resource_id")


def _words(estate: Estate, usage: Usage) -> pl.DataFrame:
    kinds = [estate.workloads[resource.workload].kind if resource.workload >= 0 else "" for resource in usage.resources]
    return pl.DataFrame(
        {
            "service": [resource.sku.service for resource in usage.resources],
            "region": [resource.region for resource in usage.resources],
            "resource_id": [resource.id for resource in usage.resources],
            "resource_type": [_TYPES.get(kind, "instance_group") for kind in kinds],
            "business_unit": [resource.unit for resource in usage.resources],
            "project_id": [resource.name for resource in usage.resources],
            "environment": [resource.environment for resource in usage.resources],
        }
    )
