"""Imports that cost more than they bring."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_iri_grammar() -> Iterator[None]:
    """Import what needs jsonschema without its checker for international URLs, which takes 1.3 s to build.

    Nothing here holds such a URL, and jsonschema does without when the module can't be imported.
    """
    name = "rfc3987_syntax"
    block = name not in sys.modules
    if block:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if block:
            del sys.modules[name]
