"""A small bill that the package generates, so that a first report needs no data.

One shop, five teams, three providers, hourly lines in FOCUS: weekdays and nights, growth, a monthly support fee, a
credit, a commitment that lowers EffectiveCost, lines that nobody has tagged, and three things worth finding: a
training job that ran for three days, a move to cheaper machines, and a log volume that keeps growing. The whole
simulated estate takes its place later (`sources.simulate`).
"""

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from workbench.focus import AMOUNT, QUANTITY, TIME


class _Resource(NamedTuple):
    provider: str
    service: str
    category: str
    region: str
    name: str
    unit: str | None
    environment: str
    usd_per_hour: float
    night: float  # share of the load that goes away at night
    weekend: float  # share that goes away at weekends
    growth: float  # a day


_AWS, _AZURE, _GCP = "AWS", "Microsoft", "Google Cloud"
# provider | service | category | region | name | unit | environment | USD an hour | night | weekend | growth
_FLEET = """
AWS|Amazon EC2|Compute|us-east-1|web|checkout|production|9.6|0.45|0.1|0.001
AWS|Amazon EC2|Compute|eu-west-1|web-eu|checkout|production|5.2|0.5|0.05|0.003
AWS|Amazon RDS|Databases|us-east-1|orders-db|checkout|production|6.1|0.0|0.0|0.0
AWS|Amazon S3|Storage|us-east-1|receipts|checkout|production|0.9|0.0|0.0|0.004
AWS|Elastic Load Balancing|Networking|us-east-1|front|checkout|production|1.1|0.4|0.1|0.001
AWS|Amazon EC2|Compute|us-east-1|index|search|production|12.4|0.15|0.1|0.0
AWS|Amazon OpenSearch Service|Analytics|us-east-1|catalogue|search|production|7.3|0.0|0.0|0.0
AWS|Amazon CloudWatch|Management and Governance|us-east-1|logs|search|production|1.2|0.1|0.0|0.014
Google Cloud|BigQuery|Analytics|europe-west1|warehouse|data-platform|production|8.8|0.6|0.55|0.002
Google Cloud|Cloud Storage|Storage|europe-west1|lake|data-platform|production|3.4|0.0|0.0|0.003
Google Cloud|Compute Engine|Compute|europe-west1|spark|data-platform|production|6.5|-0.5|0.3|0.0
Google Cloud|Compute Engine|Compute|us-central1|notebooks|data-platform|development|1.9|0.7|0.85|0.0
Microsoft|Virtual Machines|Compute|westeurope|erp|back-office|production|4.4|0.0|0.0|0.0
Microsoft|Azure SQL Database|Databases|westeurope|ledger|back-office|production|2.6|0.0|0.0|0.0
Microsoft|Azure Monitor|Management and Governance|westeurope|audit|back-office|production|0.5|0.0|0.0|0.0
AWS|Amazon SageMaker|AI and Machine Learning|us-west-2|recommender|ml-research|production|3.9|0.2|0.1|0.0
AWS|Amazon EC2|Compute|us-west-2|training|ml-research|development|2.2|0.3|0.6|0.0
AWS|AWS Data Transfer|Networking|us-east-1|egress||production|1.7|0.35|0.1|0.002
Microsoft|Bandwidth|Networking|westeurope|egress-az||production|0.4|0.2|0.2|0.0
"""
_ISSUER = {_AWS: "Amazon Web Services, Inc.", _AZURE: "Microsoft", _GCP: "Google LLC"}
_TRAINING_DAYS = (6, 3)  # days before the end: a large training job
_CHEAPER_SINCE = 20  # days before the end: the index moves to cheaper machines
_CHEAPER_BY = 0.32
_COMMITMENT = 0.72  # what the committed web servers effectively cost


def bill(days: int, seed: int, end: date) -> pl.DataFrame:
    """Generate the bill of the `days` before `end`.

    Returns
    -------
    polars.DataFrame
        FOCUS columns, one line a resource and hour, in USD; monthly fees and credits at the first of each month.
    """
    rng = np.random.default_rng(seed)
    first = datetime.combine(end, time(), UTC) - timedelta(days=days)
    hours = pl.datetime_range(first, first + timedelta(days=days), "1h", closed="left", time_unit="us", eager=True)
    usage = pl.concat([_usage(resource, hours, days, rng) for resource in _fleet()])
    return pl.concat([usage, _monthly(usage)], how="diagonal").sort("ChargePeriodStart", "ResourceId")


def _fleet() -> list[_Resource]:
    rows = [[cell.strip() for cell in line.split("|")] for line in _FLEET.strip().splitlines()]
    return [
        _Resource(provider, service, category, region, name, unit or None, stage, *map(float, numbers))
        for provider, service, category, region, name, unit, stage, *numbers in rows
    ]


