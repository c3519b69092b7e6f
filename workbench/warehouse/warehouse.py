"""`Warehouse`: the narrow class that everybody uses, over a connection that heals."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import polars as pl

from workbench.errors import WarehouseError, WorkbenchError
from workbench.warehouse.frames import Value, bind, check_reads_only, received
from workbench.warehouse.merge import Merged, added, merge_file
from workbench.warehouse.merge_sql import MergeSql
from workbench.warehouse.protocols import Engine, SettingsLike, chain
from workbench.warehouse.staging import Data, copy, parquet_files, uploaded
from workbench.warehouse.tables import TABLES, Table, column, table
from workbench.warehouse.transaction import transaction

T = TypeVar("T")
Beside = Callable[[Merged], Mapping[str, pl.DataFrame]]

ATTEMPTS = 4
CONFLICT = "40001"  # SQLSTATE: somebody else changed the same rows at the same time


class Warehouse:
    """A profile's warehouse. Connects at the first use, and again when the other side was lost.

    All methods raise WarehouseUnavailable when nobody answers, WarehouseError when the warehouse refuses.
    One thread at a time is served; other processes have their own.
    """

    def __init__(self, settings: SettingsLike) -> None:
        self._engine = _engine(settings)
        self._connection: Any = None
        self._snowpark: Any = None
        self._prepared: set[str] = set()
        self._columns: dict[str, tuple[str, ...]] = {}
        self._suffix = f"_{uuid.uuid4().hex[:8]}"
        self._lock = threading.RLock()

    @property
    def engine(self) -> str:
        """`embedded` or `snowflake`."""
        return self._engine.name

    @property
    def session(self) -> Any:  # noqa: ANN401 (snowflake.snowpark.Session)
        """The Snowpark session over the same connection, for what the methods here don't do."""
        from snowflake.snowpark import Session

        with self._lock:
            self._with_cursor(lambda cursor: cursor.execute("SELECT 1"))  # connects again, if need be
            connection = self._connected()
            if self._snowpark is None:
                self._snowpark = Session.builder.configs({"connection": connection}).create()
            return self._snowpark

    def query(self, sql: str, params: Sequence[Value] = ()) -> pl.DataFrame:
        """Ask. `?` stand for `params`: text, numbers, decimals, dates, times (taken to UTC), bool, None.

        FOCUS columns come back in their own case (`BilledCost`), all others in lower case; amounts as Decimal, times
        as Datetime("us", "UTC"), whole numbers as Int64.
        """
        check_reads_only(sql)
        values = bind(params)

        def ask(cursor: Any) -> pl.DataFrame:  # noqa: ANN401
            cursor.execute(sql, values or None)
            return received(cursor)

        return self._with_cursor(ask)

    def load(self, data: Data, name: str, replace_where: Mapping[str, Value] | None = None) -> int:
        """Append a frame, or Parquet files, to a table; returns the number of rows.

        `replace_where` first deletes the rows whose columns have these values, in the same transaction. Columns go by
        name; those that `data` has not are NULL. Should the owner die while it commits, the error leaves open whether
        everything or nothing is in, unless `replace_where` makes it safe to try again.
        """
        goal = table(name)
        where = {column(key): value for key, value in (replace_where or {}).items()}
        committing: list[bool] = []

        def put_in(cursor: Any) -> int:  # noqa: ANN401
            with (
                parquet_files(data, self._columns_of(cursor, goal)) as files,
                uploaded(self._engine, cursor, files) as paths,
                transaction(cursor),
            ):
                if where:
                    tests = " AND ".join(f"{key} IS NOT DISTINCT FROM ?" for key in where)
                    cursor.execute(f"DELETE FROM {goal.name} WHERE {tests}", bind(list(where.values())))  # noqa: S608
                rows = sum(copy(cursor, path, goal.name) for path in paths)
                committing.append(True)
                return rows

        # Without `replace_where` a load done twice is in twice: it is tried again only if it can't be in yet.
        return self._with_cursor(put_in, again=lambda: bool(where) or not committing)

    def merge(self, data: Data, name: str, loaded_at: datetime | None = None, beside: Beside | None = None) -> Merged:
        """Merge a frame, or Parquet files, into a table of events; all of it or nothing. See `Merged`.

        The rows need event_id, the table's period column and observed_at. `loaded_at` (now, if not given) is stamped
        on every new version, whatever the data says. The same event id must always have the same period start: only
        the batch's own period is searched. May be repeated at will. `beside` is told what became of the rows, and
        returns frames by table name: they are appended in the same transaction, so that a book of merges never lies.
        """
        goal = table(name)
        if not goal.merges:
            able = ", ".join(t.name for t in TABLES.values() if t.merges)
            raise WarehouseError(f"{goal.name} has no events to merge; use load. Merged can be {able}")
        stamp = loaded_at or datetime.now(UTC)

        def put_in(cursor: Any) -> Merged:  # noqa: ANN401
            sql = MergeSql(goal, self._columns_of(cursor, goal), self._suffix)
            self._prepare(cursor, sql)
            with (
                parquet_files(data, sql.columns) as files,
                uploaded(self._engine, cursor, files) as paths,
                self._engine.transaction(cursor, goal.name),
            ):
                merged = added([merge_file(cursor, sql, path, stamp) for path in paths])
                for other, frame in (beside(merged) if beside else {}).items():
                    self._append(cursor, table(other), frame)
                return merged

        return self._with_cursor(put_in)

    def _append(self, cursor: Any, goal: Table, frame: pl.DataFrame) -> None:  # noqa: ANN401
        """Put a frame into a table, within the transaction that the caller has begun."""
        with (
            parquet_files(frame, self._columns_of(cursor, goal)) as files,
            uploaded(self._engine, cursor, files) as paths,
        ):
            for path in paths:
                copy(cursor, path, goal.name)

    def init(self) -> list[str]:
        """Create or update all schemas, tables and views; returns the SQL files that ran."""
        self._columns.clear()
        return self._engine.init()

    def status(self) -> pl.DataFrame:
        """One row a table: `table`, `rows`, `first` and `last` (the first and last period it speaks of)."""
        parts = []
        for goal in TABLES.values():
            moment = f"MIN({goal.period}), MAX({goal.period})" if goal.period else "NULL, NULL"
            parts.append(f"SELECT '{goal.name}', COUNT(*), {moment} FROM {goal.name}")  # noqa: S608 (our own names)
        frame = self.query(" UNION ALL ".join(parts))
        moments = pl.Datetime("us", "UTC")
        return frame.rename(dict(zip(frame.columns, ("table", "rows", "first", "last"), strict=True))).cast(
            {"first": moments, "last": moments}
        )

    def close(self) -> None:
        """Let go of the connection. The embedded warehouse's owner lives on until it is idle."""
        with self._lock:
            connection, self._connection, self._snowpark = self._connection, None, None
            self._prepared.clear()
            if connection is not None:
                with contextlib.suppress(Exception):  # it may be gone already
                    connection.close(retry=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Warehouse({self.engine}, {'connected' if self._connection is not None else 'not connected'})"

    def _connected(self) -> Any:  # noqa: ANN401
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _with_cursor(self, work: Callable[[Any], T], again: Callable[[], bool] = lambda: True) -> T:
        """Do `work`; when the other side was lost, or somebody else was quicker, connect and do it again."""
        with self._lock:
            for attempt in range(1, ATTEMPTS + 1):
                cursor = self._connected().cursor()
                try:
                    return work(cursor)
                except WorkbenchError:
                    raise
                except Exception as error:
                    if not self._worth_another(error) or attempt == ATTEMPTS or not again():
                        raise self._told(error) from error
                    time.sleep(0.05 * attempt)
        raise AssertionError("the last attempt returns or raises")

    def _worth_another(self, error: Exception) -> bool:
        if any(getattr(cause, "sqlstate", None) == CONFLICT for cause in chain(error)):
            return True
        if self._engine.gone(error):
            self.close()
            return True
        return False

    def _told(self, error: Exception) -> WarehouseError:
        """A foreign error in our words."""
        text = str(getattr(error, "msg", None) or error).strip() or repr(error)
        hint = self._engine.explain(text)
        return WarehouseError(f"the warehouse refused: {text}" + (f". Try this: {hint}" if hint else ""))

    def _columns_of(self, cursor: Any, goal: Table) -> tuple[str, ...]:  # noqa: ANN401
        if goal.name not in self._columns:
            cursor.execute(f"SELECT * FROM {goal.name} WHERE 1 = 0")  # noqa: S608 (our own names)
            self._columns[goal.name] = tuple(item.name.lower() for item in cursor.description)
        return self._columns[goal.name]

    def _prepare(self, cursor: Any, sql: MergeSql) -> None:  # noqa: ANN401
        """The session's temporary tables."""
        if sql.table.name not in self._prepared:
            for statement in sql.temporary_tables():
                cursor.execute(statement)
            self._prepared.add(sql.table.name)


def _engine(settings: SettingsLike) -> Engine:
    kind = settings.warehouse.engine
    if kind == "embedded":
        from workbench.warehouse.client import Embedded

        return Embedded(settings)
    if kind == "snowflake":
        from workbench.warehouse.account import Account

        return Account(settings)
    raise WarehouseError(f"no engine '{kind}'; there are embedded and snowflake")
