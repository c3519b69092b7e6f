"""The bill of the simulated cloud: usage by resource and hour → lines in FOCUS 1.2.

Everything is whole numbers until it is written: millionths of a unit times millionths of a dollar are trillionths of a
dollar, so that quantity times price is the cost to the last digit.
"""

import json
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.focus import AMOUNT, QUANTITY, TIME
from workbench.sources.simulate import catalogue
from workbench.sources.simulate.estate import Estate
from workbench.sources.simulate.resources import Resource
from workbench.sources.simulate.seeds import rng
from workbench.sources.simulate.usage import Usage

COMMITTED = 0.62
"""What an instance costs under a commitment, as a share of its list price."""
NEGOTIATED = {catalogue.AWS: 0.97, catalogue.AZURE: 0.94, catalogue.GCP: 1.0}
"""What a provider bills without one, as a share of its list price."""
COUNTED = {"instances", "staging", "cluster"}
"""Drivers that are counted by the hour: nothing there is to be estimated."""
UNSETTLED_HOURS = 48
"""The last hours of a statement are partly estimates; the next statement corrects them."""
ESTIMATED = 0.25

COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
STANDARD, COVERED, UNUSED, PURCHASE = range(4)


class Statement(NamedTuple):
    """What a provider says at a moment: charges of the hours [`first`, `end`), and corrections of the ones before."""

    provider: str
    first: int
    end: int
    observed_at: datetime

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{catalogue.SHORT[self.provider]}-{self.observed_at:%Y-%m-%d}.parquet"


def statements(estate: Estate) -> list[Statement]:
    """Return when the providers speak: after each month, three days before the end, and at the end."""
    moments = pl.datetime_range(estate.start, estate.start + timedelta(hours=estate.hours), "1h", eager=True)
    firsts = [at for at, moment in enumerate(moments) if moment.day == 1 and moment.hour == 0 and 0 < at < estate.hours]
    ends = sorted({*firsts, max(estate.hours - 72, 24), estate.hours})
    providers = sorted({workload.provider for workload in estate.workloads if workload.provider})
    return [
        Statement(provider, before, end, estate.start + timedelta(hours=end))
        for before, end in zip([0, *ends[:-1]], ends, strict=True)
        if end > before
        for provider in providers
    ]


def lines(estate: Estate, usage: Usage, statement: Statement) -> pl.DataFrame:
    """Return the lines of a statement, by time and resource: FOCUS columns, amounts exact, in USD."""
    unsettled = slice(max(statement.end - UNSETTLED_HOURS, statement.first), statement.end)
    settled = slice(max(statement.first - UNSETTLED_HOURS, 0), statement.first)
    parts: list[pl.DataFrame] = [
        _usage_lines(estate, usage, statement.provider, slice(statement.first, statement.end), unsettled),
        _usage_lines(estate, usage, statement.provider, settled, slice(0, 0), corrections=True),
        _monthly(estate, statement),
    ]
    return pl.concat([part for part in parts if part.height], how="diagonal").sort("ChargePeriodStart", "ResourceId")


def _usage_lines(
    estate: Estate, usage: Usage, provider: str, hours: slice, unsettled: slice, *, corrections: bool = False
) -> pl.DataFrame:
    """Lines of some hours; in the unsettled ones some quantities are estimates."""
    mine = [at for at, resource in enumerate(usage.resources) if resource.provider == provider]
    quantity = usage.quantity[mine, hours].copy()
    doubtful = _doubtful(estate, usage, mine, hours)
    if corrections:
        quantity[~doubtful] = 0
    else:
        late = np.zeros(quantity.shape, bool)
        late[:, unsettled.start - hours.start :] = unsettled.stop > unsettled.start
        factor = rng(estate.seed, "estimate", hours.start).uniform(0.93, 1.03, quantity.shape)
        quantity = np.where(late & doubtful, np.rint(quantity * factor).astype(np.int64), quantity)
    reserved = np.where(corrections, 0, usage.reserved[mine, hours])  # machines are counted: nothing to correct
    over, under = np.maximum(quantity - reserved, 0), np.maximum(reserved - quantity, 0)
    amounts = np.stack([over, np.minimum(quantity, reserved), under, reserved])  # in the order of the kinds
    kind, row, hour = np.nonzero(amounts)
    amount = amounts[kind, row, hour]
    cells = _Cells(kind, np.array(mine, np.int64)[row], hour + hours.start, amount)
    return _frame(estate, usage, provider, cells)


