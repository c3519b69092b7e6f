"""Dead letters once more: on a Kafka from their topic to where they came from, embedded from the warehouse's table.

The embedded broker holds nothing between runs; its letters are in `finops_staging.dead_letters`, the original bytes
in base64. From there they take the road again, and which ones have is remembered in `finops_staging.cursors`, after the
events are in the table: in between nothing can get lost, and an event that comes twice changes nothing.
"""

import base64
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import xxhash

from workbench.errors import UsageError
from workbench.pipelines.road import open_road
from workbench.pipelines.sinks import CURSORS
from workbench.pipelines.streambook import DEAD_LETTERS
from workbench.settings import KafkaBroker, Settings
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.feed import Values
from workbench.streaming.redrive import Choice, Redriven, redrive
from workbench.streaming.topics import INPUTS, SCHEMA_VERSION

if TYPE_CHECKING:
    from workbench.warehouse import Warehouse

_SOURCE = "redrive"
_LETTERS = f"SELECT * FROM {DEAD_LETTERS} ORDER BY loaded_at, run_id, topic, partition_number, message_offset"  # noqa: S608 (our own names)
_DONE = f"SELECT key FROM {CURSORS} WHERE source = ?"  # noqa: S608
_KINDS = {topic.name: kind for kind, topic in INPUTS.items()}
_PLACE = ("run_id", "topic", "partition_number", "message_offset", "reason", "value_base64")


def choice_of(reason: str, limit: int | None, as_version: str) -> Choice:
    """Return what the options of the command mean.

    Raises
    ------
    UsageError
        A limit below 1, or a version that is not known here.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is the number of letters that are sent back at most; {limit} is none")
    if as_version not in {"", SCHEMA_VERSION}:
        raise UsageError(f"--as-version {as_version}: events of version {SCHEMA_VERSION} are known, no others")
    return Choice(reason, bool(as_version), limit)


def redrive_letters(settings: Settings, choice: Choice, *, dry_run: bool = False) -> dict[str, Any]:
    """Send dead letters back; with `dry_run` only say which would be.

    Returns
    -------
    dict
        `read` = `redriven` + `left`, `dry_run`, and `letters`: topic, reason and both numbers.

    Raises
    ------
    BrokerError, WarehouseError
        Nothing of what was not yet done is lost: run it again.
    """
    if isinstance(settings.broker, KafkaBroker):
        with KafkaCluster(settings.broker) as broker:
            done = redrive(broker, choice, dry_run=dry_run)
    else:
        from workbench.warehouse import Warehouse

        with Warehouse(settings) as warehouse:
            done = _from_table(warehouse, settings, choice, dry_run=dry_run)
    return _plain(done, dry_run=dry_run)


def _from_table(warehouse: "Warehouse", settings: Settings, choice: Choice, *, dry_run: bool) -> Redriven:
    letters = _waiting(warehouse)
    chosen = letters.filter(_is_whole(letters), _takes(letters, choice)).head(choice.limit or letters.height)
    left = letters.join(chosen.select("key"), on="key", how="anti")
    done = Redriven(letters.height, _counted(chosen), _counted(left))
    if dry_run or chosen.is_empty():
        return done
    with open_road(warehouse, settings) as road:
        for topic, some in chosen.group_by("topic", maintain_order=True):
            values = [base64.b64decode(text) for text in some["value_base64"]]
            road.carry(_KINDS[str(topic[0])], [Values(values, [None] * len(values))])
            _remember(warehouse, some["key"])
    return done


def _waiting(warehouse: "Warehouse") -> pl.DataFrame:
    """The letters that have not been sent back, with a `key` of each; the same one twice in a run is one."""
    letters = warehouse.query(_LETTERS)
    rows = letters.select(_PLACE).iter_rows()
    keys = [xxhash.xxh3_128_hexdigest("\x1f".join("" if each is None else str(each) for each in row).encode())
            for row in rows]  # fmt: skip
    letters = letters.with_columns(pl.Series("key", keys, dtype=pl.String)).unique("key", maintain_order=True)
    return letters.join(warehouse.query(_DONE, (_SOURCE,)), on="key", how="anti", maintain_order="left")


def _is_whole(letters: pl.DataFrame) -> pl.Series:
    """Whether a letter is an event's, all of whose bytes are in the table."""
    bytes_there = letters["value_base64"].str.decode("base64").bin.size()
    return letters["topic"].is_in(list(_KINDS)) & (bytes_there == letters["value_bytes"]).fill_null(value=False)


def _takes(letters: pl.DataFrame, choice: Choice) -> pl.Series:
    return pl.Series([choice.takes(reason or "") for reason in letters["reason"]], dtype=pl.Boolean)


def _remember(warehouse: "Warehouse", keys: pl.Series) -> None:
    rows = pl.DataFrame({"source": _SOURCE, "key": keys, "value": "sent back", "updated_at": datetime.now(UTC)})
    warehouse.load(rows, CURSORS)


def _counted(letters: pl.DataFrame) -> "Counter[tuple[str, str]]":
    return Counter(letters.select(pl.col("topic", "reason").fill_null("")).rows())


def _plain(done: Redriven, *, dry_run: bool) -> dict[str, Any]:
    pairs = sorted(done.chosen.keys() | done.left.keys())
    return {
        "read": done.read, "redriven": done.chosen.total(), "left": done.left.total(), "dry_run": dry_run,
        "letters": [{"topic": topic, "reason": reason, "redriven": done.chosen[topic, reason],
                     "left": done.left[topic, reason]} for topic, reason in pairs],
    }  # fmt: skip
