"""`workbench produce …`: events from outside, once or for as long as it is wanted."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import UsageError, WorkbenchError

if TYPE_CHECKING:
    from workbench.pipelines.produce import Producer

produce_app = typer.Typer(
    help="Events from AWS and from your own systems: one round with --once, else again and again until it is stopped.",
    no_args_is_help=True,
)

Profile = Annotated[str, typer.Option("--profile", "-p", help="A profile: a name in params/, or a path to its file.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a round on standard output.")]
Once = Annotated[bool, typer.Option("--once", help="One round, instead of one at each interval.")]
Interval = Annotated[
    float | None, typer.Option("--interval", help="Minutes between rounds, instead of the profile's.", min=0.01)
]
Source = Annotated[str, typer.Option("--source", help="Which source of kind aws, where the profile has several.")]
Since = Annotated[str, typer.Option("--since", help="Read again from here on, instead of where the last run stopped.")]


@produce_app.command("aws-costs")
def aws_costs(  # noqa: PLR0917 (typer reads the options from the signature)
    profile: Profile = "demo",
    source: Source = "",
    since: Since = "",
    once: Once = False,
    interval: Interval = None,
    as_json: Json = False,
) -> None:
    """Read Cost Explorer: what each unit and service cost, by day or hour, the last days again."""
    _aws("aws-costs", profile, source, since, once=once, interval=interval, as_json=as_json)


@produce_app.command("aws-usage")
def aws_usage(  # noqa: PLR0917
    profile: Profile = "demo",
    source: Source = "",
    since: Since = "",
    once: Once = False,
    interval: Interval = None,
    as_json: Json = False,
) -> None:
    """Read CloudWatch: how much of each resource was used, hour by hour."""
    _aws("aws-usage", profile, source, since, once=once, interval=interval, as_json=as_json)


@produce_app.command("aws-export")
def aws_export(
    profile: Profile = "demo",
    source: Source = "",
    once: Once = False,
    interval: Interval = None,
    as_json: Json = False,
) -> None:
    """Read a CUR 2.0 or FOCUS export in S3: each billing period that AWS has written anew."""
    _aws("aws-export", profile, source, "", once=once, interval=interval, as_json=as_json)


@produce_app.command("business")
def business(  # noqa: PLR0917
    profile: Profile = "demo",
    input: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option("--input", "-i", help="A file of JSON lines that may grow, or - for standard input.")
    ] = "",
    http: Annotated[
        str, typer.Option("--http", help="Listen here for POST /events instead.", metavar="HOST:PORT")
    ] = "",
    once: Once = False,
    interval: Annotated[float, typer.Option("--interval", help="Seconds between looks at the file.", min=0.05)] = 10,
    as_json: Json = False,
) -> None:
    """Take business events: JSON lines from a file, from standard input, or by HTTP."""
    if bool(input) == bool(http):
        raise UsageError("say where business events come from: --input FILE, --input - or --http 127.0.0.1:8080")
    if http:
        _listen(profile, http, as_json=as_json)
        return
    if input == "-":
        with _producer(profile) as producer:
            _end(_show(producer.stream(), as_json=as_json))
        return
    path = Path(input)
    if not path.is_file():
        raise UsageError(f"--input {input}: there is no such file")
    with _producer(profile) as producer:
        _run(
            producer,
            lambda: producer.file(path, last=once),
            timedelta(seconds=interval),
            once=once,
            as_json=as_json,
        )


def _aws(
    kind: str, profile: str, source: str, since: str, *, once: bool, interval: float | None, as_json: bool
) -> None:
    from workbench.pipelines.produce import since_of, source_of

    again_from = [since_of(since)]
    with _producer(profile) as producer:
        minutes = interval or source_of(producer.settings, source).interval_minutes

        def work() -> dict[str, Any]:
            account = producer.round(kind, source, again_from[0])
            again_from[0] = None  # the next round goes on from here
            return account

        _run(producer, work, timedelta(minutes=minutes), once=once, as_json=as_json)


@contextmanager
def _producer(profile: str) -> Iterator["Producer"]:
    from workbench.pipelines.produce import Producer
    from workbench.pipelines.rounds import stopping
    from workbench.pipelines.sinks import open_sink
    from workbench.settings import load
    from workbench.warehouse import Warehouse

    settings = load(profile, check_files=False)
    with stopping() as stop, Warehouse(settings) as warehouse, open_sink(warehouse, settings) as (sink, road):
        yield Producer(settings, warehouse, sink, road, stop)


def _run(
    producer: "Producer", work: Callable[[], dict[str, Any]], every: timedelta, *, once: bool, as_json: bool
) -> None:
    from workbench.pipelines.rounds import StopAsked, rounds

    def one() -> bool:
        """One round, printed."""
        return _show(work(), as_json=as_json)

    def told(error: WorkbenchError, pause: float) -> None:
        """Say what stood in the way, and when it is tried again."""
        typer.echo(f"workbench: {error} (again in {pause:.0f} s)", err=True)

    if once:
        try:
            _end(one())
        except StopAsked:
            typer.echo("workbench: stopped; the next run goes on from here", err=True)
        return
    _end(rounds(one, every, producer.stop, told))


def _listen(profile: str, http: str, *, as_json: bool) -> None:
    from workbench.pipelines.listen import serve
    from workbench.sources.endpoint import TOKEN_VARIABLE, address_of, check_token

    address, token = address_of(http), os.environ.get(TOKEN_VARIABLE) or None
    check_token(address, token)
    with _producer(profile) as producer:
        account = serve(producer, address, token, lambda text: typer.echo(f"workbench: {text}", err=True))
    _show(account, as_json=as_json)


def _show(account: dict[str, Any], *, as_json: bool) -> bool:
    """Print what came of a round; returns whether all of it was good."""
    if as_json:
        typer.echo(json.dumps(account, ensure_ascii=False, default=str))
    else:
        skipped = ("produced", "source", "failed")
        told = ", ".join(
            f"{key} {value}" for key, value in account.items() if key not in skipped and value not in ([], {})
        )
        typer.echo(f"{account['produced']} from {account['source']}: {told}")
    return not account["failed"]


def _end(good: bool) -> None:
    raise typer.Exit(0 if good else 1)
