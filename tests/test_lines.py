"""Lines as one block: the same lines, read at once."""

import pytest

from workbench.jsonlines import read_lines
from workbench.lines import Block, block, one_block

OBJECTS = [b'{"a":"1"}', b'{"a":"2"}', b'{"a":null}']


def test_a_block_gives_back_the_lines_it_was_made_of() -> None:
    made = block(OBJECTS)
    assert isinstance(made, Block)
    assert list(made) == OBJECTS
    assert made[1] == OBJECTS[1]
    assert made[1:] == OBJECTS[1:]
    assert len(made) == 3


@pytest.mark.parametrize(
    "odd", [b"", b" {}", b"[1]", b'{"a":\n"1"}', b'{"a":"1"}\n{"a":"2"}', b"\xef\xbb\xbf{}"], ids=repr
)
def test_a_line_that_is_not_plain_makes_no_block_and_stays_as_it_is(odd: bytes) -> None:
    values = [*OBJECTS, odd]
    assert block(values) is values
    assert not isinstance(one_block([block(OBJECTS), block(values)]), Block)
    assert list(one_block([block(OBJECTS), block(values)])) == [*OBJECTS, *values]


def test_blocks_that_are_put_together_read_like_all_their_lines() -> None:
    parts = [block(OBJECTS), block([]), block([b'{"a":3}', b'{"a"', b'{"a":"4","x":1}'])]
    whole = one_block(parts)
    assert isinstance(whole, Block)
    found, expected = (read_lines(given, ["a"], ["a"]) for given in (whole, [line for part in parts for line in part]))
    assert found.frame.equals(expected.frame)
    assert (list(found.kept), found.refused) == (list(expected.kept), expected.refused)
    assert set(found.refused) == {3, 4}


def test_no_lines_at_all_are_read_as_none() -> None:
    assert list(one_block([])) == []
    assert read_lines(one_block([block([]), block([])]), ["a"], []).frame.height == 0
