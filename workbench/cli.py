"""The `workbench` command.

Exit codes: 0 done, 1 done with failures, 2 wrong use. With `--json` standard output holds one JSON object and nothing
else; everything for a person goes to standard error.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli_detect import detect, evaluate
from workbench.cli_produce import produce_app
from workbench.errors import SettingsError, UsageError, WorkbenchError

app = typer.Typer(
    name="workbench",
    help="What the cloud cost, why it changed, what broke and why, how much carbon it took, what to do next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
warehouse_app = typer.Typer(help="The warehouse: make it, look at it, be its owner.", no_args_is_help=True)
app.add_typer(warehouse_app, name="warehouse")
stream_app = typer.Typer(help="The road that events take through the broker.", no_args_is_help=True)
app.add_typer(stream_app, name="stream")
app.add_typer(produce_app, name="produce")
app.command()(detect)
app.command()(evaluate)

Profile = Annotated[
    str,
    typer.Option(
        "--profile", "-p", help="A profile: a name in params/, or a path to its YAML file.", metavar="NAME|FILE"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, the rest on standard error.")]
AsOf = Annotated[str, typer.Option("--as-of", help="Charges before that day (UTC) count.", metavar="YYYY-MM-DD")]
KnownAt = Annotated[str, typer.Option("--known-at", help="With the knowledge of that moment.", metavar="TIME")]
Input = Annotated[
    Path | None, typer.Option("--input", "-i", help="A bill of your own, instead of a profile's sources.")
]


@app.command()
def report(  # noqa: PLR0917 (typer reads the options from the signature)
    names: Annotated[
        list[str] | None, typer.Argument(help="Notebooks to run: 02_costs, costs or 02. Default: all.")
    ] = None,
    profile: Profile = "demo",
    as_of: AsOf = "",
    known_at: KnownAt = "",
    input: Input = None,  # noqa: A002 (the option's name)
    as_json: Json = False,
) -> None:
    """Load what is new, run the notebooks, and write the pages to reports/PROFILE/AS-OF/."""
    from workbench.reports.make import make

    run, loaded = make(profile, names or [], as_of=as_of, known_at=known_at, input_file=input, quiet=as_json)
    for file in loaded.unread:
        typer.echo(f"workbench: not in the report: {file.error}", err=True)
    if as_json:
        print_json(run.as_dict())
    else:
        typer.echo(f"{run.folder}/index.html")
    raise typer.Exit(max(run.exit_code, int(bool(loaded.unread))))


@app.command()
def ingest(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Bills: FOCUS as CSV, CSV.gz or Parquet; files or folders.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", "-p", help="Load into this profile's warehouse.")] = "",
    as_json: Json = False,
) -> None:
    """Read bills and say what was read, accepted and rejected, with exact totals.

    Without --profile the files are only read. With it they are loaded; without FILES, the profile's own sources are.
    """
    from workbench.pipelines.account import account_of, read_and_load
    from workbench.pipelines.show import print_account

    if not files and not profile:
        raise UsageError("nothing to read; name a bill (`workbench ingest bill.csv`) or a profile (`--profile demo`)")
    account = account_of(read_and_load(files or [], profile))
    if as_json:
        print_json(account)
    else:
        print_account(account)
    raise typer.Exit(account["exit_code"])


@app.command()
def simulate(  # noqa: PLR0917 (typer reads the options from the signature)
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; an estate in it is replaced.")],
    seed: Annotated[int, typer.Option(help="The same seed, size and days give the same files.")] = 7,
    days: Annotated[int, typer.Option(help="How many days before --end.")] = 120,
    workloads: Annotated[int, typer.Option(help="How many workloads, 4 to 5000.")] = 26,
    orders_per_day: Annotated[float, typer.Option(help="What customers buy on a usual day; scales the events.")] = 180,
    metric_days: Annotated[int | None, typer.Option(help="So many last days by minute. Default: all.")] = None,
    end: Annotated[str, typer.Option(help="The day after the last one.", metavar="YYYY-MM-DD")] = "2025-11-01",
    as_json: Json = False,
) -> None:
    """Write a simulated cloud: bills, events, metrics, calls, logs, grid; what really happened apart, in truth/."""
    from workbench.pipelines.estate import simulate_to
    from workbench.pipelines.show import print_written

    written = simulate_to(out, seed, days, end, workloads, orders_per_day=orders_per_day, metric_days=metric_days)
    if as_json:
        print_json({"folder": str(written.folder), "events": written.events, "rows": written.rows})
    else:
        print_written(written)


@app.command()
def doctor(profile: Profile = "demo", as_json: Json = False) -> None:
    """Check the profile, sources, folders, disk, warehouse and broker; say what to do for each failure."""
    from workbench.pipelines.doctor import examine
    from workbench.pipelines.show import print_finding

    findings = []
    for finding in examine(profile):
        findings.append(finding)
        if not as_json:
            print_finding(finding)
    if as_json:
        print_json({"profile": profile, "findings": [asdict(finding) for finding in findings]})
    raise typer.Exit(int(any(not finding.ok for finding in findings)))


@warehouse_app.command("init")
def warehouse_init(profile: Profile = "demo", as_json: Json = False) -> None:
    """Make all schemas, tables and views; may be run again at any time."""
    from workbench.settings import load
    from workbench.warehouse import init

    done = init(load(profile))
    if as_json:
        print_json({"profile": profile, "ran": done})
    else:
        typer.echo("\n".join(done))


@warehouse_app.command("status")
def warehouse_status(profile: Profile = "demo", as_json: Json = False) -> None:
    """Show each table with its rows and its first and last day."""
    from workbench.pipelines.show import print_frame
    from workbench.settings import load
    from workbench.warehouse import Warehouse

    with Warehouse(load(profile)) as warehouse:
        tables = warehouse.status()
    if as_json:
        print_json({"profile": profile, "tables": json.loads(tables.write_json())})
    else:
        print_frame(tables)


@warehouse_app.command("serve")
def warehouse_serve(profile: Profile = "demo") -> None:
    """Be the owner of the embedded warehouse, in the foreground, until interrupted or idle."""
    from workbench.settings import load
    from workbench.warehouse import serve

    serve(load(profile))


@warehouse_app.command("stop")
def warehouse_stop(profile: Profile = "demo") -> None:
    """End the owner of the embedded warehouse; the next command starts a new one."""
    from workbench.settings import load
    from workbench.warehouse import stop

    typer.echo("stopped" if stop(load(profile)) else "no owner was running")


@stream_app.command("status")
def stream_status(profile: Profile = "demo", as_json: Json = False) -> None:
    """Show the topics and how far they have been read, the last runs, and what could not be read."""
    from workbench.pipelines import stream
    from workbench.pipelines.show import print_stream
    from workbench.settings import load

    status = stream.stream_status(load(profile, check_files=False))
    if as_json:
        print_json(stream.plain(status))
    else:
        print_stream(status)


@stream_app.command("run")
def stream_run(
    profile: Profile = "kafka",
    processor: Annotated[
        list[str] | None, typer.Option(help="windows, spikes, roi, rightsizing; several times. Default: all.")
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Serve /metrics and /healthz there.", metavar="HOST:PORT")
    ] = "127.0.0.1:9108",
    batch_s: Annotated[float, typer.Option(help="Seconds that a batch gathers.")] = 0.5,
    as_json: Json = False,
) -> None:
    """Run the stream processors, exactly once, until interrupted: topics in, topics out."""
    from workbench.pipelines.live import run_stream
    from workbench.settings import load

    settings = load(profile, check_files=False)
    done = run_stream(settings, processor or [], metrics, batch_s, lambda text: typer.echo(text, err=True))
    if as_json:
        print_json(done)
    else:
        typer.echo(f"read {done['read']:,}, written {done['written']:,}, dead letters {done['dead']:,}")


@stream_app.command("load")
def stream_load(
    profile: Profile = "kafka",
    follow: Annotated[bool, typer.Option("--follow", help="Go on until interrupted.")] = False,
    as_json: Json = False,
) -> None:
    """Load what the stream processors tell into the warehouse: windows, spikes, return, advice."""
    from workbench.pipelines.show import print_loaded
    from workbench.pipelines.streamed import load_stream
    from workbench.settings import load

    settings = load(profile, check_files=False)
    done = load_stream(settings, lambda text: typer.echo(text, err=True), follow=follow)
    if as_json:
        print_json(done)
    else:
        print_loaded(done)
    raise typer.Exit(done["exit_code"])


@stream_app.command("reset")
def stream_reset(
    profile: Profile = "kafka",
    processor: Annotated[list[str] | None, typer.Option(help="Whose state. Default: all.")] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Read the inputs from their beginning again.")] = False,
    as_json: Json = False,
) -> None:
    """Forget the state of the stream processors; the service must not run."""
    from workbench.pipelines.live import reset
    from workbench.settings import load

    forgotten = reset(load(profile, check_files=False), processor or [], replay=replay)
    if as_json:
        print_json({"forgotten": forgotten, "replay": replay})
    else:
        typer.echo(f"forgot {forgotten} parts of the state" + (", and begins at the first event" if replay else ""))


@stream_app.command("redrive")
def stream_redrive(  # noqa: PLR0917 (typer reads the options from the signature)
    profile: Profile = "kafka",
    reason: Annotated[str, typer.Option(help="Only letters with this in their reason.", metavar="TEXT")] = "",
    limit: Annotated[int | None, typer.Option(help="So many letters at most.")] = None,
    as_version: Annotated[
        str, typer.Option(help="Take letters without a known schema_version for this one.", metavar="1")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which letters would be sent.")] = False,
    as_json: Json = False,
) -> None:
    """Send dead letters back to their topics, exactly once; what is still bad becomes a letter again."""
    from workbench.pipelines.redrive import choice_of, redrive_letters
    from workbench.pipelines.show import print_redriven
    from workbench.settings import load

    choice = choice_of(reason, limit, as_version)
    done = redrive_letters(load(profile, check_files=False), choice, dry_run=dry_run)
    (print_json if as_json else print_redriven)(done)


def print_json(value: Any) -> None:  # noqa: ANN401 (any JSON)
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a known error is one message, not a stack trace."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except WorkbenchError as error:
        typer.echo(f"workbench: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError | SettingsError) else 1)


if __name__ == "__main__":
    main()
