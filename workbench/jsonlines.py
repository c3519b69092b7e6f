"""JSON lines → a frame of text, as fast as Polars reads; only a batch with a bad line pays for finding it."""

import functools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple, TypeVar

import polars as pl

from workbench.checking import REJECTED

T = TypeVar("T")

NUMBER_REASON = "an amount is a JSON number, which loses digits; amounts travel as strings"
NO_OBJECT_REASON = "is not a JSON object"
_FEW = 200  # places


class Lines(NamedTuple):
    """What lines hold: `frame`, its rows being the lines at `kept`; and the places of the others with their reason."""

    frame: pl.DataFrame
    kept: Sequence[int]
    refused: dict[int, str]


def read_lines(given: Sequence[bytes], columns: Sequence[str], amounts: Sequence[str]) -> Lines:
    """Read one JSON object a line into columns of text.

    Parameters
    ----------
    given
        The lines; a line end within one is a blank.
    columns
        The columns to read. What a line lacks is null, what it has beyond is left out.
    amounts
        The columns in which a JSON number is refused.
    """
    schema = pl.Schema(dict.fromkeys(columns, pl.String()))
    joined = b"\n".join(given)
    refused = _numbers(given, joined, amounts)
    kept = _without(range(len(given)), refused)
    lines, whole = (_without(given, refused), None) if refused else (given, joined)
    frame, broken = _decode(lines, schema, whole)
    refused |= {kept[at]: NO_OBJECT_REASON for at in broken}
    return Lines(frame, _without(kept, broken), refused)


def unread(given: Sequence[bytes], refused: Mapping[int, str]) -> pl.DataFrame:
    """Lines that could not be read, in the form of all rejections (`workbench.checking.REJECTED`)."""
    texts = {at: given[at].decode(errors="replace") for at in refused}
    rows = [(at, reason, texts[at][:200], texts[at]) for at, reason in refused.items()]
    return pl.DataFrame(rows, schema=REJECTED, orient="row")


def _numbers(given: Sequence[bytes], joined: bytes, amounts: Sequence[str]) -> dict[int, str]:
    """The lines in which an amount is a JSON number."""
    if not any(_as_number(name).search(joined) for name in amounts):
        return {}
    return {at: NUMBER_REASON for at, line in enumerate(given) if _has_number(line, amounts)}


@functools.cache
def _as_number(amount: str) -> re.Pattern[bytes]:
    """One name each: a pattern that starts with fixed text is found far faster than one with alternatives."""
    return re.compile(rf'"{amount}"\s*:\s*-?\d'.encode())


def _has_number(line: bytes, amounts: Sequence[str]) -> bool:
    held = _object(line) if any(_as_number(name).search(line) for name in amounts) else None
    return held is not None and any(isinstance(held.get(name), int | float) for name in amounts)


def _decode(lines: Sequence[bytes], schema: pl.Schema, joined: bytes | None) -> tuple[pl.DataFrame, Collection[int]]:
    """Decode all lines at once; if that fails, those that are JSON objects. Returns the places of the others too.

    Python's parser has the word on what is broken, but is slow: it is asked about suspects only.
    """
    frame = _read(lines, schema, joined)
    if frame is not None:
        return frame, ()
    left: Sequence[bytes] = [line.replace(b"\n", b" ").strip() for line in lines]
    good: Sequence[int] = range(len(left))
    broken: list[int] = []
    for suspects in (_misshapen, _unparsed):
        found = {at for at in suspects(left) if _object(left[at]) is None}
        broken += [good[at] for at in found]
        left, good = _without(left, found), _without(good, found)
        frame = _read(left, schema)
        if frame is not None:
            return frame, broken
    frame, more = _halve(left, schema, 0)
    return frame, [*broken, *(good[at] for at in more)]


def _without(items: Sequence[T], places: Collection[int]) -> Sequence[T]:
    """The items but for those at the places; quick where there are few."""
    if not places:
        return items
    if len(places) > _FEW:
        left_out = set(places)
        return [item for at, item in enumerate(items) if at not in left_out]
    left = list(items)
    for at in sorted(places, reverse=True):
        del left[at]
    return left


def _misshapen(lines: Sequence[bytes]) -> list[int]:
    """What can't be an object by its first and last character: found fast, and most of what is broken."""
    first, last = b"{}"
    return [at for at, line in enumerate(lines) if not line or line[0] != first or line[-1] != last]


def _unparsed(lines: Sequence[bytes]) -> list[int]:
    """What a faster parser finds no id in. An object without one is among them too, which does no harm."""
    text = pl.Series([_text(line) for line in lines], dtype=pl.String)
    return text.str.json_path_match("$.event_id").is_null().arg_true().to_list()


def _text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _halve(lines: Sequence[bytes], schema: pl.Schema, first: int) -> tuple[pl.DataFrame, list[int]]:
    """Halve until what Polars can't read stands alone: lines that only Python takes for JSON."""
    frame = _read(lines, schema)
    if frame is not None:
        return frame, []
    if len(lines) == 1:
        return pl.DataFrame(schema=schema), [first]
    middle = len(lines) // 2
    left, left_bad = _halve(lines[:middle], schema, first)
    right, right_bad = _halve(lines[middle:], schema, first + middle)
    return pl.concat([left, right]), left_bad + right_bad


def _read(lines: Sequence[bytes], schema: pl.Schema, joined: bytes | None = None) -> pl.DataFrame | None:
    """Read the lines, or None where one of them is bad: then Polars refuses all, or has not a row for each."""
    if not lines:
        return pl.DataFrame(schema=schema)
    if not _shapely(lines):
        return None
    joined = b"\n".join(lines) if joined is None else joined
    try:
        frame = pl.read_ndjson(joined, schema=schema)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == len(lines) else None


def _shapely(lines: Sequence[bytes]) -> bool:
    """Whether each line begins and ends like an object: looked at before Polars, which would read all until it fails.

    It also keeps blank lines out: they would vanish, and two rows of another line could make up for one.
    """
    first, last = b"{}"
    return all(lines) and set(map(itemgetter(0), lines)) == {first} and set(map(itemgetter(-1), lines)) == {last}


def _object(line: bytes) -> dict[str, object] | None:
    try:
        held = _PARSER.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return held if isinstance(held, dict) else None


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON, though Python would take it")


_PARSER = json.JSONDecoder(parse_constant=_no_json)
