"""What each resource on the bill used, hour by hour: the estate's physics in billing units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.sources.simulate import catalogue
from workbench.sources.simulate.estate import Estate
from workbench.sources.simulate.resources import Resource, resources
from workbench.sources.simulate.seeds import rng
from workbench.sources.simulate.spikes import Draft, drift, strike
from workbench.sources.simulate.story import Story

LOG_KB = 0.12  # for each request
LOG_KB_FAILED = 6.0
RESERVED = 3  # resources with a commitment
MICRO = 1_000_000


@dataclass(frozen=True)
class Hourly:
    """What the flow comes to by hour, arrays of shape (workloads, hours): counts, shares, and instances that run."""

    requests: np.ndarray
    failed: np.ndarray
    cpu: np.ndarray
    instances: np.ndarray
    machines: np.ndarray
    """Batch machines that run jobs."""


@dataclass(frozen=True)
class Usage:
    """What is billed, by resource and hour: quantities in millionths of a unit, prices in millionths of a dollar.

    `baseline` quantities and `list_price` are what it would have been without the spikes; `reserved` instances are paid
    for whether they are used or not.
    """

    resources: tuple[Resource, ...]
    quantity: np.ndarray
    baseline: np.ndarray
    price: np.ndarray
    list_price: np.ndarray
    reserved: np.ndarray
    held: np.ndarray
    """Reserved instances as they would have been, had no commitment lapsed."""
    struck: dict[str, list[int]]
    """Spike or drift → places of the resources that it struck."""


def measure(estate: Estate, hourly: Hourly, story: Story) -> Usage:
    """Turn the flow into billing units, and let the drifts and spikes happen."""
    found = resources(estate)
    base = np.stack([_quantity(resource, estate, hourly) for resource in found])
    list_price = np.array([round(float(resource.sku.usd) * MICRO) for resource in found], np.int64)[:, None]
    struck = drift(story.drifts, found, base)
    held = _reserved(found, base)
    draft = Draft(found, base.copy(), np.broadcast_to(list_price, base.shape).copy(), held.copy())
    for spike in story.spikes:
        struck[spike.id] = strike(spike, draft)
    quantity, baseline, reserved, kept = (
        np.rint(array * MICRO).astype(np.int64) for array in (draft.quantity, base, draft.reserved, held)
    )
    return Usage(tuple(found), quantity, baseline, draft.price, list_price, reserved, kept, struck)


def _quantity(resource: Resource, estate: Estate, hourly: Hourly) -> np.ndarray:
    """What a resource uses in each hour, in its unit."""
    hours = np.arange(estate.hours)
    noise = rng(estate.seed, "usage " + resource.id)
    at, wobble = resource.workload, np.exp(0.03 * noise.standard_normal(estate.hours))
    match resource.driver:
        case "instances":
            used = (hourly.instances[at] + hourly.machines[at]).astype(float)
        case "logs":
            used = (hourly.requests[at] * LOG_KB + hourly.failed[at] * LOG_KB_FAILED) / 1e6 * wobble
        case "storage" | "lake":
            size = 42_000.0 if resource.driver == "lake" else noise.uniform(300, 3_000)
            used = size * 1.0015 ** (hours / 24)
        case "staging":
            working = ((estate.start.weekday() + hours // 24) % 7 < 5) & (hours % 24 >= 7) & (hours % 24 < 19)
            used = np.where(working, 2.0, 0.0)
        case "egress":
            used = _sent_out(resource.region, estate, hourly) * wobble
        case "queries":
            used = np.where(hours % 24 < 5, 1.6, 0.35) * wobble
        case "cluster":
            used = np.ones(estate.hours)
        case _:  # an accident: nothing, until it happens
            used = np.zeros(estate.hours)
    return np.asarray(used)


def _sent_out(region: str, estate: Estate, hourly: Hourly) -> np.ndarray:
    """Gigabytes that leave a region: what users get, less what a cache at the edge serves, and a little besides."""
    inside = [place for place, workload in enumerate(estate.workloads) if workload.region == region]
    outside = np.array([0.12 if estate.workloads[place].users else 0.0024 for place in inside])[:, None]
    return np.asarray((hourly.requests[inside] * estate.array("kb_out")[inside] * outside).sum(axis=0) / 1e6)


def _reserved(found: Sequence[Resource], base: np.ndarray) -> np.ndarray:
    """The largest users of machines on AWS have committed to nine tenths of what they usually need."""
    reserved = np.zeros_like(base)
    able = [
        at
        for at, resource in enumerate(found)
        if resource.driver == "instances" and resource.provider == catalogue.AWS and np.median(base[at]) >= 3
    ]
    largest = sorted(able, key=lambda at: -base[at].sum() * float(found[at].sku.usd))[:RESERVED]
    for at in largest:
        reserved[at] = np.floor(0.9 * np.median(base[at]))
    return reserved
