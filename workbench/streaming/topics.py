"""The topics by contract: what they carry, how many partitions, what is kept and for how long."""

from dataclasses import dataclass, field

from workbench.errors import EventError, did_you_mean

SCHEMA_VERSION = "1"
"""Stands in each message's header `schema_version`."""

MESSAGE_LIMIT = 10_000_000
"""Bytes of the longest event that is sent or taken."""

ROOM = 200_000
"""What a broker's limit allows beyond: key, headers, and the reason beside a dead letter."""

_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class Topic:
    """A topic. Its messages have the business unit as their key, so that a partition holds all of a unit."""

    name: str
    kind: str = ""
    """Kind of event (`workbench.events.SCHEMAS`), for an input."""
    retention_days: int = 400
    config: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def configuration(self) -> dict[str, str]:
        """What the broker is told when the topic is made.

        The broker stamps messages with its own time: an event speaks of a time long ago, and would be deleted as soon
        as it came in if its own time counted.
        """
        return {
            "retention.ms": str(self.retention_days * _DAY_MS),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MESSAGE_LIMIT + ROOM),
            **self.config,
        }


COST = Topic("finops.cost.events", "cost")
BUSINESS = Topic("finops.business.events", "business")
RESOURCE = Topic("finops.resource.events", "resource")
DEAD_LETTERS = Topic("finops.deadletter", config={"max.message.bytes": str(MESSAGE_LIMIT + 2 * ROOM)})
STATE = Topic("finops.stream.state", config={"cleanup.policy": "compact", "retention.ms": "-1"})

INPUTS = {topic.kind: topic for topic in (COST, BUSINESS, RESOURCE)}
"""Kind of event → its topic. All have the same number of partitions."""

OUTPUTS = tuple(
    Topic(name)
    for name in (
        "finops.cost.anomalies",
        "finops.cost.aggregations",
        "finops.roi.calculations",
        "finops.optimization.recommendations",
        "aiops.incidents",
        "aiops.responses",
    )
)

ROAD = (*INPUTS.values(), DEAD_LETTERS)
"""What the road into the warehouse needs."""


def topic_of(kind: str) -> Topic:
    """Return the topic of a kind of event. Raises EventError for any other word."""
    if kind not in INPUTS:
        raise EventError(f"no event kind '{kind}'; there are {', '.join(INPUTS)}{did_you_mean(kind, INPUTS)}")
    return INPUTS[kind]
