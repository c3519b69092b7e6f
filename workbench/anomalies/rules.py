r"""Thresholds as a file of rules for Prometheus: it alerts by itself then, without the workbench.

Three kinds of rules in one group, evaluated in this order:

- `workbench:METRIC` records what the metric's PromQL gives now;
- `workbench:METRIC:upper` or `:lower` records the threshold of each series, under the labels of the series;
- an alert compares the two by these labels, so one alert serves however many series have a threshold of their own.

    groups:
      - name: workbench
        rules:
          - {record: "workbench:cpu_usage", expr: sum by (workload) (rate(container_cpu_usage_seconds_total[5m]))}
          - {record: "workbench:cpu_usage:upper", expr: "0.9", labels: {workload: checkout, workbench_alert: …}}
          - alert: CpuUsageAboveCritical
            expr: workbench:cpu_usage > on (workload) group_left () workbench:cpu_usage:upper{workbench_alert="…"}
            for: 5m

A series that has no threshold never alerts, and one that is missing does neither: a rule can't see what is not there.
Source: <https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/>, names as in its best practices.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from workbench.errors import UsageError

MARK = "workbench_alert"
"""The label of a recorded threshold that says which alert it belongs to."""

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Threshold:
    """One limit of one series, or of all series of a metric.

    Attributes
    ----------
    metric
        A name; what Prometheus does not allow in names becomes `_`.
    expression
        PromQL that gives the metric, one value a series; the same for all thresholds of a metric.
    value
        In the metric's unit.
    labels
        The series that it is for; empty: every series of the metric.
    above
        Whether a value above it is wrong, or one below it.
    lasting
        The alert fires once it was wrong for so long; whole seconds.
    severity
        A label of the alert, e.g. `critical`.
    says
        A sentence for whoever is called; none: one that says metric, series and value.
    """

    metric: str
    expression: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    above: bool = True
    lasting: timedelta = timedelta(minutes=5)
    severity: str = "warning"
    says: str = ""


def rules_file(
    thresholds: Iterable[Threshold], *, group: str = "workbench", every: timedelta = timedelta(minutes=1)
) -> str:
    """Write the rules as YAML, for `rule_files` in Prometheus' configuration.

    Parameters
    ----------
    thresholds
        In any order: the same ones give the same text.
    group
        Name of the group of rules.
    every
        How often they are evaluated; whole seconds.

    Raises
    ------
    UsageError
        No thresholds; a threshold, label, duration or expression that Prometheus would not take; one metric with two
        expressions; one series with two thresholds of the same kind.
    """
    import yaml

    wanted = sorted(thresholds, key=lambda each: (_kind(each), sorted(each.labels.items())))
    if not wanted:
        raise UsageError("there are no thresholds to make rules of; calibrate a detector first")
    for each in wanted:
        _check(each)
    _check_together(wanted)
    alerts = _alerts(wanted)
    rules = [*_metrics(wanted), *_limits(wanted, alerts), *_comparisons(wanted, alerts)]
    content = {"groups": [{"name": group, "interval": duration(every), "rules": rules}]}
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000)
    return f"# Written by the workbench from calibrated thresholds. The next calibration will overwrite it.\n{text}"


def metric_name(text: str) -> str:
    """A text as (a part of) a metric's name.

    >>> metric_name("p95 latency, s")
    'p95_latency_s'
    """
    name = re.sub(r"[^a-zA-Z0-9_]+", "_", text).strip("_")
    return name or "metric"


def duration(span: timedelta) -> str:
    """A span as Prometheus writes it.

    >>> duration(timedelta(minutes=90, seconds=5))
    '1h30m5s'

    Raises
    ------
    UsageError
        Below 0, or not whole seconds.
    """
    if span < timedelta(0) or span % _SECOND:
        raise UsageError(f"{span} is no duration of a rule; take whole seconds, 0 or more")
    rest, text = span // _SECOND, ""
    for unit, seconds in (("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, seconds)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


_Kind = tuple[str, bool, str, timedelta, tuple[str, ...], str]
"""What thresholds have in common that share an alert: metric, above, severity, lasting, names of labels, sentence."""


def _kind(each: Threshold) -> _Kind:
    return each.metric, each.above, each.severity, each.lasting, tuple(sorted(each.labels)), each.says


def _check(each: Threshold) -> None:
    if not math.isfinite(each.value):
        raise UsageError(f"the threshold {each.value} of '{each.metric}' is no number; calibrate it again")
    if not each.expression.strip():
        raise UsageError(f"'{each.metric}' has no PromQL; give the expression that it is queried by")
    if not each.metric.strip() or not each.severity.strip():
        raise UsageError(f"a threshold needs a metric and a severity, not '{each.metric}' and '{each.severity}'")
    for name in each.labels:
        if not _LABEL.fullmatch(name) or name.startswith("__") or name == MARK:
            raise UsageError(f"'{name}' is no label that a rule can carry; take letters, digits and _, "
                             "no digit first, no two _ first")  # fmt: skip
    duration(each.lasting)


def _check_together(wanted: Sequence[Threshold]) -> None:
    expressions: dict[str, str] = {}
    seen: set[tuple[_Kind, tuple[tuple[str, str], ...]]] = set()
    for each in wanted:
        if expressions.setdefault(metric_name(each.metric), each.expression) != each.expression:
            raise UsageError(f"'{each.metric}' has two expressions, {expressions[metric_name(each.metric)]} and "
                             f"{each.expression}; give the second a name of its own")  # fmt: skip
        series = (_kind(each), tuple(sorted(each.labels.items())))
        if series in seen:
            raise UsageError(f"'{each.metric}' has two thresholds for {dict(each.labels) or 'all series'} that differ "
                             "in nothing but the value; keep one")  # fmt: skip
        seen.add(series)


def _alerts(wanted: Sequence[Threshold]) -> dict[_Kind, str]:
    """A name for each alert, unique: `CpuUsageAboveCritical`, and with the duration or a number where it must be."""
    names: dict[_Kind, str] = {}
    for each in wanted:
        if (kind := _kind(each)) in names:
            continue
        words = [metric_name(each.metric), "above" if each.above else "below", metric_name(each.severity)]
        plain = "".join(word[:1].upper() + word[1:] for part in words for word in part.split("_"))
        plain = plain if not plain[:1].isdigit() else f"Metric{plain}"
        lasting = f"{plain}For{duration(each.lasting)}"
        tried = (plain, lasting, *(f"{lasting}No{number}" for number in range(2, len(wanted) + 2)))
        names[kind] = next(name for name in tried if name not in names.values())
    return names


def _metrics(wanted: Sequence[Threshold]) -> Iterator[dict[str, Any]]:
    expressions = {_recorded(each): each.expression for each in wanted}
    for name, expression in expressions.items():
        yield {"record": name, "expr": expression.strip()}


def _limits(wanted: Sequence[Threshold], alerts: Mapping[_Kind, str]) -> Iterator[dict[str, Any]]:
    for each in wanted:
        labels = {**dict(sorted(each.labels.items())), MARK: alerts[_kind(each)]}
        yield {"record": _limit(each), "expr": repr(float(each.value)), "labels": labels}


def _comparisons(wanted: Sequence[Threshold], alerts: Mapping[_Kind, str]) -> Iterator[dict[str, Any]]:
    first = {_kind(each): each for each in reversed(wanted)}
    for kind, alert in alerts.items():
        each = first[kind]
        on = ", ".join(sorted(each.labels))
        sign = ">" if each.above else "<"
        yield {
            "alert": alert,
            "expr": f'{_recorded(each)} {sign} on ({on}) group_left () {_limit(each)}{{{MARK}="{alert}"}}',
            "for": duration(each.lasting),
            "labels": {"severity": each.severity},
            "annotations": {"summary": _summary(each), "description": _description(each)},
        }


def _recorded(each: Threshold) -> str:
    return f"workbench:{metric_name(each.metric)}"


def _limit(each: Threshold) -> str:
    return f"{_recorded(each)}:{'upper' if each.above else 'lower'}"


def _summary(each: Threshold) -> str:
    shown = ", ".join(f"{name} {{{{ $labels.{name} }}}}" for name in sorted(each.labels))
    side = "above" if each.above else "below"
    return f"{_plain(each.metric)}{' of ' if shown else ''}{shown} is {{{{ $value | humanize }}}}, {side} its limit"


def _description(each: Threshold) -> str:
    side = "above" if each.above else "below"
    told = f"It has been {side} its calibrated limit for {duration(each.lasting)}. Query: {each.expression.strip()}"
    return _plain(each.says or told)


def _plain(text: str) -> str:
    """A text in which Prometheus finds nothing to fill in."""
    return text.replace("{{", '{{ "{{" }}')
