"""Work that can wait: what was submitted, by when it has to be done, and what it needs.

As it ran, every job began at once; how much waiting for cleaner or cheaper hours would have saved is for others to ask.
"""

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from workbench.focus import TIME
from workbench.sources.simulate.estate import VCPUS, Estate, watts
from workbench.sources.simulate.seeds import rng

BUSY = 0.92
"""How busy the processors of a machine are that runs a job."""
MACHINE_KW = VCPUS["batch"] * float(watts(np.array(BUSY))) / 1e3
"""What a batch machine draws while it runs one."""

JOBS = pl.Schema(
    {
        "job_id": pl.String(), "name": pl.String(), "workload": pl.String(), "business_unit": pl.String(),
        "region": pl.String(), "submitted_at": TIME, "deadline": TIME, "started_at": TIME, "ended_at": TIME,
        "machines": pl.Int32(), "power_kw": pl.Float64(), "interruptible": pl.Boolean(),
    }
)  # fmt: skip
"""One row a job; `power_kw` is the draw of all its machines together while it runs."""


class Regular(NamedTuple):
    """A job that comes again and again."""

    name: str
    workload: str
    every_days: int
    hour: int
    hours: int
    machines: int
    slack: int
    """Hours between the end, when it starts at once, and the deadline."""
    interruptible: bool


REGULAR = (
    Regular("nightly-etl", "spark-etl", 1, 1, 3, 12, 5, False),
    Regular("daily-reports", "spark-etl", 1, 6, 1, 4, 3, False),
    Regular("backups", "spark-etl", 1, 2, 2, 2, 20, True),
    Regular("index-rebuild", "spark-etl", 7, 21, 5, 10, 48, True),
    Regular("weekly-training", "ml-training", 7, 9, 10, 8, 72, True),
    Regular("feature-refresh", "ml-training", 1, 12, 2, 4, 14, True),
)


class Job(NamedTuple):
    """One run of a job; hours are counted from the estate's start."""

    name: str
    workload: int
    first_hour: int
    hours: int
    machines: int
    slack: int
    interruptible: bool


def plan(estate: Estate) -> list[Job]:
    """Return all jobs of the estate by their start: the regular ones, and about two experiments a day."""
    places = {workload.name: at for at, workload in enumerate(estate.workloads)}
    noise = rng(estate.seed, "jobs")
    found = []
    for job in REGULAR:
        if job.workload in places:
            for day in range(0, estate.days, job.every_days):
                machines = max(round(job.machines * float(np.exp(0.1 * noise.standard_normal()))), 1)
                first = 24 * day + job.hour
                found.append(
                    Job(job.name, places[job.workload], first, job.hours, machines, job.slack, job.interruptible)
                )
    if "ml-training" in places:
        for first in np.sort(noise.integers(0, estate.hours, noise.poisson(2 * estate.days))):
            hours, machines = int(noise.integers(1, 7)), int(noise.integers(1, 7))
            found.append(
                Job("experiment", places["ml-training"], int(first), hours, machines, int(noise.integers(2, 48)), True)
            )
    return sorted(job for job in found if job.first_hour + job.hours <= estate.hours)


def machine_hours(estate: Estate, jobs: list[Job]) -> np.ndarray:
    """Return the machines that run jobs, shape (workloads, hours)."""
    running = np.zeros((len(estate.workloads), estate.hours), np.int64)
    for job in jobs:
        running[job.workload, job.first_hour : job.first_hour + job.hours] += job.machines
    return running


def table(estate: Estate, jobs: list[Job]) -> pl.DataFrame:
    """Return the jobs as a frame (`JOBS`), by their start."""
    rows = []
    for number, job in enumerate(sorted(jobs, key=lambda job: (job.first_hour, job.name)), 1):
        workload = estate.workloads[job.workload]
        start = estate.start + timedelta(hours=job.first_hour)
        end = start + timedelta(hours=job.hours)
        rows.append((f"job-{number:05}", job.name, workload.name, workload.unit, workload.region, start,
                     end + timedelta(hours=job.slack), start, end, job.machines, job.machines * MACHINE_KW,
                     job.interruptible))  # fmt: skip
    return pl.DataFrame(rows, JOBS, orient="row")
