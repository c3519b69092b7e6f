"""JSON lines → a frame of text, as fast as Polars reads; only a batch with a bad line pays for finding it."""

import functools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl

from workbench.checking import REJECTED
from workbench.lines import Block, shapely

T = TypeVar("T")

NUMBER_REASON = "an amount is a JSON number, which loses digits; amounts travel as strings"
NO_OBJECT_REASON = "is not a JSON object"
HALF_REASON = "holds half of a surrogate pair, which is no character"
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
        The lines; a line end within one is a blank. Of two values for one key the first counts.
    columns
        The columns to read. What a line lacks is null, what it has beyond is left out.
    amounts
        The columns in which a JSON number is refused.
    """
    schema = pl.Schema(dict.fromkeys(columns, pl.String()))
    joined = given.joined if isinstance(given, Block) else b"\n".join(given)
    escapes, objects = _escapes_and_objects(joined, len(given))
    refused = _numbers(given, joined, amounts, escapes=escapes)
    if escapes:
        refused |= _halves(given, joined)
    kept = _without(range(len(given)), refused)
    lines, whole = (_without(given, refused), None) if refused else (given, joined)
    frame, broken = _decode(lines, schema, whole)
    refused |= {kept[at]: NO_OBJECT_REASON for at in broken}
    kept = _without(kept, broken)
    return Lines(_objects_again(frame, [given[at] for at in kept]) if objects else frame, kept, refused)


def unread(given: Sequence[bytes], refused: Mapping[int, str]) -> pl.DataFrame:
    """Lines that could not be read, in the form of all rejections (`workbench.checking.REJECTED`)."""
    texts = {at: given[at].decode(errors="replace") for at in refused}
    rows = [(at, reason, texts[at][:200], texts[at]) for at, reason in refused.items()]
    return pl.DataFrame(rows, schema=REJECTED, orient="row")


def _escapes_and_objects(joined: bytes, count: int) -> tuple[bool, bool]:
    r"""Whether there may be a `\u…` in the lines, and an object as a value in a line with a backslash.

    Seen at a glance, so that lines without either, which are nearly all, pay nothing for those that have them.
    """
    if b"\\" not in joined:
        return False, False
    raw = np.frombuffer(joined, np.uint8)
    escapes = any((raw[at : at + (len(raw) - at) // 2 * 2].view("<u2") == _ESCAPE).any() for at in (0, 1))
    for start in range(1, len(raw), _PIECE):  # small enough for the processor's cache
        braces = np.flatnonzero(raw[start : start + _PIECE] == _BRACE)
        before = raw[braces + (start - 1)]
        if ((before != _LINE_END) & (before != _QUOTE)).any():
            return escapes, True
    return escapes, joined.count(b"\n") >= count  # a line within a line: it may begin with a value


_ESCAPE = int.from_bytes(b"\\u", "little")
_BRACE, _LINE_END, _QUOTE = b'{\n"'
_PIECE = 64 * 1024


def _numbers(given: Sequence[bytes], joined: bytes, amounts: Sequence[str], *, escapes: bool) -> dict[int, str]:
    """The lines in which an amount is a JSON number."""
    patterns = [_as_number(name) for name in amounts if not _all_texts(joined, name)]
    patterns += [_ESCAPED_NUMBER] if escapes and amounts else []
    suspicious = [pattern for pattern in patterns if pattern.search(joined)]
    if not suspicious:
        return {}
    return {at: NUMBER_REASON for at, line in enumerate(given) if _has_number(line, amounts, suspicious)}


def _all_texts(joined: bytes, amount: str) -> bool:
    """Whether a text follows wherever the name stands, in the spelling of most writers: counted faster than searched.

    Within a text a quote is escaped, so that a name there is not counted.
    """
    name = f'"{amount}"'.encode()
    return joined.count(name) == joined.count(name + b':"') or joined.count(name) == joined.count(name + b': "')


@functools.cache
def _as_number(amount: str) -> re.Pattern[bytes]:
    """One name each: a pattern that starts with fixed text is found far faster than one with alternatives."""
    return re.compile(rf'"{amount}"\s*:\s*-?\d'.encode())


_ESCAPED_NUMBER = re.compile(rb'\\u00[4-7][0-9a-fA-F](?:[A-Za-z_]|\\u00[4-7][0-9a-fA-F])*"\s*:\s*-?\d')
r"""A number under a name that is written with an escape, as `"cost\u005famount"`."""


def _has_number(line: bytes, amounts: Sequence[str], suspicious: Sequence[re.Pattern[bytes]]) -> bool:
    """Whether an amount is a number; if it is given twice, whether one of them is."""
    if not any(pattern.search(line) for pattern in suspicious):
        return False
    try:
        held = _PAIRS.decode(line.replace(b"\n", b" ").decode())
    except RecursionError:
        return True  # too deep to be sure that it is none
    except ValueError:
        return False
    return isinstance(held, _Pairs) and any(name in amounts and isinstance(value, int | float) for name, value in held)


def _halves(given: Sequence[bytes], joined: bytes) -> dict[int, str]:
    """The lines with half of a surrogate pair, which Polars would read as a NUL."""
    if not _HALF.search(joined):
        return {}
    return {at: HALF_REASON for at, line in enumerate(given) if _HALF.search(line) and _no_text(_object(line))}


_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)


def _no_text(held: dict[str, object] | None) -> bool:
    """Whether something in an object can't be written in UTF-8."""
    try:
        json.dumps(held, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _objects_again(frame: pl.DataFrame, lines: Sequence[bytes]) -> pl.DataFrame:
    """Write objects that stand as values anew, because Polars writes their texts without escaping a quote in them."""
    found: dict[str, dict[int, str]] = {}
    for at, line in enumerate(lines):
        held = _object(line) if b"\\" in line and _OBJECT.search(line) else None
        for name in frame.columns if held else ():
            if isinstance(value := held.get(name) if held else None, dict):
                found.setdefault(name, {})[at] = json.dumps(value, ensure_ascii=False)
    return frame.with_columns(
        frame[name].scatter(list(texts), list(texts.values())).alias(name) for name, texts in found.items()
    )


_OBJECT = re.compile(rb'":\s*\{|"\s+:\s*\{')


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
    if not shapely(lines):
        return None
    joined = b"\n".join(lines) if joined is None else joined
    try:
        frame = pl.read_ndjson(joined, schema=schema)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == len(lines) else None


def _object(line: bytes) -> dict[str, object] | None:
    """What a line holds, of two values for one key the first; None where it is no object."""
    try:
        held = _PARSER.decode(line.replace(b"\n", b" ").decode())
    except ValueError:
        return None
    except RecursionError:
        return {}  # too deep for Python; Polars has the word, alone or among others
    return held if isinstance(held, dict) else None


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON, though Python would take it")


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object with all its values, where a key may stand twice."""

    __slots__ = ()


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


_PARSER = json.JSONDecoder(parse_constant=_no_json, object_pairs_hook=_first_of_each)
_PAIRS = json.JSONDecoder(parse_constant=_no_json, object_pairs_hook=_Pairs)
