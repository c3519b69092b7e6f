"""Bills: FOCUS files, and any CSV by a mapping."""

from workbench.sources.focus.bill import Bill, FileRead, cost_events
from workbench.sources.focus.files import find_files
from workbench.sources.focus.read import Keep, read_focus

__all__ = ["Bill", "FileRead", "Keep", "cost_events", "find_files", "read_focus"]
