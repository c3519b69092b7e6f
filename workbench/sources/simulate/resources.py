"""What the bill knows: the resources behind each workload, and those that nobody owns."""

from typing import NamedTuple

from workbench.sources.simulate import catalogue
from workbench.sources.simulate.catalogue import Sku
from workbench.sources.simulate.estate import Estate

STAGED = 5  # workloads with a staging environment


class Resource(NamedTuple):
    """A resource that the bill knows."""

    id: str
    name: str
    workload: int
    """Place in the estate; -1 for what is shared."""
    unit: str
    """Empty: nobody has tagged it."""
    environment: str
    region: str
    sku: Sku
    driver: str

    @property
    def provider(self) -> str:
        """Who bills it."""
        return catalogue.REGIONS[self.region].provider


def resources(estate: Estate) -> list[Resource]:
    """Return all resources: those of each workload, what is shared, and what comes by accident."""
    found: list[Resource] = []
    staged = 0
    for at, workload in enumerate(estate.workloads):
        if workload.kind == "external":
            continue
        found.append(_of(at, workload.name, estate, _machine(workload.kind)[workload.provider], "instances"))
        if workload.kind in {"web", "api"}:
            found.append(_of(at, f"{workload.name}-logs", estate, catalogue.LOGS[workload.provider], "logs"))
        if workload.kind == "database":
            found.append(_of(at, f"{workload.name}-volume", estate, catalogue.STORAGE[workload.provider], "storage"))
        if workload.kind == "api" and staged < STAGED:
            staged += 1
            name = f"{workload.name}-staging"
            staging = _of(at, name, estate, catalogue.COMPUTE[workload.provider], "staging")
            found.append(staging._replace(environment="staging"))
    return found + _shared(estate) + _experiment(estate)


def _machine(kind: str) -> dict[str, Sku]:
    kinds = {
        "database": catalogue.DATABASE,
        "cache": catalogue.CACHE,
        "model": catalogue.MODEL,
        "batch": catalogue.BATCH,
    }
    return kinds.get(kind, catalogue.COMPUTE)


def _of(at: int, name: str, estate: Estate, sku: Sku, driver: str) -> Resource:
    workload = estate.workloads[at]
    place = f"{catalogue.SHORT[workload.provider]}/{workload.region}/{name}"
    return Resource(place, name, at, workload.unit, "production", workload.region, sku, driver)


def _shared(estate: Estate) -> list[Resource]:
    """What a region has once, untagged: a cluster and its way out; and the lake of the data team."""
    used = sorted({workload.region for workload in estate.workloads if workload.region})
    found = []
    for region in used:
        provider = catalogue.REGIONS[region].provider
        for name, sku in (("cluster", catalogue.CLUSTER[provider]), ("egress", catalogue.EGRESS[provider])):
            place = f"{catalogue.SHORT[provider]}/{region}/{name}"
            found.append(Resource(place, name, -1, "", "production", region, sku, name))
        if provider == catalogue.GCP and not any(resource.name == "lake" for resource in found):
            for name, sku in (("lake", catalogue.STORAGE[provider]), ("queries", catalogue.QUERIES)):
                place = f"gcp/{region}/{name}"
                found.append(Resource(place, name, -1, "data-platform", "production", region, sku, name))
    return found


def _experiment(estate: Estate) -> list[Resource]:
    """What somebody starts one day and forgets: there is only a line for it while it runs."""
    regions = [each.region for each in estate.workloads if each.unit == "ml-research" and each.region]
    region = regions[0] if regions else "us-east-1"
    provider = catalogue.REGIONS[region].provider
    place = f"{catalogue.SHORT[provider]}/{region}/gpu-experiment"
    return [
        Resource(
            place, "gpu-experiment", -1, "ml-research", "development", region, catalogue.MODEL[provider], "accident"
        )
    ]
