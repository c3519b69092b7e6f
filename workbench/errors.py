"""The few errors a user meets.

    WorkbenchError
    ├── UsageError                 the command or the call was wrong          (exit code 2)
    ├── SettingsError              a profile that can't be used
    ├── SourceError                a file, folder or API that can't be read
    ├── EventError                 a frame that is no frame of events at all
    ├── WarehouseError             the warehouse refused or lost something
    │   └── WarehouseUnavailable   nobody answers, or nobody may
    ├── BrokerError                the broker refused or lost something
    │   ├── BrokerUnavailable  nobody answers there, or nobody may
    │   └── BrokerRefused      trying again does not help: somebody has to remove the reason
    └── ReportError                a report that can't be started or written

Each text says what was given, what exists or is allowed, and what to try. A row that is merely wrong
raises nothing: it is counted, kept with its reason, and the rest goes on.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class WorkbenchError(Exception):
    """Base of all errors that `workbench` raises on purpose."""


class UsageError(WorkbenchError):
    """The command or the call was wrong."""


class SettingsError(WorkbenchError):
    """A profile that can't be used."""


class SourceError(WorkbenchError):
    """A file, folder or API that can't be read."""


class EventError(WorkbenchError):
    """A frame that is no frame of events at all."""


class WarehouseError(WorkbenchError):
    """The warehouse refused or lost something."""


class WarehouseUnavailable(WarehouseError):
    """Nobody answers at the warehouse, or nobody may be asked."""


class BrokerError(WorkbenchError):
    """The broker refused or lost something."""


class BrokerUnavailable(BrokerError):
    """Nobody answers at the broker, or nobody may ask it."""


class BrokerRefused(BrokerError):
    """Trying again does not help: somebody has to remove the reason first."""


class ReportError(WorkbenchError):
    """A report that can't be started or written."""


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'engine'?"` when a near miss of `given` is among `allowed`, else an empty string."""
    folded = {name.casefold(): name for name in allowed}
    near = get_close_matches(given.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean '{folded[near[0]]}'?" if near else ""
