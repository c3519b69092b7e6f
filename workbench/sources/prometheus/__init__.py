"""Prometheus, and what speaks its HTTP API: named range queries → tidy samples.

    >>> from workbench.sources.prometheus import DEFAULT
    >>> list(DEFAULT)
    ['cpu_usage', 'memory_usage', 'http_requests', 'response_time']

`ranges` asks all servers at once, `reading` one query of one server, `asking` one question; `spans`, `matrix` and
`counters` are pure. A timestamp is the moment at which the server evaluated the query: what `rate(…[5m])` says there is
about the five minutes before it.
"""

from workbench.sources.prometheus.counters import increase_per_second
from workbench.sources.prometheus.queries import DEFAULT
from workbench.sources.prometheus.ranges import Wanted, read_ranges
from workbench.sources.prometheus.reading import Limits
from workbench.sources.prometheus.server import Server, server_at, server_of

__all__ = [
    "DEFAULT", "Limits", "Server", "Wanted", "increase_per_second", "read_ranges", "server_at", "server_of",
]  # fmt: skip
