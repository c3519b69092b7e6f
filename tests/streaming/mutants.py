"""Messages that something has happened to: valid events of every kind, changed at random from a seed."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Message

from workbench.events import SCHEMAS
from workbench.streaming.topics import INPUTS

GOOD_HEADERS = [("schema_version", b"1")]
_TEXTS = ("compute", "eu-west-1", "Größe", "日本", 'a "quoted" one', "back\\slash", "😀", "tab\there", "{}", "x" * 300)
_NUMBERS = ("1e400", "-1e-400", "12345678901234567890.123456789012", "0.1234567890123", "1" * 60, "NaN", "Infinity",
            "-Infinity", "007", "+1", "1_000", ".5", "5.", "-0", "1e3", "0x10", "1e99999999999")  # fmt: skip
_OTHERS: tuple[Any, ...] = (None, True, False, 0, -1, 1.5, 10**30, [], {}, [1, "a", None], {"a": {"b": ["c\"d\\e\n"]}},
                            "", "   ", "\x00", "a\x00b", "NaN", "2025-10-01", "9" * 40, "x" * 4_096,
                            "é" * 2_049)  # fmt: skip
_BYTES = (b"\x00", b"\xff", b"\xef\xbb\xbf", b'"', b"\\", b"{", b"}", b"\n", b"\r", b"\x0c", b",", b":", b"\\u0000",
          b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\xed\xa0\x80", b"\xc0\xaf", b"\x7f", b"1", b" ")  # fmt: skip


def event(chance: random.Random, kind: str) -> dict[str, Any]:
    """A valid event as JSON would hold it."""
    day = f"2025-10-{chance.randint(1, 28):02d}T{chance.randint(0, 23):02d}:{chance.randint(0, 59):02d}"
    made: dict[str, Any] = {
        "event_id": f"{chance.getrandbits(64):016x}",
        "timestamp": day + chance.choice(["Z", ":07Z", ":07.123456Z", ":00+02:00", ":59.5-05:30"]),
        "cost_amount": _amount(chance), "revenue_impact": _amount(chance), "cost_estimate": _amount(chance),
        "utilization": chance.choice([0, 1, 0.25, round(chance.random(), 6)]),
        "metadata": chance.choice(["{}", '{"a": 1}', {"team": "web", "n": [1, 2]}, {"said": 'a "word"\\\n'}]),
        "currency": chance.choice(["USD", "EUR", "usd"]),
        "observed_at": chance.choice([None, "2025-11-01T00:00:00Z", "2025-11-01T00:00:00.000001Z"]),
    }  # fmt: skip
    names = [name for name in SCHEMAS[kind] if name != "loaded_at"]
    return {name: made[name] if name in made else chance.choice(_TEXTS) for name in names}


def _amount(chance: random.Random) -> str:
    digits = chance.randint(0, 12)
    whole = chance.choice([0, 7, 123, 10**15])
    return f"{chance.choice(['', '-'])}{whole}" + (f".{chance.randrange(10**digits):0{digits}d}" if digits else "")


def written(chance: random.Random, held: dict[str, Any]) -> bytes:
    """An event as one of the ways of writing JSON gives it."""
    way = chance.randrange(4)
    if way == 0:
        return json.dumps(held).encode()
    if way == 1:
        return json.dumps(held, ensure_ascii=False, separators=(",", ":")).encode()
    return json.dumps(held, ensure_ascii=way == 2, indent=chance.choice([None, 1])).encode()


# What happens to a value


def fine(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    return written(chance, held)


def bytes_changed(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    value = bytearray(written(chance, held))
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at, way = chance.randrange(len(value)), chance.randrange(4)
        if way == 0:
            value[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            value[at:at] = chance.choice(_BYTES)
        elif way == 2:
            del value[at]
        else:
            value[at : at + 1] = chance.choice(_BYTES)
    return bytes(value)


def cut(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    value = written(chance, held)
    return chance.choice([value[: chance.randrange(len(value))], value[chance.randrange(len(value)) :], value * 2,
                          b" \n" + value + b"\n ", b"[" + value + b"]", value + b",", b"", None])  # fmt: skip


def types_changed(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    for name in chance.sample(sorted(held), chance.choice([1, 1, 2])):
        held[name] = chance.choice(_OTHERS)
    if chance.random() < 0.2:
        del held[chance.choice(sorted(held))]
    return written(chance, held)


def numbers_changed(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    name, number = chance.choice(sorted(held)), chance.choice(_NUMBERS)
    held[name] = "\x02"
    bare = chance.random() < 0.5
    return json.dumps(held).encode().replace(b'"\\u0002"', number.encode() if bare else f'"{number}"'.encode())


def keys_doubled(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    name, other = chance.choice(sorted(held)), chance.choice([1.5, "2.5", None, "again", {"a": 1}])
    more = f'"{_escaped(chance, name)}": {json.dumps(other)}'.encode()
    value = json.dumps(held).encode()
    return b"{" + more + b", " + value[1:] if chance.random() < 0.5 else value[:-1] + b", " + more + b"}"


def keys_escaped(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    parts = []
    for name, value in held.items():
        value = 1.23456789012345678 if chance.random() < 0.05 else value  # noqa: PLW2901
        parts.append(f'"{_escaped(chance, name)}" : {json.dumps(value)}')
    return ("{" + ",".join(parts) + "}").encode()


def _escaped(chance: random.Random, name: str) -> str:
    at = chance.randrange(len(name))
    return f"{name[:at]}\\u{ord(name[at]):04x}{name[at + 1 :]}" if chance.random() < 0.5 else name


def deep(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    depth = chance.choice([5, 100, 127, 128, 129, 500, 990, 1_000, 1_020, 1_023, 1_024, 1_030, 3_000])
    nest = b"[" * depth + b"]" * depth if chance.random() < 0.5 else b'{"a":' * depth + b"1" + b"}" * depth
    name = chance.choice(["metadata", "more", *held])
    held[name] = "\x02"
    return json.dumps(held).encode().replace(b'"\\u0002"', nest)


def encoded_otherwise(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    text = json.dumps(held, ensure_ascii=False)
    encoding = chance.choice(["utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-8-sig", "utf-7", "shift_jis"])
    return text.encode(encoding, errors="replace")


def halves_of_pairs(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    name = chance.choice(sorted(held))
    half = chance.choice(["\\ud800", "\\udc00", "\\ud800\\ud800", "\\uD83D\\uDE00", "\\\\ud800", "\\uDBFFx", "\\u0000"])
    held[name] = chance.choice(["\x02", "a\x02", "\x02z"])
    return json.dumps(held).encode().replace(b"\\u0002", half.encode())


def times_changed(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    name = chance.choice(["timestamp", "observed_at"])
    held[name] = chance.choice(
        ["2025-10-01T24:00:00Z", "2025-02-30T00:00:00Z", "2025-10-01T23:59:60Z", "2025-10-01 00:00:00 UTC",
         "2025-10-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z",
         "-0001-01-01T00:00:00Z", "2025-10-01T00:00Z", "2025-10-01T00:00:00+14:00", "2025-10-01T00:00:00+99:99",
         "2025-10-01T00:00:00.123456789Z", "2025-10-01t00:00:00z", "2025-1-2T3:4:5Z", "20251001T000000Z",
         "2025-W40-1", " 2025-10-01T00:00:00Z ", "2025-10-01T00:00:00\u22120500", "1759276800",
         "2025-10-01T00:00:00-00:00",
         "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-12:00"]
    )  # fmt: skip
    return written(chance, held)


def noise(chance: random.Random, held: dict[str, Any]) -> bytes | None:
    del held
    return chance.choice([chance.randbytes(chance.randrange(1, 200)), b"null", b"7", b'"text"', b"[]", b"{}", b"{",
                          b"\n", b" ", b"\x00" * 20, b"{\n}", b'{"event_id"\n:"1"}', b"}{"])  # fmt: skip


MUTATIONS: tuple[Callable[[random.Random, dict[str, Any]], bytes | None], ...] = (
    fine, bytes_changed, bytes_changed, bytes_changed, cut, types_changed, types_changed, numbers_changed,
    keys_doubled, keys_escaped, deep, encoded_otherwise, halves_of_pairs, times_changed, noise,
)  # fmt: skip

HEADERS: tuple[Any, ...] = (
    None, [], [("schema_version", b"2")], [("schema_version", None)], [("schema_version", b"1"), ("trace", b"\xff")],
    [("schema_version", b"1"), ("schema_version", b"2")], [("Schema_Version", b"1")],
)  # fmt: skip


def mutants(seed: int, count: int, kind: str) -> Iterator[Message]:
    """So many messages of a kind of event, at consecutive offsets of one partition."""
    chance = random.Random(seed)
    topic = INPUTS[kind].name
    for offset in range(count):
        held = event(chance, kind)
        value = chance.choice(MUTATIONS)(chance, held)
        headers = GOOD_HEADERS if chance.random() < 0.95 else chance.choice(HEADERS)
        key = chance.choice([b"shop", b"shop", None, b"", b"\xff\x00"])
        yield Message(topic=topic, partition=1, offset=offset, key=key, value=value, headers=headers,
                      timestamp=(2, 1_762_000_000_000 + offset))  # fmt: skip
