"""The run at a glance, and the list of runs."""

import datetime as dt
import json
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from workbench.plots.words import amount
from workbench.reports.folder import replace_text
from workbench.reports.publish import common, day, downloads, moment, read_record, template
from workbench.reports.run import NotebookRun, Run

_SEVERITY = {"high": "Important", "warn": "Check", "info": "Note"}


def write_report(run: Run, folder: Path) -> None:
    """Write `index.html` of one run: what to look at, the figures, the pages and how each fared."""
    entries = sorted(run.notebooks, key=lambda entry: entry.name)
    records = {entry.name: read_record(folder, entry.name) for entry in entries if entry.status == "done"}
    versions = run.as_dict()["versions"]
    known = next((record["known_at"] for record in records.values() if record.get("known_at")), "")
    text = template("index.html", ("base.css", "index.css")).render(
        **common(run),
        title=f"Report as of {day(run.as_of)}",
        heading=f"{run.profile}, as of {day(run.as_of)}",
        sentence=sentence(run),
        known_at=moment(known or (run.known_at.isoformat() if run.known_at else ""), run.local_zone),
        made=f"{moment(run.started.isoformat(), run.local_zone)}, in {_took(run.seconds)}",
        look_at=_look_at(entries, records),
        groups=_groups(entries, records),
        entries=[_entry(folder, entry, records.get(entry.name, {})) for entry in entries],
        versions=" · ".join(f"{name} {number}" for name, number in versions.items() if name != "workbench"),
        fingerprint=run.settings,
    )
    (folder / "index.html").write_text(text, encoding="utf-8")


def write_runs(profile_folder: Path) -> None:
    """Write the profile's `index.html`, newest as-of first, and point `latest` at it."""
    records = []
    for file in profile_folder.glob("*/records/run.json"):
        folder = file.parent.parent
        if not folder.name.startswith(".") and not folder.is_symlink():
            with suppress(OSError, ValueError, KeyError, TypeError):
                records.append(_listed(folder.name, json.loads(file.read_text(encoding="utf-8"))))
    records.sort(key=lambda record: record["order"], reverse=True)
    if not records:
        return
    text = template("runs.html", ("base.css", "index.css")).render(
        title="Reports", profile=profile_folder.name, runs=records,
        sentence="One report for each as-of date, the newest first.",
    )  # fmt: skip
    replace_text(profile_folder / "index.html", text)
    _point(profile_folder / "latest", records[0]["folder"])


def sentence(run: Run) -> str:
    """How the run went, in one sentence."""
    own = [entry for entry in run.notebooks if not entry.kept]
    counts = {status: sum(entry.status == status for entry in own) for status in ("done", "failed", "skipped")}
    total = f"{len(own)} page" + ("s" if len(own) != 1 else "")
    if counts["done"] == len(own):
        text = f"{total}, complete."
    else:
        parts = [f"{counts['done']} of {total} complete"]
        parts += [f"{counts[status]} {status}" for status in ("failed", "skipped") if counts[status]]
        text = f"{', '.join(parts)}."
    kept = len(run.notebooks) - len(own)
    return text + (f" {kept} kept from an earlier run." if kept else "")


def _took(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _look_at(entries: list[NotebookRun], records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    failed = [
        {"severity": "high", "text": f"{entry.title} {'failed' if entry.status == 'failed' else 'was skipped'}; "
         "its figures are missing below.", "link": f"#{entry.name}", "title": "Why"}
        for entry in entries if entry.status in ("failed", "skipped")
    ]  # fmt: skip
    told = [
        {"severity": item["severity"], "text": item["text"], "link": item.get("link") or entry.page,
         "title": entry.title}
        for entry in entries if not _repeats(entry) for item in records.get(entry.name, {}).get("look_at", [])
    ]  # fmt: skip
    rank = list(_SEVERITY)
    found = sorted(failed + told, key=lambda item: rank.index(item["severity"]) if item["severity"] in rank else 9)
    return [{**item, "word": _SEVERITY.get(item["severity"], item["severity"])} for item in found]


def _repeats(entry: NotebookRun) -> bool:
    """Whether a notebook only gathers what others found, as the summary does."""
    return "*" in entry.needs


def _groups(entries: list[NotebookRun], records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    groups = []
    for entry in entries:
        figures = [_figure(figure) for figure in records.get(entry.name, {}).get("figures", [])]
        if figures and not _repeats(entry):
            groups.append({"title": entry.title, "page": entry.page, "figures": figures})
    return groups


def _figure(figure: Mapping[str, Any]) -> dict[str, str]:
    value, unit = figure.get("value"), str(figure.get("unit") or "")
    if unit == "share" and value is not None:
        with suppress(InvalidOperation):
            return _figure({**figure, "value": str(Decimal(str(value)) * 100), "unit": "%"})
    exact = "\N{EN DASH}" if value is None else str(value)
    text = exact
    if isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    elif value is not None:
        # Texts that are decimals are numbers; dates, names and sentences stay as they are.
        with suppress(InvalidOperation):
            number = Decimal(exact)
            text = amount(number, 0 if number == number.to_integral() and len(unit) != 3 else 1 if unit == "%" else 2)
    return {"label": str(figure.get("label") or figure.get("key")), "text": text, "exact": exact, "unit": unit}


def _entry(folder: Path, entry: NotebookRun, record: Mapping[str, Any]) -> dict[str, Any]:
    word = f"{entry.status}, {entry.seconds:.1f} s" if entry.status != "skipped" else "skipped"
    return {
        **vars(entry), "page": entry.page, "word": f"{word}, kept from an earlier run" if entry.kept else word,
        **downloads(folder, entry.name, record),
    }  # fmt: skip


def _listed(folder: str, record: Mapping[str, Any]) -> dict[str, Any]:
    entries = record["notebooks"]
    done = sum(entry["status"] == "done" for entry in entries)
    whole = done == len(entries)
    return {
        "order": record["as_of"], "folder": folder, "as_of": day(dt.date.fromisoformat(record["as_of"])),
        "known_at": moment(record["known_at"]), "made": moment(record["started"]),
        "status": "done" if whole else "failed",
        "pages": f"{done} complete" if whole else f"{done} of {len(entries)} complete",
    }  # fmt: skip


def _point(link: Path, target: str) -> None:
    """A symbolic link, replaced in one step; where the file system has none, the list alone must do."""
    partial = link.with_name(".latest.tmp")
    with suppress(OSError):
        partial.unlink(missing_ok=True)
        partial.symlink_to(target, target_is_directory=True)
        partial.replace(link)
