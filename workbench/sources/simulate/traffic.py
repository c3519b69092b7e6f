"""How many people come, and how many machines stand ready: by hour for all days, by minute for some."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from workbench.sources.simulate import catalogue
from workbench.sources.simulate.estate import VCPUS, Estate
from workbench.sources.simulate.seeds import drifting, rng

GROWTH = 0.0012  # a day
TARGET = 0.5  # utilisation that the autoscaler aims at
MINUTES = 1_440
HICCUPS = 3  # a day and workload


@dataclass(frozen=True)
class Surge:
    """More (or fewer) users at an entry for a while; hours are counted from the estate's start, half open."""

    entry: int
    first_hour: int
    end_hour: int
    factor: float


def hourly(estate: Estate, surges: Iterable[Surge] = ()) -> np.ndarray:
    """Return the users' requests a minute, shape (entries, hours).

    Days and weeks, growth of 0.12 % a day, a drift that all entries share and one of each entry (memory of 2.5 days:
    yesterday is a fair guess, last month is not), and what was planned.
    """
    hours = np.arange(estate.hours)
    entries = [estate.workloads[at] for at in estate.entries]
    weekday = ((estate.start.weekday() + hours // 24) % 7)[None, :]
    offset = np.array([catalogue.REGIONS[entry.region].utc_offset for entry in entries])[:, None]
    local = (hours[None, :] + offset) % 24
    day = 0.30 + 0.70 * (0.5 - 0.5 * np.cos(2 * np.pi * (local - 4) / 24)) ** 1.4
    noise = rng(estate.seed, "traffic")
    week = 1.0 - noise.uniform(0.05, 0.3, (len(entries), 1)) * (weekday >= 5)
    drift = drifting(noise, (len(entries), estate.hours), 60, 0.06) + drifting(noise, (1, estate.hours), 60, 0.04)
    base = np.array([entry.users for entry in entries])[:, None]
    users: np.ndarray = base * day * week * (1 + GROWTH) ** (hours / 24) * np.exp(drift)
    for surge in surges:
        users[surge.entry, surge.first_hour : surge.end_hour] *= surge.factor
    return users


def minutes(estate: Estate, users: np.ndarray, first_day: int, days: int) -> np.ndarray:
    """Return the same by minute for some days, shape (entries, minutes): smooth between the hours, and nervous."""
    at = np.arange(first_day * MINUTES, (first_day + days) * MINUTES)
    middle = np.arange(estate.hours) * 60 + 30
    smooth = np.stack([np.interp(at, middle, row) for row in users])
    kernel = 0.8 ** np.arange(20)
    kernel /= np.sqrt((kernel**2).sum())
    for day in range(days):
        noise = rng(estate.seed, "minutes", first_day + day).standard_normal((len(users), MINUTES + 19))
        jitter = np.stack([np.convolve(row, kernel, "valid") for row in noise])
        smooth[:, day * MINUTES : (day + 1) * MINUTES] *= np.exp(0.025 * jitter)
    return smooth


def instances(estate: Estate, users: np.ndarray) -> np.ndarray:
    """Return how many instances run, shape (workloads, hours), whole numbers.

    The autoscaler aims at half load, looks at the hour before, and takes away slowly: what was needed in the last three
    hours stays. Databases, caches and models are sized once for the whole time.
    """
    demand = estate.fan_out() @ users / 60 * estate.array("cpu_s")  # processors that are busy
    size = np.array([max(VCPUS[workload.kind], 1) for workload in estate.workloads])[:, None]
    before = np.concatenate([demand[:, :1], demand[:, :-1]], axis=1)
    recent = np.max([np.roll(before, shift, axis=1) for shift in range(3)], axis=0)
    recent[:, :3] = before[:, :3]
    fixed = np.quantile(demand, 0.98, axis=1, keepdims=True)
    steady = np.array([workload.kind in {"database", "cache", "model"} for workload in estate.workloads])[:, None]
    wanted = np.where(steady, fixed * 1.15, recent) / (size * TARGET)
    count = np.maximum(np.ceil(wanted), np.where(steady, 1, 2))
    none = np.array([workload.kind in {"external", "batch"} for workload in estate.workloads])
    count[none] = 0
    return np.asarray(count, np.int64)


def mood(estate: Estate, first_day: int, days: int) -> np.ndarray:
    """Return how each workload feels when nothing is wrong: a factor on its latency, shape (workloads, minutes).

    It wanders over hours (deviation 5 %, the same as what a deployment or a growing table does) and flickers from
    minute to minute (mostly 2 to 10 %, each workload its own), and now and then one hiccups for a minute: baselines
    move, callers feel it, and a large deviation alone means little.
    """
    count = len(estate.workloads)
    hours = np.arange(-1, 24 * days + 2) + 24 * first_day
    wander = _wander(estate)[:, np.clip(hours, 0, estate.hours - 1)]
    at, middle = np.arange(days * MINUTES), (np.arange(-1, 24 * days + 2)) * 60 + 30
    slow = np.stack([np.interp(at, middle, row) for row in wander])
    depth = np.clip(0.05 * np.exp(0.6 * rng(estate.seed, "flicker").standard_normal((count, 1))), 0.015, 0.15)
    for day in range(days):
        noise = rng(estate.seed, "mood", first_day + day).standard_normal((count, MINUTES + 2), dtype=np.float32)
        flicker = (0.8 * noise[:, 2:] + 0.5 * noise[:, 1:-1] + 0.33 * noise[:, :-2]) * depth
        slow[:, day * MINUTES : (day + 1) * MINUTES] += flicker + _hiccups(estate, first_day + day)
    return np.asarray(np.exp(slow))


def _hiccups(estate: Estate, day: int) -> np.ndarray:
    """Some minutes a day in which a workload is 1.2 to 2.5 times as slow: a garbage collection, a cold cache."""
    noise, shape = rng(estate.seed, "hiccups", day), (len(estate.workloads), MINUTES)
    found = np.zeros(shape)
    rows, minutes = np.nonzero(noise.random(shape, dtype=np.float32) < HICCUPS / MINUTES)
    found[rows, minutes] = np.log(noise.uniform(1.2, 2.5, len(rows)))
    return found


@lru_cache(maxsize=4)
def _wander(estate: Estate) -> np.ndarray:
    return drifting(rng(estate.seed, "wander"), (len(estate.workloads), estate.hours), 9, 0.05)
