"""Imports that cost more than they bring."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

IRI_GRAMMAR = "rfc3987_syntax"
"""jsonschema's checker for international URLs, which nothing here holds; building its grammar takes 1.3 s."""


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Import what can do without the modules of these names as if they were not installed.

    They can be imported again afterwards. For optional parts of a library that take longer than all the rest of it.
    """
    blocked = [name for name in names if name not in sys.modules]
    for name in blocked:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]
