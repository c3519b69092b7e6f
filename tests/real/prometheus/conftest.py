"""A real Prometheus for the tests, with storage of its own; skips, saying so, where there can be none."""

from collections.abc import Iterator

import pytest

from tests.real.prometheus import start


@pytest.fixture
def prometheus(tmp_path: object) -> Iterator[start.RealPrometheus]:
    """Not started yet: history has to be loaded before."""
    if lacking := start.missing():
        pytest.skip(f"no real Prometheus: {lacking} not found; Debian's package `prometheus` has both")
    made = start.RealPrometheus(tmp_path / "data")  # type: ignore[operator]
    yield made
    made.kill()
