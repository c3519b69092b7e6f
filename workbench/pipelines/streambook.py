"""The book of the road: what each run carried, and the letters that could not be read."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from workbench.streaming.parcels import DeadLetter

if TYPE_CHECKING:
    from workbench.pipelines.road import Carried

STREAM_RUNS = "finops_staging.stream_runs"
DEAD_LETTERS = "finops_staging.dead_letters"

RUNS_SQL = f"SELECT * FROM {STREAM_RUNS} WHERE loaded_at <= ? ORDER BY started_at, topic"  # noqa: S608 (our own names)
LETTERS_SQL = f"""
    SELECT * FROM {DEAD_LETTERS} WHERE loaded_at <= ?
    ORDER BY loaded_at DESC, topic, partition_number, message_offset LIMIT ?
"""  # noqa: S608

TWO_ROADS_SQL = """
    SELECT COALESCE(l.currency, e.currency) AS currency, COALESCE(l.total, 0) AS by_loader,
           COALESCE(e.total, 0) AS by_broker
    FROM (SELECT BillingCurrency AS currency, SUM(BilledCost) AS total FROM finops_curated.focus_costs GROUP BY 1) l
    FULL OUTER JOIN (
        SELECT currency, SUM(cost_amount) AS total FROM finops_curated.cost_events
        WHERE metadata IS NULL OR metadata NOT LIKE '%"collector":"cost-explorer:%' -- which is no bill
        GROUP BY 1
    ) e
        ON e.currency = l.currency
    ORDER BY 1
"""
BY_DAY_SQL = " UNION ALL ".join(
    f"""
    SELECT CAST(timestamp AS DATE) AS event_date, '{kind}' AS kind, COUNT(*) AS event_total
    FROM finops_curated.{kind}_events_versions
    WHERE timestamp < ? AND loaded_at <= ? AND (superseded_at IS NULL OR superseded_at > ?)
    GROUP BY 1
    """  # noqa: S608 (our own names)
    for kind in ("cost", "business", "resource")
)

_LONGEST = 4_096
_LONGEST_BYTES = 6_000_000  # base64 of them fits into a column; longer originals are in the topic alone
_COUNTS = ("sent", "refused", "delivered", "read", "others", "valid", "dead",
           "inserted", "restated", "unchanged", "older", "repeated")  # fmt: skip


def run_page(carried: "Carried", started_at: datetime, loaded_at: datetime) -> pl.DataFrame:
    """One row: the run, its counts, its speed, and how far behind it was in the end."""
    row = {
        "run_id": carried.run_id, "topic": carried.topic, "started_at": started_at, "loaded_at": loaded_at,
        **{f"rows_{name}": getattr(carried, name) for name in _COUNTS}, "rows_conflicting": carried.conflicts,
        "seconds": carried.seconds, "events_per_s": carried.events_per_s, "lag_at_end": carried.lag,
    }  # fmt: skip
    return pl.DataFrame([row])


def letters_page(letters: Sequence[DeadLetter], run_id: str, loaded_at: datetime) -> pl.DataFrame:
    """One row a letter: where it was, why, the value as far as it is text, and the original bytes in base64.

    Of very long values only the start is kept here; the topic of dead letters has them whole.
    """
    schema = {"run_id": pl.String, "topic": pl.String, "partition_number": pl.Int64, "message_offset": pl.Int64,
              "reason": pl.String, "value": pl.String, "value_base64": pl.String, "value_bytes": pl.Int64}  # fmt: skip
    rows = [(run_id, each.topic, each.partition, each.offset, each.reason, *_shown(each.value)) for each in letters]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(loaded_at=pl.lit(loaded_at))


def _shown(value: bytes | None) -> tuple[str | None, str | None, int]:
    if value is None:
        return None, None, 0
    text = value[:_LONGEST].decode(errors="replace").replace("\x00", "\ufffd")
    return text, base64.b64encode(value[:_LONGEST_BYTES]).decode(), len(value)
