"""Bring and start a real Kafka, one node, without Docker: for the tests, and for a person (`make kafka`).

Maven brings the broker (43 MB, once) into `~/.cache/workbench-kafka`, or the folder named by WORKBENCH_KAFKA; it runs
with Java 17 or later. Needs nothing of the workbench.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
log.dirs={data}/log
num.partitions=4
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def missing() -> str:
    """Say what the broker can't do without here; empty when all is there."""
    lacking = [tool for tool in ("java", "mvn") if shutil.which(tool) is None and not (tool == "mvn" and brought())]
    return f"{' and '.join(lacking)} not found: install Java 17 and Maven" if lacking else ""


def libraries() -> Path:
    """The folder of the broker's jars."""
    return Path(os.environ.get("WORKBENCH_KAFKA") or Path.home() / ".cache" / "workbench-kafka") / "libs"


def brought() -> bool:
    """Whether the broker is there already."""
    return (libraries() / "complete").exists()


def bring() -> None:
    """Let Maven bring the broker, unless it is there."""
    if brought():
        return
    libraries().mkdir(parents=True, exist_ok=True)
    goal = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={libraries()}"]
    ran = subprocess.run(goal, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"Maven could not bring the broker: {(ran.stdout + ran.stderr).strip()[-800:]}")
    (libraries() / "complete").touch()


def start(port: int, data: Path, more: str = "") -> "subprocess.Popen[bytes]":
    """Start a broker on 127.0.0.1:`port` with its data in `data` (kept from one start to the next), and wait for it.

    `more` are further lines of server.properties; of two for one key the last counts.
    """
    bring()
    data = data.absolute()
    data.mkdir(parents=True, exist_ok=True)
    properties = data / "server.properties"
    properties.write_text(PROPERTIES.format(port=port, controller=free_port(), data=data) + more)
    java = ["java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{libraries()}/*"]
    if not (data / "log" / "meta.properties").exists():
        name = cluster_id()
        tool = ["kafka.tools.StorageTool", "format", "-t", name, "-c", str(properties), "--standalone"]
        subprocess.run([*java, *tool], capture_output=True, check=True)
    with (data / "broker.log").open("wb") as log:
        broker = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=log)
    wait(broker, port, data / "broker.log")
    return broker


def cluster_id() -> str:
    """A new cluster's id. One that begins with a hyphen would be taken for an option."""
    while (name := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return name


def wait(broker: "subprocess.Popen[bytes]", port: int, log: Path, seconds: float = 60) -> None:
    """Wait until the broker listens."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and broker.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    stop(broker)
    raise RuntimeError(f"the broker did not start; the end of {log}:\n{log.read_text()[-1500:]}")


def stop(broker: "subprocess.Popen[bytes]") -> None:
    """End it, at once: what it has written is written."""
    broker.kill()
    broker.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Start it for a person, until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data", type=Path, default=Path(".workbench/kafka"), help="folder of its data; kept")
    given = parser.parse_args()
    if lacking := missing():
        sys.stderr.write(f"{lacking}\n")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    broker = start(given.port, given.data)
    sys.stdout.write(
        f"Kafka on localhost:{given.port}, its data in {given.data}. Ctrl-C ends it.\n"
        "Use it with `workbench ingest --profile kafka`; look with `workbench stream status --profile kafka`.\n"
    )
    sys.stdout.flush()
    try:
        return broker.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        broker.terminate()
        broker.wait()


if __name__ == "__main__":
    sys.exit(main())
