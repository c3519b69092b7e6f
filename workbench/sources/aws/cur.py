"""CUR 2.0 → FOCUS: which column is which, and AWS's words for what a line is.

Sources: AWS, "Cost and Usage Report (CUR) 2.0 table dictionary" and "Line item type" of the Data Exports user guide;
FOCUS 1.2. `BilledCost` is the unblended cost, whose sum is the invoice. CUR has no single column of amortised cost, so
`EffectiveCost` stays empty: a FOCUS export has it.
"""

import json
from collections.abc import Callable

import polars as pl

from workbench.exact import as_text

SIGN = "line_item_unblended_cost"
"""A file with this column is CUR 2.0."""

FIELDS = {
    "BilledCost": SIGN,
    "ListCost": "pricing_public_on_demand_cost",
    "ListUnitPrice": "pricing_public_on_demand_rate",
    "BillingCurrency": "line_item_currency_code",
    "ChargePeriodStart": "line_item_usage_start_date",
    "ChargePeriodEnd": "line_item_usage_end_date",
    "BillingPeriodStart": "bill_billing_period_start_date",
    "BillingPeriodEnd": "bill_billing_period_end_date",
    "BillingAccountId": "bill_payer_account_id",
    "BillingAccountName": "bill_payer_account_name",
    "SubAccountId": "line_item_usage_account_id",
    "SubAccountName": "line_item_usage_account_name",
    "InvoiceId": "bill_invoice_id",
    "InvoiceIssuerName": "bill_invoicing_entity",
    "PublisherName": "line_item_legal_entity",
    "ChargeDescription": "line_item_line_item_description",
    "RegionId": "product_region_code",
    "AvailabilityZone": "line_item_availability_zone",
    "ResourceId": "line_item_resource_id",
    "SkuId": "product_sku",
    "SkuPriceId": "pricing_rate_code",
    "SkuMeter": "line_item_usage_type",
    "ConsumedQuantity": "line_item_usage_amount",
    "ConsumedUnit": "pricing_unit",
    "PricingUnit": "pricing_unit",
}
"""FOCUS column → the column of CUR 2.0 that says it."""

CATEGORIES = {
    "Usage": "Usage",
    "DiscountedUsage": "Usage",
    "SavingsPlanCoveredUsage": "Usage",
    "Fee": "Purchase",
    "RIFee": "Purchase",
    "SavingsPlanRecurringFee": "Purchase",
    "SavingsPlanUpfrontFee": "Purchase",
    "Tax": "Tax",
    "Credit": "Credit",
    "Refund": "Credit",
    "Discount": "Credit",
    "BundledDiscount": "Credit",
    "EdpDiscount": "Credit",
    "PrivateRateDiscount": "Credit",
    "RiVolumeDiscount": "Credit",
    "SppDiscount": "Credit",
    "SavingsPlanNegation": "Adjustment",
}
"""`line_item_line_item_type` → ChargeCategory. Another word is kept, and the line refused with it."""

FREQUENCIES = {"Usage": "Usage-Based", "RIFee": "Recurring", "SavingsPlanRecurringFee": "Recurring",
               "SavingsPlanUpfrontFee": "One-Time"}  # fmt: skip
TERMS = {"OnDemand": "Standard", "Reserved": "Committed", "Spot": "Dynamic"}
COMMITMENTS = ("savings_plan_savings_plan_a_r_n", "reservation_reservation_a_r_n")
_PREFIXES = ("user:", "user_")

WANTED = {*FIELDS.values(), *COMMITMENTS, "line_item_line_item_type", "line_item_product_code", "pricing_term",
          "product", "product_servicecode", "resource_tags"}  # fmt: skip
"""All columns that are read."""


def focus_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of CUR 2.0 under FOCUS names, with FOCUS's words; values stay as they are."""
    there = set(rows.columns)
    kind = _column(rows, "line_item_line_item_type")
    derived = {
        "ProviderName": pl.lit("AWS"),
        "ChargeCategory": pl.lit(kind.replace(CATEGORIES)),
        "ChargeFrequency": pl.lit(kind.replace_strict(FREQUENCIES, default=None, return_dtype=pl.String)),
        "PricingCategory": pl.lit(
            _column(rows, "pricing_term").replace_strict(TERMS, default=None, return_dtype=pl.String)
        ),
        "CommitmentDiscountId": pl.coalesce(pl.lit(_column(rows, name)) for name in COMMITMENTS),
        "ServiceName": pl.coalesce(
            pl.lit(_product_names(rows)),
            pl.lit(_column(rows, "line_item_product_code")),
            pl.lit(_column(rows, "product_servicecode")),
        ),
        "Tags": pl.lit(_tags(rows)),
    }
    named = {focus: pl.col(name) for focus, name in FIELDS.items() if name in there}
    return rows.select(**named, **derived)


def _column(rows: pl.DataFrame, name: str) -> pl.Series:
    """A column as text, blanks as nulls; nulls where it is missing."""
    if name not in rows.columns:
        return pl.Series(name, [None], pl.String).new_from_index(0, rows.height)
    text = as_text(rows[name]).str.strip_chars()
    return text.set(text == "", None)


def _product_names(rows: pl.DataFrame) -> pl.Series:
    return _changed(_column(rows, "product"), lambda pairs: pairs.get("product_name"))


def _tags(rows: pl.DataFrame) -> pl.Series:
    """Tags as a JSON object; AWS puts `user:` or `user_` before a user's own keys."""
    return _changed(_column(rows, "resource_tags"), _own_keys)


def _own_keys(pairs: dict[str, str]) -> str | None:
    own = {_bare(key): value for key, value in pairs.items() if value not in {None, ""}}
    return json.dumps(own, sort_keys=True, ensure_ascii=False) if own else None


def _bare(key: str) -> str:
    return next((key.removeprefix(prefix) for prefix in _PREFIXES if key.startswith(prefix)), key)


def _changed(texts: pl.Series, change: Callable[[dict[str, str]], str | None]) -> pl.Series:
    """Each different map once."""
    found = {text: change(_pairs(text)) for text in texts.unique().drop_nulls()}
    return texts.replace_strict(found, default=None, return_dtype=pl.String)


def _pairs(text: str) -> dict[str, str]:
    """A map as CSV has it (a JSON object), or as Parquet has it (a list of keys and values)."""
    try:
        held = json.loads(text)
    except ValueError:
        return {}
    if isinstance(held, list):
        held = {pair.get("key"): pair.get("value") for pair in held if isinstance(pair, dict)}
    return {str(key): value for key, value in held.items()} if isinstance(held, dict) else {}
