"""The account of an ingestion: what was read, accepted, rejected, and the exact totals, as plain data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench.pipelines.book import FileLoaded
from workbench.pipelines.ingest import Ingested, ingest, load_file
from workbench.pipelines.progress import bar
from workbench.pipelines.road import open_road
from workbench.settings import Settings, load
from workbench.sources.focus import FileRead, read_focus
from workbench.warehouse import Warehouse


def read_and_load(files: Sequence[Path], profile: str) -> Ingested:
    """Read `files` (without a profile), load them (with one), or load the profile's own sources (without files)."""
    settings = load(profile) if profile else None
    with bar() as show:
        if settings is None:
            return Ingested("", tuple(FileLoaded(read, None) for path in files for read in _read(path, None)))
        with Warehouse(settings) as warehouse:
            if not files:
                return ingest(warehouse, settings, show)
            with open_road(warehouse, settings) as road:
                loaded = [load_file(road, read, "by hand") for path in files for read in _read(path, settings)]
            return Ingested("by hand", tuple(loaded))


def _read(path: Path, settings: Settings | None) -> tuple[FileRead, ...]:
    if settings is None:
        return read_focus(path, source_name=path.name).files
    return read_focus(path, source_name=path.name, names=settings.names, limits=settings.limits).files


def account_of(ingested: Ingested) -> dict[str, Any]:
    """Turn an ingestion into plain data: amounts as exact text."""
    files = [_file(loaded) for loaded in ingested.files]
    return {
        "files": files,
        "rows": sum(file["rows"] for file in files),
        "accepted": sum(file["accepted"] for file in files),
        "rejected": sum(file["rejected"] for file in files),
        "exit_code": int(any(file["error"] or file["rejected"] or file.get("conflicting") for file in files)),
    }


def _file(loaded: FileLoaded) -> dict[str, Any]:
    read = loaded.read
    reasons = read.rejected.group_by("reason").agg(rows=pl.len(), first_row=pl.col("row").min()).sort("rows", "reason")
    account: dict[str, Any] = {
        "file": read.source_file, "error": read.error, "rows": read.rows, "filtered": read.filtered,
        "accepted": read.accepted, "rejected": read.rejected.height, "equal_lines": read.equal_lines,
        "totals": [_exact(row) for row in read.totals.iter_rows(named=True)],
        "reasons": reasons.reverse().to_dicts(),
    }  # fmt: skip
    if loaded.merged:
        merged = loaded.merged
        account |= {"new": merged.inserted, "restated": merged.restated, "known": merged.unchanged,
                    "older": merged.older, "conflicting": merged.conflicts}  # fmt: skip
    return account


def _exact(row: dict[str, Any]) -> dict[str, Any]:
    amounts = {name: None if row[name] is None else f"{row[name].normalize():f}" for name in ("BilledCost", "ListCost")}
    return {"currency": row["BillingCurrency"], "outcome": row["outcome"], "lines": row["lines"], **amounts}
