"""Render benchmarks/RESULTS.md from benchmarks/results/*.json: what was measured, on which data, against what is asked.

python -m benchmarks.results
"""

import json
from pathlib import Path
from typing import Any

from benchmarks._bench import RESULTS

ASKED = {
    "load": {
        "copy_merge_1m_s": "at most 2",
        "remerge_1m_s": "at most 2",
        "copy_merge_10m_s": "at most 30",
        "merge_100k_into_10m_s": "at most 0.1",
    },
    "ingest": {
        "focus_rows_per_s": "at least 300,000",
        "events_per_s": "at least 200,000",
        "last_over_first": "0.8 to 1.2",
        "kafka_events_per_s": "as the embedded",
        "kafka_last_over_first": "0.8 to 1.2",
    },
    "report": {"wall_s": "at most 240, environment included", "peak_rss_gb": "at most 2"},
    "stream": {
        "sum_events_per_s": "at least 450,000",
        "sum_ratio_kafka_streams": "at least 1.3",
        "ratio_quixstreams": "at least 10",
        "events_per_s": "at least 220,000",
        "ratio_kafka_streams": "at least 2",
        "ratio_article": "at least 4",
        "sum_last_over_first": "0.9 to 1.1",
        **dict.fromkeys(("peak_rss_gb", "sum_peak_rss_gb"), "at most 0.6"),
        "embedded_events_per_s": "at least 150,000",
        "bad_ratio": "at least 0.5",
    },
    "stream_latency": {"p99_s": "at most 1"},
    "nab": {"vus_pr": "at least 0.40", "nab_standard": "at least 66"},
    "soak": {
        "kills": "200",
        "restarts": "5",
        **dict.fromkeys(("lost", "doubled", "strange", "partitions_out_of_order"), "0"),
        **dict.fromkeys(("states_different", "totals_different", "members_gave_up"), "0"),
    },
}
"""What each figure should reach; the others are there to understand these."""

HEAD = """# Results

Measured by `make bench` on one machine; rendered from `benchmarks/results/` by `python -m benchmarks.results`. Figures
without an asked value explain the others. Nothing here was tuned on the data it was measured on: these benches measure
speed and memory, and what they load is checked against exact totals.
"""


def main() -> None:
    """Write the page."""
    records = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    pages = [HEAD, *(_section(record) for record in records)]
    (Path(__file__).parent / "RESULTS.md").write_text("\n".join(pages))


def _section(record: dict[str, Any]) -> str:
    machine = record["machine"]
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, Python {machine['python']}"
    rows = [
        f"| `{name}` | {_shown(value)} | {ASKED.get(record['bench'], {}).get(name, '')} |"
        for name, value in record["figures"].items()
    ]
    about = f"Data: {record['data']}. {where}, {record['measured_at'][:10]}."
    notes = Path(__file__).parent / "results" / f"{record['bench']}.md"
    said = [notes.read_text().strip(), ""] if notes.is_file() else []
    table = ["| figure | measured | asked |", "|---|---:|---|", *rows, ""]
    return "\n".join([f"## {record['bench']}", "", about, "", *table, *said])


def _shown(value: float | str | None) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, str):
        return value
    return f"{value:,.3f}" if isinstance(value, float) and value < 1_000 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
