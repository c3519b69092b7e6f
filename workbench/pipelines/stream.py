"""How the road is: topics and lag on a Kafka, the last runs, and what could not be read."""

import json
from typing import Any

import polars as pl

from workbench.pipelines.road import load_group
from workbench.pipelines.streambook import DEAD_LETTERS, STREAM_RUNS
from workbench.settings import KafkaBroker, Settings
from workbench.streaming.clusters import connect
from workbench.streaming.status import topics_status
from workbench.warehouse import Warehouse

EMBEDDED = (
    "the embedded broker lives only for a run: between runs it holds nothing; what came of the last ones is below"
)

_RUNS = f"SELECT * FROM {STREAM_RUNS} ORDER BY loaded_at DESC, started_at DESC LIMIT 10"  # noqa: S608 (our own names)
_LETTERS = f"""
    SELECT topic, reason, COUNT(*) AS letters, MAX(loaded_at) AS latest FROM {DEAD_LETTERS}
    GROUP BY topic, reason ORDER BY letters DESC, topic, reason
"""  # noqa: S608


def stream_status(settings: Settings) -> dict[str, Any]:
    """Return `engine`, `note`, and as frames `topics` (a Kafka's only), the last `runs`, and `dead_letters` by reason.

    Raises
    ------
    BrokerUnavailable, WarehouseUnavailable
        Nobody answers there.
    """
    kafka = isinstance(settings.broker, KafkaBroker)
    topics = pl.DataFrame()
    if kafka:
        with connect(settings.broker) as broker:
            topics = topics_status(broker, load_group(settings))
    with Warehouse(settings) as warehouse:
        runs, letters = warehouse.query(_RUNS), warehouse.query(_LETTERS)
    return {
        "profile": settings.name, "engine": settings.broker.engine, "note": "" if kafka else EMBEDDED,
        "lag": sum(topics["lag"].drop_nulls()) if kafka and topics.height else 0,
        "topics": topics, "runs": runs, "dead_letters": letters,
    }  # fmt: skip


def plain(status: dict[str, Any]) -> dict[str, Any]:
    """The same as plain data."""
    return {key: json.loads(value.write_json()) if isinstance(value, pl.DataFrame) else value
            for key, value in status.items()}  # fmt: skip
