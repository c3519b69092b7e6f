"""Which notebooks there are, in which order they run, and what may be told to each.

A notebook says so itself, in its metadata: `{"workbench": {"title": "Costs", "needs": ["01_ingest"], "about": "…"}}`.
`"needs": ["*"]` is the summary's: it runs after all others, also when one of them failed.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ReportError, UsageError, did_you_mean
from workbench.reports.parameters import RESERVED, Parameter, Value, declared, typed

ALL = "*"


@dataclass(frozen=True)
class Notebook:
    """A notebook of the workbench as its file describes it."""

    name: str
    path: Path
    title: str
    about: str
    needs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    cells: int

    @property
    def last(self) -> bool:
        """Whether it runs after all others, whatever became of them."""
        return ALL in self.needs


def find(folder: Path) -> dict[str, Notebook]:
    """All notebooks of a folder by name, in the order in which they can run.

    Raises `ReportError` for a folder without notebooks, a file that is none, a need that does not exist, a cycle.
    """
    if not folder.is_dir():
        raise ReportError(f"{folder}: no such folder of notebooks; run the command in the project's folder")
    paths = sorted(path for path in folder.glob("*.ipynb") if not path.name.startswith("."))
    if not paths:
        raise ReportError(f"{folder}: no notebooks (*.ipynb) in it")
    return ordered([read(path) for path in paths])


def read(path: Path) -> Notebook:
    """One notebook's own description; `ReportError` when the file is no notebook of version 4."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells, about = list(content["cells"]), dict(content["metadata"].get("workbench", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"{path}: not a Jupyter notebook of version 4 ({type(error).__name__}: {error})") from error
    needs = about.get("needs", [])
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        raise ReportError(f"{path}: metadata workbench.needs is {needs!r}; it must be a list of notebook names")
    source = next(("".join(cell["source"]) for cell in cells if "parameters" in _tags(cell)), "")
    return Notebook(
        name=path.stem,
        path=path.resolve(),
        title=str(about.get("title") or _titled(path.stem)),
        about=str(about.get("about", "")),
        needs=tuple(needs),
        parameters=declared(source, path.name),
        cells=len(cells),
    )


def ordered(notebooks: Iterable[Notebook]) -> dict[str, Notebook]:
    """The notebooks so that each comes after what it needs; otherwise by name, and those that need all at the end."""
    left = {notebook.name: notebook for notebook in sorted(notebooks, key=lambda book: (book.last, book.name))}
    for notebook in left.values():
        for need in notebook.needs:
            if need not in left and need != ALL:
                raise ReportError(
                    f"{notebook.name} needs '{need}', which is no notebook; there are: "
                    f"{', '.join(sorted(left))}{did_you_mean(need, left)}"
                )
    found: dict[str, Notebook] = {}
    while left:
        ready = next((book for book in left.values() if not _waits(book, left)), None)
        if ready is None:
            circle = ", ".join(f"{book.name} needs {' and '.join(_waits(book, left))}" for book in left.values())
            raise ReportError(f"notebooks that wait for each other: {circle}; take one of these needs away")
        found[ready.name] = left.pop(ready.name)
    return found


def _waits(notebook: Notebook, left: Mapping[str, Notebook]) -> list[str]:
    others = [name for name, book in left.items() if not book.last] if notebook.last else []
    return [need for need in notebook.needs if need in left] + others


def select(notebooks: Mapping[str, Notebook], names: Sequence[str]) -> dict[str, Notebook]:
    """The notebooks that `names` mean (`02_costs`, `02` or `costs`), in running order; all when there are no names.

    What a chosen notebook needs is not run again. Raises `UsageError` for a name that means none, or several.
    """
    chosen = {_meant(notebooks, name) for name in names}
    return {name: book for name, book in notebooks.items() if not names or name in chosen}


def _meant(notebooks: Mapping[str, Notebook], given: str) -> str:
    key = given.removesuffix(".ipynb").casefold()
    fits = [name for name in notebooks if key == name.casefold()]
    fits = fits or [name for name in notebooks if key in _short_names(name)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UsageError(f"'{given}' may mean {' or '.join(fits)}: give the whole name")
    spoken = {short: name for name in notebooks for short in (*_short_names(name), name)}
    near = did_you_mean(given, spoken)
    raise UsageError(f"no notebook is called '{given}'; there are: {', '.join(sorted(notebooks))}{near}")


def _short_names(name: str) -> tuple[str, ...]:
    number = re.match(r"(\d+)[_-](.+)", name)
    return (number[1], number[1].lstrip("0") or "0", number[2].casefold()) if number else ()


def assigned(notebooks: Mapping[str, Notebook], given: Mapping[str, object]) -> dict[str, dict[str, Value]]:
    """Each notebook's own parameters out of `given`, checked and typed.

    A key is a parameter's name (for every notebook that has it) or `NOTEBOOK.parameter`. Raises `UsageError` for one
    that no chosen notebook has, for a reserved one, and for a value of another type.
    """
    found: dict[str, dict[str, Value]] = {name: {} for name in notebooks}
    for key, value in given.items():
        place, _, name = key.rpartition(".")
        chosen = {_meant(notebooks, place)} if place else set(notebooks)
        if name in RESERVED:
            raise UsageError(f"'{name}' is set by the run itself; use --{name.replace('_', '-')} if there is one")
        takers = [(book, own) for book in notebooks.values() if book.name in chosen for own in book.parameters]
        fits = [(book, own) for book, own in takers if own.name == name]
        if not fits:
            open_ones = sorted({own.name for _, own in takers if own.name not in RESERVED})
            where = _meant(notebooks, place) if place else "none of the notebooks"
            raise UsageError(
                f"{where} has {'no' if place else 'a'} parameter '{name}'; there are: "
                f"{', '.join(open_ones) or 'none'}{did_you_mean(name, open_ones)}"
            )
        for book, own in fits:
            found[book.name][name] = typed(own, value, book.name)
    return found


def _tags(cell: Mapping[str, object]) -> list[str]:
    metadata = cell.get("metadata")
    tags = metadata.get("tags", []) if isinstance(metadata, dict) else []
    return list(tags) if cell.get("cell_type") == "code" else []


def _titled(stem: str) -> str:
    text = re.sub(r"^\d+[_-]", "", stem).replace("_", " ").strip()
    return text[:1].upper() + text[1:]