def write_bill(folder: Path, days: int, seed: int, end: date) -> list[Path]:
    """Write the bill as one Parquet file a month into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    whole = bill(days, seed, end)
    for (month,), lines in whole.group_by(pl.col("BillingPeriodStart").dt.strftime("%Y-%m"), maintain_order=True):
        files.append(folder / f"demo-{month}.parquet")
        lines.write_parquet(files[-1])
    return files


def _usage(resource: _Resource, hours: pl.Series, days: int, rng: np.random.Generator) -> pl.DataFrame:
    hour = np.arange(len(hours)) % 24
    day = np.arange(len(hours)) // 24
    weekday = hours.dt.weekday().to_numpy()
    daylight = 0.5 - 0.5 * np.cos(2 * np.pi * (hour - 3) / 24)
    load = (1 - resource.night * (1 - daylight)) * np.where(weekday >= 6, 1 - resource.weekend, 1.0)
    load *= (1 + resource.growth) ** day * rng.lognormal(0.0, 0.04, len(hours))
    load *= _story(resource, days - day)
    list_cost = np.round(resource.usd_per_hour * load, 8)
    effective = np.round(list_cost * (_COMMITMENT if resource.name == "web" else 1.0), 8)
    kind = "Committed" if resource.name == "web" else "Standard"
    tags = json.dumps({"business_unit": resource.unit, "environment": resource.environment, "project": resource.name})
    costs = pl.DataFrame({"ChargePeriodStart": hours, "ListCost": list_cost, "EffectiveCost": effective})
    return costs.with_columns(
        *_shared(resource.provider, hours),
        pl.col("ListCost", "EffectiveCost").map_batches(_exact, return_dtype=AMOUNT),
        ChargePeriodEnd=pl.col("ChargePeriodStart").dt.offset_by("1h"),
        ChargeCategory=pl.lit("Usage"),
        ChargeFrequency=pl.lit("Usage-Based"),
        PricingCategory=pl.lit(kind),
        ServiceName=pl.lit(resource.service),
        ServiceCategory=pl.lit(resource.category),
        RegionId=pl.lit(resource.region),
        ResourceId=pl.lit(f"demo/{resource.name}"),
        ResourceName=pl.lit(resource.name),
        SkuId=pl.lit(f"DEMO-{resource.service.replace(' ', '-').upper()}"),
        SkuPriceId=pl.lit(f"DEMO-{resource.name.upper()}"),
        ConsumedQuantity=pl.lit("1").cast(QUANTITY),
        ConsumedUnit=pl.lit("Hours"),
        Tags=pl.lit(tags if resource.unit else None, pl.String),
    ).with_columns(BilledCost=pl.col("EffectiveCost"), ContractedCost=pl.col("EffectiveCost"))  # fmt: skip


def _story(resource: _Resource, days_before_end: np.ndarray) -> np.ndarray:
    """The three things worth finding, as factors."""
    factor = np.ones(len(days_before_end))
    if resource.name == "training":
        began, ended = _TRAINING_DAYS
        factor[(days_before_end <= began) & (days_before_end > ended)] = 24.0
    if resource.name == "index":
        factor[days_before_end <= _CHEAPER_SINCE] = 1 - _CHEAPER_BY
    return factor


def _monthly(usage: pl.DataFrame) -> pl.DataFrame:
    """Support fee and credit of each month that begins within the bill."""
    starts = (
        usage.filter(pl.col("ChargePeriodStart") == pl.col("BillingPeriodStart"))["BillingPeriodStart"].unique().sort()
    )
    lines = []
    for category, frequency, text, amount in (
        ("Purchase", "Recurring", "Business support, monthly", "420.00"),
        ("Credit", "One-Time", "Migration credit", "-150.00"),
    ):
        money = pl.lit(amount).cast(AMOUNT)
        lines.append(
            pl.DataFrame({"ChargePeriodStart": starts}).with_columns(
                *_shared(_AWS, starts),
                ChargePeriodEnd=pl.col("ChargePeriodStart").dt.offset_by("1mo"),
                ChargeCategory=pl.lit(category),
                ChargeFrequency=pl.lit(frequency),
                ChargeDescription=pl.lit(text),
                ServiceName=pl.lit("AWS Support" if category == "Purchase" else "Credits"),
                ServiceCategory=pl.lit("Other"),
                BilledCost=money,
                EffectiveCost=money,
                ListCost=money,
                ContractedCost=money,
            )
        )
    return pl.concat(lines)


def _shared(provider: str, starts: pl.Series) -> list[pl.Expr]:
    period = pl.lit(starts).dt.truncate("1mo").cast(TIME)
    return [
        period.alias("BillingPeriodStart"),
        period.dt.offset_by("1mo").alias("BillingPeriodEnd"),
        pl.lit("USD").alias("BillingCurrency"),
        pl.lit("demo-account").alias("BillingAccountId"),
        pl.lit("Demo shop").alias("BillingAccountName"),
        pl.lit(provider).alias("ProviderName"),
        pl.lit(provider).alias("PublisherName"),
        pl.lit(_ISSUER[provider]).alias("InvoiceIssuerName"),
    ]


def _exact(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).cast(AMOUNT)
