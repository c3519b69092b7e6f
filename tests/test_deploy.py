"""What deploy/ says is true of a real Kafka; Docker itself is not needed, and not tried."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real.kafka import start
from tests.real.kafka.fixture import kafka_address  # noqa: F401
from workbench.settings import KafkaBroker, load
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.topics import OUTPUTS, ROAD, STATE

ROOT = Path(__file__).parents[1]
NO_PROPERTIES = {"KAFKA_HEAP_OPTS"}


def service() -> dict[str, Any]:
    held = yaml.safe_load((ROOT / "deploy/docker-compose.yml").read_text())
    assert list(held["services"]) == ["kafka"]
    return dict(held["services"]["kafka"])


def properties() -> dict[str, str]:
    """The environment as the image makes server.properties of it: KAFKA_A_B is a.b."""
    environment = service()["environment"]
    assert all(isinstance(value, str) for value in environment.values()), "YAML would make something else of it"
    return {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): value
        for name, value in environment.items()
        if name not in NO_PROPERTIES
    }


def test_the_compose_file_has_one_node_with_a_volume_a_health_check_and_a_port_for_this_machine_only() -> None:
    held = yaml.safe_load((ROOT / "deploy/docker-compose.yml").read_text())
    kafka = service()
    assert kafka["image"].startswith("apache/kafka:4.")
    volume, place = kafka["volumes"][0].split(":")
    assert volume in held["volumes"]
    assert properties()["log.dirs"] == place
    assert all(port.startswith("127.0.0.1:") for port in kafka["ports"])
    assert kafka["healthcheck"]["test"][0] == "CMD"
    assert {f"KAFKA_{name}" for name in ("NODE_ID", "PROCESS_ROLES", "LISTENERS")} <= kafka["environment"].keys()


def test_the_profile_finds_the_port_that_the_compose_file_opens() -> None:
    broker = load(ROOT / "params/kafka.yaml", environment={}, check_files=False).broker
    assert isinstance(broker, KafkaBroker)
    _, outside, inside = service()["ports"][0].split(":")
    assert broker.bootstrap_servers == f"localhost:{outside}"
    assert f"HOST://{broker.bootstrap_servers}" in properties()["advertised.listeners"]
    assert f"HOST://:{inside}" in properties()["listeners"]


def test_the_image_is_the_version_that_the_tests_run() -> None:
    pom = (ROOT / "tests/real/kafka/pom.xml").read_text()
    assert f"<version>{service()['image'].partition(':')[2]}</version>" in pom


@pytest.mark.real
@pytest.mark.slow
def test_every_setting_is_one_that_kafka_knows(kafka_address: str) -> None:  # noqa: F811
    from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

    admin = AdminClient({"bootstrap.servers": kafka_address})
    broker = next(iter(admin.list_topics(timeout=20).brokers))
    asked = ConfigResource(ResourceType.BROKER, str(broker))
    known = admin.describe_configs([asked])[asked].result(timeout=20)
    assert set(properties()) - known.keys() == set()


@pytest.mark.real
@pytest.mark.slow
def test_a_kafka_with_these_settings_starts_and_takes_the_topics(tmp_path: Path) -> None:
    if lacking := start.missing():
        pytest.skip(f"no real Kafka: {lacking}")
    outside, within, controller = (start.free_port() for _ in range(3))
    given = properties() | {"log.dirs": str(tmp_path / "log")}
    moved = {"9092": str(outside), "19092": str(within), "9093": str(controller)}
    lines = []
    for key, value in given.items():
        here = (
            value.replace("//:", "//127.0.0.1:").replace("//kafka:", "//127.0.0.1:").replace("@kafka:", "@127.0.0.1:")
        )
        for port, other in sorted(moved.items(), key=lambda pair: -len(pair[0])):
            here = here.replace(f":{port}", f":{other}")
        lines.append(f"{key}={here}")
    written = "\n".join(lines) + "\n"
    format_as_the_image_does(tmp_path, written)
    process = start.start(outside, tmp_path, written)
    try:
        with KafkaCluster(KafkaBroker(bootstrap_servers=f"127.0.0.1:{outside}")) as broker:
            made = broker.prepare((*ROAD, *OUTPUTS, STATE))
            assert made[STATE.name] == 4
            assert broker.check((*ROAD, STATE)).keys() == {topic.name for topic in (*ROAD, STATE)}
    finally:
        start.stop(process)


def format_as_the_image_does(folder: Path, written: str) -> None:
    """Without `--standalone`, because the voters are named in the settings."""
    (folder / "given.properties").write_text(written)
    java = ["java", "-cp", f"{start.libraries()}/*", "kafka.tools.StorageTool"]
    tool = ["format", "-t", start.cluster_id(), "-c", str(folder / "given.properties")]
    subprocess.run([*java, *tool], check=True, capture_output=True)
