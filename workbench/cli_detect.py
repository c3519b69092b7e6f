"""`workbench detect` and `evaluate`: what is strange in metrics, and how good somebody is at telling."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from workbench.errors import UsageError


def detect(  # noqa: PLR0917 (typer reads the options from the signature)
    prometheus: Annotated[str, typer.Option(help="A Prometheus, without any profile.", metavar="URL")] = "",
    input: Annotated[  # noqa: A002 (the option's name)
        Path | None, typer.Option("--input", "-i", help="A CSV or Parquet: timestamp, value, and what names a series.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", "-p", help="A profile with `metrics`.")] = "",
    hours: Annotated[float, typer.Option(help="Judge the last so many hours.", min=0.01)] = 24.0,
    history_days: Annotated[float, typer.Option(help="Days before them that tell what is usual.", min=0.01)] = 7.0,
    budget: Annotated[float, typer.Option(help="False alarms allowed per series and week.", min=0.001)] = 1.0,
    step: Annotated[float, typer.Option(help="Seconds between points. Default: the source's.", min=0)] = 0.0,
    zone: Annotated[str, typer.Option(help="Zone of times that name none, for --input.")] = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Find what is strange in metrics, and since when: one line an episode, the strangest first.

    Exit code 1: some metrics could not be judged.
    """
    from workbench.pipelines.detect import Asked, detect_file, detect_profile, detect_url
    from workbench.pipelines.show import print_detection

    asked = Asked(hours, history_days, budget, timedelta(seconds=step) if step else None)
    if sum(map(bool, (prometheus, input, profile))) != 1:
        raise UsageError("name one source: --prometheus URL, --input FILE or --profile NAME")
    if prometheus:
        found = detect_url(prometheus, asked)
    else:
        found = detect_file(input, asked, zone) if input else detect_profile(profile, asked)
    if as_json:
        typer.echo(json.dumps(found.plain(), default=str))
    else:
        print_detection(found)
    raise typer.Exit(int(bool(found.refused)))


def evaluate(
    scores: Annotated[Path, typer.Option(help="A folder of CSV files: timestamp, anomaly_score, alert.")],
    labels: Annotated[Path, typer.Option(help="JSON: file → spans [first, last] in which something was wrong.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Judge scores and alerts by labels: VUS-PR, NAB's score, precision, recall, delay; chance stands beside."""
    from workbench.pipelines.evaluate import evaluate as judge
    from workbench.pipelines.show import print_judged

    rows = judge(scores, labels)
    if as_json:
        typer.echo(json.dumps({"rows": rows}))
    else:
        print_judged(rows)