def _doubtful(estate: Estate, usage: Usage, mine: list[int], hours: slice) -> np.ndarray:
    """Which lines are estimates at first: the same ones, whoever asks."""
    drawn = np.ones((len(usage.resources), hours.stop - hours.start))
    for at, hour in enumerate(range(hours.start, hours.stop)):
        drawn[:, at] = rng(estate.seed, "doubt", hour).random(len(usage.resources))
    counted = np.array([usage.resources[at].driver in COUNTED for at in mine])[:, None]
    return np.asarray((drawn[mine] < ESTIMATED) & ~counted)


class _Cells(NamedTuple):
    """Lines as whole numbers, one item each: the kind of line, the resource's place, the hour, millionths of a unit."""

    kind: np.ndarray
    place: np.ndarray
    hour: np.ndarray
    amount: np.ndarray


def _frame(estate: Estate, usage: Usage, provider: str, cells: _Cells) -> pl.DataFrame:
    """Whole numbers → a frame in FOCUS columns."""
    kind, place, hour, amount = cells
    price = usage.price[place, hour]
    negotiated = np.rint(price * NEGOTIATED[provider]).astype(np.int64)
    committed = np.rint(usage.list_price[place, 0] * COMMITTED).astype(np.int64)
    bought = kind == PURCHASE
    billed = np.select([kind == STANDARD, bought], [negotiated, committed], 0)
    effective = np.select([kind == STANDARD, bought], [negotiated, 0], committed)
    listed = np.select([bought, kind == UNUSED], [committed, 0], price)
    contracted = np.select([bought, kind == UNUSED], [committed, 0], negotiated)
    start = _stamps(estate, hour)
    about = _about(usage, provider)[place, kind] if len(place) else np.zeros(0, np.int64)
    words = _words(usage, provider).select(pl.all().gather(pl.lit(pl.Series(about))))
    return words.with_columns(
        start.alias("ChargePeriodStart"),
        start.dt.offset_by("1h").alias("ChargePeriodEnd"),
        start.dt.truncate("1mo").alias("BillingPeriodStart"),
        start.dt.truncate("1mo").dt.offset_by("1mo").alias("BillingPeriodEnd"),
        trillionths(amount * billed).alias("BilledCost"),
        trillionths(amount * effective).alias("EffectiveCost"),
        trillionths(amount * listed).alias("ListCost"),
        trillionths(amount * contracted).alias("ContractedCost"),
        _millionths(amount).alias("PricingQuantity"),
        _millionths(np.where(bought | (kind == UNUSED), 0, amount)).alias("ConsumedQuantity"),
        _millionths(np.where(bought, committed, price)).alias("ListUnitPrice"),
        _millionths(np.where(bought, committed, negotiated)).alias("ContractedUnitPrice"),
    )


def _stamps(estate: Estate, hour: np.ndarray) -> pl.Series:
    return pl.select(
        pl.lit(estate.start, TIME) + pl.lit(pl.Series(hour.astype(np.int64) * 3_600_000_000)).cast(pl.Duration("us"))
    ).to_series()


def trillionths(values: np.ndarray) -> pl.Series:
    """Whole trillionths of a dollar → exact amounts."""
    return _decimals(values, 12).cast(AMOUNT)


def _millionths(values: np.ndarray) -> pl.Series:
    return _decimals(values, 6).cast(QUANTITY)


def _decimals(values: np.ndarray, scale: int) -> pl.Series:
    """64-bit whole numbers as decimals: each becomes 128 bits, the upper half being its sign."""
    wide = np.empty((len(values), 2), np.int64)
    wide[:, 0], wide[:, 1] = values, values >> 63
    array = pa.Array.from_buffers(pa.decimal128(38, scale), len(values), [None, pa.py_buffer(wide)])
    return pl.Series(pl.from_arrow(array))


