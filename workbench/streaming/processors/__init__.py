"""The stream's processors: pure steps from events and a state to outputs and the next state.

    >>> from workbench.streaming import replay
    >>> from workbench.streaming.processors import Windows
    >>> replay(costs, Windows())["finops.cost.aggregations"]  # doctest: +SKIP

`Processor` says what one is; `State` is what it remembers, and `changed` what of that has to be written.
"""

from workbench.streaming.processors.baseline import Rule
from workbench.streaming.processors.processor import Batches, Outputs, Processor
from workbench.streaming.processors.rightsizing import RightSizing
from workbench.streaming.processors.roi import Roi
from workbench.streaming.processors.spikes import Spikes
from workbench.streaming.processors.state import State, changed
from workbench.streaming.processors.utilisation import Limits
from workbench.streaming.processors.windows import Windows

__all__ = [
    "Batches",
    "Limits",
    "Outputs",
    "Processor",
    "RightSizing",
    "Roi",
    "Rule",
    "Spikes",
    "State",
    "Windows",
    "changed",
]
