"""Tables from files, as they stand there: CSV as texts, Parquet with its types."""

import csv
import gzip
import io
from pathlib import Path

import polars as pl

from workbench.errors import SourceError

ENDINGS = (".csv.gz", ".csv", ".tsv", ".parquet")
TOO_LONG = "the row has more fields than the head"

_SEPARATORS = ",;\t|"
_GZIP = b"\x1f\x8b"


def stem_of(file: Path) -> str:
    """A file's name without its ending."""
    ending = next((each for each in ENDINGS if file.name.casefold().endswith(each)), "")
    return file.name[: len(file.name) - len(ending)] or file.name


def table_of(file: Path) -> tuple[pl.DataFrame, int]:
    """Read a file.

    Returns
    -------
    Its table without rows in which nothing stands, a CSV's columns all as text; and how many rows were left out because
    they have more fields than the head (such as `1,5` for one and a half).

    Raises
    ------
    SourceError
        It cannot be read.
    """
    try:
        table, too_long = (_parquet(file), 0) if file.name.casefold().endswith(".parquet") else _csv(file)
    except (pl.exceptions.PolarsError, OSError, csv.Error, EOFError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SourceError(f"'{file}' can't be read: {said}; it must be CSV or Parquet") from None
    if not table.width:
        raise SourceError(f"'{file}' is empty; it must have a head and rows")
    return table.filter(~pl.all_horizontal(pl.all().is_null())), too_long


def _parquet(file: Path) -> pl.DataFrame:
    return pl.read_parquet(file, glob=False, hive_partitioning=False)


def _csv(file: Path) -> tuple[pl.DataFrame, int]:
    separator = _separator(file)
    try:
        return pl.read_csv(file, separator=separator, infer_schema=False, encoding="utf8-lossy", glob=False), 0
    except pl.exceptions.NoDataError:
        return pl.DataFrame(), 0
    except pl.exceptions.ComputeError:  # one row is too long; polars says no more than that, or cuts it silently
        return _row_by_row(file, separator)


def _row_by_row(file: Path, separator: str) -> tuple[pl.DataFrame, int]:
    rows = csv.reader(io.StringIO(_text(file), newline=""), delimiter=separator)
    head = next(rows, [])
    kept, too_long = [], 0
    for row in rows:
        if len(row) > len(head):
            too_long += 1
        else:
            kept.append([cell or None for cell in row] + [None] * (len(head) - len(row)))
    return pl.DataFrame(kept, schema=dict.fromkeys(head, pl.String), orient="row"), too_long


def _text(file: Path) -> str:
    return _bytes(file).decode("utf-8-sig", errors="replace")


def _bytes(file: Path, most: int = -1) -> bytes:
    with file.open("rb") as plain:
        packed = plain.read(len(_GZIP)) == _GZIP
    with gzip.open(file) if packed else file.open("rb") as opened:
        return opened.read(most)


def _separator(file: Path) -> str:
    head = _bytes(file, 1 << 16).decode("utf-8", errors="replace").partition("\n")[0]
    return max(_SEPARATORS, key=head.count)
