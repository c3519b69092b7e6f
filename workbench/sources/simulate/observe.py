"""What a monitoring system sees of the flow: metrics by minute with their noise, gaps and blind spots.

Counts are Poisson, failures binomial, mean latencies scatter with the number of requests, a scrape is missed now and
then, a workload that is down often says nothing, and some say nothing ever. Call counts come from traces, which some
workloads sample and nobody scales up.
"""

from datetime import timedelta

import numpy as np
import polars as pl

from workbench.focus import TIME
from workbench.sources.simulate.effects import Effects
from workbench.sources.simulate.estate import Estate
from workbench.sources.simulate.flow import Flow
from workbench.sources.simulate.seeds import rng

DAY = 1_440
MISSED = 0.0004  # scrapes that fail
SILENT_WHEN_DOWN = 0.6

METRICS = pl.Schema(
    {
        "timestamp": TIME,
        "workload": pl.Categorical(),
        "requests": pl.UInt32(),
        "errors": pl.UInt32(),
        "latency_sum_s": pl.Float32(),
        "latency_p50_s": pl.Float32(),
        "latency_p95_s": pl.Float32(),
        "latency_p99_s": pl.Float32(),
        "cpu_utilization": pl.Float32(),
        "memory_utilization": pl.Float32(),
        "disk_utilization": pl.Float32(),
        "network_bytes": pl.Float32(),
    }
)
"""One row a minute and workload: counts of that minute, seconds, shares (0 to 1), bytes in and out of that minute."""

CALLS = pl.Schema(
    {
        "timestamp": TIME,
        "caller": pl.Categorical(),
        "callee": pl.Categorical(),
        "calls": pl.UInt32(),
        "errors": pl.UInt32(),
        "latency_sum_s": pl.Float32(),
    }
)
"""One row a minute and edge, as the caller's traces count it: calls of that minute, those of them that failed, and the
seconds that they took. Also callees that export nothing themselves are seen so; messages take no time."""


def metrics(estate: Estate, flow: Flow, effects: Effects, day: int, at: int) -> pl.DataFrame:
    """Return the metrics of one day (`METRICS`, by time and workload); the flow's minutes from `at` on are that day."""
    seen = [place for place, workload in enumerate(estate.workloads) if workload.observed]
    span = slice(at, at + DAY)
    noise = rng(estate.seed, "observe", day)
    requests = _counted(flow.requests[seen, span], noise)
    errors = np.minimum(_counted(requests * flow.failed[seen, span], noise), requests)
    spread = estate.array("spread")[seen]
    scatter = np.sqrt(np.expm1(spread**2) / np.maximum(requests, 1.0))
    latency = flow.latency_s[seen, span] * (1.0 + scatter * _normal(noise, requests.shape))
    median = latency * np.exp(-0.5 * spread**2)
    columns = {
        "requests": requests,
        "errors": errors,
        "latency_sum_s": latency * requests,
        "latency_p50_s": median * (1.0 + 1.3 * scatter * _normal(noise, requests.shape)),
        "latency_p95_s": median * np.exp(1.645 * spread) * (1.0 + 2.2 * scatter * _normal(noise, requests.shape)),
        "latency_p99_s": median * np.exp(2.326 * spread) * (1.0 + 3.8 * scatter * _normal(noise, requests.shape)),
        **_machine(estate, flow, effects, seen, span=span, noise=noise),
    }
    kept = (noise.random(requests.shape, dtype=np.float32) >= MISSED) & ~_silent(effects, seen, span, noise)
    return _frame(estate, columns, kept, seen, day)


def _machine(
    estate: Estate, flow: Flow, effects: Effects, seen: list[int], *, span: slice, noise: np.random.Generator
) -> dict[str, np.ndarray]:
    """Processors, memory, disk and network, as shares and bytes."""
    shape = (len(seen), DAY)
    cpu, requests = flow.cpu[seen, span], flow.requests[seen, span]
    memory = estate.array("memory")[seen] + 0.08 * cpu + _sawtooth(estate, seen, span)
    kinds = [estate.workloads[place].kind for place in seen]
    thirst = np.array([{"database": 0.5, "cache": 0.02}.get(kind, 0.05) for kind in kinds])[:, None]
    disk = thirst * (0.3 + cpu)
    network = requests * estate.array("kb_out")[seen] * 1_300.0
    for row, place in enumerate(seen):
        cpu[row] = _plus(cpu[row], effects.get((place, "busy")), span)
        memory[row] = _plus(memory[row], effects.get((place, "memory")), span)
        for what in ("disk", "writes"):
            disk[row] = _plus(disk[row], effects.get((place, what)), span)
        loss = effects.get((place, "loss"))
        if loss is not None:
            network[row] *= 1.0 - 3.0 * np.minimum(loss[span], 0.3)
        chatter = effects.get((place, "chatter"))
        if chatter is not None:
            network[row] *= 1.0 + chatter[span]
    return {
        "cpu_utilization": np.clip(cpu * (1.0 + 0.05 * _normal(noise, shape)), 0.0, 1.0),
        "memory_utilization": np.clip(memory + 0.006 * _normal(noise, shape), 0.0, 1.0),
        "disk_utilization": np.clip(disk * (1.0 + 0.1 * _normal(noise, shape)), 0.0, 1.0),
        "network_bytes": network * (1.0 + 0.03 * _normal(noise, shape)),
    }


