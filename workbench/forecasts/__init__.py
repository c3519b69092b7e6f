"""What will it cost? Pure: frames in, frames out.

    >>> history = wb.cost_history("business_unit")                     # read through Snowpark
    >>> ahead = forecasts.forecast(history, "business_unit", wb.as_of)
    >>> forecasts.until(ahead, wb.as_of + timedelta(days=30))           # with the band of the sum
    >>> forecasts.verdicts(forecasts.backtest(history, "business_unit", wb.as_of))

`kernel.forecast_series` is the one piece that knows a model: a pandas frame of one series in, its forecast out. Amounts
are in `BillingCurrency`; currencies are never added up. Bands are 95 %.
"""

from workbench.forecasts.backtest import backtest, backtest_horizon, verdicts
from workbench.forecasts.fees import split_fees
from workbench.forecasts.units import ALL, forecast, month_end, until
from workbench.forecasts.words import in_words

__all__ = [
    "ALL",
    "backtest",
    "backtest_horizon",
    "forecast",
    "in_words",
    "month_end",
    "split_fees",
    "until",
    "verdicts",
]
