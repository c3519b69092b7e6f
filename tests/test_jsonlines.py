"""JSON lines: the good ones in a frame, each bad one by itself, whatever is wrong with it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.jsonlines import NO_OBJECT_REASON, NUMBER_REASON, read_lines

COLUMNS = ["event_id", "amount", "note"]
GOOD = [json.dumps({"event_id": str(number), "amount": "1.5"}).encode() for number in range(20)]

BROKEN = {
    "cut": GOOD[0][:9],
    "a list": b"[1]",
    "a number": b"7",
    "null": b"null",
    "two objects": GOOD[0] + b" " + GOOD[1],
    "two lines": GOOD[0] + b"\n" + GOOD[1],
    "blank": b"  ",
    "empty": b"",
    "not text": b'{"event_id": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf" + GOOD[0],
    "another encoding": GOOD[0].decode().encode("utf-16"),
    "a control character": b'{"event_id": "\x01"}',
    "NaN": b'{"event_id": "1", "amount": NaN}',
    "single quotes": b"{'event_id': '1'}",
    "nested too deep": b'{"event_id":' * 5_000 + b"1" + b"}" * 5_000,
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("place", [0, 7, 20])
def test_a_broken_line_is_refused_by_itself(broken: bytes, place: int) -> None:
    lines = [*GOOD[:place], broken, *GOOD[place:]]
    read = read_lines(lines, COLUMNS, ["amount"])
    assert read.refused == {place: NO_OBJECT_REASON}
    assert list(read.kept) == [at for at in range(21) if at != place]
    assert read.frame["event_id"].to_list() == [str(number) for number in range(20)]


def test_all_kinds_of_broken_lines_at_once_are_refused_and_nothing_else() -> None:
    lines = [line for pair in zip(GOOD, BROKEN.values(), strict=False) for line in pair]
    read = read_lines(lines, COLUMNS, ["amount"])
    assert sorted(read.refused) == list(range(1, 2 * len(BROKEN), 2))
    assert read.frame.height == len(read.kept) == len(BROKEN)


@pytest.mark.parametrize("number", [b"1.5", b"-1", b" 7", b"1e3", b"12345678901234567890.123456789"])
def test_an_amount_that_is_a_number_is_refused_however_it_is_written(number: bytes) -> None:
    lines = [GOOD[0], b'{"event_id": "x", "amount":' + number + b"}", b'{"amount":"1","amount":' + number + b"}"]
    assert read_lines(lines, COLUMNS, ["amount"]).refused == {1: NUMBER_REASON, 2: NUMBER_REASON}


def test_a_number_elsewhere_a_null_amount_and_the_words_within_a_text_are_fine() -> None:
    rows = [{"note": 5}, {"amount": None}, {"note": '"amount": 5'}, {"note": {"amount": 5}}, {"other": [1]}, {}]
    read = read_lines([json.dumps(row).encode() for row in rows], COLUMNS, ["amount"])
    assert read.refused == {}
    assert read.frame["note"].to_list() == ["5", None, '"amount": 5', '{"amount": 5}', None, None]


def test_a_line_end_within_an_object_is_a_blank() -> None:
    lines = [json.dumps({"event_id": "1", "amount": "2"}, indent=2).encode(), GOOD[1] + b"\n"]
    read = read_lines(lines, COLUMNS, ["amount"])
    assert read.refused == {}
    assert read.frame["event_id"].to_list() == ["1", "1"]


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([*GOOD, *BROKEN.values()])), max_size=12))
def test_whatever_comes_each_line_is_either_a_row_or_refused(lines: list[bytes]) -> None:
    read = read_lines(lines, COLUMNS, ["amount"])
    assert read.frame.height == len(read.kept)
    assert sorted([*read.kept, *read.refused]) == list(range(len(lines)))
    assert all(lines[at] not in GOOD for at in read.refused)
