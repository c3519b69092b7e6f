"""Events for the processors' tests, and what is done with them."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import strategies as st

from workbench import events
from workbench.streaming.processors import Limits, Outputs, Processor, RightSizing, Roi, Rule, Spikes, State, Windows

START = datetime(2025, 10, 6, tzinfo=UTC)  # a Monday
UNITS = ("shop", 'odd "unit" / ünï,\n{}|\x1f', "  ", "data")
CURRENCIES = ("USD", "EUR")
SERVICES = ("compute", "storage", None)

_AMOUNTS = {"cost": "cost_amount", "business": "revenue_impact"}


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def cost(*rows: tuple[float, str], unit: str = "shop", currency: str = "USD", service: str = "compute") -> pl.DataFrame:
    """Costs of (minutes after START, amount)."""
    return frame("cost", [(at, Decimal(amount), unit, currency, service) for at, amount in rows])


def revenue(*rows: tuple[float, str], unit: str = "shop", currency: str = "USD") -> pl.DataFrame:
    return frame("business", [(at, Decimal(amount), unit, currency, None) for at, amount in rows])


def frame(kind: str, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Events of (minutes after START, amount or use, unit, currency, service or resource)."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    data: dict[str, Any] = {
        "timestamp": [START + minutes(at) for at in columns[0]],
        "business_unit": columns[2],
        "currency": columns[3],
    }
    if kind == "resource":
        more = {"utilization": columns[1], "resource_id": columns[4], "resource_type": ["large"] * len(rows)}
        more |= {"cost_estimate": [Decimal("0.5")] * len(rows), "service": ["compute"] * len(rows)}
    else:
        more = {_AMOUNTS[kind]: columns[1]} | ({"service": columns[4]} if kind == "cost" else {})
    data |= more
    return pl.DataFrame(data, schema={name: events.SCHEMAS[kind][name] for name in data})


def hours(resource: str, uses: Sequence[float | None], start: int = 0, unit: str = "shop") -> pl.DataFrame:
    """Use of a resource hour by hour; None: nothing is known."""
    known = [(60 * (start + at), use, unit, "USD", resource) for at, use in enumerate(uses) if use is not None]
    return frame("resource", known)


_whole = st.integers(0, 60).map(lambda bucket: 5 * bucket)  # events exactly on a border
_times = st.one_of(_whole, st.floats(0, 300, allow_nan=False, width=32))
_amounts = st.decimals(-1000, 10_000, places=12)
_where = (st.sampled_from(UNITS), st.sampled_from(CURRENCIES), st.sampled_from(SERVICES))


@st.composite
def streams(draw: st.DrawFn, most: int = 40) -> dict[str, pl.DataFrame]:
    """Events of all kinds over five hours (of resources: over 25 days), more or less in order."""
    disorder = draw(st.sampled_from([0, 8, 60, 400]))
    shuffled = random.Random(draw(st.integers(0, 1000)))
    found = {}
    for kind in ("cost", "business", "resource"):
        values = st.floats(0, 1, width=16) if kind == "resource" else _amounts
        rows = draw(st.lists(st.tuples(_times, values, *_where), max_size=most))
        if kind == "resource":
            rows = [(120 * at, use, unit, currency, service or "i-0") for at, use, unit, currency, service in rows]
        found[kind] = frame(kind, sorted(rows, key=lambda row: row[0] + shuffled.random() * disorder))
    return found


def processors() -> list[Processor]:
    """One of each, with limits so small that all of their branches are taken."""
    limits = Limits(coverage_least=0.0, hold=2, low=0.5)
    rule = Rule(least_history=1, ratio=1.1, floor=0, deviations=0, accept_after=3, forget=12)
    return [
        Windows(lateness=minutes(5), horizon=minutes(30)),
        Windows(lateness=minutes(0), horizon=minutes(0), by_service=True),
        Spikes(rule=rule, horizon=minutes(30)),
        Roi(lateness=minutes(10), horizon=minutes(30)),
        RightSizing(window=timedelta(days=2), limits=limits),
    ]


def mine(processor: Processor, events: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {kind: events[kind] for kind in processor.kinds}


def run(
    processor: Processor,
    batches: Sequence[Mapping[str, pl.DataFrame]],
    state: State | None = None,
    *,
    close: bool = True,
) -> tuple[pl.DataFrame, State]:
    """All records of the processor's topic, and the state after the last batch."""
    state = state or processor.empty()
    told: list[Outputs] = []
    for batch in batches:
        outputs, state = processor.step(batch, state)
        told.append(outputs)
    if close or not told:
        told.append(processor.close(state)[0])
    [topic] = told[0]
    return pl.concat(outputs[topic] for outputs in told), state


def cut(events: Mapping[str, pl.DataFrame], places: Mapping[str, Sequence[float]]) -> list[dict[str, pl.DataFrame]]:
    """Cut each kind at its own places (shares of its height): how the kinds interleave is as it happens."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for kind, rows in events.items():
        ends = sorted(round(share * rows.height) for share in places[kind])
        parts[kind] = [rows[start:end] for start, end in zip([0, *ends], [*ends, rows.height], strict=True)]
    return [{kind: some[at] for kind, some in parts.items()} for at in range(len(next(iter(parts.values()))))]


_shares = st.lists(st.floats(0, 1), min_size=4, max_size=4)
cuts = st.fixed_dictionaries({"cost": _shares, "business": _shares, "resource": _shares})
