"""What a message means, read slowly and on its own by Python's json and decimal: nothing of the workbench's reading.

`read` is what an event may be taken for, `plain` whether there is no excuse for not taking it.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import polars as pl
from confluent_kafka import Message

from workbench.events import SCHEMAS

_WIDE = Context(prec=10_000)
_TOO_DEEP = 100  # to be compared level by level
MOST_BYTES = 10_000_000
_LONGEST = {"metadata": 65_536}
_MUST = ("event_id", "timestamp", "cost_amount", "revenue_impact", "utilization", "currency")
_AMOUNTS = ("cost_amount", "revenue_impact", "cost_estimate")
_TIMES = ("timestamp", "observed_at", "loaded_at")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TIME = re.compile(
    r"(?P<year>\+?\d{1,6})\s*-\s*(?P<month>\d\d?)\s*-\s*(?P<day>\d\d?)[Tt ]\s*(?P<hour>\d\d?)\s*:\s*(?P<minute>\d\d?)"
    r"\s*(:\s*(?P<second>\d\d?)\s*([.,](?P<part>\d+))?)?\s*(?P<zone>[zZ]|UTC|[+-]\d\d\s*:?\s*(\d\d)?)"
)


_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?")


class Wrong(Exception):
    """The message is no valid event."""


class TooDeep(Exception):
    """Python can't say what the message is."""


class Number(str):
    """A JSON number, as it was written."""

    __slots__ = ()


def read(message: Message, kind: str) -> dict[str, Any]:
    """The event that a message holds; raises Wrong if it holds none, TooDeep if that can't be said."""
    value, held = message.value(), {}
    if not value or len(value) > MOST_BYTES:
        raise Wrong("size")
    if [text for name, text in message.headers() or () if name == "schema_version"] != [b"1"]:
        raise Wrong("header")
    for name, found in objects(value):
        held.setdefault(name, found)  # of two the first counts
        if name in _AMOUNTS and isinstance(found, Number):
            raise Wrong("an amount is a number")
    event = {name: _field(name, dtype, held.get(name)) for name, dtype in SCHEMAS[kind].items()}
    if event["observed_at"] is None:
        event["observed_at"] = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=message.timestamp()[1])
    event["business_unit"] = "unallocated" if event["business_unit"] is None else event["business_unit"]
    _check(event)
    return event


def is_plain(message: Message, kind: str) -> bool:
    """Whether a message holds an event without anything odd in it, so that it has to be taken."""
    try:
        read(message, kind)
    except (Wrong, TooDeep):
        return False
    held = dict(reversed(objects(message.value())))
    return all(held.get(name) is None or _ISO.fullmatch(held[name].strip()) for name in _TIMES)


def objects(value: bytes) -> list[tuple[str, Any]]:
    """The pairs of a JSON object in the order in which they stand; numbers as they are written."""
    try:
        text = value.replace(b"\n", b" ").strip().decode()
        held = json.loads(text, object_pairs_hook=_Pairs, parse_int=_whole, parse_float=_number, parse_constant=_refuse)
        json.dumps(held, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except RecursionError as error:
        raise TooDeep from error
    except ValueError as error:
        raise Wrong(str(error)) from error
    if not isinstance(held, _Pairs):
        raise Wrong("no object")
    return list(held)


class _Pairs(list[Any]):
    """An object, as against a list."""


def _whole(text: str) -> Number:
    if len(text.lstrip("-")) > 38:
        raise Wrong("a whole number that 128 bits don't hold")
    return Number(text)


def _number(text: str) -> Number:
    if abs(float(text)) == float("inf"):
        raise Wrong("a number that no double holds")
    return Number(text)


def _refuse(word: str) -> None:
    raise Wrong(word)


def _field(name: str, dtype: pl.DataType, found: Any) -> Any:
    if found is None or (isinstance(found, str) and not found.strip()):
        if name == "utilization" and found is not None:
            raise Wrong("blank share")
        return None
    if name in _AMOUNTS:
        return amount(found)
    if name in _TIMES:
        return moment(found)
    if name == "utilization":
        return share(found)
    del dtype
    return found.strip() if isinstance(found, str) and not isinstance(found, Number) else found


def amount(found: Any) -> Decimal:
    """The exact amount of a text."""
    if not isinstance(found, str) or not _NUMBER.fullmatch(found.strip()):
        raise Wrong("no number")
    try:
        exact = Decimal(found.strip())
    except InvalidOperation as error:
        raise Wrong("no number") from error
    if exact and (exact.adjusted() > 25 or exact.adjusted() < -12):
        raise Wrong("too large, or too small")
    if exact and -_WIDE.normalize(exact).as_tuple().exponent > 12:
        raise Wrong("too many digits")
    return exact


def share(found: Any) -> float:
    """A number between 0 and 1."""
    try:
        number = float(found) if isinstance(found, str) else float(json.dumps(found))
    except ValueError as error:
        raise Wrong("no number") from error
    if not 0 <= number <= 1:
        raise Wrong("no share")
    return number


def moment(found: Any) -> datetime:
    """A time with a zone."""
    parts = _TIME.fullmatch(found.strip()) if isinstance(found, str) else None
    if parts is None:
        raise Wrong("no time")
    zone, micros = re.sub(r"[\s:]", "", parts["zone"]), (parts["part"] or "0")[:6].ljust(6, "0")
    away = 0 if zone in {"z", "Z", "UTC"} else int(zone[1:3]) * 60 + int(zone[3:] or 0)
    second = int(parts["second"] or 0)
    try:
        local = datetime(
            *(int(parts[name]) for name in ("year", "month", "day", "hour", "minute")), min(second, 59), tzinfo=UTC
        )
        if second > 60 or away >= 24 * 60:
            raise Wrong("no such second, no such zone")
        return local + timedelta(seconds=second // 60, microseconds=int(micros)) - timedelta(
            minutes=-away if zone[0] == "-" else away)  # fmt: skip
    except (ValueError, OverflowError) as error:
        raise Wrong("no such time") from error


def _check(event: Mapping[str, Any]) -> None:
    for name in _MUST:
        if name in event and event[name] is None:
            raise Wrong(f"no {name}")
    for name, value in event.items():
        if type(value) is str and len(value.encode()) > _LONGEST.get(name, 4_096):
            raise Wrong(f"{name} is too long")
    if not isinstance(event["currency"], str) or not re.fullmatch("[A-Z]{3}", event["currency"].upper()):
        raise Wrong("currency")
    if event["timestamp"] - event["observed_at"] > timedelta(days=2):
        raise Wrong("future")


def same(name: str, found: Any, read: Any) -> bool:
    """Whether a field of an event is what the slow reading says."""
    if isinstance(read, Number):
        return float(found) == float(read)
    if name == "currency":
        return bool(found == read.upper())
    if isinstance(read, bool):
        return bool(found == json.dumps(read))
    if isinstance(read, list):
        if name != "metadata":
            return isinstance(found, str)  # a text that is nothing else than text: only metadata is promised to be JSON
        return found.count("[") + found.count("{") > _TOO_DEEP or json_of(found) == _plain(read)
    return bool(found == read)


def json_of(text: str) -> Any:
    """What a text says, or the text itself if it is no JSON."""
    try:
        return _plain(json.loads(text, object_pairs_hook=_Pairs))
    except ValueError:
        return text


def json_of_value(value: Any) -> Any:
    """The same of a value that was never text."""
    return json_of(json.dumps(value))


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {name: _plain(each) for name, each in reversed(value)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, int | float | Number) and not isinstance(value, bool) else value
