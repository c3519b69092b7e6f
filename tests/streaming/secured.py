"""A Kafka with log-ins, certificates and ACLs, and what to do there as whom."""

import contextlib
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr

from tests.real.kafka import start
from workbench.settings import KafkaBroker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.topics import OUTPUTS, ROAD, STATE

ACLS = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.yaml"
PROFILE = "acme"
PASSWORD = "secret of a test"  # noqa: S105

# Who comes by the inner listener is the administrator; all others may do only what they are allowed.
PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{inside},CONTROLLER://127.0.0.1:{controller},LOGIN://127.0.0.1:{login},\
MUTUAL://127.0.0.1:{mutual},BOTH://127.0.0.1:{both}
advertised.listeners=PLAINTEXT://127.0.0.1:{inside},LOGIN://127.0.0.1:{login},MUTUAL://127.0.0.1:{mutual},\
BOTH://127.0.0.1:{both}
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,MUTUAL:SSL,BOTH:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.login.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="{password}";
listener.name.login.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.login.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.both.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.both.sasl.enabled.mechanisms=SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.crt
listener.name.mutual.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
"""


@dataclass(frozen=True)
class Secured:
    """Where it listens, and the folder of the certificates."""

    inside: int
    login: int
    mutual: int
    both: int
    folder: Path

    def administrator(self, prefix: str) -> KafkaCluster:
        """By the inner listener: may do everything."""
        return KafkaCluster(KafkaBroker(bootstrap_servers=f"127.0.0.1:{self.inside}", topic_prefix=prefix))

    def user(self, name: str, prefix: str = "", **more: Any) -> KafkaBroker:
        """The settings of a user who logs in by SCRAM."""
        given = {
            "bootstrap_servers": f"127.0.0.1:{self.login}", "security_protocol": "sasl_plaintext",
            "sasl_mechanism": "SCRAM-SHA-512", "username": name, "password": SecretStr(PASSWORD),
            "topic_prefix": prefix, "timeout_s": 10,
        }  # fmt: skip
        return KafkaBroker(**{**given, **more})


@contextlib.contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """Start it; at the end nothing is left running."""
    certificates(folder)
    ports = {name: start.free_port() for name in ("inside", "login", "mutual", "both")}
    more = PROPERTIES.format(**ports, controller=start.free_port(), folder=folder, password=PASSWORD)
    process = start.start(ports["login"], folder / "data", more)
    try:
        yield Secured(**ports, folder=folder)
    finally:
        start.stop(process)


def certificates(folder: Path) -> None:
    """An authority, a broker's certificate, one of a client, and one that nobody vouches for."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    made = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    for authority in ("ca", "other"):
        openssl("req", *made, "-keyout", f"{authority}.key", "-out", f"{authority}.crt", "-subj", f"/CN={authority}")
    for name, authority in (("broker", "ca"), ("client", "ca"), ("stranger", "other")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")  # fmt: skip
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
                "-CAcreateserial", "-days", "2", "-out", f"{name}.crt", "-extfile", "names")  # fmt: skip
    openssl("pkcs8", "-topk8", "-in", "client.key", "-out", "locked.key", "-passout", f"pass:{PASSWORD}")
    (folder / "broker.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.crt").read_text())


class Rights:
    """Users and what they may do, made by the administrator."""

    def __init__(self, kafka: Secured) -> None:
        self._admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{kafka.inside}"})

    def user(self, name: str, mechanism: ScramMechanism = ScramMechanism.SCRAM_SHA_512) -> None:
        """Make a user who can log in, and may do nothing."""
        new = UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode())
        self._admin.alter_user_scram_credentials([new])[name].result(timeout=20)

    def grant(self, user: str, bindings: list[AclBinding]) -> None:
        """Allow, and wait until it is known."""
        for done in self._admin.create_acls(bindings).values():
            done.result(timeout=20)
        asked = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{user}", None,
                                 AclOperation.ANY, AclPermissionType.ANY)  # fmt: skip
        limit = time.monotonic() + 20
        while len(self._admin.describe_acls(asked).result(timeout=20)) < len(bindings):
            assert time.monotonic() < limit
            time.sleep(0.05)


@dataclass(frozen=True)
class Acl:
    """One operation on one thing, as the file has it."""

    type: str
    name: str
    pattern: str
    operation: str

    def binding(self, user: str, prefix: str) -> AclBinding:
        """For a user, under a prefix."""
        name = prefix + self.name.format(profile=PROFILE)
        return AclBinding(ResourceType[self.type.upper()], name, ResourcePatternType[self.pattern.upper()],
                          f"User:{user}", "*", AclOperation[self.operation], AclPermissionType.ALLOW)  # fmt: skip


def roles() -> Mapping[str, list[Acl]]:
    """Role → what deploy/kafka/acls.yaml allows it."""
    held = yaml.safe_load(ACLS.read_text())
    return {
        role: [Acl(entry["type"], entry["name"], entry.get("pattern", "literal"), operation)
               for entry in entries for operation in entry["allow"]]
        for role, entries in held.items()
    }  # fmt: skip


@contextlib.contextmanager
def topics(kafka: Secured) -> Iterator[KafkaCluster]:
    """All topics under a prefix of their own, and the administrator who made them."""
    with kafka.administrator(f"t{uuid.uuid4().hex[:8]}-") as administrator:
        administrator.prepare((*ROAD, *OUTPUTS, STATE))
        yield administrator
