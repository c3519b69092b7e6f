"""All or nothing."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def transaction(cursor: Any) -> Iterator[None]:  # noqa: ANN401 (a cursor of the connector)
    """What happens inside happens at once, or not at all."""
    cursor.execute("BEGIN")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(Exception):  # the first error says more than that the other side is gone
            cursor.execute("ROLLBACK")
        raise
