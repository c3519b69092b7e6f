"""Spans, matrices and counters: no server needed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import SourceError
from workbench.sources.prometheus import DEFAULT, increase_per_second
from workbench.sources.prometheus.matrix import block_of, frame_of, names_of
from workbench.sources.prometheus.spans import Span, pieces, samples_of, whole_span

START = datetime(2025, 10, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@given(
    st.integers(0, 10_000_000), st.integers(0, 300_000), st.integers(1, 4000), st.integers(0, 60_000),
    st.tuples(st.integers(1, 11_000), st.integers(1, 600_000)),
)  # fmt: skip
def test_pieces_hold_each_point_of_the_span_once(
    offset: int, length: int, step: int, series: int, most: tuple[int, int]
) -> None:
    points, samples = most
    start, width = START + timedelta(seconds=offset), timedelta(seconds=step)
    end = start + timedelta(seconds=min(length, 3000 * step))
    span = whole_span(start, end, width)
    expected = {at for at in range(_seconds(start), _seconds(end)) if at % step == 0} if step > 1 else None
    if span is None:
        assert not expected
        return
    if expected is not None:
        assert span.points == len(expected)
    assert start <= span.first <= span.last < end
    cut = list(pieces(span, series, points, max(samples, 3 * series)))
    assert cut[0].first == span.first
    assert cut[-1].last == span.last
    assert all(later.first - earlier.last == width for earlier, later in pairwise(cut))
    assert sum(piece.points for piece in cut) == span.points
    assert all(piece.points <= points for piece in cut)
    assert all(piece.points * series <= max(samples, 3 * series) for piece in cut)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@given(st.integers(1, 200_000), st.integers(2, 20))
def test_a_few_points_of_a_span_lie_in_it_and_reach_near_its_end(points: int, count: int) -> None:
    span = Span(START, START + (points - 1) * MINUTE, MINUTE)
    few = samples_of(span, count)
    assert few.first == START
    assert few.last <= span.last
    assert few.points <= count
    assert span.last - few.last < few.step


def matrix(*series: dict[str, Any]) -> dict[str, Any]:
    return {"resultType": "matrix", "result": list(series)}


def test_a_matrix_is_read_as_it_stands() -> None:
    block = block_of(matrix(
        {"metric": {"__name__": "m", "a": "1"}, "values": [[1759276800, "0.1"], [1759276860.5, "1e3"]]},
        {"metric": {"a": "2"}, "values": [[1759276800, "NaN"]]},
    ))  # fmt: skip
    frame = frame_of("m", [block], names_of("m", block.keys, []))
    assert frame["series"].to_list() == ['a="1"', 'a="1"', 'a="2"']
    assert frame["timestamp"].to_list() == [START, START + timedelta(seconds=60.5), START]
    assert frame["value"].to_list()[:2] == [0.1, 1000.0]
    assert np.isnan(frame["value"][2]), "nothing is dropped here"


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"resultType": "vector", "result": []}, matrix({}), matrix({"metric": {}, "values": [[1]]}),
     matrix({"metric": {}, "values": [[1, "x"]]}), matrix({"metric": {}, "values": [["x", None]]})],
)  # fmt: skip
def test_what_is_no_matrix_is_an_error(data: object) -> None:
    with pytest.raises(ValueError, match=r"matrix|float"):
        block_of(data)


def test_only_labels_that_differ_make_the_name() -> None:
    keys = [(("job", "web"), ("zone", zone)) for zone in "ab"] + [(("job", "web"),)]
    assert list(names_of("m", keys, []).values()) == ["m", 'zone="a"', 'zone="b"']
    assert list(names_of("m", keys[:1], []).values()) == ['job="web",zone="a"'], "one alone has all of them"
    assert names_of("m", [], []) == {}


def test_names_are_unique_or_refused() -> None:
    keys = [(("a", "1"), ("b", "1")), (("a", "1"), ("b", "2"))]
    assert len(set(names_of("m", keys, ["a", "b"]).values())) == 2
    with pytest.raises(SourceError, match="add b to labels"):
        names_of("m", keys, ["a"])


def test_the_default_queries_take_rates_of_counters_and_quantiles_of_histograms() -> None:
    assert len(DEFAULT) == 4
    for query in DEFAULT.values():
        assert "_total" not in query or "rate(" in query
        assert "_bucket" not in query or ("histogram_quantile(0.95" in query and "rate(" in query)
        assert query.count("(") == query.count(")")


# Counters


def test_a_counter_that_begins_again_never_falls() -> None:
    rates = increase_per_second(np.array([100.0, 160, 220, 30, 90]), MINUTE)
    assert np.isnan(rates[0])
    assert rates[1:].tolist() == [1.0, 1.0, 0.5, 1.0]


def test_after_a_gap_it_is_the_mean_since_the_last_sample() -> None:
    rates = increase_per_second(np.array([[0.0, np.nan, np.nan, 180, 180], [np.nan, 5, np.nan, np.inf, 65]]), MINUTE)
    assert rates[0].tolist()[3:] == [1.0, 0.0]
    assert np.isnan(rates[0, :3]).all()
    assert np.isnan(rates[1, :4]).all()
    assert rates[1, 4] == 60 / 180


def test_what_is_below_zero_is_no_counter() -> None:
    assert np.isnan(increase_per_second(np.array([5.0, -3, 7]), MINUTE)[:2]).all()


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=60), st.integers(1, 3600))
def test_what_was_counted_is_the_sum_of_rates_and_never_negative(grown: list[int | None], seconds: int) -> None:
    """A counter that grows, misses samples, and begins again whenever it passes 5,000."""
    shown, total, before, counted = [], 0, None, 0
    for each in grown:
        if each is None:
            shown.append(np.nan)
            continue
        total = total + each if total < 5000 else each
        counted += 0 if before is None else total - before if total >= before else total
        before = total
        shown.append(float(total))
    step = timedelta(seconds=seconds)
    rates = increase_per_second(np.array(shown), step)
    known = np.flatnonzero(~np.isnan(shown))
    assert np.isnan(rates).sum() == len(shown) - max(len(known) - 1, 0)
    assert (rates[known[1:]] >= 0).all()
    assert rates[known[1:]] @ (np.diff(known) * float(seconds)) == pytest.approx(counted)


def test_nothing_gives_nothing() -> None:
    assert increase_per_second(np.empty((3, 0)), MINUTE).shape == (3, 0)
    assert increase_per_second(np.empty((0, 5)), MINUTE).shape == (0, 5)
