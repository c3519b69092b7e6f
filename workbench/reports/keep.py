"""A run of a few notebooks leaves the pages of the others as they were."""

import json
import shutil
from pathlib import Path

from workbench.reports.run import SCHEMA, NotebookRun, Run


def keep_others(report: Run, before: Path, work: Path) -> None:
    """Copy what the report at `before` holds of notebooks that this run leaves out, and list them in the run."""
    for entry in _entries(before / "records" / "run.json"):
        if entry.name in report.by_name:
            continue
        entry.kept = True
        report.notebooks.append(entry)
        for part in (
            f"notebooks/{entry.name}.ipynb", f"records/{entry.name}.json", f"tables/{entry.name}",
            f"tables/{entry.name}.xlsx",
        ):  # fmt: skip
            if (before / part).is_dir():
                shutil.copytree(before / part, work / part)
            elif (before / part).is_file():
                shutil.copy2(before / part, work / part)


def _entries(record: Path) -> list[NotebookRun]:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return [NotebookRun(**entry) for entry in content["notebooks"]] if content["schema"] == SCHEMA else []
    except (OSError, ValueError, KeyError, TypeError):
        return []  # no earlier report, or one of another version: nothing to keep
