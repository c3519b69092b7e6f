"""What stopped a notebook, short enough for an index page and a terminal."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TAIL = 12


@dataclass(frozen=True)
class Failure:
    """The error's own line, the last lines of its traceback, and the cell's source cut to its ends."""

    message: str
    tail: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    count: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def failure(name: str, text: str, traceback: Sequence[str], source: str, count: int | None) -> Failure:
    """A failure from the parts of an error output."""
    plain = [line.rstrip() for part in traceback for line in without_colours(part).splitlines() if line.strip(" -")]
    return Failure(
        message=f"{name}: {without_colours(text)}".strip().removesuffix(":"),
        tail=tuple(plain[-_TAIL:]),
        source=tuple(ends(source.splitlines())),
        count=count,
    )


def without_colours(text: str) -> str:
    """Text without the escape sequences by which a terminal colours it."""
    return _ANSI.sub("", text)


def ends(lines: Sequence[str], keep: int = 5) -> list[str]:
    """The first and the last `keep` lines, with what was left out counted between them."""
    if len(lines) <= 2 * keep + 1:
        return list(lines)
    return [*lines[:keep], f"… {len(lines) - 2 * keep} lines …", *lines[-keep:]]
