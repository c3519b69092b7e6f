"""Cutting a CSV file between its records."""

import io
from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.sources.focus import sieve
from workbench.sources.focus.sieve import OPEN_QUOTE, Block, Record, blocks, records, weed

fields = st.text(st.sampled_from('ab,\n\r"é '), max_size=6)


def csv(rows: Sequence[Sequence[str]]) -> bytes:
    quoted = (",".join('"' + field.replace('"', '""') + '"' for field in row) for row in rows)
    return "".join(f"{line}\n" for line in quoted).encode()


def cut(data: bytes, longest: int = 1 << 24) -> list[Block]:
    return list(blocks(io.BytesIO(data), longest, 2))


@given(st.lists(st.lists(fields, min_size=1, max_size=3), max_size=12), st.integers(1, 64))
def test_blocks_are_the_file_cut_between_records(rows: list[list[str]], read: int) -> None:
    data = csv(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieve, "_READ", read)
        found = cut(data)
    assert b"".join(block.data for block in found) == data
    assert [block.fault for block in found] == [None] * len(found)
    whole = [record for block in found for record in records(block)]
    assert [record.data for record in whole] == [csv([row]) for row in rows]
    before = accumulate((csv([row]).count(b"\n") for row in rows), initial=2)
    assert [record.line for record in whole] == list(before)[:-1]


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    assert cut(b'1,2\n3,"4\n5,6\n7,8\n') == [
        Block(b"1,2\n", 2, 1),
        Block(b'3,"4\n', 3, 1, OPEN_QUOTE),
        Block(b"5,6\n7,8\n", 4, 2),
    ]


def test_a_quote_must_be_closed_within_the_limit() -> None:
    data = b'1,"' + b"x\n" * 40 + b'"\n2,3\n'
    found = cut(data, 64)
    assert found[0] == Block(b'1,"x\n', 2, 1, OPEN_QUOTE)
    assert b"".join(block.data for block in found) == data
    assert len(cut(data, 128)) == 1


@pytest.mark.parametrize("length", [63, 64, 65, 5_000_000])
def test_a_line_is_held_back_exactly_when_it_is_longer_than_the_limit(length: int) -> None:
    found = cut(b"a,b\n" + b"x" * length + b"\nc,d\n", 64)
    held = [block for block in found if block.fault]
    assert len(held) == (length > 64)
    assert all(block == Block(b"x" * min(length, 65), 3, 1, "line is longer than 64 bytes") for block in held)
    assert b"".join(block.data for block in found if not block.fault).endswith(b"c,d\n")
    assert [block.line for block in found if b"c,d" in block.data] in ([2], [4])


def test_half_a_line_with_an_open_quote_is_held_back() -> None:
    assert cut(b'a,b\nc,"d')[-1] == Block(b'c,"d', 3, 1, OPEN_QUOTE)


def test_an_empty_rest_has_no_blocks() -> None:
    assert cut(b"") == []


def test_blank_lines_are_no_records_but_count_as_lines() -> None:
    assert records(Block(b"\na,b\n\r\n\nc,d", 2, 5)) == [Record(b"a,b\n", 3), Record(b"c,d", 6)]


def test_rows_that_two_wrong_quotes_swallowed_are_taken_out() -> None:
    found = records(Block(b'1,2,"a\n3,4,b\n5,6,c"\n7,8,d\n', 2, 4))
    good, refused = weed(found, 3, ",")
    assert good == [Record(b"3,4,b\n", 3), Record(b"7,8,d\n", 5)]
    assert [(line.row, line.text) for line in refused] == [(2, '1,2,"a'), (4, '5,6,c"')]


def test_a_value_of_several_lines_is_left_alone() -> None:
    found = records(Block(b'1,"two\nlines, or ""three""\n",x\n', 2, 3))
    assert weed(found, 3, ",") == (found, [])


def test_a_record_that_is_no_text_is_refused_as_a_whole() -> None:
    found = records(Block(b'1,"\xff\nb"\n2,c\n3,\x00\n', 2, 4))
    good, refused = weed(found, 2, ",")
    assert good == [Record(b"2,c\n", 4)]
    assert [line.row for line in refused] == [2, 5]
    assert {line.reason for line in refused} == {"holds bytes that are no UTF-8 text"}
