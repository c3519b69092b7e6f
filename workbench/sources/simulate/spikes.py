"""What makes the bill drift and jump: changes to quantities, prices and commitments of single resources."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.sources.simulate import catalogue
from workbench.sources.simulate.resources import Resource
from workbench.sources.simulate.story import Drift, Spike


@dataclass(frozen=True)
class Draft:
    """Usage before it becomes whole numbers, changed in place; arrays of shape (resources, hours)."""

    resources: Sequence[Resource]
    quantity: np.ndarray
    price: np.ndarray
    """In millionths of a dollar."""
    reserved: np.ndarray

    def places(self, which: Callable[[Resource], bool]) -> list[int]:
        """Places of the resources that are so."""
        return [at for at, resource in enumerate(self.resources) if which(resource)]


def drift(drifts: Iterable[Drift], resources: Sequence[Resource], base: np.ndarray) -> dict[str, list[int]]:
    """Let quantities grow in place, each drift one resource; returns which."""
    struck: dict[str, list[int]] = {}
    for each in drifts:
        driver = {"log_volume": "logs", "storage": "storage"}[each.kind]
        able = [at for at, resource in enumerate(resources) if resource.driver == driver]
        if able:
            at = _picked(able, each.pick)
            days = np.clip(np.arange(base.shape[1]) - each.start // 60, 0, None) / 24
            base[at] *= (1 + each.a_day) ** days
            struck[each.id] = [at]
    return struck


def strike(spike: Spike, draft: Draft) -> list[int]:
    """Let a spike happen; returns the places of the resources that it struck, none where there is no such thing."""
    return _KINDS[spike.kind](spike, draft, slice(spike.start // 60, spike.end // 60))


def _quantity(spike: Spike, draft: Draft, span: slice) -> list[int]:
    """One of the four dearest metered resources is used several times as much."""
    able = draft.places(lambda resource: resource.driver in {"logs", "egress", "queries"})
    dearest = sorted(able, key=lambda at: -float((draft.quantity[at] * draft.price[at]).sum()))[:4]
    at = _picked(dearest, spike.pick)
    draft.quantity[at, span] *= spike.factor
    return [at]


def _runaway_job(spike: Spike, draft: Draft, span: slice) -> list[int]:
    """A job does not stop."""
    able = draft.places(lambda resource: resource.sku in catalogue.BATCH.values())
    if not able:
        return []
    at = _picked(able, spike.pick)
    draft.quantity[at, span] += round(4 * spike.factor)
    return [at]


def _price(spike: Spike, draft: Draft, span: slice) -> list[int]:
    """A product becomes dearer in a region, for all who use it."""
    chosen = draft.resources[_picked(draft.places(lambda resource: resource.driver == "instances"), spike.pick)]
    same = draft.places(lambda resource: resource.sku == chosen.sku and resource.region == chosen.region)
    draft.price[same, span] = np.rint(draft.price[same, span] * spike.factor).astype(np.int64)
    return same


def _new_resource(_: Spike, draft: Draft, span: slice) -> list[int]:
    """Somebody starts machines that nobody knew."""
    at = draft.places(lambda resource: resource.driver == "accident")[0]
    draft.quantity[at, span] += 4
    return [at]


def _lost_commitment(spike: Spike, draft: Draft, span: slice) -> list[int]:
    """A commitment ends and is renewed late: until then everything is billed on demand."""
    able = [at for at in range(len(draft.resources)) if draft.reserved[at].any()]
    if not able:
        return []
    at = _picked(able, spike.pick)
    draft.reserved[at, span] = 0
    return [at]


def _picked(able: Sequence[int], pick: float) -> int:
    return able[int(pick * len(able))]


_KINDS = {
    "quantity": _quantity, "runaway_job": _runaway_job, "price": _price, "new_resource": _new_resource,
    "lost_commitment": _lost_commitment,
}  # fmt: skip
