"""What happens is drawn beforehand, really happens, and is told apart."""

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.sources.simulate.conftest import made
from workbench.sources import simulate
from workbench.sources.estate import EstateFiles
from workbench.sources.simulate import story as telling
from workbench.sources.simulate.effects import effects_of
from workbench.sources.truth import truth


def test_incidents_are_of_eight_kinds_in_turn_and_last_two_to_sixty_minutes() -> None:
    estate = made(26, 200)
    incidents = simulate.tell(estate, 4.0).incidents
    counts = Counter(incident.kind for incident in incidents)
    assert set(counts) == set(telling.INCIDENTS)
    assert max(counts.values()) - min(counts.values()) <= 1
    lengths = np.array([incident.end - incident.start for incident in incidents])
    assert lengths.min() >= 2
    assert lengths.max() <= 60
    assert 6 < np.median(lengths) < 18  # short ones are as frequent as long ones on a logarithmic scale
    assert np.median([incident.severity for incident in incidents]) < 0.35
    gaps = np.diff(sorted(incident.start for incident in incidents))
    assert gaps.min() >= 120


def test_things_that_hurt_nobody_happen_beside_the_incidents() -> None:
    estate = made(26, 60)
    story = simulate.tell(estate)
    beside = [
        any(abs(other.start - incident.start) <= 5 for other in story.disturbances) for incident in story.incidents
    ]
    assert np.mean(beside) > 0.8


def test_a_disturbance_moves_no_request() -> None:
    estate = made(26, 12)
    calm = simulate.Run(estate, simulate.Story()).chunk(0, 12)
    story = replace(simulate.tell(estate), incidents=())
    hit = simulate.Run(estate, replace(story, plans=())).chunk(0, 12)
    assert any(happening.kind == "slow_job" for happening in story.disturbances)
    entries = estate.entries
    assert np.allclose(hit.flow.latency_s[entries], calm.flow.latency_s[entries])
    assert np.allclose(hit.flow.failed[entries], calm.flow.failed[entries])
    assert hit.orders.sum() == pytest.approx(calm.orders.sum())


@pytest.mark.parametrize("kind", telling.INCIDENTS)
def test_each_kind_of_incident_hurts_its_workload_and_is_over_at_its_end(kind: str) -> None:
    estate = made(26, 2)
    at = next(place for place, workload in enumerate(estate.workloads) if workload.name == "search-index")
    incident = telling.Happening("incident-0001", kind, at, 600, 630, 0.6)
    calm = simulate.Run(estate, simulate.Story()).chunk(0, 2).flow
    hit = simulate.Run(estate, simulate.Story(incidents=(incident,))).chunk(0, 2).flow
    hurt = (hit.latency_s[at] / calm.latency_s[at] - 1) + 10 * (hit.failed[at] - calm.failed[at])
    assert hurt[602:630].max() > 0.02
    assert np.allclose(hurt[:600], 0)
    assert np.allclose(hurt[640:], 0, atol=1e-3)
    loss = simulate.Run(estate, simulate.Story(incidents=(incident,))).loss(incident)
    assert "search-index" in loss.affected
    assert loss.lost_seconds > 0 or loss.failed_requests > 0
    assert loss.lost_revenue_usd > 0


def test_two_effects_on_one_workload_add_up_and_stay_shares() -> None:
    first = telling.Happening("a", "errors", 0, 10, 40, 1.0)
    second = telling.Happening("b", "errors", 0, 20, 40, 1.0)
    alone = effects_of([first], 0, 60, 1)[0, "errors"]
    both = effects_of([first, second], 0, 60, 1)[0, "errors"]
    assert np.allclose(both[:20], alone[:20])
    assert (both[20:40] > alone[20:40]).all()
    assert both.max() <= 1


def test_the_window_does_not_change_the_effect() -> None:
    incident = telling.Happening("a", "memory_leak", 2, 100, 150, 0.5)
    whole = effects_of([incident], 0, 400, 9)
    part = effects_of([incident], 120, 100, 9)
    assert all(np.allclose(part[key], whole[key][120:220]) for key in whole)


def test_the_truth_names_each_incident_once_and_nothing_public_names_one(files: EstateFiles) -> None:
    incidents = truth(files.folder, "incidents")
    assert incidents["incident_id"].is_unique().all()
    assert (incidents["start"] < incidents["end"]).all()
    for path in files.folder.rglob("*.parquet"):
        if "truth" not in path.parts:
            schema = pl.read_parquet_schema(path)
            assert not {"incident_id", "severity", "spike_id", "sampling", "factor"} & set(schema), path
    caused = truth(files.folder, "deployments").filter(pl.col("incident_id").is_not_null())
    assert set(caused["incident_id"]) == set(incidents.filter(pl.col("kind") == "bad_deploy")["incident_id"])


def test_planned_events_bring_users() -> None:
    estate = made(26, 40)
    plan = telling.Plan("plan-0001", "campaign", 0, 20 * 1440, 22 * 1440, 1.5)
    usual = simulate.Run(estate, simulate.Story()).users
    planned = simulate.Run(estate, simulate.Story(plans=(plan,))).users
    assert planned[0, 480:528] == pytest.approx(1.5 * usual[0, 480:528])
    assert (planned[:, :480] == usual[:, :480]).all()
