"""What a forecast says, in a sentence."""

import polars as pl

from workbench.forecasts.units import ALL, CURRENCY
from workbench.plots.words import amount

_WHOLE_UNITS = 1_000


def in_words(sums: pl.DataFrame, currency: str) -> str:
    """`49,048 USD, between 46,414 and 51,841`: the whole of a frame of `until` or `month_end`, in one currency.

    `nothing that could be forecast` where there was no history.
    """
    by = sums.columns[0]
    whole = sums.filter((pl.col(by) == ALL) & (pl.col(CURRENCY) == currency))
    if whole.is_empty():
        return "nothing that could be forecast"
    middle, lower, upper = whole.select("expected", "lower", "upper").row(0)
    places = 0 if abs(middle) >= _WHOLE_UNITS else 2
    return f"{amount(middle, places)} {currency}, between {amount(lower, places)} and {amount(upper, places)}"
