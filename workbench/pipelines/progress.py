"""A bar on standard error while something takes its time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Called as (what, done, total) while something takes its time."""


@contextmanager
def bar(first: str = "open the warehouse", *, hidden: bool = False) -> Iterator[Progress]:
    """Show what is being done and how much of it is; plain text where standard error is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, disable=hidden) as shown:
        task = shown.add_task(first, total=None)
        yield lambda what, done, total: shown.update(task, description=what, completed=done, total=total)
