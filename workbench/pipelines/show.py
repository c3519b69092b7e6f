"""How results look in a terminal."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workbench.pipelines.doctor import Finding
from workbench.sources.simulate import Written

if TYPE_CHECKING:
    from workbench.pipelines.detect import Detection


def print_account(account: dict[str, Any]) -> None:
    """Print what came of each file, the reasons of refusals, and the exact totals."""
    console = Console()
    counts = Table("file", *(name for name in _COUNTS if any(name in file for file in account["files"])))
    for file in account["files"]:
        cells = [f"{file.get(name, 0):,}" for name in _COUNTS if any(name in other for other in account["files"])]
        counts.add_row(file["file"], *cells)
    console.print(counts)
    totals = Table("file", "outcome", "lines", "BilledCost", "ListCost", "currency")
    for file in account["files"]:
        for row in file["totals"]:
            money = [row["BilledCost"] or "-", row["ListCost"] or "-"]
            totals.add_row(file["file"], row["outcome"], f"{row['lines']:,}", *money, row["currency"] or "?")
    console.print(totals)
    for file in account["files"]:
        if file["error"]:
            console.print(f"[bold red]not read[/] {file['error']}", soft_wrap=True)
        for reason in file["reasons"]:
            text = f"{file['file']}: {reason['rows']:,} x {reason['reason']} (first in line {reason['first_row']})"
            console.print(text, markup=False, soft_wrap=True)


_COUNTS = ("rows", "filtered", "accepted", "rejected", "new", "restated", "known", "older", "conflicting")


def print_stream(status: dict[str, Any]) -> None:
    """Print topics, runs and dead letters of the road."""
    console = Console()
    console.print(status["note"] or f"{status['lag']:,} events wait to be loaded", markup=False, soft_wrap=True)
    runs = status["runs"]
    if status["topics"].width:
        print_frame(status["topics"])
    if runs.height:
        print_frame(runs.select(_run_columns()))
    if status["dead_letters"].height:
        print_frame(status["dead_letters"])


def print_detection(found: "Detection") -> None:
    """Print episodes and silences, what could not be judged, and by which promise the others were."""
    console = Console()
    for metric in found.metrics:
        console.print(
            f"{metric['metric']}: {metric['series']:,} series judged from {metric['judged_from']:%Y-%m-%d %H:%M} UTC; "
            f"at most {metric['alarms_per_week']:g} false alarms a week each, threshold {metric['threshold']:g} set on "
            f"{metric['threshold_set_on']}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    for episode in found.episodes.iter_rows(named=True):
        console.print(_said(episode), markup=False, highlight=False, soft_wrap=True)
    if found.metrics and not found.episodes.height:
        console.print("nothing strange")
    if found.silences.height:
        console.print("silent, though they usually send:")
        print_frame(found.silences.with_columns(pl.col("since").dt.strftime("%Y-%m-%d %H:%M")))
    for name, reason in found.refused.items():
        console.print(f"[bold red]not judged[/] {escape(name)}: {escape(reason)}", soft_wrap=True)
    for sentence in found.told:
        console.print(sentence, markup=False, soft_wrap=True)


def print_judged(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print how good scores are, a line a figure: so it fits into any terminal."""
    names = [name for name in rows[0] if name != "scores"]
    columns = {str(row["scores"]): [row[name] for name in names] for row in rows}
    table = {name: [None if cell is None else f"{cell:.4g}" for cell in cells] for name, cells in columns.items()}
    print_frame(pl.DataFrame({"figure": names, **table}))


def _said(episode: dict[str, Any]) -> str:
    """One line an episode: a table of so much would not fit."""
    until = "now" if episode["ongoing"] else f"{episode['end']:%m-%d %H:%M}"
    usual = f"usually {episode['usual_low']:.4g} to {episode['usual_high']:.4g}"
    return (
        f"{episode['start']:%Y-%m-%d %H:%M} to {until}  {episode['metric']} {episode['series']}: "
        f"{episode['value']:.4g}, {usual} (score {episode['score']:.2f})"
    )


def print_redriven(done: dict[str, Any]) -> None:
    """Print which dead letters were sent back, and which stay."""
    verb = "would be sent back" if done["dry_run"] else "were sent back"
    Console().print(f"{done['redriven']:,} of {done['read']:,} dead letters {verb}, {done['left']:,} stay")
    if done["letters"]:
        print_frame(pl.DataFrame(done["letters"]))


def print_loaded(done: dict[str, Any]) -> None:
    """Print what was loaded from each output topic."""
    if not done["topics"]:
        Console().print("nothing new in the output topics")
        return
    names = {"topic": "topic", "read": "read", "dead": "dead", "inserted": "new", "restated": "revised",
             "unchanged": "known", "conflicts": "conflicting"}  # fmt: skip
    print_frame(pl.DataFrame(done["topics"]).select(pl.col(name).alias(word) for name, word in names.items()))


def _run_columns() -> list[pl.Expr]:
    """What a terminal of 80 columns has room for."""
    counts = {"rows_read": "read", "rows_dead": "dead", "rows_inserted": "new", "rows_restated": "restated"}
    return [
        pl.col("started_at").dt.strftime("%m-%d %H:%M").alias("began"),
        pl.col("topic").str.strip_prefix("finops.").str.strip_suffix(".events").alias("topic"),
        *(pl.col(name).alias(short) for name, short in counts.items()),
        pl.col("events_per_s").round().cast(pl.Int64).alias("a second"),
        pl.col("lag_at_end").alias("lag"),
    ]


def print_written(written: Written) -> None:
    """Print what a simulated estate holds, and where its truth lies."""
    console = Console()
    rows = {name: count for name, count in written.rows.items() if not name.startswith("truth_")}
    print_frame(pl.DataFrame({"table": list(rows), "rows": list(rows.values())}))
    console.print(f"{written.events:,} events in {written.folder}; what really happened is in {written.folder}/truth",
                  markup=False, soft_wrap=True)  # fmt: skip


def print_finding(finding: Finding) -> None:
    """Print one finding of the doctor."""
    console = Console()
    mark = "[green]ok  [/]" if finding.ok else "[bold red]FAIL[/]"
    console.print(f"{mark} [bold]{finding.what}[/]", end="  ")
    console.print(finding.detail, markup=False, soft_wrap=True)
    if not finding.ok and finding.advice:
        console.print(f"     -> {finding.advice}", markup=False, soft_wrap=True)


def print_frame(frame: pl.DataFrame) -> None:
    """Print a small frame; the first column is never cut."""
    table = Table()
    for name, dtype in frame.schema.items():
        table.add_column(name, no_wrap=True, justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*map(_text, row))
    Console().print(table)


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
