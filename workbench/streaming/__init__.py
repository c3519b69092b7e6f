"""The road through the broker: topics by contract, a producer that counts, and the loop from a topic to a sink.

Nothing here knows the warehouse: the loop is handed its sink.
"""

from workbench.streaming.replay import replay

__all__ = ["replay"]
