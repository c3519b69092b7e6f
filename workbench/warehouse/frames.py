"""Between Polars and the connector: values in, frames out."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from workbench import focus
from workbench.errors import WarehouseError
from workbench.warehouse.models import statements

Value = str | int | float | bool | Decimal | date | datetime | None
"""What can be bound to a `?`."""

FOCUS_NAMES = {name.upper(): name for name in focus.COLUMNS}

_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_READS = {"select", "with", "show", "describe", "desc", "explain", "values", "list"}


def check_reads_only(sql: str) -> None:
    """Raise WarehouseError unless `sql` is a statement that only reads: a query may be asked twice."""
    word = re.match(r"[\s(]*([A-Za-z]+)", _COMMENTS.sub(" ", sql))
    if word is None or word[1].lower() not in _READS:
        raise WarehouseError(
            f"query only reads, and this starts with '{word[1] if word else sql[:20]}': use load or merge to write, "
            f"or the Snowpark session for anything else"
        )
    if len(statements(sql)) > 1:
        raise WarehouseError("query takes one statement, and this is more than one: ask them one by one")


def bind(params: Sequence[Value]) -> tuple[Value, ...]:
    """Parameters as the connector takes them: times without zone, in UTC; decimals without exponent.

    A time without a zone is taken for UTC. Raises WarehouseError for a value that can't be bound.
    """
    if isinstance(params, str | bytes) or not isinstance(params, Sequence):
        raise WarehouseError(f"params must be a list of values, one for each ?, not {type(params).__name__}")
    return tuple(_bound(value) for value in params)


def _bound(value: Value) -> Value:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise WarehouseError(f"{value} can't be bound: it is no number")
        return Decimal(format(value, "f"))
    if value is None or isinstance(value, str | int | float | date):
        return value
    raise WarehouseError(
        f"a {type(value).__name__} can't be bound; a value is text, a number, a date, a time, a bool or None"
        " (for a list write one ? for each value)"
    )


def received(cursor: Any) -> pl.DataFrame:  # noqa: ANN401 (a cursor of the connector)
    """The cursor's result: FOCUS columns in their own case, all others lower case; times in UTC; decimals exact."""
    from snowflake.connector.errors import NotSupportedError

    try:
        table = cursor.fetch_arrow_all(force_return_table=True)
    except NotSupportedError:  # SHOW and its like come as JSON
        names = [column.name for column in cursor.description]
        return _typed(pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None))
    if table.num_rows == 0:
        table = table.cast(_schema_of_nothing(table.schema, cursor.description))
    names = [_name(name) for name in table.column_names]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise WarehouseError(f"the query has several columns called {', '.join(sorted(twice))}: name them with AS")
    return _typed(pl.DataFrame(pl.from_arrow(table.rename_columns(names))))


def _schema_of_nothing(schema: Any, description: Sequence[Any]) -> Any:  # noqa: ANN401 (pyarrow's schema)
    """The connector makes every number of an empty result an integer; the description knows better."""
    import pyarrow as pa

    fixed = 0  # the connector's code for NUMBER
    for index, column in enumerate(description):
        if column.type_code == fixed and column.scale:
            schema = schema.set(index, pa.field(column.name, pa.decimal128(column.precision or 38, column.scale)))
    return schema


def _name(name: str) -> str:
    return FOCUS_NAMES.get(name.upper(), name.lower())


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """The same types whatever the engine sent: Int64, Datetime("us", "UTC"), Decimal."""
    casts = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Datetime):
            moment = pl.col(name).cast(pl.Datetime("us", dtype.time_zone))
            casts.append(moment.dt.convert_time_zone("UTC") if dtype.time_zone else moment.dt.replace_time_zone("UTC"))
        elif dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0 and _fits(frame[name])):
            casts.append(pl.col(name).cast(pl.Int64))
    return frame.with_columns(casts).rename(_name)


def _fits(values: pl.Series) -> bool:
    return values.cast(pl.Int64, strict=False).null_count() == values.null_count()


def unknown_columns(given: Iterable[str], there: Iterable[str]) -> list[str]:
    """Names of `given` that are not among `there`, whatever the case."""
    known = {name.casefold() for name in there}
    return [name for name in given if name.casefold() not in known]