def _sawtooth(estate: Estate, seen: list[int], span: slice) -> np.ndarray:
    """Memory that fills slowly and is given back: every workload has its own period of some hours."""
    noise = rng(estate.seed, "memory")
    count = len(estate.workloads)
    period, phase = noise.uniform(180, 900, (count, 1))[seen], noise.random((count, 1))[seen]
    at = np.arange(span.start, span.stop)[None, :]
    return np.asarray(0.06 * ((at / period + phase) % 1.0))


def _plus(share: np.ndarray, more: np.ndarray | None, span: slice) -> np.ndarray:
    return share if more is None else 1.0 - (1.0 - np.minimum(share, 1.0)) * (1.0 - more[span])


def _counted(mean: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Poisson counts; from 50 on by the normal that they approach, which is ten times faster."""
    large = np.rint(mean + np.sqrt(mean) * _normal(noise, mean.shape))
    small = noise.poisson(np.minimum(mean, 50.0)) if (mean < 50).any() else 0
    return np.asarray(np.where(mean < 50, small, np.maximum(large, 0)))


def _normal(noise: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return noise.standard_normal(shape, dtype=np.float32)


def _silent(effects: Effects, seen: list[int], span: slice, noise: np.random.Generator) -> np.ndarray:
    silent = np.zeros((len(seen), DAY), bool)
    for row, place in enumerate(seen):
        down = effects.get((place, "down"))
        if down is not None:
            silent[row] = noise.random(DAY) < SILENT_WHEN_DOWN * np.floor(down[span] + 1e-9)
    return silent


def _frame(estate: Estate, columns: dict[str, np.ndarray], kept: np.ndarray, seen: list[int], day: int) -> pl.DataFrame:
    keep = kept.T.ravel()
    names = pl.Series("workload", [estate.workloads[place].name for place in seen], pl.Categorical())
    minute = np.repeat(np.arange(DAY), len(seen))[keep]
    place = np.tile(np.arange(len(seen)), DAY)[keep]
    start = estate.start + timedelta(days=day)
    values = {name: pl.Series(name, array.T.ravel()[keep]) for name, array in columns.items()}
    keys = {"timestamp": _times(start, minute), "workload": names.gather(place)}
    return pl.DataFrame({**keys, **values}).cast(METRICS)


def _times(start: object, minute: np.ndarray) -> pl.Series:
    stamps = pl.Series("timestamp", minute.astype(np.int64) * 60_000_000)
    return pl.select(pl.lit(start, TIME) + pl.lit(stamps).cast(pl.Duration("us"))).to_series().alias("timestamp")


def calls(estate: Estate, flow: Flow, day: int, at: int) -> pl.DataFrame:
    """Return the calls over each edge of one day (`CALLS`), as the callers' traces count them."""
    noise = rng(estate.seed, "calls", day)
    edges = [place for place, call in enumerate(estate.calls) if estate.workloads[call.caller].observed]
    share = np.array([estate.workloads[estate.calls[place].caller].sampling for place in edges])[:, None]
    calls = [estate.calls[place] for place in edges]
    callees, waits = [call.callee for call in calls], np.array([call.kind != "async" for call in calls])[:, None]
    span = slice(at, at + DAY)
    counted = _counted(flow.sent[edges, span] * share, noise)
    failed = np.minimum(_counted(counted * flow.failed[callees, span] * waits, noise), counted)
    scatter = np.sqrt(np.expm1(estate.array("spread")[callees] ** 2) / np.maximum(counted, 1.0))
    seconds = counted * flow.latency_s[callees, span] * waits * (1.0 + scatter * _normal(noise, counted.shape))
    names = pl.Series([workload.name for workload in estate.workloads], dtype=pl.Categorical())
    caller = np.tile(np.array([call.caller for call in calls], int), DAY)
    callee = np.tile(np.array(callees, int), DAY)
    minute = np.repeat(np.arange(DAY), len(edges))
    return pl.DataFrame(
        {
            "timestamp": _times(estate.start + timedelta(days=day), minute),
            "caller": names.gather(caller).alias("caller"),
            "callee": names.gather(callee).alias("callee"),
            "calls": counted.T.ravel(),
            "errors": failed.T.ravel(),
            "latency_sum_s": seconds.T.ravel(),
        }
    ).cast(CALLS)
