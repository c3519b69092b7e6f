"""What was written is what is read, from a real Prometheus that is not always well."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from tests.real.prometheus.shaky import ShakyProxy
from tests.real.prometheus.start import Labels, RealPrometheus, Series, load_history
from workbench.errors import SourceError
from workbench.settings import PrometheusMetrics, PrometheusServer, load
from workbench.sources.collect import collect, collect_url
from workbench.sources.measured import NO_NUMBER
from workbench.sources.prometheus import DEFAULT

pytestmark = [pytest.mark.real, pytest.mark.slow]

START = datetime(2025, 10, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AT = int(START.timestamp())
STRICT = "last_over_time(load_percent[59s])"
"""A bare name would be carried on for five minutes after its last sample."""


def load_series(first: int, last: int, *, step: int = 60, seed: int = 3) -> list[Series]:
    """Three workloads; one is silent for a while, one has a sample that is no number."""
    rng = np.random.default_rng(seed + first)
    made = []
    for workload in ("cart", "checkout", 'odd"one\\'):
        moments = np.arange(AT + first * step, AT + last * step, step)
        values = np.round(rng.normal(50, 10, len(moments)), 6)
        samples = [(int(at), float(value)) for at, value in zip(moments, values, strict=True)]
        if workload == "cart":
            del samples[100:120]
        if workload == "checkout":
            samples[50] = (samples[50][0], float("nan"))
        made.append(("load_percent", (("job", "web"), ("workload", workload)), samples))
    return made


def expected(*parts: list[Series]) -> pl.DataFrame:
    """What was written, as it has to come back."""
    rows = [(_name(labels), at, value) for part in parts for _, labels, samples in part for at, value in samples]
    frame = pl.DataFrame(rows, schema={"series": pl.String, "at": pl.Int64, "value": pl.Float64}, orient="row")
    when = pl.from_epoch("at", time_unit="s").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("timestamp")
    finite = frame.filter(pl.col("value").is_not_nan()).select(pl.lit("load").alias("metric"), "series", when, "value")
    return finite.sort("series", "timestamp")


def _name(labels: Labels) -> str:
    value = dict(labels)["workload"].replace("\\", "\\\\").replace('"', '\\"')
    return f'workload="{value}"'


@pytest.fixture
def proxy() -> Iterator[ShakyProxy]:
    made = ShakyProxy("")
    yield made
    made.close()


def test_history_and_live_samples_come_back_as_they_were_written_through_kills_and_failures(
    prometheus: RealPrometheus,
    proxy: ShakyProxy,
) -> None:
    """12,000 minutes by promtool, 60 by remote write with kills in between, read by a proxy while it is killed."""
    history, live = load_series(0, 12_000), load_series(12_000, 12_060)[1:2]
    load_history(prometheus.storage, history, {"load_percent": "gauge"})
    prometheus.start()
    proxy.target = prometheus.url
    for first, (name, labels, samples) in ((at, live[0]) for at in range(0, 60, 20)):
        prometheus.write([(name, labels, samples[first : first + 20])])
        prometheus.kill()
        prometheus.start()
    again = threading.Thread(target=prometheus.start)
    proxy.meanwhile = {4: prometheus.kill, 6: again.start}
    read = collect_url(proxy.url, START, START + 12_060 * MINUTE, MINUTE, {"load": STRICT}, environment={})
    again.join()
    wanted = expected(history, live)
    assert read.frame.equals(wanted), f"{read.frame.height} rows instead of {wanted.height}"
    assert read.dropped == {NO_NUMBER: 2}
    assert len(proxy.failed) >= 4, "the proxy and the kill did get in the way"
    assert set(read.labels.filter(pl.col("label") == "job")["value"]) == {"web"}


def test_the_default_queries_fit_the_usual_names(prometheus: RealPrometheus) -> None:
    """A counter that begins again, memory, requests and a histogram: CPU 0.5 cores, 2 requests/s, p95 in its bucket."""
    moments = range(AT, AT + 7200, 15)
    pod: Labels = (("namespace", "shop"), ("pod", "checkout-1"))
    began = AT + 3600
    cpu = [(at, 0.5 * (at - (AT if at < began else began))) for at in moments]
    requests = [(at, 2.0 * (at - AT)) for at in moments]
    bucket = "http_request_duration_seconds_bucket"
    series: list[Series] = [("container_cpu_usage_seconds_total", (*pod, ("cpu", str(core))), cpu) for core in range(2)]
    series += [("container_memory_usage_bytes", pod, [(at, 1e9) for at in moments])]
    series += [("http_requests_total", (("instance", str(number)), ("workload", "web")), requests) for number in (1, 2)]
    for le, share in (("0.1", 0.9), ("0.5", 0.99), ("+Inf", 1.0)):
        series.append((bucket, (("le", le), ("workload", "web")), [(at, value * share) for at, value in requests]))
    kinds = {"container_cpu_usage_seconds": "counter", "container_memory_usage_bytes": "gauge",
             "http_requests": "counter", "http_request_duration_seconds": "histogram"}  # fmt: skip
    load_history(prometheus.storage, series, kinds)
    prometheus.start()
    read = collect_url(prometheus.url, START + 10 * MINUTE, START + 110 * MINUTE, MINUTE, environment={})
    assert read.told == []
    assert read.frame.group_by("metric").len().sort("metric").rows() == [(metric, 100) for metric in sorted(DEFAULT)]
    spans = {metric: (low, high) for metric, low, high in read.frame.group_by("metric").agg(
        pl.col("value").min().alias("low"), pl.col("value").max().alias("high")).rows()}  # fmt: skip
    assert 0.8 < spans["cpu_usage"][0] <= spans["cpu_usage"][1] < 1.05, "two cores of half a second a second; no spike"
    assert spans["memory_usage"] == (1e9, 1e9)
    assert spans["http_requests"] == pytest.approx((4, 4))
    assert 0.1 < spans["response_time"][0] <= spans["response_time"][1] < 0.5


def test_a_profile_reads_two_servers_as_one(
    prometheus: RealPrometheus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of the pair was down for a while: together they have it all."""
    whole = load_series(0, 240)
    other = RealPrometheus(tmp_path / "other")
    try:
        for server, holds in ((prometheus, lambda at: at < AT + 9000), (other, lambda at: at >= AT + 6000)):
            mine = [(name, labels, [each for each in samples if holds(each[0])]) for name, labels, samples in whole]
            load_history(server.storage, mine, {"load_percent": "gauge"})
            server.start()
        profile = tmp_path / "pair.yaml"
        metrics = {"name": "pair", "servers": [{"url": "${ONE}"}, {"url": "${TWO}"}], "queries": {"load": STRICT}}
        sources = [{"name": "a", "kind": "demo", "end": "2025-11-01"}]
        profile.write_text(yaml.safe_dump({"sources": sources, "metrics": [metrics]}), encoding="utf-8")
        settings = load(profile, environment={"ONE": prometheus.url, "TWO": other.url})
        read = collect(settings, START, START + 240 * MINUTE)
        assert read.frame.equals(expected(whole))
        other.kill()
        monkeypatch.setattr("workbench.sources.prometheus.asking.FIRST_S", 0.01)
        alone = collect(settings, START, START + 240 * MINUTE)
        assert alone.frame["timestamp"].max() == START + 149 * MINUTE
        assert any(other.url in sentence for sentence in alone.told)
    finally:
        other.kill()


def test_what_the_server_refuses_and_what_is_too_much_comes_with_its_words(
    prometheus: RealPrometheus,
) -> None:
    many = [("load_percent", (("request", f"r{number}"),), [(AT, 1.0), (AT + 60, 2.0)]) for number in range(60)]
    load_history(prometheus.storage, many, {"load_percent": "gauge"})
    prometheus.start()
    end = START + 60 * MINUTE
    with pytest.raises(SourceError, match=r"'load', rate\(load_percent\).*bad_data: .*expected type range vector"):
        collect_url(prometheus.url, START, end, MINUTE, {"load": "rate(load_percent)"}, environment={})
    few = PrometheusMetrics(name="few", servers=[PrometheusServer(url=prometheus.url)],
                            queries={"load": "load_percent"}, most_series=50)  # fmt: skip
    with pytest.raises(SourceError, match="has 60 series, more than the 50"):
        collect(few, START, end)
    whole = collect(few.model_copy(update={"most_series": 60}), START, end)
    assert whole.frame["series"].n_unique() == 60
