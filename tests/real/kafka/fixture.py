"""A real Kafka for the tests: the one that KAFKA_BOOTSTRAP_SERVERS names, or one that is started here."""

import os
from collections.abc import Iterator

import pytest

from tests.real.kafka import start


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a real Kafka; skips, saying so, where there can be none."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    if lacking := start.missing():
        pytest.skip(f"no real Kafka: {lacking}, or set KAFKA_BOOTSTRAP_SERVERS")
    try:
        start.bring()
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no real Kafka: {error}")
    broker = start.start(port := start.free_port(), tmp_path_factory.mktemp("kafka"))
    yield f"127.0.0.1:{port}"
    start.stop(broker)
