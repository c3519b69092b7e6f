"""Is each message counted exactly once, however often members of the group are killed and the broker restarted?

A real Kafka, two members with all four processors, a steady load with late events and some that can't be read. Members
are killed (SIGKILL) at random moments, also while they start and while the group rebalances; the broker is killed and
restarted under them. At the end all output topics and dead letters are compared, record for record, with what the pure
processors make of the same messages without any trouble, the sums with the plain sums of the events, and the state with
the one that an undisturbed run would have.
"""

import argparse
import math
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks._bench import Figure, finish
from tests.real.kafka import start as kafka
from tests.streaming.live.chaos import Chaos
from tests.streaming.live.crew import Crew
from tests.streaming.live.load import Events, Generated, Recorded
from tests.streaming.live.scene import End, scene

_KILL_S, _RESTART_S, _BEGIN_S = 12.0, 20.0, 20.0  # about what each takes: for how long a file has to last
_QUICK_HOURS_PER_S = 1.5  # so that a day comes to its end, and advice on sizes is given
UNITS = {
    "kills": "SIGKILL to a random member",
    "kills_in_rebalance": "of them while some partition was nobody's: a rebalance was under way, or due",
    "kills_at_start": "of them before the member had a partition",
    "restarts": "of the broker, by SIGKILL and SIGTERM in turn",
    "events": "messages sent, late and broken ones included",
    "events_per_s": "of them a second",
    "dead_letters": "messages that could not be read",
    "outputs": "records that an undisturbed run writes",
    "lost": "of these and the dead letters are not there",
    "doubled": "are there more than once",
    "strange": "would not be written by an undisturbed run",
    "partitions_out_of_order": "output partitions in another order",
    "states_different": "states (of a processor and partition) that remember something else",
    "totals_different": "sums of cost and revenue that are not those of the events, to the last digit",
    "members_gave_up": "members at work that ended by themselves",
    "members_never_began": "members that found no broker as they started, and were started again",
    "recovery_median_s": "from a kill until all the victim's partitions commit again",
    "recovery_p95_s": "the same, 95 % of kills",
    "recovery_alone_median_s": "the same for kills with nothing else under way",
    "restart_median_s": "from the end of the broker until all partitions commit again",
    "restart_max_s": "the same, the longest",
    "wall_s": "the whole run",
}
TOLD = (
    "finops.cost.aggregations",
    "finops.cost.anomalies",
    "finops.roi.calculations",
    "finops.optimization.recommendations",
)
"""Topics to which something must have been written."""


def main(given: list[str] | None = None) -> int:
    options = _options(given)
    if lacking := kafka.missing():
        print(f"No real Kafka here: {lacking}.")
        return 1
    kills, restarts = (1, 0) if options.quick else (options.kills, options.restarts)
    events, data = _events(options, kills * _KILL_S + restarts * _RESTART_S + _BEGIN_S)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that broker and members end too
    began = time.monotonic()
    bar = Progress(console=Console(stderr=True))
    task = bar.add_task("members start", total=kills + restarts)

    def say(text: str) -> None:
        bar.update(task, advance=1, description=text)
        if not bar.console.is_terminal:  # there the bar would be drawn at the end only
            bar.console.print(f"{time.monotonic() - began:6.0f} s: {text}")

    with (
        tempfile.TemporaryDirectory(prefix="workbench-soak-") as folder,
        bar,
        scene(events, Path(folder), options.seed, say=say) as played,
    ):
        played.chaos.run(kills, restarts)
        bar.update(task, description="compare")
        end = played.end()
    figures = _figures(played.chaos, played.crew, end, time.monotonic() - began)
    finish("soak", data, figures, quick=options.quick, units=UNITS)
    return _verdict(end, played.crew)


def _verdict(end: End, crew: Crew) -> int:
    """The exit code; what went wrong is told on standard error."""
    differs = end.difference
    for said in (*differs.examples, *differs.totals, *map(str, (*differs.shuffled, *differs.states))):
        sys.stderr.write(f"{said[:2_000]}\n")
    empty = [topic for topic in TOLD if not end.records[topic]]
    if empty:
        sys.stderr.write(f"nothing was written to {', '.join(empty)}: the run was too short to tell anything of them\n")
    return 0 if differs.none and not crew.gave_up and not any(end.exit_codes) and not empty else 1


def _options(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often a member is killed")
    parser.add_argument("--restarts", type=int, default=5, help="how often the broker is restarted")
    parser.add_argument("--seed", type=int, default=7, help="of the events and of the moments")
    parser.add_argument("--quick", action="store_true", help="a smoke run under 30 s; writes no result")
    parser.add_argument("--data", type=Path, help="a folder with cost.jsonl, business.jsonl, resource.jsonl to send")
    return parser.parse_args(given)


def _events(options: argparse.Namespace, seconds: float) -> tuple[Events, str]:
    """What is sent, and a word on it."""
    if options.data is not None:
        return Recorded(options.data, seconds), str(options.data)
    made = Generated(options.seed, _QUICK_HOURS_PER_S) if options.quick else Generated(options.seed)
    rate = round(sum(made.rates.values()))
    return made, f"{rate:,} generated events a second of three kinds, some late, one in 199 broken; seed {options.seed}"


def _figures(chaos: Chaos, crew: Crew, end: End, wall: float) -> dict[str, Figure]:
    differs = end.difference
    recoveries = [kill.recovery_s for kill in chaos.kills if kill.had_partitions]
    restarts = [restart.recovery_s for each in chaos.restarts.values() for restart in each]
    return {
        "kills": len(chaos.kills),
        "kills_in_rebalance": chaos.in_rebalance,
        "kills_at_start": chaos.at_start,
        "restarts": len(restarts),
        "events": end.sent,
        "events_per_s": round(end.sent / end.load_s),
        "dead_letters": end.letters,
        "outputs": differs.outputs,
        "lost": differs.lost,
        "doubled": differs.doubled,
        "strange": differs.strange,
        "partitions_out_of_order": len(differs.shuffled),
        "states_different": len(differs.states),
        "totals_different": len(differs.totals),
        "members_gave_up": crew.gave_up,
        "members_never_began": crew.never_began,
        "recovery_median_s": _share(recoveries, 0.5),
        "recovery_p95_s": _share(recoveries, 0.95),
        "recovery_alone_median_s": _share(
            [kill.recovery_s for kill in chaos.kills if kill.alone and kill.had_partitions], 0.5
        ),
        "restart_median_s": _share(restarts, 0.5),
        "restart_max_s": _share(restarts, 1.0),
        "wall_s": round(wall, 1),
    }


def _share(seconds: Sequence[float | None], share: float) -> float | None:
    """The least of the measured times that so large a share of them does not exceed; None where there are none."""
    measured = sorted(each for each in seconds if each is not None)
    return round(measured[max(math.ceil(share * len(measured)) - 1, 0)], 1) if measured else None


if __name__ == "__main__":
    sys.exit(main())
