"""The simulated cloud as files: what a person would have, and apart from it what really happened."""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from workbench.errors import SourceError
from workbench.sources.estate import MANIFEST
from workbench.sources.simulate import bill, business, grid, jobs, logs, observe, resource_events, truth, usage
from workbench.sources.simulate.catalogue import REGIONS
from workbench.sources.simulate.estate import VCPUS, Estate
from workbench.sources.simulate.run import Chunk, Run
from workbench.sources.simulate.story import Story
from workbench.sources.simulate.usage import Hourly

Progress = Callable[[str, int, int], None]
VERSION = 1
WORKLOADS = pl.Schema(
    {"workload": pl.String(), "business_unit": pl.String(), "provider": pl.String(), "region": pl.String(),
     "zone": pl.String(), "kind": pl.String(), "vcpus": pl.Int32(), "entry": pl.Boolean()}
)  # fmt: skip
GRAPH = pl.Schema({"caller": pl.String(), "callee": pl.String(), "kind": pl.String()})
"""`kind` is `call` (somebody waits) or `message`, as traces tell; who can do without an answer they do not tell."""


@dataclass(frozen=True)
class Written:
    """What was written: rows by table, and the folder."""

    folder: Path
    rows: dict[str, int]

    @property
    def events(self) -> int:
        """Events of all three types: each bill line is a cost event."""
        return sum(self.rows[name] for name in ("bills", "business_events", "resource_events"))


def write(
    estate: Estate, story: Story, out: Path, metric_days: int | None = None, progress: Progress | None = None
) -> Written:
    """Simulate and write.

    Parameters
    ----------
    out
        The folder to write. It appears when all of it is there; an estate that was there is replaced.
    metric_days
        How many of the last days have metrics and logs by minute. Default: all.
    progress
        Called as (what, done, total).

    Returns
    -------
    Written
        `bills/` (FOCUS, one Parquet a statement), `events/{business,resource}/`, `metrics/`, `calls/`, `logs/` (a file
        a day), `workloads`, `graph`, `deployments`, `calendar`, `jobs`, `grid` (Parquet), `truth/`, `estate.json`.

    Raises
    ------
    SourceError
        `out` holds something else, or the disk refuses.
    """
    observed = estate.days if metric_days is None else max(0, min(metric_days, estate.days))
    with _made(out) as folder:
        writer = _Writer(folder, progress or (lambda *_: None))
        run = Run(estate, story)
        hourly = _flow(run, writer, estate.days - observed)
        _after(run, hourly, writer)
        _manifest(estate, folder, observed, writer.rows)
    return Written(out, writer.rows)


