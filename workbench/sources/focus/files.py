"""Which files a bill is made of, and what their first line says."""

import csv
import glob
import gzip
import zlib
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import SourceError
from workbench.focus import COLUMNS, REQUIRED
from workbench.settings import Mapping
from workbench.sources.focus.sieve import Block, records

BROKEN = (OSError, EOFError, zlib.error, pa.ArrowException, pl.exceptions.PolarsError)
"""What a file that is broken raises."""

_ENDINGS = (".csv", ".csv.gz", ".parquet", ".pq")
_LONGEST_HEAD = 1 << 20
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class Head(NamedTuple):
    """The column names of a file, and how many bytes and lines they take (CSV)."""

    names: list[str]
    size: int = 0
    lines: int = 0

    @property
    def width(self) -> int:
        """How many columns a row must have."""
        return len(self.names)


def find_files(path: str | Path) -> list[Path]:
    """Return the bill files that `path` means: itself, those of a folder (and its folders), or those of a pattern.

    Hidden files and folders are left out.

    Raises
    ------
    SourceError
        There is none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    found = path.rglob("*") if path.is_dir() else (Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207
    files = sorted(file for file in found if file.name.lower().endswith(_ENDINGS) and file.is_file())
    files = [file for file in files if not _is_hidden(file, path)]
    if not files:
        what = "holds no file that ends in" if path.is_dir() else "does not exist, or matches nothing that ends in"
        raise SourceError(f"{path} {what} {', '.join(_ENDINGS)}")
    return files


def _is_hidden(file: Path, folder: Path) -> bool:
    inner = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.name)
    return any(part.startswith(".") for part in inner.parts)


def is_parquet(path: Path) -> bool:
    """Whether the name says Parquet."""
    return path.suffix.lower() in {".parquet", ".pq"}


def open_bytes(path: Path) -> BinaryIO:
    """Open a CSV file, compressed (whatever its name says) or not."""
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP)) == _GZIP
    return cast("BinaryIO", gzip.open(path)) if compressed else path.open("rb")


def unreadable(path: Path, error: BaseException) -> SourceError:
    """Say that a file is broken."""
    what = next(iter(str(error).splitlines()), type(error).__name__)
    return SourceError(f"{path}: can't be read ({what})")


def read_head(path: Path, delimiter: str) -> Head:
    """Read the column names of a file.

    Raises
    ------
    SourceError
        The file is missing, empty, unreadable, or is no table.
    """
    if len(delimiter.encode()) != 1 or delimiter in '"\r\n':
        raise SourceError(f"{path}: can't be separated by {delimiter!r}; a delimiter is one ASCII character, e.g. ';'")
    try:
        if is_parquet(path):
            return Head(list(pq.read_schema(path).names))
        with open_bytes(path) as file:
            head = _csv_head(file.read(_LONGEST_HEAD), delimiter)
    except UnicodeDecodeError:
        raise SourceError(f"{path}: is no text in UTF-8; a bill is CSV, CSV.gz or Parquet") from None
    except (*BROKEN, csv.Error) as error:
        raise unreadable(path, error) from error
    if not any(name.strip() for name in head.names):
        raise SourceError(f"{path}: is empty; a bill begins with a line of column names")
    return head


def _csv_head(start: bytes, delimiter: str) -> Head:
    found = records(Block(start.removeprefix(_BOM), 1, 0))
    if not found:
        return Head([])
    first = found[0]
    size = start.index(first.data) + len(first.data)
    names = next(csv.reader([first.data.decode().rstrip("\r\n")], delimiter=delimiter), [])
    return Head(names, size, start.count(b"\n", 0, size))


def choose_columns(path: Path, head: Head, mapping: Mapping | None, delimiter: str) -> dict[int, str]:
    """Position of a column in the file → name in the batches: FOCUS's, or the file's own for a mapping.

    Raises
    ------
    SourceError
        A column that is needed is missing, or there twice.
    """
    places: dict[str, list[int]] = {}
    for at, name in enumerate(head.names):
        places.setdefault(name.strip().casefold(), []).append(at)
    if mapping is None:
        wanted = [name for name in COLUMNS if name.casefold() in places]
        missing = [name for name in REQUIRED if name not in wanted]
        fault = f"is no FOCUS bill, the column {' and '.join(missing)} is missing"
    else:
        wanted = list(dict.fromkeys([*mapping.fields.values(), *mapping.rows])) or head.names[:1]
        missing = [name for name in wanted if name.strip().casefold() not in places]
        fault = f"lacks the mapped column {', '.join(missing)}"
    if missing:
        raise SourceError(f"{path}: {fault}; found {_shown(head.names)}. {_advice(head.names, delimiter)}")
    return {_only(path, name, places): name for name in wanted}


def _only(path: Path, name: str, places: AnyMapping[str, list[int]]) -> int:
    found = places[name.strip().casefold()]
    if len(found) > 1:
        raise SourceError(f"{path}: has the column '{name}' twice; which one counts can't be guessed: remove one")
    return found[0]


def _shown(names: list[str]) -> str:
    return f"{', '.join(repr(name[:40]) for name in names[:6])}{' …' if len(names) > 6 else ''}"


def _advice(found: list[str], delimiter: str) -> str:
    other = next((mark for mark in ";\t|," if mark != delimiter and any(mark in name for name in found)), None)
    if other:
        return f"Its columns seem to be separated by {other!r}, not {delimiter!r}: set `delimiter` in a mapping."
    return "Describe its columns under names.columns in the profile (see params/binder.yaml)."
