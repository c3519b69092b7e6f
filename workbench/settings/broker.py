"""The section `broker`: the one that comes with the package, or a Kafka."""

from typing import Annotated, Literal, Self

from pydantic import Field, Tag, model_validator

from workbench.settings.section import Section
from workbench.settings.types import Location, Number, Secret, Text, Whole, chosen_by, fault


class EmbeddedBroker(Section):
    """The broker that comes with the package: it lives for a run."""

    engine: Literal["embedded"] = Field("embedded", description="Nothing to install; it lives only for a run")
    timeout_s: Number = Field(30, gt=0, description="Seconds without any progress after which a run gives up")


class KafkaBroker(Section):
    """A Kafka cluster, or what speaks its protocol."""

    engine: Literal["kafka"] = Field("kafka", description="A Kafka cluster")
    bootstrap_servers: Text = Field(description="host:port of one or more brokers, separated by commas")
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="How the connection is secured"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="How to log in, where the protocol is sasl_…"
    )
    username: Text | None = Field(None, description="Name to log in with")
    password: Secret | None = Field(None, description="Password to log in with")
    ca_path: Location | None = Field(None, description="Certificates to trust (PEM), instead of the system's")
    certificate_path: Location | None = Field(None, description="Our own certificate (PEM), where the broker asks")
    key_path: Location | None = Field(None, description="The key of our certificate (PEM)")
    key_password: Secret | None = Field(None, description="Password of that key, if it has one")
    topic_prefix: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,100}$", description="Before the names of topics and groups: who shares a broker"
    )
    partitions: Whole = Field(4, ge=1, le=1000, description="Partitions of each input topic; all have the same number")
    replication: Whole = Field(1, ge=1, le=9, description="Copies of each topic that is made")
    timeout_s: Number = Field(30, gt=0, description="Seconds without any progress after which a run gives up")

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if self.security_protocol.startswith("sasl") and not (self.sasl_mechanism and self.username and self.password):
            raise fault(f"{self.security_protocol} needs sasl_mechanism, username and password")
        return self

    @model_validator(mode="after")
    def _can_show_itself(self) -> Self:
        if bool(self.certificate_path) != bool(self.key_path):
            raise fault("certificate_path and key_path belong together: give both, or none")
        if self.certificate_path and not self.security_protocol.endswith("ssl"):
            raise fault(f"{self.security_protocol} shows no certificate; set security_protocol to ssl or sasl_ssl")
        return self


Broker = Annotated[
    Annotated[EmbeddedBroker, Tag("embedded")] | Annotated[KafkaBroker, Tag("kafka")], chosen_by("engine", "embedded")
]
