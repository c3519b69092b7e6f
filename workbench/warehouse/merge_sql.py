"""The statements of a merge, in the SQL that both engines read. Pure text.

Three temporary tables take part: `_load` holds the batch as it came, `_twice` the rows whose id it holds several
times, `_outcomes` what becomes of each row.
"""

# ruff: noqa: S608, ISC004 (names come from tables.py and from the table itself; values are bound)

from collections.abc import Iterable
from dataclasses import dataclass

from workbench.warehouse.tables import Table


@dataclass(frozen=True)
class MergeSql:
    """The statements for one table with these columns (lower case, in the table's order)."""

    table: Table
    columns: tuple[str, ...]
    suffix: str = ""
    """Tells the temporary tables of one session from another's: fakesnow keeps a common list of their names."""

    @property
    def load(self) -> str:
        """The temporary table of the batch."""
        return f"{self.table.short}_load{self.suffix}"

    @property
    def twice(self) -> str:
        """The temporary table of the rows whose id the batch holds several times; `nth` is their rank."""
        return f"{self.table.short}_twice{self.suffix}"

    @property
    def outcomes(self) -> str:
        """The temporary table of what becomes of each row."""
        return f"{self.table.short}_outcomes{self.suffix}"

    def temporary_tables(self) -> list[str]:
        """Create the three, empty; once a session, outside of any transaction."""
        made = "CREATE OR REPLACE TEMPORARY TABLE"
        return [
            f"{made} {self.load} AS SELECT * FROM {self.table.name} WHERE 1 = 0",
            f"{made} {self.twice} AS SELECT *, 1 AS nth FROM {self.table.name} WHERE 1 = 0",
            f"{made} {self.outcomes} (event_id VARCHAR, outcome VARCHAR, currency VARCHAR, "
            "amount NUMBER(38,12), amount_before NUMBER(38,12))",
        ]

    def clear(self, *, twice: bool) -> list[str]:
        """Empty the three, or the two that are always used."""
        used = (self.load, self.outcomes, *([self.twice] if twice else []))
        return [f"DELETE FROM {name}" for name in used]

    def look(self) -> str:
        """Rows, distinct ids, rows that can't be merged, first and last period of the batch."""
        t = self.table
        return (
            f"SELECT COUNT(*), COUNT(DISTINCT {t.key}), "
            f"COUNT_IF({t.key} IS NULL OR {t.period} IS NULL OR observed_at IS NULL), "
            f"MIN({t.period}), MAX({t.period}) FROM {self.load}"
        )

    def settle_twice(self) -> list[str]:
        """Of the rows with one id keep the one observed last, the others become outcomes.

        Among those observed at the same moment with different content the first in the order of their content stays,
        so that it is the same one every time, and the others are conflicts.
        """
        t = self.table
        order = ", ".join(("observed_at DESC", *(f"{name} NULLS LAST" for name in (*t.content, t.currency))))
        names = ", ".join(self.columns)
        return [
            f"INSERT INTO {self.twice} SELECT {names}, ROW_NUMBER() OVER (PARTITION BY {t.key} ORDER BY {order}) "
            f"FROM {self.load} WHERE {t.key} IN "
            f"(SELECT {t.key} FROM {self.load} GROUP BY {t.key} HAVING COUNT(*) > 1)",
            f"DELETE FROM {self.load} WHERE {t.key} IN (SELECT {t.key} FROM {self.twice})",
            f"INSERT INTO {self.load} ({names}) SELECT {names} FROM {self.twice} WHERE nth = 1",
            f"INSERT INTO {self.outcomes} SELECT s.{t.key}, "
            f"CASE WHEN {_same((*t.content, t.currency))} THEN 'repeated' "
            f"WHEN s.observed_at = t.observed_at THEN 'conflict' ELSE 'older' END, "
            f"s.{t.currency}, s.{t.amount}, t.{t.amount} "
            f"FROM {self.twice} s JOIN {self.twice} t ON t.{t.key} = s.{t.key} AND t.nth = 1 WHERE s.nth > 1",
        ]

    def decide(self) -> str:
        """What becomes of each row of the batch. Binds: this merge's loaded_at, first and last period.

        `confirmed` rows are unchanged ones that were observed later.
        """
        t = self.table
        # Only the columns that are compared, so that the engine reads no others.
        compared = ", ".join((t.key, "observed_at", "loaded_at", t.currency, *t.content))
        return (
            f"INSERT INTO {self.outcomes} SELECT s.{t.key}, CASE "
            f"WHEN t.{t.key} IS NULL THEN 'inserted' "
            f"WHEN NOT {_same([t.currency])} THEN 'conflict' "
            f"WHEN {_same(t.content)} THEN CASE "
            f"WHEN t.loaded_at = ? THEN 'repeated' "
            f"WHEN s.observed_at <= t.observed_at THEN 'unchanged' ELSE 'confirmed' END "
            f"WHEN s.observed_at > t.observed_at THEN 'restated' "
            f"WHEN s.observed_at < t.observed_at THEN 'older' "
            f"WHEN {_same([name for name in t.content if name not in t.labels])} THEN 'restated' "
            f"ELSE 'conflict' END, s.{t.currency}, s.{t.amount}, t.{t.amount} "
            f"FROM {self.load} s LEFT JOIN (SELECT {compared} FROM {t.name} "
            f"WHERE {t.period} >= ? AND {t.period} <= ?) t ON t.{t.key} = s.{t.key}"
        )

    def count(self) -> str:
        """Rows and money of each outcome and currency."""
        return (
            "SELECT outcome, currency, COUNT(*) AS row_count, CAST(SUM(amount) AS NUMBER(38,12)) AS amount, "
            "CAST(SUM(amount_before) AS NUMBER(38,12)) AS amount_before "
            f"FROM {self.outcomes} GROUP BY outcome, currency ORDER BY outcome, currency"
        )

    def conflicts(self, most: int) -> str:
        """The conflicting ids with what is kept and what was offered."""
        return (
            f"SELECT event_id, currency, amount_before AS old, amount AS new FROM {self.outcomes} "
            f"WHERE outcome = 'conflict' ORDER BY event_id, amount LIMIT {most:d}"
        )

    def keep_history(self) -> str:
        """The versions that are about to be superseded. Binds: loaded_at, first and last period."""
        t, names = self.table, ", ".join(self.columns)
        return (
            f"INSERT INTO {t.history} ({names}, superseded_at) SELECT {', '.join(f't.{n}' for n in self.columns)}, "
            f"CAST(? AS TIMESTAMP_NTZ) FROM {t.name} t JOIN {self.outcomes} o ON o.event_id = t.{t.key} "
            f"AND o.outcome = 'restated' WHERE t.{t.period} >= ? AND t.{t.period} <= ?"
        )

    def restate(self) -> str:
        """New versions over old ones. Binds: loaded_at, first and last period."""
        names = [name for name in self.columns if name not in {self.table.key, self.table.period, "loaded_at"}]
        return self._update("loaded_at = CAST(? AS TIMESTAMP_NTZ), " + _set(names), "restated")

    def refresh(self) -> str:
        """New descriptions for confirmed rows, where they differ. Binds: first and last period."""
        t = self.table
        fixed = {t.key, t.period, t.currency, "loaded_at", "observed_at", *t.content}
        described = [name for name in self.columns if name not in fixed]
        differ = [name for name in described if name not in t.provenance]
        return f"{self._update(_set(described), 'confirmed')} AND NOT {_same(differ)}"

    def confirm(self) -> str:
        """The same, seen later, so that what was observed between can't win. Binds: first and last period."""
        return self._update("observed_at = s.observed_at", "confirmed")

    def insert(self, *, all_new: bool) -> str:
        """The new rows. Binds: loaded_at."""
        values = ", ".join("CAST(? AS TIMESTAMP_NTZ)" if n == "loaded_at" else f"s.{n}" for n in self.columns)
        start = f"INSERT INTO {self.table.name} ({', '.join(self.columns)}) SELECT {values} FROM {self.load} s"
        if all_new:
            return start
        return f"{start} JOIN {self.outcomes} o ON o.event_id = s.{self.table.key} AND o.outcome = 'inserted'"

    def _update(self, assignments: str, outcome: str) -> str:
        t = self.table
        return (
            f"UPDATE {t.name} t SET {assignments} FROM (SELECT l.* FROM {self.load} l "
            f"JOIN {self.outcomes} o ON o.event_id = l.{t.key} WHERE o.outcome = '{outcome}') s "
            f"WHERE t.{t.key} = s.{t.key} AND t.{t.period} >= ? AND t.{t.period} <= ?"
        )


def _same(columns: Iterable[str]) -> str:
    return "(" + (" AND ".join(f"s.{name} IS NOT DISTINCT FROM t.{name}" for name in columns) or "1 = 1") + ")"


def _set(columns: Iterable[str]) -> str:
    return ", ".join(f"{name} = s.{name}" for name in columns)
