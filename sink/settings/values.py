"""What can be set, with its type, default and limits; the description of a field is its documentation."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sink.errors import ConfigError
from sink.settings.catalogue import entries
from sink.settings.kafka import KafkaOptions
from sink.settings.sources import LayeredSource, read_layers

MAX_POLL_INTERVAL_MS = 300_000
"""librdkafka's default."""

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


def _topic_part(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,100}", value):
        raise ValueError("may hold at most 100 letters, digits and . _ -")
    return value


def _registry_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]\S*", value):
        raise ValueError("must begin with http:// or https:// and name a host")
    if "@" in value:
        raise ValueError("must not hold user or password; set SINK_REGISTRY__USER and SINK_REGISTRY__PASSWORD")
    return value.rstrip("/")


Clock = Literal["record", "field"]
"""Whose time orders the versions of a row: Kafka's record timestamp or the producer's ``observed_at``."""


class Group(BaseModel):
    """Settings that belong together: ``SINK_<GROUP>__<NAME>``, or a table of the TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Registry(Group):
    """Where the writer schemas of Confluent-framed messages are found."""

    url: Annotated[str, AfterValidator(_registry_url)] | None = Field(
        default=None,
        description="Schema registry with the Confluent API, for example `https://registry:8081`, without user or "
        "password. Without it only messages in Avro single-object encoding can be read.",
    )
    user: str | None = Field(default=None, description="User for basic authentication.")
    password: SecretStr | None = Field(default=None, description="Password for basic authentication.")
    ca_location: FilePath | None = Field(
        default=None, description="PEM file of the authorities to trust instead of the system's."
    )
    cert_location: FilePath | None = Field(default=None, description="PEM file of the client certificate.")
    key_location: FilePath | None = Field(default=None, description="PEM file of the client certificate's key.")
    timeout: Seconds = Field(default=5.0, description="Longest wait for one answer, in seconds.")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("SINK_REGISTRY__USER and SINK_REGISTRY__PASSWORD are given together or not at all")
        if self.key_location and not self.cert_location:
            raise ValueError(
                "SINK_REGISTRY__KEY_LOCATION needs SINK_REGISTRY__CERT_LOCATION, the certificate of that key"
            )
        return self


class Batch(Group):
    """When a batch is full and is written: whichever limit is met first."""

    max_rows: int = Field(default=20_000, ge=1, le=1_000_000, description="Messages of one batch.")
    max_bytes: int = Field(
        default=16 * 1024**2, ge=1024, le=1024**3, description="Size of the raw messages of one batch, in bytes."
    )
    max_age: Seconds = Field(
        default=0.5,
        description="Longest wait of a message for its batch to fill, in seconds: latency against speed."
        " Where flushes are fast it is twice as long as the last one took, and at least a fifth of this.",
    )


class Breaker(Group):
    """When a dataset halts instead of draining its topic into quarantine."""

    share: float = Field(default=0.5, gt=0, le=1, description="Share of bad messages within the window that halts.")
    window: int = Field(default=1000, ge=1, le=10_000_000, description="Messages over which the share is taken.")
    run: int = Field(
        default=100, ge=1, le=10_000_000, description="Bad messages in a row from one writer schema that halt."
    )


class Http(Group):
    """Where metrics, health and status can be asked for."""

    enabled: bool = Field(
        default=True,
        description="Whether `sink run` answers `/livez`, `/readyz`, `/metrics`, `/status` and, for people, `/`.",
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; `0.0.0.0` for all. Nobody is asked for a password: what can be read there"
        " are names, offsets and counts, never messages.",
    )
    port: int = Field(
        default=8080, ge=0, le=65535, description="Port to listen on; 0 takes any that is free, and logs which."
    )


class Housekeeping(Group):
    """What `sink run` does beside its loops."""

    every: float = Field(
        default=3600.0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="How often expired chunks are dropped (on the Apache-2 edition; the community edition has policies)"
        " and the ledger is pruned, in seconds, give or take a tenth; 0: never.",
    )
    ledger_days: float = Field(
        default=400.0,
        ge=0,
        le=36_500,
        allow_inf_nan=False,
        description="How long entries of `sink.flushes` stay, in days; 0: for ever. `sink verify` and `sink trace` tell"
        " nothing of messages before that.",
    )


class Log(Group):
    """What is logged to stderr, and how."""

    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`console` for people, `json` for machines; `auto` is console on a terminal."
    )
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    ] = Field(default="info", description="Least severe level that is logged.")


class Settings(BaseSettings):
    """Every setting, typed and frozen. Made by :func:`sink.settings.load`, which tells errors as a user wants them."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: SecretStr = Field(
        default=SecretStr("postgresql+psycopg://postgres:postgres@localhost:5432/ingestion"),
        description="The TimescaleDB database, as an SQLAlchemy URL for psycopg.",
    )
    kafka: KafkaOptions = Field(
        default_factory=dict,
        validate_default=True,
        description="Options of librdkafka, passed through: dots become underscores, so `bootstrap.servers` is "
        "`SINK_KAFKA__BOOTSTRAP_SERVERS`. Options that the sink owns are refused, with the reason.",
    )
    registry: Registry = Field(default_factory=Registry)
    schemas: DirectoryPath | None = Field(
        default=None, description="Folder of the Avro schemas; without it those that travel with the package."
    )
    topic_prefix: Annotated[str, AfterValidator(_topic_part)] = Field(
        default="market.", description="Topics are named `<prefix><dataset>`."
    )
    group_prefix: Annotated[str, AfterValidator(_topic_part)] = Field(
        default="sink", min_length=1, description="Consumer groups are named `<prefix>.<dataset>`."
    )
    batch: Batch = Field(default_factory=Batch)
    clock: dict[str, Clock] = Field(
        default_factory=dict,
        description="Per dataset, whose time decides which version of a row is newest: `record` is Kafka's record "
        "timestamp (the default), `field` the producer's `observed_at`. Never change it under data that is there.",
    )
    initial_offset: Literal["earliest", "latest", "committed"] = Field(
        default="earliest",
        description="Where a sink that the database does not know yet starts; `committed` takes over the group's "
        "offsets in Kafka once.",
    )
    on_data_loss: Literal["halt", "skip"] = Field(
        default="halt",
        description="When Kafka no longer has the next message: `halt` the partition, or `skip` ahead and record "
        "the gap.",
    )
    on_crash: Literal["halt", "quarantine"] = Field(
        default="halt",
        description="When decoding one message has ended the process three times: `halt` its partition before it, or "
        "put it into `quarantine` undecoded and go on.",
    )
    state_directory: Path | None = Field(
        default=None,
        description="Folder for what the sink must remember if a message ends it: which offsets it was decoding. "
        "Without it a folder of this user among the temporary files. It should survive a restart: in a container, a "
        "volume.",
    )
    max_message_bytes: int = Field(
        default=1024**2, ge=128, le=1024**3, description="Larger messages go to quarantine, in bytes."
    )
    future_tolerance: float = Field(
        default=86_400.0,
        ge=0,
        le=365 * 86_400,
        allow_inf_nan=False,
        description="How far ahead of now a time may lie before its message goes to quarantine, in seconds.",
    )
    breaker: Breaker = Field(default_factory=Breaker)
    statement_timeout: Seconds = Field(
        default=60.0,
        description="Longest database statement, in seconds; at most a third of max.poll.interval.ms, which is what a "
        "whole flush may take.",
    )
    lock_timeout: Seconds = Field(
        default=15.0, description="Longest wait for a database lock, in seconds; bounded likewise."
    )
    idle_timeout: Seconds = Field(
        default=30.0,
        description="How long the database waits inside a transaction for a sink that stands still before it ends "
        "that transaction, in seconds.",
    )
    claim_patience: Seconds = Field(
        default=10.0,
        description="How long a claim of a partition waits for the flush of its owner before so far, which may stand "
        "still in the middle of a COPY, before it ends that owner's database session, in seconds; below "
        "`SINK_LOCK_TIMEOUT`.",
    )
    shutdown_timeout: Seconds = Field(
        default=25.0,
        description="Time to finish after SIGTERM, in seconds; below the time after which the container is killed.",
    )
    allow_insecure_database: bool = Field(
        default=False,
        description="Let `sink run` reach a database on another host without `sslmode=verify-full`.",
    )
    allow_insecure_kafka: bool = Field(
        default=False,
        description="Let passwords cross the network to brokers without TLS, or with TLS that verifies nobody.",
    )
    allow_insecure_registry: bool = Field(
        default=False, description="Let the registry's password cross the network without TLS."
    )
    housekeeping: Housekeeping = Field(default_factory=Housekeeping)
    http: Http = Field(default_factory=Http)
    log: Log = Field(default_factory=Log)

    @classmethod
    def settings_customise_sources(  # type: ignore[override] # pydantic's further sources are not used
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        **_: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then everything that the process's environment and working directory say."""
        layers = read_layers(entries(settings_cls), os.environ, Path.cwd(), None)
        if layers.problems:
            raise ConfigError("; ".join(layers.problems))
        return init_settings, LayeredSource(settings_cls, layers)

    @model_validator(mode="after")
    def _claims_act_in_time(self) -> Self:
        if self.claim_patience >= self.lock_timeout:
            raise ValueError(
                f"SINK_CLAIM_PATIENCE ({self.claim_patience:g} s) must be below SINK_LOCK_TIMEOUT"
                f" ({self.lock_timeout:g} s): a claim that gives up first never ends what keeps it waiting"
            )
        return self

    @field_validator("database_url")
    @classmethod
    def _is_psycopg(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("postgresql+psycopg://", "postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql+psycopg://, as in postgresql+psycopg://user:pass@host:5432/db")
        return value

    @model_validator(mode="after")
    def _flush_fits_into_the_poll_interval(self) -> Self:
        # what was not given is cut to fit instead
        given = self.model_fields_set & {"statement_timeout", "lock_timeout"}
        too_long = sorted(f"SINK_{name.upper()}" for name in given if getattr(self, name) > self.flush_budget)
        if too_long:
            raise ValueError(
                f"{' and '.join(too_long)} must be at most {self.flush_budget:g} seconds, a third of"
                " SINK_KAFKA__MAX_POLL_INTERVAL_MS: lower what is too long, or raise that"
            )
        return self

    @property
    def flush_budget(self) -> float:
        """Longest transaction in seconds: a third of max.poll.interval.ms, so that a retry still fits into it."""
        given = self.kafka.get("max.poll.interval.ms", "")
        # what is no number at all librdkafka refuses by name, when it is given its options
        milliseconds = int(given) if given.isdecimal() else MAX_POLL_INTERVAL_MS
        return milliseconds / 3000

    def clock_of(self, dataset: str) -> Clock:
        """Whose time orders the versions of this dataset's rows."""
        return self.clock.get(dataset, "record")
