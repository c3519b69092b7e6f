"""Rules for Prometheus: what promtool takes, and what alerts when."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.anomalies.rules import MARK, Threshold, duration, metric_name, rules_file
from workbench.errors import UsageError

CPU = "sum by (workload) (rate(container_cpu_usage_seconds_total[5m]))"
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool not found; Debian's package `prometheus` has it"
)


def cpu(workload: str, value: float = 0.9, **more: Any) -> Threshold:
    return Threshold("cpu_usage", CPU, value, {"workload": workload}, **more)


def promtool(tmp_path: Path, text: str, tests: dict[str, Any] | None = None) -> str:
    """Check the rules, or run promtool's tests of them; what it says, which fails the test if it is not content."""
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    if tests is not None:
        (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], **tests}), encoding="utf-8")
    command = ["check", "rules", "--lint-fatal", "rules.yaml"] if tests is None else ["test", "rules", "test.yaml"]
    told = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def rules(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(text)["groups"][0]["rules"]
    return found


def test_a_metric_is_recorded_before_its_limits_and_these_before_the_alert() -> None:
    made = rules(rules_file([cpu("checkout"), cpu("cart", 0.5)]))
    assert [each.get("record") or each["alert"] for each in made] == [
        "workbench:cpu_usage", "workbench:cpu_usage:upper", "workbench:cpu_usage:upper", "CpuUsageAboveWarning",
    ]  # fmt: skip
    assert [each["labels"]["workload"] for each in made[1:3]] == ["cart", "checkout"]
    assert {each["labels"][MARK] for each in made[1:3]} == {"CpuUsageAboveWarning"}
    assert made[3]["for"] == "5m"
    assert made[3]["labels"] == {"severity": "warning"}


def test_the_order_of_thresholds_changes_nothing() -> None:
    some = [cpu("a"), cpu("b", severity="critical"), cpu("c", above=False), Threshold("m", "up", 1)]
    assert rules_file(some) == rules_file(some[::-1])


def test_alerts_of_one_metric_have_names_of_their_own() -> None:
    some = [
        cpu("a"), cpu("a", 0.95, severity="critical"), cpu("a", 0.1, above=False), cpu("a", lasting=timedelta(hours=1)),
        Threshold("cpu_usage", CPU, 0.99, {"zone": "x"}, says="one"), Threshold("cpu_usage", CPU, 0.99, says="two"),
    ]  # fmt: skip
    names = [each["alert"] for each in rules(rules_file(some)) if "alert" in each]
    assert len(names) == len(set(names)) == len(some)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([], "no thresholds"),
        ([cpu("a", float("nan"))], "is no number"),
        ([cpu("a", float("inf"))], "is no number"),
        ([Threshold("m", " ", 1)], "has no PromQL"),
        ([Threshold("", "up", 1)], "needs a metric"),
        ([Threshold("m", "up", 1, {"a-b": "x"})], "'a-b' is no label"),
        ([Threshold("m", "up", 1, {"__name__": "x"})], "'__name__' is no label"),
        ([cpu("a", lasting=timedelta(milliseconds=5))], "no duration"),
        ([Threshold("m m", "up", 1), Threshold("m-m", "down", 1)], "two expressions, up and down"),
        ([cpu("a", 1), cpu("a", 2)], "differ in nothing but the value"),
    ],
)
def test_what_prometheus_would_not_take_is_refused(wrong: list[Threshold], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        rules_file(wrong)


def test_names_and_durations_are_written_as_prometheus_writes_them() -> None:
    assert metric_name("p95-Latenz (ms)") == "p95_Latenz_ms"
    assert metric_name("§") == "metric"
    assert [duration(timedelta(seconds=each)) for each in (0, 59, 60, 3600, 90_061)] == [
        "0s", "59s", "1m", "1h", "25h1m1s",
    ]  # fmt: skip


# What the real tool says


@pytest.mark.real
@needs_promtool
def test_it_takes_what_is_made(tmp_path: Path) -> None:
    some = [cpu(f"w{number}", number / 7) for number in range(40)]
    some += [cpu("a", 1e300, severity="critical"), cpu("b", -1e-9, above=False)]
    some += [Threshold("2 fast", "vector(1)", 3, says="{{ $x }} {{ if }} \"a\" 'b' # no comment\nnext: -")]
    assert "SUCCESS: 49 rules found" in promtool(tmp_path, rules_file(some)), "2 metrics, 43 limits, 4 alerts"


@pytest.mark.real
@needs_promtool
@settings(max_examples=15)
@given(
    st.lists(
        st.builds(
            Threshold,
            st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip())),
            st.sampled_from(['up{a=~"x|\\"y"}', "rate(x_total[5m]) # comment", "  sum(x)\n  by (y)"]),
            st.floats(allow_nan=False, allow_infinity=False),
            st.dictionaries(st.from_regex(r"\A[a-z][a-z_0-9]{0,5}\Z"), st.text(max_size=8), max_size=3),
            st.booleans(),
            st.integers(0, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
            st.text(min_size=1, max_size=8).filter(lambda text: bool(text.strip())),
            st.text(max_size=30),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda each: metric_name(each.metric).casefold(),
    )
)
def test_it_takes_whatever_texts_users_have(tmp_path_factory: pytest.TempPathFactory, some: list[Threshold]) -> None:
    promtool(tmp_path_factory.mktemp("rules"), rules_file(some))


@pytest.mark.real
@needs_promtool
def test_each_series_alerts_by_its_own_limit_after_its_time(tmp_path: Path) -> None:
    load = "sum by (workload) (load)"
    text = rules_file([
        Threshold("load", load, 5, {"workload": "cart"}, severity="critical"),
        Threshold("load", load, 50, {"workload": "check\"out\\"}, severity="critical"),
    ])  # fmt: skip
    series = [
        {"series": r'load{workload="cart",pod="1"}', "values": "1x9 3x20"},
        {"series": r'load{workload="cart",pod="2"}', "values": "1x9 3x20"},
        {"series": r'load{workload="check\"out\\",pod="1"}', "values": "6x30"},
        {"series": r'load{workload="other",pod="1"}', "values": "1000x30"},
    ]
    labels = {"workload": "cart", "severity": "critical"}
    said = {"summary": "load of workload cart is 6, above its limit",
            "description": f"It has been above its calibrated limit for 5m. Query: {load}"}  # fmt: skip
    alert = {"exp_labels": labels, "exp_annotations": said}
    checks = [
        {"eval_time": f"{minute}m", "alertname": "LoadAboveCritical", "exp_alerts": [alert] * (minute >= 15)}
        for minute in (0, 9, 10, 14, 15, 16, 29)
    ]
    promtool(tmp_path, text, {
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": checks}],
    })  # fmt: skip


@pytest.mark.real
@needs_promtool
def test_a_limit_for_all_series_and_one_from_below(tmp_path: Path) -> None:
    text = rules_file([Threshold("up", "up", 1, above=False, lasting=timedelta(0), says="down {{ now }}")])
    alert = {
        "exp_labels": {"job": "b", "severity": "warning"},
        "exp_annotations": {"summary": "up is 0, below its limit", "description": "down {{ now }}"},
    }
    promtool(tmp_path, text, {
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": [
                {"series": 'up{job="a"}', "values": "1x9"}, {"series": 'up{job="b"}', "values": "0x9"},
            ],
            "alert_rule_test": [{"eval_time": "2m", "alertname": "UpBelowWarning", "exp_alerts": [alert]}],
        }],
    })  # fmt: skip
