"""What a person sees while a report runs: bars in a terminal, plain lines anywhere else; always standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """How the runner says where it is."""

    def start(self, name: str, cells: int) -> None:
        """A notebook was started."""

    def cell(self, name: str, index: int) -> None:
        """A notebook has come to its cell `index`, from 0."""

    def end(self, name: str, status: str, seconds: float, note: str = "") -> None:
        """A notebook is done, failed or skipped."""


class Silent:
    """Says nothing."""

    def start(self, name: str, cells: int) -> None:
        """Nothing."""

    def cell(self, name: str, index: int) -> None:
        """Nothing."""

    def end(self, name: str, status: str, seconds: float, note: str = "") -> None:
        """Nothing."""


class Lines(Silent):
    """A line when a notebook ends."""

    def __init__(self, width: int) -> None:
        self._width = width

    def end(self, name: str, status: str, seconds: float, note: str = "") -> None:
        """`02_costs  done    4.2 s`."""
        took = f"{seconds:6.1f} s" if seconds else " " * 8
        print(f"{name:<{self._width}}  {status:<7} {took}  {note}".rstrip(), file=sys.stderr, flush=True)  # noqa: T201


class Bars:
    """A bar for each notebook, by cells."""

    def __init__(self, names: list[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self.view = RichProgress(
            TextColumn("{task.description}"), BarColumn(bar_width=28, complete_style="blue"),
            TextColumn("{task.fields[note]}", markup=False), TimeElapsedColumn(),
            console=Console(stderr=True),
        )  # fmt: skip
        self._cells: dict[str, int] = {}
        self._tasks = {name: self.view.add_task(name, start=False, total=None, note="waiting") for name in names}

    def start(self, name: str, cells: int) -> None:
        """Start the notebook's clock."""
        self._cells[name] = cells
        self.view.start_task(self._tasks[name])
        self.view.update(self._tasks[name], total=cells, completed=0, note="starting")

    def cell(self, name: str, index: int) -> None:
        """Move the bar."""
        self.view.update(self._tasks[name], completed=index, note=f"cell {index + 1}")

    def end(self, name: str, status: str, seconds: float, note: str = "") -> None:
        """Fill the bar of a notebook that is done; the others keep where they stopped."""
        del seconds
        task = self._tasks[name]
        self.view.update(task, note=f"{status} {note}".strip()[:60])
        if status == "done":
            self.view.update(task, completed=self._cells.get(name, 0))
        self.view.stop_task(task)


@contextmanager
def shown(names: list[str], *, wanted: bool) -> Iterator[Progress]:
    """The kind of progress that suits where standard error goes."""
    if not wanted:
        yield Silent()
    elif sys.stderr.isatty():
        bars = Bars(names)
        with bars.view:
            yield bars
    else:
        yield Lines(max((len(name) for name in names), default=0))
