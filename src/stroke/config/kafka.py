"""Kafka, its schema registry, Kafka Connect, and change-data capture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, model_validator

from stroke.application.pipeline.broker import Broker, SaslMechanism, SecurityProtocol
from stroke.config.reading import SettingsGroup, prefixed

# More than what Kafka puts around a record, and than the headers of a dead letter with its trace.
_FRAME_BYTES = 1024 * 1024


class KafkaSettings(SettingsGroup):
    """The broker and the schema registry, as this process reaches them."""

    model_config = prefixed("KAFKA")

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: SecurityProtocol = Field(
        "PLAINTEXT", description="whether clients encrypt (SSL) and log in (SASL)"
    )
    sasl_mechanism: SaslMechanism = Field("SCRAM-SHA-512", description="how they log in")
    user: str = ""
    password: SecretStr | None = None
    ca_file: Path | None = Field(
        None, description="PEM of who signed the brokers' certificates; else the system's"
    )
    registry_url: str = Field(
        "http://127.0.0.1:8081",
        validation_alias=AliasChoices("STROKE_KAFKA_REGISTRY_URL", "SCHEMA_REGISTRY_URL"),
    )
    timeout_seconds: float = Field(10, gt=0)
    replication_factor: int = Field(1, ge=1, le=9, description="of the topics that are made")
    max_record_bytes: int = Field(
        16 * 1024 * 1024,
        ge=1024 * 1024,
        le=64 * 1024 * 1024,
        description="the largest change event that goes to Kafka; a larger one is a dead letter",
    )
    retention_hours: int = Field(
        336, ge=-1, description="how long the change events stay on Kafka; -1: for ever"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Refuse what would leave a client without the login or the encryption that was meant."""
        broker = self.broker
        if broker.logs_in and not (broker.user and broker.password):
            raise ValueError(
                "STROKE_KAFKA_SECURITY_PROTOCOL with SASL needs STROKE_KAFKA_USER and "
                "STROKE_KAFKA_PASSWORD"
            )
        if (broker.user or broker.password) and not broker.logs_in:
            raise ValueError(
                "STROKE_KAFKA_USER and STROKE_KAFKA_PASSWORD need a STROKE_KAFKA_SECURITY_PROTOCOL "
                "with SASL"
            )
        if broker.ca_file is not None and not broker.encrypts:
            raise ValueError("STROKE_KAFKA_CA_FILE needs a STROKE_KAFKA_SECURITY_PROTOCOL with SSL")
        return self

    @property
    def broker(self) -> Broker:
        """The brokers, and how a client reaches them."""
        return Broker(
            self.bootstrap_servers,
            protocol=self.security_protocol,
            mechanism=self.sasl_mechanism,
            user=self.user,
            password=self.password.get_secret_value() if self.password else "",
            ca_file=self.ca_file,
        )

    @property
    def retention_ms(self) -> int:
        """The same for Kafka."""
        return self.retention_hours * 3_600_000 if self.retention_hours >= 0 else -1

    @property
    def max_message_bytes(self) -> int:
        """What a producer and the topic of change events take: the largest event, framed."""
        return self.max_record_bytes + _FRAME_BYTES

    @property
    def max_letter_bytes(self) -> int:
        """What the topics of dead letters take: an event, and the headers that say why."""
        return self.max_message_bytes + _FRAME_BYTES

    @property
    def buffer_bytes(self) -> int:
        """How many bytes of events a connector may hold at a time."""
        return max(32 * 1024 * 1024, 4 * self.max_record_bytes)


class ConnectSettings(SettingsGroup):
    """Kafka Connect, and the connectors that are kept as files."""

    model_config = prefixed("CONNECT")

    url: str = "http://127.0.0.1:8083"
    timeout_seconds: float = Field(30, gt=0)
    wait_seconds: float = Field(
        120, ge=0, description="how long `apply` waits for Connect, and for RUNNING"
    )
    folder: Path = Field(Path("connectors"), description="the connectors' JSON files")


class CdcSettings(SettingsGroup):
    """What change-data capture reads from MySQL, and the names it gives."""

    model_config = prefixed("CDC")

    server_name: str = Field(
        "dbserver1",
        validation_alias=AliasChoices("STROKE_CDC_SERVER_NAME", "MYSQL_SERVER_NAME"),
        pattern=r"^[A-Za-z0-9._-]+$",
    )
    server_id: int = Field(
        184054,
        validation_alias=AliasChoices("STROKE_CDC_SERVER_ID", "MYSQL_SERVER_ID"),
        ge=1,
        le=4294967295,
    )
    heartbeat_seconds: int = Field(
        5,
        ge=1,
        le=600,
        description="how soon the source says how far it is where no row changes: what compares "
        "the copies waits for it",
    )
    mask: Literal["", "name"] = Field(
        "", description="the column that does not leave MySQL as it is"
    )
    mask_salt: SecretStr | None = Field(
        None, description="replaces the masked value by its salted hash instead of ***"
    )
