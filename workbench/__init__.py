"""Workbench: what the cloud cost, why it changed, what broke and why, how much carbon it took, what to do next.

    >>> import workbench
    >>> bill = workbench.read_focus("bill.csv")          # FOCUS as CSV, CSV.gz or Parquet; a file or a folder
    >>> bill.by("ServiceName").to_pandas()               # exact decimals, in the bill's currency

    >>> wb = workbench.open("demo")                      # a profile: its sources in a warehouse
    >>> wb.costs("business_unit").to_pandas()            # spend by day

Amounts are exact decimals in `BillingCurrency`; times are UTC and half open.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench import costs, errors, events, forecasts, plots, settings
    from workbench.pipelines.notebook import Workbench
    from workbench.pipelines.opening import open_workbench as open  # noqa: A004 (the word that users look for)
    from workbench.pipelines.outputs import Figure, LookAt
    from workbench.sources.focus import Bill, read_focus

__version__ = "0.1.0"

_WHERE = {
    "Bill": ("workbench.sources.focus", "Bill"),
    "Figure": ("workbench.pipelines.outputs", "Figure"),
    "LookAt": ("workbench.pipelines.outputs", "LookAt"),
    "Workbench": ("workbench.pipelines.notebook", "Workbench"),
    "costs": ("workbench.costs", None),
    "errors": ("workbench.errors", None),
    "events": ("workbench.events", None),
    "forecasts": ("workbench.forecasts", None),
    "open": ("workbench.pipelines.opening", "open_workbench"),
    "plots": ("workbench.plots", None),
    "read_focus": ("workbench.sources.focus", "read_focus"),
    "settings": ("workbench.settings", None),
}
# Each name is imported when it is first used: `import workbench` stays fast.

__all__ = [
    "Bill",
    "Figure",
    "LookAt",
    "Workbench",
    "costs",
    "errors",
    "events",
    "forecasts",
    "open",
    "plots",
    "read_focus",
    "settings",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _WHERE:
        raise AttributeError(f"module 'workbench' has no attribute '{name}'; it has {', '.join(__all__)}")
    module, attribute = _WHERE[name]
    found = import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
