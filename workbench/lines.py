"""Many JSON objects as one block of lines, and what makes one."""

from collections.abc import Sequence
from functools import cached_property
from operator import itemgetter
from typing import overload


class Block(Sequence[bytes]):
    """Lines as they stand one below the other, each beginning like an object and without a line end within.

    So they can be read at once, and are taken apart only where somebody asks for one of them.
    """

    def __init__(self, joined: bytes, count: int) -> None:
        self.joined = joined
        self._count = count

    @cached_property
    def lines(self) -> list[bytes]:
        """One by one."""
        return self.joined.split(b"\n") if self._count else []

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...

    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        return self.lines[place]


def block(values: Sequence[bytes]) -> Sequence[bytes]:
    """The values as a block, where they can be one; else as they are."""
    if not shapely(values):
        return values
    joined = b"\n".join(values)
    return Block(joined, len(values)) if joined.count(b"\n") == len(values) - 1 else values


def one_block(parts: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
    """All lines of the parts, as a block where all parts are."""
    if len(parts) == 1:
        return parts[0]
    blocks = [part for part in parts if isinstance(part, Block) and len(part)]
    if len(blocks) == sum(1 for part in parts if len(part)):
        return Block(b"\n".join(part.joined for part in blocks), sum(map(len, blocks)))
    return [line for part in parts for line in part]


def shapely(lines: Sequence[bytes]) -> bool:
    """Whether each line begins like an object: then it is one row or more, or Polars refuses all.

    It keeps blank lines out: they would vanish, and two rows of another line could make up for one.
    """
    return isinstance(lines, Block) or (all(lines) and set(map(itemgetter(0), lines)) == {ord("{")})
