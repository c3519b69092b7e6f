"""Is everything in place? One finding for each thing that a report needs, with what to do where it is not."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import SourceError, WorkbenchError
from workbench.settings import AwsSource, FocusSource, Settings, load
from workbench.sources.focus.files import choose_columns, find_files, read_head
from workbench.streaming.clusters import connect
from workbench.streaming.topics import ROAD
from workbench.warehouse import Warehouse

_LEAST_FREE = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` says what to do where it is not `ok`."""

    what: str
    ok: bool
    detail: str
    advice: str = ""


def examine(profile: str | Path) -> Iterator[Finding]:
    """Look at the profile, its sources, the folders, the disk, the warehouse and the broker, one after the other."""
    try:
        settings = load(profile)
    except WorkbenchError as error:
        yield Finding("profile", ok=False, detail=str(error), advice="mend the lines above, then run doctor again")
        return
    yield Finding("profile", ok=True, detail=f"{settings.name}: {len(settings.sources)} source(s)")
    for source in settings.sources:
        if isinstance(source, FocusSource):
            yield _source(source, settings)
        elif isinstance(source, AwsSource):
            yield _aws(source)
    yield _folder("reports", settings.reports)
    yield _folder("state", settings.state)
    yield _disk(settings.state)
    yield _warehouse(settings)
    yield _broker(settings)


def _source(source: FocusSource, settings: Settings) -> Finding:
    mapping = settings.names.columns[source.mapping] if source.mapping else None
    what = f"source {source.name}"
    try:
        files = find_files(source.path)
        delimiter = mapping.delimiter if mapping else ","
        for file in files:
            choose_columns(file, read_head(file, delimiter), mapping, delimiter)
    except WorkbenchError as error:
        return Finding(
            what, ok=False, detail=str(error), advice="see the message; `workbench ingest FILE` tries one file"
        )
    size = sum(file.stat().st_size for file in files)
    return Finding(what, ok=True, detail=f"{len(files)} file(s), {size / 1e6:,.1f} MB")


def _aws(source: AwsSource) -> Finding:
    """Whether AWS answers, and as whom; it is asked once."""
    from workbench.sources.aws.calls import Aws

    def no_second_time(_: float) -> None:
        raise SourceError(f"source '{source.name}': AWS does not answer")

    try:
        account = Aws(source, no_second_time).account()
    except WorkbenchError as error:
        advice = "check the network and endpoint_url, or see the message"
        return Finding(f"source {source.name}", ok=False, detail=str(error), advice=advice)
    return Finding(f"source {source.name}", ok=True, detail=f"AWS answers, account {account}")


def _folder(what: str, folder: Path) -> Finding:
    """Whether a folder can be written to, or made."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK):
        return Finding(what, ok=True, detail=f"{folder} can be written")
    why = "is no folder" if not nearest.is_dir() else "can't be written"
    advice = f"make {nearest} writable, or set `{what}` in the profile to another place"
    return Finding(what, ok=False, detail=f"{nearest} {why}", advice=advice)


def _disk(state: Path) -> Finding:
    nearest = next(path for path in (state, *state.parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    detail = f"{free / 1e9:,.1f} GB free at {nearest}"
    return Finding("disk", ok=free > _LEAST_FREE, detail=detail, advice=f"free {_LEAST_FREE / 1e9:.0f} GB or more")


def _warehouse(settings: Settings) -> Finding:
    try:
        with Warehouse(settings) as warehouse:
            tables = warehouse.status()
    except WorkbenchError as error:
        return Finding("warehouse", ok=False, detail=str(error), advice="`workbench warehouse status` after mending it")
    rows = sum(tables["rows"].to_list())
    return Finding("warehouse", ok=True, detail=f"{settings.warehouse.engine}, {tables.height} tables, {rows:,} rows")


def _broker(settings: Settings) -> Finding:
    """Whether the broker answers and its topics fit; it makes none."""
    try:
        with connect(settings.broker) as broker:
            there = broker.check(ROAD)
    except WorkbenchError as error:
        return Finding(
            "broker", ok=False, detail=str(error), advice="mend `broker` in the profile, or start the broker"
        )
    topics = f"{len(there)} of {len(ROAD)} topics" + (
        "" if len(there) == len(ROAD) else "; the rest is made when needed"
    )
    return Finding("broker", ok=True, detail=f"{settings.broker.engine}, {topics}")
