"""What the workloads write down: a trickle of routine, some of the failures, words about the trouble."""

from datetime import timedelta

import numpy as np
import polars as pl

from workbench.focus import TIME
from workbench.sources.simulate.effects import Effects
from workbench.sources.simulate.estate import Estate
from workbench.sources.simulate.flow import Flow
from workbench.sources.simulate.seeds import rng

DAY = 1_440
ROUTINE = 0.25  # lines a minute and workload
MOST_ERRORS = 3.0  # error lines a minute and workload: the rest is left out, as loggers do
LOGS = pl.Schema({"timestamp": TIME, "workload": pl.String(), "level": pl.String(), "message": pl.String()})

_TEMPLATES = (
    ("INFO", "request {} served in {} ms"),
    ("INFO", "cache refreshed, {} entries in {} ms"),
    ("INFO", "connection pool: {} in use, {} idle"),
    ("INFO", "health check {} ok in {} ms"),
    ("INFO", "config reloaded, revision {}, took {} ms"),
    ("INFO", "user session {} renewed after {} s"),
    ("ERROR", "request {} failed: upstream answered 503 after {} ms"),
    ("ERROR", "request {} failed: internal error, code {}"),
    ("ERROR", "request {} failed: deadline exceeded after {} ms"),
    ("WARN", "event loop blocked, request {} waited {} ms"),
    ("WARN", "garbage collection {} took {} ms"),
    ("WARN", "slow request {}: {} ms"),
    ("ERROR", "unhandled exception in request {}, error id {}"),
    ("WARN", "disk write {} took {} ms"),
    ("WARN", "connection {} reset by peer after {} ms"),
    ("ERROR", "cannot accept connection {}: backlog of {} is full"),
    ("INFO", "background task {} at step {}"),
    ("INFO", "compaction {} wrote {} MB"),
)
_ROUTINE, _FAILURES = (0, 6), (6, 9)
_TROUBLE = {
    "steal": 9,
    "memory": 10,
    "latency": 11,
    "errors": 12,
    "disk": 13,
    "loss": 14,
    "down": 15,
    "busy": 16,
    "writes": 17,
}
"""Effect → the template that speaks of it."""


def logs(estate: Estate, flow: Flow, effects: Effects, day: int, at: int) -> pl.DataFrame:
    """Return the log lines of one day (`LOGS`), by time; the flow's minutes from `at` on are that day."""
    noise = rng(estate.seed, "logs", day)
    span = slice(at, at + DAY)
    able = [place for place, workload in enumerate(estate.workloads) if workload.kind not in {"external", "batch"}]
    failed = np.minimum(flow.requests[able, span] * flow.failed[able, span] * 0.002, MOST_ERRORS)
    parts = [
        _drawn(able, noise.poisson(ROUTINE, (len(able), DAY)), _ROUTINE, noise),
        _drawn(able, noise.poisson(failed), _FAILURES, noise),
    ]
    for (place, what), effect in sorted(effects.items(), key=lambda item: item[0]):
        if what in _TROUBLE:
            strength = np.clip(effect[span] - 1.0 if what == "latency" else effect[span], 0.0, 1.0)[None, :]
            which = _TROUBLE[what]
            parts.append(_drawn([place], noise.poisson(2.0 * strength), (which, which + 1), noise))
    return _written(estate, np.concatenate(parts), day, noise)


def _drawn(places: list[int], count: np.ndarray, templates: tuple[int, int], noise: np.random.Generator) -> np.ndarray:
    """Lines that are to be written, shape (lines, 3): workload, minute, template."""
    row, minute = np.nonzero(count)
    times = count[row, minute]
    row, minute = np.repeat(row, times), np.repeat(minute, times)
    return np.stack([np.array(places)[row], minute, noise.integers(*templates, len(row))], axis=1)


def _written(estate: Estate, lines: np.ndarray, day: int, noise: np.random.Generator) -> pl.DataFrame:
    """Put the words and numbers in."""
    total = len(lines)
    pieces = [text.split("{}") for _, text in _TEMPLATES]
    which = pl.Series(lines[:, 2])
    before, between, after = (pl.Series([each[at] for each in pieces]).gather(which) for at in range(3))
    names = pl.Series([workload.name for workload in estate.workloads])
    stamps = pl.Series(lines[:, 1] * 60_000_000 + noise.integers(0, 60_000_000, total))
    first, second = noise.integers(10_000, 99_999, total), noise.integers(1, 900, total)
    numbers = [pl.lit(pl.Series(array)).cast(pl.String) for array in (first, second)]
    return pl.select(
        timestamp=pl.lit(estate.start + timedelta(days=day), TIME) + pl.lit(stamps).cast(pl.Duration("us")),
        workload=pl.lit(names.gather(pl.Series(lines[:, 0]))),
        level=pl.lit(pl.Series([level for level, _ in _TEMPLATES]).gather(which)),
        message=pl.concat_str(pl.lit(before), numbers[0], pl.lit(between), numbers[1], pl.lit(after)),
    ).sort("timestamp", maintain_order=True)