def _about(usage: Usage, provider: str) -> np.ndarray:
    """(resource, kind of line) → row of `_words`."""
    rows = np.zeros((len(usage.resources), 4), np.int64)
    mine = [at for at, resource in enumerate(usage.resources) if resource.provider == provider]
    for row, at in enumerate(mine):
        rows[at] = 4 * row + np.arange(4)
    return rows


def _words(usage: Usage, provider: str) -> pl.DataFrame:
    """What a line says beside its numbers: four rows a resource, one for each kind of line."""
    rows = [
        _line_words(resource, kind)
        for resource in usage.resources
        if resource.provider == provider
        for kind in range(4)
    ]
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(*_shared(provider))


def _line_words(resource: Resource, kind: int) -> dict[str, str | None]:
    sku, commitment = resource.sku, f"commitment/{resource.name}"
    committed = kind in {COVERED, UNUSED}
    own = kind in {STANDARD, COVERED}
    return {
        "ChargeCategory": "Purchase" if kind == PURCHASE else "Usage",
        "ChargeFrequency": "Recurring" if kind == PURCHASE else "Usage-Based",
        "ChargeDescription": f"{sku.sku} {'commitment, hourly' if kind == PURCHASE else 'usage'}",
        "PricingCategory": "Committed" if committed else "Standard",
        "PricingUnit": sku.unit,
        "ConsumedUnit": sku.unit if own else None,
        "ServiceName": sku.service,
        "ServiceCategory": sku.category,
        "RegionId": resource.region,
        "ResourceId": resource.id if own else commitment,
        "ResourceName": resource.name if own else f"commitment for {resource.name}",
        "SkuId": sku.sku,
        "SkuPriceId": f"{sku.sku}-{resource.region}{'-committed' if kind else ''}",
        "CommitmentDiscountId": commitment if kind else None,
        "CommitmentDiscountCategory": "Usage" if kind else None,
        "CommitmentDiscountType": "Reserved instances" if kind else None,
        "CommitmentDiscountStatus": {COVERED: "Used", UNUSED: "Unused"}.get(kind),
        "Tags": _tags(resource),
    }


def _tags(resource: Resource) -> str | None:
    if not resource.unit:
        return None
    project = resource.name if resource.workload < 0 else resource.name.removesuffix("-logs").removesuffix("-volume")
    project = project.removesuffix("-staging")
    unit = catalogue.UNIT_TAGS[resource.provider]
    return json.dumps({unit: resource.unit, "environment": resource.environment, "project": project})


def _shared(provider: str) -> list[pl.Expr]:
    account, name = catalogue.ACCOUNTS[provider]
    words = {
        "BillingCurrency": "USD", "BillingAccountId": account, "BillingAccountName": name, "ProviderName": provider,
        "PublisherName": provider, "InvoiceIssuerName": catalogue.ISSUERS[provider],
    }  # fmt: skip
    return [pl.lit(value).alias(column) for column, value in words.items()]


def _monthly(estate: Estate, statement: Statement) -> pl.DataFrame:
    """Fees and credits that fall on the first of a month."""
    hours = np.arange(statement.first, statement.end)
    stamps = _stamps(estate, hours)
    first = stamps.filter((stamps.dt.day() == 1) & (stamps.dt.hour() == 0))
    service, text, fee = catalogue.FEES[statement.provider]
    due = [("Purchase", "Recurring", service, text, fee)]
    if statement.provider in catalogue.CREDITS:
        due.append(("Credit", "One-Time", "Credits", "Migration credit", catalogue.CREDITS[statement.provider]))
    return pl.concat(
        pl.DataFrame({"ChargePeriodStart": first}).with_columns(
            *_shared(statement.provider),
            ChargePeriodEnd=pl.col("ChargePeriodStart").dt.offset_by("1mo"),
            BillingPeriodStart=pl.col("ChargePeriodStart"),
            BillingPeriodEnd=pl.col("ChargePeriodStart").dt.offset_by("1mo"),
            ChargeCategory=pl.lit(category), ChargeFrequency=pl.lit(frequency), ChargeDescription=pl.lit(words),
            ServiceName=pl.lit(name), ServiceCategory=pl.lit("Other"), ResourceId=pl.lit(None, pl.String),
            **{cost: pl.lit(usd).cast(AMOUNT) for cost in COSTS},
        )
        for category, frequency, name, words, usd in due
    )  # fmt: skip