@contextmanager
def _made(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place when everything went well."""
    if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise SourceError(f"{out} exists and holds no estate; name another folder, or empty it")
    making = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    try:
        making.mkdir(parents=True)
        yield making
        if out.exists():
            shutil.rmtree(out)
        making.rename(out)
    except OSError as error:
        raise SourceError(f"the estate could not be written to {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


class _Writer:
    """Writes frames and counts their rows."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder, self.progress = folder, progress
        self.rows: dict[str, int] = {}

    def put(self, name: str, frame: pl.DataFrame, part: str = "") -> Path:
        """Write a table, or a part of one into its folder."""
        path = self.folder / f"{name}.parquet" if not part else self.folder / name / f"{part}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            frame.write_parquet(path, compression="lz4")
        except pl.exceptions.PolarsError as error:
            raise OSError(str(error)) from error
        key = name.replace("/", "_").removeprefix("events_")
        key = f"{key}_events" if name.startswith("events/") else key
        self.rows[key] = self.rows.get(key, 0) + frame.height
        return path


def _flow(run: Run, writer: _Writer, first_observed: int) -> Hourly:
    """Everything that goes minute by minute."""
    sums = run.hourly()
    for chunk in run.chunks():
        writer.progress("simulate", chunk.first_day, run.estate.days)
        sums.add(chunk)
        events = business.events(run.estate, chunk.orders, chunk.first_day * 1_440)
        writer.put("events/business", events, _day(run.estate, chunk.first_day))
        for day in range(max(chunk.first_day, first_observed), chunk.first_day + chunk.days):
            _observe(run.estate, chunk, day, writer)
    return sums.done()


def _observe(estate: Estate, chunk: Chunk, day: int, writer: _Writer) -> None:
    at, name = (day - chunk.first_day) * 1_440, _day(estate, day)
    writer.put("metrics", observe.metrics(estate, chunk.flow, chunk.effects, day, at), name)
    writer.put("calls", observe.calls(estate, chunk.flow, day, at), name)
    writer.put("logs", logs.logs(estate, chunk.flow, chunk.effects, day, at), name)


def _day(estate: Estate, day: int) -> str:
    return f"{estate.start + timedelta(days=day):%Y-%m-%d}"


def _after(run: Run, hourly: Hourly, writer: _Writer) -> None:
    """Bills, resource events, the standing tables and the truth."""
    estate, story = run.estate, run.story
    used = usage.measure(estate, hourly, story)
    spoken = bill.statements(estate)
    for number, statement in enumerate(spoken):
        writer.progress("write the bills", number, len(spoken))
        path = writer.put("bills", bill.lines(estate, used, statement), statement.name.removesuffix(".parquet"))
        moment = statement.observed_at.timestamp()
        os.utime(path, (moment, moment))  # the reader takes it for the moment at which the provider said so
    for first in range(0, estate.hours, 24 * 7):
        events = resource_events.events(estate, hourly, used, first, min(first + 24 * 7, estate.hours))
        writer.put("events/resource", events, _day(estate, first // 24))
    writer.put("workloads", workloads(estate))
    writer.put("graph", graph(estate))
    writer.put("deployments", truth.deployments(estate, story.deployments).drop("incident_id"))
    writer.put("calendar", truth.plans(estate, story.plans).drop("factor"))
    writer.put("jobs", jobs.table(estate, run.jobs))
    writer.put("grid", grid.table(estate))
    _truth(run, hourly, used, writer)


def _truth(run: Run, hourly: Hourly, used: usage.Usage, writer: _Writer) -> None:
    estate, story = run.estate, run.story
    rows = []
    for number, incident in enumerate(story.incidents):
        writer.progress("work out what each incident cost", number, len(story.incidents))
        workload = estate.workloads[incident.workload]
        caused = next((each.id for each in story.deployments if each.incident == incident.id), None)
        rows.append(
            {"incident_id": incident.id, "kind": incident.kind, "workload": workload.name,
             "business_unit": workload.unit, "start": truth.moment(estate, incident.start),
             "end": truth.moment(estate, incident.end), "severity": incident.severity, "deployment_id": caused,
             **asdict(run.loss(incident))}
        )  # fmt: skip
    tables = {
        "incidents": pl.DataFrame(rows, truth.INCIDENTS),
        "disturbances": truth.disturbances(estate, story.disturbances),
        "spikes": truth.spikes(estate, used, story.spikes),
        "drifts": truth.drifts(estate, used, story.drifts),
        "plans": truth.plans(estate, story.plans),
        "edges": truth.edges(estate),
        "deployments": truth.deployments(estate, story.deployments),
        "energy": truth.energy(estate, hourly),
    }
    for name, frame in tables.items():
        writer.put(f"truth/{name}", frame)


def workloads(estate: Estate) -> pl.DataFrame:
    """`WORKLOADS`: what people know of each workload."""
    zones = {name: region.zone for name, region in REGIONS.items()}
    rows = [
        (each.name, each.unit, each.provider or None, each.region or None, zones.get(each.region), each.kind,
         VCPUS[each.kind], bool(each.users))
        for each in estate.workloads
    ]  # fmt: skip
    return pl.DataFrame(rows, WORKLOADS, orient="row")


def graph(estate: Estate) -> pl.DataFrame:
    """`GRAPH`: who calls whom, as traces tell."""
    kind = pl.when(pl.col("kind") == "async").then(pl.lit("message")).otherwise(pl.lit("call"))
    return truth.edges(estate).select("caller", "callee", kind.alias("kind"))


def _manifest(estate: Estate, folder: Path, metric_days: int, rows: dict[str, int]) -> None:
    about = {
        "version": VERSION, "seed": estate.seed, "days": estate.days, "workloads": len(estate.workloads),
        "orders_per_day": estate.orders_per_day, "metric_days": metric_days, "rows": rows,
        "start": estate.start.isoformat(), "end": estate.end.isoformat(),
        "statements": {each.name: each.observed_at.isoformat() for each in bill.statements(estate)},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
