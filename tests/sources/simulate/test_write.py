"""The estate as files: the same for ever, apart from its truth, nothing half done."""

import errno
import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.sources.simulate.conftest import made
from workbench.errors import SourceError
from workbench.sources import simulate
from workbench.sources.estate import EstateFiles, open_estate
from workbench.sources.simulate import grid, jobs
from workbench.sources.simulate.catalogue import REGIONS
from workbench.sources.truth import truth


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        estate = made(8, 9, seed)
        simulate.write(estate, simulate.tell(estate), tmp_path / name, metric_days=1)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


def test_any_days_in_any_order_are_the_same_days(run: simulate.Run) -> None:
    whole, later = run.chunk(0, 8), run.chunk(4, 4)
    half = slice(4 * 1440, 8 * 1440)
    requests = whole.flow.requests[:, half]
    assert np.allclose(requests[:, 10:], later.flow.requests[:, 10:])  # messages of the minutes before are not known
    assert np.allclose(whole.flow.own_s[:, half][:, 10:], later.flow.own_s[:, 10:])


def test_metrics_cover_the_last_days_and_only_what_can_be_seen(files: EstateFiles, estate: simulate.Estate) -> None:
    seen = pl.concat([pl.read_parquet(path) for path in sorted((files.folder / "metrics").glob("*.parquet"))])
    observed = {workload.name for workload in estate.workloads if workload.observed}
    assert set(seen["workload"].cast(pl.String)) == observed
    assert observed < {workload.name for workload in estate.workloads}
    assert seen["timestamp"].dt.date().unique().len() == 2
    expected = 2 * 1440 * len(observed)
    assert 0.99 * expected < seen.height < expected  # a scrape is missed now and then: no row, not a 0
    for share in ("cpu_utilization", "memory_utilization", "disk_utilization"):
        assert seen[share].is_between(0, 1).all()
    assert (seen["errors"] <= seen["requests"]).all()
    assert (seen["latency_p50_s"] < seen["latency_p99_s"]).mean() > 0.999


def test_metrics_bill_and_events_tell_one_story(files: EstateFiles) -> None:
    """An hour with more requests has busier machines; the hours of the bill are those machines."""
    seen = pl.concat([pl.read_parquet(path) for path in sorted((files.folder / "metrics").glob("*.parquet"))])
    cpu = (
        seen.filter(pl.col("workload").cast(pl.String) == "storefront")
        .group_by(pl.col("timestamp").dt.truncate("1h"))
        .agg(pl.col("cpu_utilization").mean().cast(pl.Float64))
    )
    events = pl.concat([pl.read_parquet(path) for path in files.events("resource")])
    used = events.filter(pl.col("resource_id").str.ends_with("/storefront")).select("timestamp", "utilization")
    both = cpu.join(used, on="timestamp")
    assert both.height == 48
    assert (both["cpu_utilization"] - both["utilization"]).abs().max() < 0.02


def test_traces_sample_and_see_also_those_without_metrics(files: EstateFiles, estate: simulate.Estate) -> None:
    calls = pl.concat([pl.read_parquet(path) for path in sorted((files.folder / "calls").glob("*.parquet"))])
    hidden = {workload.name for workload in estate.workloads if not workload.observed and workload.kind != "batch"}
    assert hidden & set(calls["callee"].cast(pl.String))
    assert (calls["errors"] <= calls["calls"]).all()
    metrics = pl.concat([pl.read_parquet(path) for path in sorted((files.folder / "metrics").glob("*.parquet"))])
    total = {str(name): count for name, count in metrics.group_by("workload").agg(pl.sum("requests")).iter_rows()}
    edges = truth(files.folder, "edges").filter(pl.col("caller").is_in(list(total)))
    assert set(edges["sampling"]) > {1.0}
    counted = calls.with_columns(pl.col("caller", "callee").cast(pl.String)).group_by("caller", "callee")
    both = edges.join(counted.agg(pl.sum("calls")), on=["caller", "callee"])
    for row in both.iter_rows(named=True):
        made = total[row["caller"]] * row["calls_per_request"]
        assert row["calls"] / made == pytest.approx(row["sampling"], rel=0.05)


def test_graph_and_workloads_name_the_same_and_the_edges_are_the_truths(files: EstateFiles) -> None:
    names = set(files.table("workloads")["workload"])
    graph = files.table("graph")
    assert set(graph["caller"]) | set(graph["callee"]) <= names
    assert graph.select("caller", "callee").equals(truth(files.folder, "edges").select("caller", "callee"))
    assert set(graph["kind"]) <= {"call", "message"}


def test_the_grid_has_days_weather_and_every_zone() -> None:
    estate = made(26, 60)
    found = grid.intensity(estate)
    assert set(found) == {region.zone for region in REGIONS.values()}
    noon, night = (found["NL"].reshape(-1, 24)[:, hour].mean() for hour in (11, 22))
    assert noon < 0.85 * night
    daily = found["IE"].reshape(-1, 24).mean(axis=1)
    assert daily.std() / daily.mean() > 0.1
    assert np.corrcoef(daily[1:], daily[:-1])[0, 1] > 0.3


def test_jobs_end_before_their_deadline_and_the_bill_has_their_machines() -> None:
    estate = made(26, 21)
    table = jobs.table(estate, jobs.plan(estate))
    assert (table["ended_at"] <= table["deadline"]).all()
    assert (table["power_kw"] > 0).all()
    hours = (table["ended_at"] - table["started_at"]).dt.total_hours() * table["machines"]
    assert jobs.machine_hours(estate, jobs.plan(estate)).sum() == hours.sum()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    estate = made(6, 2)
    with pytest.raises(SourceError, match="holds no estate; name another folder"):
        simulate.write(estate, simulate.tell(estate), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_estate_that_was_there_is_replaced(tmp_path: Path) -> None:
    for days in (2, 3):
        estate = made(6, days)
        simulate.write(estate, simulate.tell(estate), tmp_path / "out", metric_days=0)
    assert open_estate(tmp_path / "out").about["days"] == 3


def test_a_full_disk_leaves_nothing_behind_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = made(6, 2)
    simulate.write(estate, simulate.tell(estate), tmp_path / "out", metric_days=0)
    before = digests(tmp_path / "out")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(SourceError, match="could not be written .* No space left on device"):
        simulate.write(estate, simulate.tell(estate), tmp_path / "out")
    assert digests(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_without_an_estate_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="workbench simulate --out"):
        open_estate(tmp_path)
    with pytest.raises(SourceError, match="workbench simulate --out"):
        truth(tmp_path, "incidents")
    with pytest.raises(SourceError, match="did you mean 'incidents'"):
        truth(tmp_path, "incident")


def test_rows_by_minute_come_for_a_half_open_span(files: EstateFiles, estate: simulate.Estate) -> None:
    day = estate.start.replace(year=2025, month=11, day=1)
    some = files.daily("metrics", day.replace(hour=3), day.replace(hour=4))
    assert some["timestamp"].min() == day.replace(hour=3)
    assert some["timestamp"].max() == day.replace(hour=3, minute=59)
    assert files.daily("metrics", day.replace(month=3), day.replace(month=4)).height == 0
    assert files.end == date(2025, 11, 3)
