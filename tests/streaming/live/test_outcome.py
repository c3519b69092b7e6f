"""The comparison behind the tests of exactly once: whatever is wrong with a stream's records, it says so."""

from collections import Counter
from copy import deepcopy
from decimal import Decimal

import polars as pl
import pytest

from tests.streaming.live.load import Generated
from tests.streaming.live.outcome import Difference, Outcome, difference
from tests.streaming.live.worker import processors
from workbench import events
from workbench.streaming.feed import values_of
from workbench.streaming.topics import OUTPUTS

SUMS = ("finops.cost.aggregations", 0)
EVENTS = Generated(hours_per_s=1.5, rates={"cost": 400.0, "business": 200.0, "resource": 360.0})


@pytest.fixture(scope="module")
def made() -> Outcome:
    """What comes of eighteen hours of events in one partition."""
    batches = {kind: valid(kind, int(12 * rate)) for kind, rate in EVENTS.rates.items()}
    outcome = Outcome(records={(topic.name, 0): [] for topic in OUTPUTS})
    for processor in processors():
        outputs, state = processor.step({kind: batches[kind] for kind in processor.kinds}, processor.empty())
        for topic, frame in outputs.items():
            outcome.records[topic, 0] += values_of(frame).values
        outcome.states[processor.name, 0] = state
    for kind, column in (("cost", "cost_amount"), ("business", "revenue_impact")):
        outcome.sums[column] = batches[kind][column].sum()
    outcome.letters = Counter({("reason", b"key", b"value"): 1})
    return outcome


def valid(kind: str, count: int) -> pl.DataFrame:
    return events.validate(EVENTS.events(kind, 0, count), kind).valid


def compared(seen: Outcome, exact: Outcome) -> Difference:
    return difference(seen, exact, processors())


def another(outcome: Outcome) -> Outcome:
    return Outcome(
        {place: list(values) for place, values in outcome.records.items()},
        outcome.letters.copy(),
        dict(outcome.states),
        outcome.read.copy(),
        deepcopy(outcome.sums),
    )


def test_the_same_is_no_difference_and_all_four_processors_have_told_something(made: Outcome) -> None:
    same = compared(another(made), made)
    assert same.none, same
    assert sum(bool(values) for values in made.records.values()) == 4


def test_a_record_that_is_missing_is_lost_and_missing_in_the_totals(made: Outcome) -> None:
    seen = another(made)
    del seen.records[SUMS][5]
    differs = compared(seen, made)
    assert (differs.lost, differs.doubled, differs.strange) == (1, 0, 0)
    assert len(differs.totals) == 1
    assert not differs.none


def test_a_record_that_is_there_twice_is_doubled(made: Outcome) -> None:
    seen = another(made)
    seen.records[SUMS].append(seen.records[SUMS][5])
    differs = compared(seen, made)
    assert (differs.lost, differs.doubled, differs.strange) == (0, 1, 0)
    assert len(differs.totals) == 1


def test_a_record_with_another_sum_is_strange_and_the_true_one_lost(made: Outcome) -> None:
    seen = another(made)
    seen.records[SUMS][5] = seen.records[SUMS][5].replace(b'"events":', b'"events":1')
    differs = compared(seen, made)
    assert (differs.lost, differs.doubled, differs.strange) == (1, 0, 1)


def test_records_in_another_order_are_told_of(made: Outcome) -> None:
    seen = another(made)
    seen.records[SUMS].reverse()
    differs = compared(seen, made)
    assert list(differs.shuffled) == [SUMS]
    assert differs.lost == differs.doubled == 0
    assert not differs.none


def test_a_dead_letter_that_is_missing_is_lost(made: Outcome) -> None:
    seen = another(made)
    seen.letters.clear()
    assert compared(seen, made).lost == 1


@pytest.mark.parametrize("name", [processor.name for processor in processors()])
def test_a_state_that_has_forgotten_something_is_told_of(made: Outcome, name: str) -> None:
    seen = another(made)
    state = seen.states[name, 0]
    kept = {each: frame for each, frame in state.frames.items() if each != "marks"}
    longest = max(kept, key=lambda each: kept[each].height)
    seen.states[name, 0] = state.having(**{longest: kept[longest].tail(-1)})
    assert list(compared(seen, made).states) == [(name, 0)]


def test_totals_are_those_of_the_events_and_not_only_those_of_the_records(made: Outcome) -> None:
    other = another(made)
    other.sums["cost_amount"] += Decimal("0.0001")
    assert len(compared(another(made), other).totals) == 2
