"""Metrics from whatever a profile names."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sources.prometheus.conftest import FakePrometheus, Trouble
from workbench.errors import SettingsError, SourceError, UsageError
from workbench.settings import CloudwatchMetrics, FileMetrics, PrometheusMetrics, PrometheusServer, Settings, load
from workbench.sources.collect import collect, collect_url
from workbench.sources.prometheus import DEFAULT

START = datetime(2025, 10, 1, tzinfo=UTC)
END = START + timedelta(hours=1)
SECRET = "hunter2-very-secret"  # noqa: S105
Profile = Callable[..., Settings]


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """A profile with these sources of metrics."""

    def make(*metrics: dict[str, Any], environment: dict[str, str] | None = None) -> Settings:
        content = {"sources": [{"name": "a", "kind": "demo", "end": "2025-11-01"}], "metrics": list(metrics)}
        (tmp_path / "x.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return load(tmp_path / "x.yaml", environment=environment or {})

    return make


@pytest.fixture
def fake() -> Any:
    made = FakePrometheus()
    yield made
    made.close()


def csv(folder: Path, value: int = 1) -> Path:
    lines = "".join(f"2025-10-01 00:{minute:02}:00,{value}\n" for minute in range(0, 60, 5))
    (folder / "up.csv").write_text(f"timestamp,value\n{lines}", encoding="utf-8")
    return folder / "up.csv"


def test_a_profile_joins_its_sources(profile: Profile, fake: FakePrometheus, tmp_path: Path) -> None:
    settings = profile(
        {"name": "live", "servers": [{"url": fake.url}], "queries": {"up": "up"}, "step_s": 300},
        {"name": "files", "kind": "file", "path": str(csv(tmp_path))},
    )
    read = collect(settings, START, END)
    assert read.frame.group_by("metric").len().sort("metric").rows() == [("up", 12), ("value", 12)]
    assert read.step == timedelta(minutes=5)
    assert collect(settings.metrics[0], START, END, timedelta(minutes=1)).frame.height == 60


def test_a_source_that_fails_is_told_and_all_that_fail_are_an_error(
    profile: Profile, fake: FakePrometheus, tmp_path: Path
) -> None:
    fake.always = Trouble(status=400)
    live = {"name": "live", "servers": [{"url": fake.url}], "queries": {"up": "up"}}
    read = collect(profile(live, {"name": "files", "kind": "file", "path": str(csv(tmp_path))}), START, END)
    assert read.frame.height == 12
    assert any(sentence.startswith("metrics 'live': ") for sentence in read.told)
    with pytest.raises(SourceError, match="metrics 'live'.*metrics 'gone'"):
        collect(profile(live, {"name": "gone", "kind": "file", "path": str(tmp_path / "gone.csv")}), START, END)


def test_a_file_is_cut_to_the_span_and_read_in_its_zone(tmp_path: Path) -> None:
    there = FileMetrics(name="files", path=csv(tmp_path), zone="Europe/Berlin")
    assert not collect(there, START, END).frame.height, "midnight in Berlin is the evening before in UTC"
    early = collect(there, START - timedelta(hours=2), END - timedelta(hours=2, minutes=30))
    assert early.frame["timestamp"].max() == START - timedelta(hours=1, minutes=35)


def test_without_queries_the_four_metrics_of_the_articles_are_asked_for(fake: FakePrometheus) -> None:
    fake.series = {query: [{"pod": "a"}] for query in DEFAULT.values()}
    for read in (
        collect_url(fake.url, START, END, environment={}),
        collect(PrometheusMetrics(name="live", servers=[PrometheusServer(url=fake.url)]), START, END),
    ):
        assert set(read.frame["metric"]) == set(DEFAULT)
        assert read.frame.height == 4 * 60


def test_no_metrics_and_no_zone_are_the_callers_fault(profile: Profile) -> None:
    with pytest.raises(UsageError, match="profile 'x' names no metrics"):
        collect(profile(), START, END)
    with pytest.raises(UsageError, match="no time zone"):
        collect(FileMetrics(name="files", path="x.csv"), START.replace(tzinfo=None), END)


# The section of the profile


def test_secrets_come_from_the_environment_and_reach_the_server(profile: Profile, fake: FakePrometheus) -> None:
    server = {"url": fake.url, "token": "${TOKEN}", "headers": {"X-Scope-OrgID": "${TENANT}"}}
    settings = profile({"name": "live", "servers": [server], "queries": {"up": "up"}},
                       environment={"TOKEN": SECRET, "TENANT": "acme"})  # fmt: skip
    collect(settings, START, END)
    assert {each.headers["authorization"] for each in fake.asked} == {f"Bearer {SECRET}"}
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ({"url": "http://host", "password": SECRET}, "a secret may not stand in a profile"),
        ({"url": "http://host", "headers": {"X-Key": SECRET}}, "a header's value may be a secret"),
        ({"url": f"http://me:{SECRET}@host"}, "the url holds a name or a password"),
        ({"url": "host:9090"}, "no address of a server"),
        ({"url": f"http://host/?token={SECRET}"}, "no address of a server"),
        ({"url": "http://host", "username": "me"}, "username and password belong together"),
        ({"url": "http://host:x"}, "can't be read"),
    ],
)
def test_a_server_that_cannot_be_asked_is_a_fault_that_shows_no_secret(
    profile: Profile, server: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        profile({"name": "live", "servers": [server]})
    assert SECRET not in str(caught.value)
    assert "metrics[0].servers[0]" in str(caught.value)


def test_two_sources_of_metrics_may_not_have_one_name(profile: Profile) -> None:
    twice = {"name": "live", "servers": [{"url": "http://host"}]}
    with pytest.raises(SettingsError, match=r"metrics\[1\].name: two sources of metrics are called 'live'"):
        profile(twice, twice)


def test_an_unknown_kind_names_those_that_there_are(profile: Profile) -> None:
    with pytest.raises(SettingsError, match="allowed: prometheus, cloudwatch, file; did you mean 'cloudwatch'"):
        profile({"name": "x", "kind": "cloudwach"})
    with pytest.raises(SettingsError, match="statistic"):
        profile({"name": "x", "kind": "cloudwatch", "regions": ["eu-west-1"], "queries": {
            "cpu": {"namespace": "AWS/EC2", "metric": "C", "dimensions": ["I"], "statistic": "Mean"}}})  # fmt: skip
    assert CloudwatchMetrics(name="x", regions=["eu-west-1"]).queries.keys() == {"cpu_usage"}
