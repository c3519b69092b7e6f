"""What fakesnow 0.12.1 does not do as its clients need it, put right inside the owner's process.

Each function says what goes wrong without it. Nothing here runs in a client.
"""

import contextlib
import datetime as dt
import sys
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 (TIMESTAMP_NTZ has no zone)


def import_quickly() -> None:
    """Import fakesnow without what it imports only because it is there, which takes longer than all the rest.

    The owner's process needs none of it; `import pandas` fails in it from now on.
    """
    sys.modules.update(dict.fromkeys(("boto3", "botocore", "aioboto3", "aiobotocore", "pandas")))  # type: ignore[arg-type]
    import pyarrow as pa

    with contextlib.suppress(AttributeError):
        pa.scalar(1)  # pyarrow looks for pandas once in a process, and stumbles over its absence once
    import_module("fakesnow.server")


def apply(on_fatal: Callable[[str], None]) -> None:
    """Put everything right. `on_fatal` is called with the reason when the database can't be used any more."""
    _errors_are_answers(on_fatal)
    _bindings_keep_their_types()
    _uploads_are_copies()
    _temporary_tables_can_be_copied_into()
    _results_are_forgotten()
    _sums_are_exact()
    _no_time_stays_no_time()
    _results_travel_light()


def _errors_are_answers(on_fatal: Callable[[str], None]) -> None:
    """A DuckDB error that fakesnow does not know becomes HTTP 500, and the connector repeats the statement.

    A statement that failed once would run again and again inside a broken transaction.
    """
    import duckdb
    from fakesnow.cursor import FakeSnowflakeCursor
    from snowflake.connector.errors import ProgrammingError

    plain = FakeSnowflakeCursor.execute

    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            return plain(self, *args, **kwargs)
        except duckdb.Error as error:
            text = str(error)
            if isinstance(error, duckdb.FatalException) or "database has been invalidated" in text:
                on_fatal(text)
            state = "40001" if isinstance(error, duckdb.TransactionException) else "XX000"
            raise ProgrammingError(msg=f"{type(error).__name__}: {text}", errno=100132, sqlstate=state) from error

    FakeSnowflakeCursor.execute = execute


def _bindings_keep_their_types() -> None:
    """A bound decimal fails (`int('1.5')`), and a bound time comes with a zone.

    The zone makes DuckDB convert the whole column instead of skipping the row groups outside the range.
    """
    server: Any = import_module("fakesnow.server")
    plain = server.from_binding

    def from_binding(binding: dict[str, str]) -> object:
        kind, value = binding["type"], binding["value"]
        if value is None:
            return None
        if kind == "FIXED" and not value.lstrip("+-").isdigit():
            return Decimal(value)
        if kind == "TIMESTAMP_NTZ":
            return EPOCH + dt.timedelta(microseconds=int(value) // 1000)
        return plain(binding)

    server.from_binding = from_binding


def _uploads_are_copies() -> None:
    """A PUT goes through HTTP and the server's memory, file by file.

    Client and owner share a disk: let the connector copy.
    """
    server: Any = import_module("fakesnow.server")
    server.gcs_stage_info = lambda _request, _expression, data: data["stageInfo"]


def _temporary_tables_can_be_copied_into() -> None:
    """COPY INTO looks for its target's columns in the named schema, where DuckDB keeps no temporary tables."""
    copy_into: Any = import_module("fakesnow.copy_into")
    plain = copy_into._describe_table  # noqa: SLF001

    def describe(table: Any, connection: Any, database: str, schema: str) -> list[tuple[str, str]]:  # noqa: ANN401
        if not table.db:
            found = connection.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND database_name = 'temp' "
                "ORDER BY column_index",
                [table.name],
            ).fetchall()
            if found:
                return [(name, kind) for name, kind in found]
        return list(plain(table, connection, database, schema))

    copy_into._describe_table = describe  # noqa: SLF001


def _sums_are_exact() -> None:
    """SUM(amount) becomes SUM(TRY_CAST(amount AS DOUBLE)): money as a binary fraction, another sum every time.

    What this gives up is SUM over text, which Snowflake takes for numbers.
    """
    transforms: Any = import_module("fakesnow.transforms.transforms")
    exp = import_module("sqlglot").exp

    def keep_type(expression: Any) -> Any:  # noqa: ANN401
        if isinstance(expression, transforms._NUMERIC_ONLY_AGGS) and isinstance(expression.parent, exp.Select):  # noqa: SLF001
            name = transforms._numeric_agg_col_name(expression, expression.this)  # noqa: SLF001
            return exp.alias_(expression, name, quoted=True) if name else expression
        return expression

    transforms_used: Any = import_module("fakesnow.transforms")
    transforms_used.numeric_agg_implicit_cast = keep_type


def _no_time_stays_no_time() -> None:
    """A NULL time arrives as 1970-01-01."""
    import pyarrow as pa

    arrow: Any = import_module("fakesnow.arrow")
    plain = arrow.timestamp_to_sf_struct

    def with_nulls(times: Any) -> Any:  # noqa: ANN401
        if isinstance(times, pa.ChunkedArray):
            times = times.combine_chunks()
        if times.null_count == 0:
            return plain(times)
        struct = plain(times)
        return pa.StructArray.from_arrays(struct.flatten(), fields=list(struct.type), mask=times.is_null())

    arrow.timestamp_to_sf_struct = with_nulls


def _results_travel_light() -> None:
    """A large result is copied six times on its way out, a gigabyte for a million rows.

    Base64 needs no escaping: the answer is put together from bytes.
    """
    server: Any = import_module("fakesnow.server")
    mark = "the rows come here"

    class Rows:
        def __init__(self, encoded: bytes) -> None:
            self.encoded = encoded

        def decode(self, _encoding: str) -> "Rows":
            return self

    class Answer(server.JSONResponse):  # type: ignore[misc]
        def render(self, content: Any) -> bytes:  # noqa: ANN401
            data = content.get("data") if isinstance(content, dict) else None
            rows = data.get("rowsetBase64") if isinstance(data, dict) else None
            if not isinstance(data, dict) or not isinstance(rows, Rows):
                return bytes(super().render(content))
            before, after = super().render({**content, "data": {**data, "rowsetBase64": mark}}).split(mark.encode())
            return b"".join((before, rows.encoded, after))

    server.b64encode = lambda data: Rows(b64encode(data))
    server.JSONResponse = Answer


def _results_are_forgotten() -> None:
    """Every result of every query is kept for ever, for RESULT_SCAN."""
    server: Any = import_module("fakesnow.server")
    server.shared_fs.results_cache = Recent(keep=8)


class Recent(OrderedDict[str, tuple[Any, ...]]):
    """The last few results, and of large ones none."""

    LARGE = 1_000_000  # bytes

    def __init__(self, keep: int) -> None:
        super().__init__()
        self.keep = keep

    def __setitem__(self, key: str, value: tuple[Any, ...]) -> None:
        table = value[0]
        if table is None or table.nbytes <= self.LARGE:
            super().__setitem__(key, value)
            while len(self) > self.keep:
                self.popitem(last=False)
