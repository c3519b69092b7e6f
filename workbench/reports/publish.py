"""Executed notebooks as self-contained pages: no network, one small script of their own, at most 2 MB."""

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from workbench.reports.cells import Block, Parts, parts
from workbench.reports.run import NotebookRun, Run

MAX_BYTES = 2_000_000
"""A page that a phone opens at once and a mail server lets through."""

_TEMPLATES = Path(__file__).parent / "templates"
_ROOM = 60_000
"""Bytes of a page beside its cells: style, script, head, navigation."""


def pages(run: Run, folder: Path) -> None:
    """Write a page for each notebook of the run that was started, into the run's folder."""
    for entry in run.notebooks:
        if entry.status != "skipped":
            (folder / entry.page).write_text(page(run, entry, folder), encoding="utf-8")


def page(run: Run, entry: NotebookRun, folder: Path) -> str:
    """One page; what is too large for it is left out, says so, and is noted in the entry."""
    executed = folder / "notebooks" / f"{entry.name}.ipynb"
    content = json.loads(executed.read_text(encoding="utf-8")) if executed.is_file() else {"cells": []}
    found = parts(content["cells"])
    entry.notes = lightened(found)
    record = read_record(folder, entry.name)
    text: str = template("page.html", ("base.css", "page.css"), "page.js").render(
        **common(run),
        title=entry.title,
        heading=found.heading or entry.title,
        about=entry.about,
        name=entry.name,
        nav=sorted(run.notebooks, key=lambda item: item.name),
        known_at=moment(record.get("known_at") or entry.known_at, run.local_zone),
        parameters=_told(content),
        error=entry.error,
        toc=found.toc,
        body="\n".join(block.html for block in found.blocks),
        **downloads(folder, entry.name, record),
    )
    return text


def lightened(found: Parts) -> list[str]:
    """Leave out the largest outputs, in place, until the page keeps to its limit; what was left out, in words."""
    notes = []
    while sum(block.size for block in found.blocks) > MAX_BYTES - _ROOM:
        at = max(range(len(found.blocks)), key=lambda index: found.blocks[index].size)
        block = found.blocks[at]
        note = (
            f"A {block.kind} of {block.size / 1e6:.1f} MB was left out of this page, which may hold "
            f"{MAX_BYTES / 1e6:.0f} MB; it is in the executed notebook. Show fewer rows or marks."
        )
        notes.append(note)
        found.blocks[at] = Block("note", f'<div class="note">{note}</div>')
    return notes


def settle(work: Path, place: Path) -> None:
    """Let what was written name the folder's final place instead of the one where it was made."""
    before, after = (json.dumps(str(path))[1:-1] for path in (work, place))
    for file in [*work.glob("notebooks/*.ipynb"), *work.glob("records/*.json")]:
        text = file.read_text(encoding="utf-8")
        if before in text:
            file.write_text(text.replace(before, after), encoding="utf-8")


def common(run: Run) -> dict[str, Any]:
    """What every page of a run says."""
    return {"profile": run.profile, "as_of": day(run.as_of), "version": version("workbench")}


def downloads(folder: Path, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Links to what belongs to a page, as far as it is there."""
    workbook, notebook = f"tables/{name}.xlsx", f"notebooks/{name}.ipynb"
    return {
        "tables": [table for table in record.get("tables", []) if (folder / table["csv"]).is_file()],
        "workbook": workbook if (folder / workbook).is_file() else "",
        "notebook": notebook if (folder / notebook).is_file() else "",
    }


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """The record that a notebook wrote; empty when it wrote none, or one that can't be read."""
    try:
        content = json.loads((folder / "records" / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def day(value: dt.date) -> str:
    """`1 November 2025`."""
    return f"{value.day} {value:%B %Y}"


def moment(text: str, zone: str = "UTC") -> str:
    """An ISO time as `1 November 2025, 06:00 UTC`, with the local time beside it when there is a zone."""
    if not text:
        return ""
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    utc = (read if read.tzinfo else read.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    shown = f"{day(utc.date())}, {utc:%H:%M} UTC"
    if zone == "UTC":
        return shown
    local = utc.astimezone(ZoneInfo(zone))
    same = local.date() == utc.date()
    return f"{shown} ({'' if same else f'{local.day} {local:%B}, '}{local:%H:%M} {local.tzname()})"


def template(name: str, styles: tuple[str, ...], script: str = "") -> Any:  # noqa: ANN401 (jinja's template)
    """A template with its style and script inside and a policy that allows nothing else."""
    found = _environment().get_template(name)
    code = _text(script).strip() if script else ""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if code else "'none'"
    found.globals.update(
        css="\n".join(_text(style).strip() for style in styles),
        script=code,
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'",
    )
    return found


@cache
def _environment() -> Any:  # noqa: ANN401 (jinja's environment)
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _told(content: Mapping[str, Any]) -> dict[str, str]:
    """The notebook's own parameters with the values of this run, from its parameter cells."""
    from workbench.reports.parameters import RESERVED, declared

    told: dict[str, str] = {}
    for tag in ("parameters", "injected-parameters"):
        for cell in content["cells"]:
            if tag in cell.get("metadata", {}).get("tags", []):
                values = declared("".join(cell["source"]), "this notebook")
                told |= {value.name: str(value.default) for value in values if value.name not in RESERVED}
    return told
