"""The words of a bill: FOCUS columns, their types, what identifies a line, and what a column may hold.

Source: FinOps Open Cost and Usage Specification (FOCUS) 1.2, with the allocation columns of 1.3.
<https://focus.finops.org/focus-specification/>. A 1.0 or 1.1 bill is a 1.2 bill with fewer columns.
"""

from typing import Literal

import polars as pl

Kind = Literal["text", "amount", "quantity", "time", "tags"]

AMOUNT = pl.Decimal(38, 12)
"""Money: up to 26 digits before the point and 12 after it."""

QUANTITY = pl.Decimal(38, 18)
"""Quantities and unit prices keep more decimals than money does."""

TIME = pl.Datetime("us", "UTC")

DTYPES: dict[Kind, pl.DataType] = {
    "text": pl.String(),
    "amount": AMOUNT,
    "quantity": QUANTITY,
    "time": TIME,
    "tags": pl.String(),  # a JSON object as text
}

COLUMNS: dict[str, Kind] = {
    "BilledCost": "amount",
    "EffectiveCost": "amount",
    "ListCost": "amount",
    "ContractedCost": "amount",
    "BillingCurrency": "text",
    "ChargePeriodStart": "time",
    "ChargePeriodEnd": "time",
    "BillingPeriodStart": "time",
    "BillingPeriodEnd": "time",
    "BillingAccountId": "text",
    "BillingAccountName": "text",
    "BillingAccountType": "text",
    "SubAccountId": "text",
    "SubAccountName": "text",
    "SubAccountType": "text",
    "InvoiceId": "text",
    "InvoiceIssuerName": "text",
    "ProviderName": "text",
    "PublisherName": "text",
    "ChargeCategory": "text",
    "ChargeClass": "text",
    "ChargeDescription": "text",
    "ChargeFrequency": "text",
    "ServiceCategory": "text",
    "ServiceSubcategory": "text",
    "ServiceName": "text",
    "RegionId": "text",
    "RegionName": "text",
    "AvailabilityZone": "text",
    "ResourceId": "text",
    "ResourceName": "text",
    "ResourceType": "text",
    "SkuId": "text",
    "SkuPriceId": "text",
    "SkuMeter": "text",
    "SkuPriceDetails": "tags",
    "PricingCategory": "text",
    "PricingQuantity": "quantity",
    "PricingUnit": "text",
    "PricingCurrency": "text",
    "PricingCurrencyContractedUnitPrice": "quantity",
    "PricingCurrencyEffectiveCost": "amount",
    "PricingCurrencyListUnitPrice": "quantity",
    "ListUnitPrice": "quantity",
    "ContractedUnitPrice": "quantity",
    "ConsumedQuantity": "quantity",
    "ConsumedUnit": "text",
    "CommitmentDiscountCategory": "text",
    "CommitmentDiscountId": "text",
    "CommitmentDiscountName": "text",
    "CommitmentDiscountQuantity": "quantity",
    "CommitmentDiscountStatus": "text",
    "CommitmentDiscountType": "text",
    "CommitmentDiscountUnit": "text",
    "CapacityReservationId": "text",
    "CapacityReservationStatus": "text",
    "AllocatedMethodId": "text",
    "AllocatedMethodDetails": "tags",
    "AllocatedResourceId": "text",
    "AllocatedResourceName": "text",
    "AllocatedTags": "tags",
    "Tags": "tags",
}
"""FOCUS column → kind, in the order in which the workbench keeps them."""

REQUIRED = ("BilledCost", "ChargePeriodStart")
"""What a line can't do without; everything else may be missing from a file."""

IDENTITY = (
    "BillingAccountId",
    "SubAccountId",
    "ProviderName",
    "PublisherName",
    "InvoiceIssuerName",
    "BillingCurrency",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeFrequency",
    "ServiceName",
    "RegionId",
    "AvailabilityZone",
    "ResourceId",
    "SkuId",
    "SkuPriceId",
    "PricingCategory",
    "PricingUnit",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "AllocatedResourceId",
)
"""The natural key of a line.

Left out are amounts, quantities and prices (a restatement changes them), tags and display names (a provider fills
them in later), and the invoice number (unknown until the invoice is written)."""

IDENTITY_WITHOUT_SKU = ("ChargeDescription", "ResourceName", "SubAccountName", "RegionName")
"""What tells lines apart that name no SKU: taxes, credits, support, and bills that are no FOCUS."""

WORKBENCH_COLUMNS: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "business_unit": pl.String(),
    "project_id": pl.String(),
    "environment": pl.String(),
    "source_name": pl.String(),
    "source_file": pl.String(),
    "line_count": pl.Int32(),  # how many equal lines the file held; more than 1 makes the ids ordinals
    "observed_at": TIME,
    "loaded_at": TIME,
}
"""What the workbench adds to each line."""

SCHEMA = pl.Schema(
    {"event_id": pl.String()}
    | {name: DTYPES[kind] for name, kind in COLUMNS.items()}
    | {name: dtype for name, dtype in WORKBENCH_COLUMNS.items() if name != "event_id"}
)
"""A bill line as the workbench holds it."""

ENUMERATIONS: dict[str, tuple[str, ...]] = {
    "ChargeCategory": ("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
    "ChargeClass": ("Correction",),
    "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"),
    "PricingCategory": ("Standard", "Dynamic", "Committed", "Other"),
    "CommitmentDiscountCategory": ("Spend", "Usage"),
    "CommitmentDiscountStatus": ("Used", "Unused"),
    "CapacityReservationStatus": ("Used", "Unused"),
}
"""Columns whose values the specification fixes. Another case is put right; another word rejects the line."""

UNALLOCATED = "unallocated"
"""The owner of what nobody owns."""
