"""The stream against other engines: events a second through exactly-once processing on one real Kafka.

python -m benchmarks.stream [--data FOLDER] [--quick]

Two jobs. The *sum*: cost by business unit and five minutes. The *whole job*: windows, spikes, return and right-sizing
of cost, business and resource events. Each engine is a process of its own, which reads the same full topics from the
beginning; the engines take turns, three times, and the median counts (the article's job and quixstreams run once,
because they take long). Every run's sums are held against the exact ones.
`--data`: a folder with cost.jsonl, business.jsonl and resource.jsonl, one event a line in the order of sending.
"""

import statistics
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import _stream_data as data
from benchmarks._bench import Figure, arguments, finish
from benchmarks._events import kafka
from benchmarks._stream_embedded import embedded_rate
from benchmarks._stream_engines import Engine, ours, peer
from benchmarks._stream_race import Run, run
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.topics import COST, INPUTS, OUTPUTS, ROAD, STATE, Topic

SUM = {"cost": 5_000_000}
WHOLE = {"cost": 800_000, "business": 200_000, "resource": 200_000}
BAD = {"cost": 1_000_000}
FEW = {"cost": 200_000}
ROUNDS = 3

UNITS = {
    "sum_events_per_s": "the five-minute sum, ours",
    "sum_kafka_streams": "Kafka Streams, 2 threads, tuned, at its better commit interval",
    "sum_kafka_streams_100ms": "at a commit interval of 100 ms",
    "sum_kafka_streams_1s": "at 1 s",
    "sum_quixstreams": "quixstreams, exactly once, one process, over fewer events",
    "sum_ratio_kafka_streams": "ours to Kafka Streams",
    "ratio_quixstreams": "ours to quixstreams",
    "sum_last_over_first": "ours: rate of the last fifth of the events to that of the second fifth",
    "sum_peak_rss_gb": "ours: most memory at once",
    "kafka_streams_peak_rss_gb": "Kafka Streams: the same, whole job",
    "events_per_s": "the whole job, ours",
    "kafka_streams": "Kafka Streams, 2 threads, tuned",
    "article": "Kafka Streams as the article writes it",
    "ratio_kafka_streams": "ours to Kafka Streams, tuned",
    "ratio_article": "ours to the article's",
    "peak_rss_gb": "ours, whole job: most memory at once",
    "embedded_events_per_s": "the whole job on the embedded broker",
    "bad_ratio": "the sum: rate with 1 % of broken messages to the rate without, 1 million each",
    "events_sum": "events of a run of the sum",
    "events_whole": "of the whole job",
    "event_bytes": "mean length of an event as JSON, whole job",
    "load_before": "highest load of the machine before a run, engine and broker of the run before included",
}  # fmt: skip


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    asked = arguments(__doc__, given)
    scale = 20 if asked.quick else 1
    with kafka() as settings:
        if settings is None:
            raise SystemExit("The bench `stream` needs a real Kafka: Java 17 and Maven.")
        figures = {**_sums(settings, asked.data, scale), **_whole(settings, asked.data, scale),
                   **_with_bad(settings, scale)}  # fmt: skip
    figures["embedded_events_per_s"] = embedded_rate({kind: count // scale for kind, count in WHOLE.items()})
    figures["load_before"] = max(_LOADS)
    ordered = {name: figures[name] for name in UNITS if name in figures}
    finish(
        "stream",
        str(asked.data or "made here, see benchmarks/_stream_data.py"),
        ordered,
        quick=asked.quick,
        units=UNITS,
    )


_LOADS: list[float] = [0.0]


def _sums(settings: KafkaBroker, folder: Path | None, scale: int) -> dict[str, Figure]:
    with _topics(settings) as broker:
        parts = data.given(folder, ("cost",)) if folder else data.made(_scaled(SUM, scale))
        sent = data.send(broker, parts)
        entries = {
            "ours": ours(broker, "--processor", "windows"),
            "kafka_streams_100ms": peer(broker, "sum", 100),
            "kafka_streams_1s": peer(broker, "sum", 1_000),
        }
        runs = _race(entries, broker, sent, [COST], 1 if scale > 1 else ROUNDS)
    rates = {name: _median(runs[name]) for name in runs}
    quix = _quixstreams(settings, scale)
    best = _best(rates)
    return {
        "sum_events_per_s": rates["ours"], "sum_kafka_streams": best,
        **{f"sum_{name}": rates.get(name) for name in entries if name != "ours"}, "sum_quixstreams": quix,
        "sum_ratio_kafka_streams": _ratio(rates["ours"], best), "ratio_quixstreams": _ratio(rates["ours"], quix),
        "sum_last_over_first": round(statistics.median(each.last_over_first for each in runs["ours"]), 3),
        "sum_peak_rss_gb": _most(runs["ours"]), "events_sum": sent.events,
    }  # fmt: skip


def _quixstreams(settings: KafkaBroker, scale: int) -> float | None:
    """The better of its two ways to tell a sum, over fewer events: it has no start to get over, and all day for it."""
    with _topics(settings) as broker:
        sent = data.send(broker, data.made(_scaled(FEW, scale)))
        ways = {name: peer(broker, name, 1_000) for name in ("quixstreams_sum", "quixstreams_sum_closed")}
        runs = _race(ways, broker, sent, [COST], 1)
    return max((_median(of) or 0 for of in runs.values()), default=None)


def _whole(settings: KafkaBroker, folder: Path | None, scale: int) -> dict[str, Figure]:
    with _topics(settings) as broker:
        parts = data.given(folder, tuple(WHOLE)) if folder else data.made(_scaled(WHOLE, scale))
        sent = data.send(broker, parts)
        topics = [INPUTS[kind] for kind in sent.counts]
        entries = {
            "ours": ours(broker), "kafka_streams_100ms": peer(broker, "whole", 100),
            "kafka_streams_1s": peer(broker, "whole", 1_000),
        }  # fmt: skip
        runs = _race(entries, broker, sent, topics, 1 if scale > 1 else ROUNDS)
        runs |= _race({"article": peer(broker, "article", 100, exact=False)}, broker, sent, topics, 1)
    rates = {name: _median(runs[name]) for name in runs}
    best = _best(rates)
    return {
        "events_per_s": rates["ours"], "kafka_streams": best, "article": rates.get("article"),
        "ratio_kafka_streams": _ratio(rates["ours"], best),
        "ratio_article": _ratio(rates["ours"], rates.get("article")), "peak_rss_gb": _most(runs["ours"]),
        "kafka_streams_peak_rss_gb": _most(runs.get("kafka_streams_100ms", [])), "events_whole": sent.events,
        "event_bytes": round(sent.value_bytes / sent.events),
    }  # fmt: skip


def _best(rates: Mapping[str, float | None]) -> float | None:
    """Kafka Streams at its better commit interval."""
    return max((rate for name, rate in rates.items() if name.startswith("kafka") and rate), default=None)


def _with_bad(settings: KafkaBroker, scale: int) -> dict[str, Figure]:
    rates = []
    for bad_in in (0, 100):
        with _topics(settings) as broker:
            sent = data.send(broker, data.made(_scaled(BAD, scale)), bad_in)
            runs = _race(
                {"ours": ours(broker, "--processor", "windows")}, broker, sent, [COST], 1 if scale > 1 else ROUNDS
            )
            rates.append(_median(runs["ours"]))
    return {"bad_ratio": _ratio(rates[1], rates[0])}


def _race(
    entries: Mapping[str, Engine], broker: Broker, sent: data.Sent, topics: list[Topic], rounds: int
) -> dict[str, list[Run]]:  # fmt: skip
    """Let the engines take turns."""
    done: dict[str, list[Run]] = {}
    for name, entry in entries.items():
        if isinstance(entry, str):
            print(f"{name} is left out: {entry}", flush=True)
    for turn in range(rounds):
        for name, entry in entries.items():
            if isinstance(entry, str):
                continue
            with entry() as started:
                found = run(started, broker, sent, topics)
            _LOADS.append(found.load)
            about = f"{found.rate:12,.0f} events/s  {found.rss_gb} GB  load {found.load}"
            print(f"{turn + 1}/{rounds} {name:20} {about}", flush=True)
            done.setdefault(name, []).append(found)
    return done


@contextmanager
def _topics(settings: KafkaBroker) -> Iterator[Broker]:
    """A broker with topics of this job's own."""
    named = settings.model_copy(update={"topic_prefix": f"bench-{uuid.uuid4().hex[:8]}-"})
    with KafkaCluster(named) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        yield broker


def _scaled(counts: Mapping[str, int], scale: int) -> dict[str, int]:
    return {kind: count // scale for kind, count in counts.items()}


def _median(runs: Sequence[Run]) -> float | None:
    return round(statistics.median(each.rate for each in runs)) if runs else None


def _most(runs: Sequence[Run]) -> float | None:
    return max((each.rss_gb for each in runs if each.rss_gb), default=None)


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 2) if ours and theirs else None


if __name__ == "__main__":
    main()
