"""Settings: the only reader of the environment.

Every setting has a name with the prefix ``STROKE_``; the names of an existing ``.env`` stay valid
next to them. ``NAME_FILE`` names a file that holds the value of NAME, which then counts. So does a
file NAME in the folder STROKE_SECRET_FILES. Secrets have no defaults and show as ``**********``.
docs/settings.md lists all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy import URL, make_url

from stroke.application.access.tokens import ClaimRules, is_safe
from stroke.application.predictions.file_rows import TextLimits
from stroke.domain.access import Scope, checked_scopes, checked_site
from stroke.domain.errors import InvalidAccess, InvalidSetting
from stroke.domain.performance import MEASURES

_Group = TypeVar("_Group", bound=BaseSettings)
# More than what Kafka puts around a record, and than the headers of a dead letter with its trace.
_FRAME_BYTES = 1024 * 1024


def _group(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(
        env_prefix=f"STROKE_{prefix}_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # the input may be a password
        populate_by_name=True,
    )


_LONGEST_VALUE: Final = 65_536
_FOLDER: Final = "STROKE_SECRET_FILES"


class _Settings(BaseSettings):
    """Settings that are read from files that NAME_FILE names, the environment, and ``.env``."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = _NamedFiles(settings_cls, dotenv_settings, env_settings)
        return init_settings, files, env_settings, dotenv_settings, file_secret_settings


class _NamedFiles(EnvSettingsSource):
    """The values of the files that NAME_FILE names, in one of ``sources``; the last one counts."""

    def __init__(
        self, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource
    ) -> None:
        self._sources = sources
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        known: dict[str, str | None] = {}
        for source in self._sources:
            if isinstance(source, EnvSettingsSource | DotEnvSettingsSource):
                known |= source.env_vars
        folder = known.get(_FOLDER.lower())
        found: dict[str, str | None] = {}
        for name in _names(self.settings_cls):
            setting, path = f"{name}_FILE", known.get(f"{name}_file".lower())
            if path is None and folder and Path(folder, name).is_file():
                setting, path = _FOLDER, str(Path(folder, name))
            if path and (value := _content(setting, path)):
                found[name.lower()] = value
        return found


def _names(group: type[BaseSettings]) -> Iterator[str]:
    """Yield each name that a setting of the group has in the environment."""
    prefix = group.model_config.get("env_prefix", "")
    for name, field in group.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            yield from (str(choice) for choice in alias.choices)
        else:
            yield f"{prefix}{name}".upper()


def _content(name: str, path: str | Path) -> str:
    """Return what the file holds, without one line break at its end.

    Raises ``InvalidSetting`` where it cannot be read, or can be no value.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            text = file.read(_LONGEST_VALUE + 1)
    except (OSError, UnicodeDecodeError, ValueError):
        raise InvalidSetting(f"{name}: {path} cannot be read as a file of text") from None
    if len(text) > _LONGEST_VALUE or "\0" in text:
        raise InvalidSetting(f"{name}: {path} is too long, or no text, to be a value")
    return text.removesuffix("\n").removesuffix("\r")


def _parted(text: object) -> object:
    if not isinstance(text, str):
        return text
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("write addresses or networks such as 10.0.0.0/8, with commas") from None
    return text


class HttpSettings(_Settings):
    """Where the service listens and what it accepts."""

    model_config = _group("HTTP")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=64)
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    max_url_bytes: int = Field(8192, ge=64)
    max_headers: int = Field(100, ge=8)
    max_header_bytes: int = Field(32_768, ge=1024)
    max_header_value_bytes: int = Field(16_384, ge=256)
    max_connections: int = Field(5000, ge=1)
    max_patient_bytes: int = Field(65_536, ge=1024)
    max_bytes_in_flight: int = Field(32 * 1024 * 1024, ge=64 * 1024)
    max_rows_in_flight: int = Field(20_000, ge=1)
    admission_seconds: float = Field(5, gt=0)
    idle_seconds: float = Field(15, gt=0)
    head_seconds: float = Field(10, gt=0)
    body_seconds: float = Field(10, gt=0)
    min_bytes_per_second: int = Field(1024, ge=1)
    refusal_pause_seconds: float = Field(1, ge=0)
    log_seconds: float = Field(60, ge=0, description="how often at most one cause of 503 is logged")
    request_seconds: float = Field(120, gt=0, description="from its head to the end of its answer")
    shutdown_seconds: int = Field(20, ge=1)
    root_path: str = Field("", pattern=r"^((/[A-Za-z0-9._~-]+)+)?$")
    trusted_proxies: Annotated[
        tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(_parted)
    ] = ()
    cors_origins: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s*]+)$")], ...],
        NoDecode,
        BeforeValidator(_parted),
    ] = ()
    allowed_hosts: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$")], ...],
        NoDecode,
        BeforeValidator(_parted),
    ] = ()
    metrics_folder: Path | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_HTTP_METRICS_FOLDER", "PROMETHEUS_MULTIPROC_DIR"),
        description="where several workers keep what they count; `stroke serve` sets it",
    )

    @property
    def trusted_networks(self) -> list[IPv4Network | IPv6Network]:
        """The proxies whose X-Forwarded- headers are believed."""
        return [ip_network(each) for each in self.trusted_proxies]


def _rate(text: str) -> str:
    from limits import parse_many  # noqa: PLC0415 -- slow to import, and seldom wanted

    try:
        parse_many(text)
    except ValueError:
        raise ValueError("write a rate such as 600/minute, or several with ;") from None
    return text


class RateSettings(_Settings):
    """How many requests one caller may send."""

    model_config = _group("RATE")

    per_address: Annotated[str, AfterValidator(_rate)] | None = Field(
        None, description="of one client, as `limits` writes it: 600/minute;50/second"
    )
    per_key: Annotated[str, AfterValidator(_rate)] | None = None
    per_site: Annotated[str, AfterValidator(_rate)] | None = None


class DatabaseSettings(_Settings):
    """Where predictions are stored: MySQL when any of its names is set, else a SQLite file."""

    model_config = _group("DATABASE")

    url: SecretStr | None = None
    sqlite_path: Path = Path("stroke.db")
    mysql_host: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_DATABASE_MYSQL_HOST", "MYSQL_HOST")
    )
    mysql_port: int = Field(
        3306,
        validation_alias=AliasChoices("STROKE_DATABASE_MYSQL_PORT", "MYSQL_PORT"),
        ge=1,
        le=65535,
    )
    mysql_user: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_DATABASE_MYSQL_USER", "MYSQL_USER")
    )
    mysql_password: SecretStr | None = Field(
        None, validation_alias=AliasChoices("STROKE_DATABASE_MYSQL_PASSWORD", "MYSQL_PASSWORD")
    )
    mysql_password_file: Path | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_DATABASE_MYSQL_PASSWORD_FILE", "MYSQL_PASSWORD_FILE"),
        description="a file that holds the password; it is read again for each new connection",
    )
    mysql_database: str = Field(
        "stroke_predictions",
        validation_alias=AliasChoices("STROKE_DATABASE_MYSQL_DATABASE", "MYSQL_DATABASE"),
    )
    pool_size: int = Field(5, ge=1, le=100)
    listing_connections: int = Field(
        2,
        ge=1,
        le=100,
        description="how many connections of the pool listings may hold at a time: fewer than all",
    )
    connect_timeout_seconds: float = Field(5, gt=0)
    statement_timeout_seconds: float = Field(30, gt=0)
    wait_seconds: float = Field(
        60, ge=0, description="how long a start waits for a database that is not up yet"
    )
    ready_seconds: float = Field(
        2, gt=0, le=60, description="how long /health/ready looks whether rows can be stored"
    )
    trial_seconds: float = Field(
        10, ge=0, description="/health/ready writes a row and removes it when none was stored since"
    )

    @model_validator(mode="after")
    def _leave_connections(self) -> Self:
        chosen = "listing_connections" in self.model_fields_set
        if chosen and self.listing_connections > self.most_listings:
            raise ValueError(
                f"STROKE_DATABASE_LISTING_CONNECTIONS is {self.listing_connections}, and "
                f"STROKE_DATABASE_POOL_SIZE is {self.pool_size}: with this pool, listings may hold "
                f"{self.most_listings} at the most, and predictions need the others"
            )
        return self

    @property
    def most_listings(self) -> int:
        """How many connections listings may be given: a pool of one is shared."""
        return max(1, self.pool_size - 1)

    @property
    def sqlalchemy_url(self) -> URL:
        """The async SQLAlchemy URL. Raises ``InvalidSetting`` when it cannot be formed."""
        if self.url is not None:
            return _async_url(self.url.get_secret_value())
        if self.mysql_host or self.mysql_user or self.mysql_password:
            if not self.mysql_user or self.mysql_password is None:
                raise InvalidSetting(
                    "MySQL needs MYSQL_USER and MYSQL_PASSWORD (unset all MYSQL_ names for SQLite)"
                )
            return URL.create(
                "mysql+asyncmy",
                username=self.mysql_user,
                password=self.mysql_password.get_secret_value(),
                host=self.mysql_host or "127.0.0.1",
                port=self.mysql_port,
                database=self.mysql_database,
                query={"charset": "utf8mb4"},
            )
        return URL.create("sqlite+aiosqlite", database=str(self.sqlite_path))

    def current_password(self) -> str | None:
        """Return MySQL's password as its file has it now, so that it can be rotated.

        It is None where the password comes from no file. A file that cannot be read, or is empty
        for the moment, changes nothing.
        """
        if self.url is not None or self.mysql_password_file is None or self.mysql_password is None:
            return None
        try:
            now = _content("MYSQL_PASSWORD_FILE", self.mysql_password_file)
        except InvalidSetting:
            now = ""
        return now or self.mysql_password.get_secret_value()


class ModelSettings(_Settings):
    """Which model is served."""

    model_config = _group("MODEL")

    saved_model: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_MODEL_SAVED_MODEL", "SAVED_MODEL")
    )
    store: Path = Path("models")
    max_file_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="of a graph, and of a pickle that is imported"
    )
    memory_bytes: int = Field(
        2 * 1024**3, ge=64 * 1024**2, description="what a graph may allocate while it scores"
    )
    run_seconds: float = Field(60, gt=0, description="how long a graph may score one batch")
    import_seconds: float = Field(
        120, gt=0, description="how long each process of an import may take"
    )
    import_memory_bytes: int = Field(
        4 * 1024**3, ge=512 * 1024**2, description="address space of each process of an import"
    )


class QueueSettings(_Settings):
    """How predictions are grouped into commits."""

    model_config = _group("QUEUE")

    capacity: int = Field(1024, ge=1)
    commit_size: int = Field(512, ge=1, le=10_000)


class IdempotencySettings(_Settings):
    """How long the key of a request is remembered."""

    model_config = _group("IDEMPOTENCY")

    hours: float = Field(24, gt=0, le=87_600, description="after these a key is a new one")


class AccessSettings(_Settings):
    """Who may call: keys that the service takes over, and how soon a change of keys holds."""

    model_config = _group("ACCESS")

    cache_seconds: float = Field(
        2, gt=0, le=4, description="after these the keys are read again: a revoked one ends"
    )
    pause_seconds: float = Field(
        0.2, ge=0, le=2, description="between two readings that unknown keys ask for"
    )
    admin_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_ACCESS_ADMIN_KEY", "STROKE_ADMIN_KEY"),
        description="a key made elsewhere; `stroke serve` stores it with admin and all-sites",
    )
    metrics_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_ACCESS_METRICS_KEY", "STROKE_METRICS_KEY"),
        description="a key made elsewhere; `stroke serve` stores it with the scope metrics",
    )
    site: str = Field("platform", description="the site of these two keys")
    insecure: bool = Field(
        False,
        validation_alias=AliasChoices("STROKE_ACCESS_INSECURE", "STROKE_INSECURE"),
        description="start without keys on an address that other machines reach",
    )


def _pairs(text: str) -> dict[str, str]:
    """Return NAME=VALUE pairs with commas between as a dict. Raises ``ValueError``."""
    found: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        # The last sign: a name of the provider may hold others.
        name, sign, value = (part.strip() for part in pair.rpartition("="))
        if not (name and sign and value):
            raise ValueError("write NAME=VALUE, several with commas")
        if name in found:
            raise ValueError("has a name twice")
        found[name] = value
    return found


def _pairs_of(text: object) -> object:
    return _pairs(text) if isinstance(text, str) else text


def _scopes_of_roles(text: object) -> object:
    if not isinstance(text, str):
        return text
    pairs = _pairs(text)
    try:
        return {role: checked_scopes(value.split("+")) for role, value in pairs.items()}
    except InvalidAccess as error:
        raise ValueError(str(error)) from None


_ROLES: Final = {f"stroke-{scope}": frozenset({scope}) for scope in Scope}


class OidcSettings(_Settings):
    """The OpenID provider whose tokens name callers; none are taken without an issuer."""

    model_config = _group("OIDC")

    issuer: str | None = Field(
        None, description="as the provider's tokens have it in iss", pattern=r"^https?://[^\s?#]+$"
    )
    audience: str | None = Field(None, description="of this service, in the claim aud")
    clients: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parted)] = Field(
        (), description="to whom tokens may have been issued; all clients if it is empty"
    )
    role_claims: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parted)] = Field(
        ("roles", "realm_access.roles"), min_length=1
    )
    roles: Annotated[
        dict[str, frozenset[Scope]] | None, NoDecode, BeforeValidator(_scopes_of_roles)
    ] = Field(None, description="ROLE=SCOPE+SCOPE, with commas; stroke-SCOPE for each if not set")
    site_claim: str = Field("site", min_length=1)
    sites: Annotated[dict[str, str] | None, NoDecode, BeforeValidator(_pairs_of)] = Field(
        None, description="VALUE=SITE, with commas; the claim's value is the site if not set"
    )
    leeway_seconds: float = Field(30, ge=0, le=300, description="by which clocks may differ")
    cache_seconds: float = Field(
        10, ge=0, le=300, description="how long a verified token is not looked at again"
    )
    keys_seconds: float = Field(
        300, gt=0, le=86_400, description="after these the provider's keys are read again"
    )
    grace_seconds: float = Field(
        3600, ge=0, le=86_400, description="how much longer keys count if the provider is away"
    )
    pause_seconds: float = Field(
        2, gt=0, le=300, description="between two readings that unknown ids of keys ask for"
    )
    timeout_seconds: float = Field(5, gt=0, le=60)
    max_document_bytes: int = Field(262_144, ge=1024)
    max_token_bytes: int = Field(16_384, ge=512)
    insecure_http: bool = Field(
        False, description="whether keys may come over HTTP from another machine"
    )

    @model_validator(mode="after")
    def _have_what_a_token_is_held_to(self) -> Self:
        if self.issuer is None:
            return self
        if not self.audience:
            raise ValueError("STROKE_OIDC_ISSUER needs STROKE_OIDC_AUDIENCE")
        if not is_safe(self.issuer, insecure_http=self.insecure_http):
            raise ValueError(
                "STROKE_OIDC_ISSUER must be an address of HTTPS, without a user's name "
                "(HTTP is for this machine, or needs STROKE_OIDC_INSECURE_HTTP=true)"
            )
        return self

    @field_validator("sites")
    @classmethod
    def _have_names_of_sites(cls, sites: dict[str, str] | None) -> dict[str, str] | None:
        try:
            for site in (sites or {}).values():
                checked_site(site)
        except InvalidAccess as error:
            raise ValueError(str(error)) from None
        return sites

    @property
    def rules(self) -> ClaimRules:
        """What claims allow here."""
        return ClaimRules(
            self.role_claims,
            _ROLES if self.roles is None else self.roles,
            self.site_claim,
            self.sites or {},
        )


class AuditSettings(_Settings):
    """What is written into the audit trail."""

    model_config = _group("AUDIT")

    refusals_per_minute: int = Field(
        60, ge=0, description="refused attempts with an entry each; the rest of a minute is counted"
    )


class ErasureSettings(_Settings):
    """How predictions are erased from every place."""

    model_config = _group("ERASURE")

    batch_rows: int = Field(
        500, ge=1, le=10_000, description="removed from the database in one transaction"
    )
    wait_seconds: float = Field(
        120, ge=0, description="within which the copies must have heard of an erasure"
    )
    backups: str | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_ERASURE_BACKUPS", "STROKE_BACKUP_TARGET"),
        description="the folder, or s3:// prefix, of MySQL's backups",
    )
    backup_days: float = Field(
        30,
        gt=0,
        validation_alias=AliasChoices("STROKE_ERASURE_BACKUP_DAYS", "STROKE_BACKUP_KEEP_DAYS"),
        description="after which a backup is removed",
    )


class FilesSettings(_Settings):
    """What the files that commands read may take."""

    model_config = _group("FILES")

    max_decoded_bytes: int = Field(
        256 * 1024 * 1024, ge=1024 * 1024, description="of a Parquet file, at once"
    )
    max_row_bytes: int = Field(
        1024 * 1024, ge=1024, description="of a table of text; a longer row has an open quote"
    )
    max_dump_row_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, description="of a dump; a longer row has an open quote"
    )
    max_statement_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="of a dump's statement that is passed over"
    )

    @property
    def text_limits(self) -> TextLimits:
        """The limits of tables of text and of dumps."""
        return TextLimits(self.max_row_bytes, self.max_dump_row_bytes, self.max_statement_bytes)

    @classmethod
    def load(cls) -> FilesSettings:
        """Read these settings alone. Raises ``InvalidSetting`` naming what is wrong."""
        return _Files(**_loaded(_Files)).files


class _Files(BaseModel):
    files: FilesSettings


class KafkaSettings(_Settings):
    """The broker and the schema registry, as this process reaches them."""

    model_config = _group("KAFKA")

    bootstrap_servers: str = "127.0.0.1:9092"
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


class ConnectSettings(_Settings):
    """Kafka Connect, and the connectors that are kept as files."""

    model_config = _group("CONNECT")

    url: str = "http://127.0.0.1:8083"
    timeout_seconds: float = Field(30, gt=0)
    wait_seconds: float = Field(
        120, ge=0, description="how long `apply` waits for Connect, and for RUNNING"
    )
    folder: Path = Field(Path("connectors"), description="the connectors' JSON files")


class CdcSettings(_Settings):
    """What change-data capture reads from MySQL, and the names it gives."""

    model_config = _group("CDC")

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
    mask: Literal["", "name"] = Field(
        "", description="the column that does not leave MySQL as it is"
    )
    mask_salt: SecretStr | None = Field(
        None, description="replaces the masked value by its salted hash instead of ***"
    )


class SqlSinkSettings(_Settings):
    """The SQL database that predictions are replicated to: SQL Server, or PostgreSQL."""

    model_config = _group("SINK")

    url: SecretStr | None = Field(
        None, description="postgresql://... or mssql://...; instead of the MSSQL_ names"
    )
    table: str = Field("predictions", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    mssql_host: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_SINK_MSSQL_HOST", "MSSQL_HOST")
    )
    mssql_port: int = Field(
        1433, validation_alias=AliasChoices("STROKE_SINK_MSSQL_PORT", "MSSQL_PORT"), ge=1, le=65535
    )
    mssql_db: str = Field(
        "stroke_predictions", validation_alias=AliasChoices("STROKE_SINK_MSSQL_DB", "MSSQL_DB")
    )
    mssql_user: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_SINK_MSSQL_USER", "MSSQL_USER")
    )
    mssql_password: SecretStr | None = Field(
        None, validation_alias=AliasChoices("STROKE_SINK_MSSQL_PASSWORD", "MSSQL_PASSWORD")
    )

    @property
    def sqlalchemy_url(self) -> URL:
        """The SQLAlchemy URL with our drivers. Raises ``InvalidSetting`` when none is set."""
        if self.url is not None:
            return _driver_url(
                self.url.get_secret_value(),
                "STROKE_SINK_URL",
                {"postgresql": "postgresql+asyncpg", "mssql": "mssql+mssqlpython"},
            )
        if not (self.mssql_host and self.mssql_user and self.mssql_password):
            raise InvalidSetting(
                "the SQL sink needs MSSQL_HOST, MSSQL_USER and MSSQL_PASSWORD, or STROKE_SINK_URL"
            )
        return URL.create(
            "mssql+mssqlpython",
            username=self.mssql_user,
            password=self.mssql_password.get_secret_value(),
            host=self.mssql_host,
            port=self.mssql_port,
            database=self.mssql_db,
        )


class LakeSettings(_Settings):
    """The Iceberg table of change events in the S3 bucket, and the catalog that knows it."""

    model_config = _group("LAKE")

    catalog: Literal["jdbc", "glue", "rest"] = "jdbc"
    catalog_name: str = Field("iceberg", pattern=r"^[A-Za-z0-9_]+$")
    catalog_uri: SecretStr | None = Field(
        None,
        description="jdbc: mysql://... or postgresql://... of the catalog's own schema; "
        "rest: the catalog's address",
    )
    namespace: str = Field("stroke", pattern=r"^[A-Za-z0-9_]+$")
    table: str = Field("predictions_changes", pattern=r"^[A-Za-z0-9_]+$")
    bucket: str = Field(
        "stroke-predictions", validation_alias=AliasChoices("STROKE_LAKE_BUCKET", "S3_BUCKET")
    )
    prefix: str = Field("warehouse", pattern=r"^[A-Za-z0-9._/-]+$")
    endpoint: str | None = Field(None, description="of an S3 other than AWS's")
    path_style: bool = False
    region: str = Field(
        "us-east-1",
        validation_alias=AliasChoices("STROKE_LAKE_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    )
    access_key_id: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_LAKE_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID")
    )
    secret_access_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_LAKE_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"),
    )
    format: Literal["parquet", "avro"] = "parquet"
    commit_seconds: int = Field(10, ge=1, le=3600)
    glue_retries: int = Field(
        10, ge=0, le=100, description="how often a call of Glue that fails is repeated"
    )

    @property
    def warehouse(self) -> str:
        """Where the tables' files are."""
        return f"s3://{self.bucket}/{self.prefix}"


class DriftSettings(_Settings):
    """Whether the service counts what it is asked, and over how long."""

    model_config = _group("DRIFT")

    enabled: bool = True
    window_hours: float = Field(24, gt=0, le=24 * 366)


class TracesSettings(_Settings):
    """Where spans go; nowhere, and none are made, without an endpoint."""

    model_config = _group("TRACES")

    endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="the collector's base address for OTLP over HTTP, such as http://host:4318",
        pattern=r"^https?://[^/\s]+",
    )
    service_name: str = Field(
        "stroke", validation_alias=AliasChoices("STROKE_TRACES_SERVICE_NAME", "OTEL_SERVICE_NAME")
    )


class LogSettings(_Settings):
    """How log lines look: the service writes JSON, and commands write text, if nothing is set."""

    model_config = _group("LOG")

    format: Literal["json", "text"] | None = None

    @classmethod
    def load(cls) -> LogSettings:
        """Read the environment and ``.env``. Raises ``InvalidSetting`` naming what is wrong."""
        return _loaded_group(cls)


class DoctorSettings(_Settings):
    """Where `stroke doctor` finds what answers over HTTP, besides the pipeline's own addresses."""

    model_config = _group("DOCTOR")

    api_url: str = "http://127.0.0.1:8000"
    connect_metrics_url: str = "http://127.0.0.1:9400/metrics"
    watch_metrics_url: str = "http://127.0.0.1:9401/metrics"
    verify_metrics_url: str = "http://127.0.0.1:9402/metrics"
    api_key: SecretStr | None = Field(
        None, description="of the service, with the scopes predict, read, erase and metrics"
    )


class PerformanceSettings(_Settings):
    """When a model counts as worse than it was."""

    model_config = _group("PERFORMANCE")

    drop: float = Field(0.15, gt=0, lt=1, description="by which share of the reference")
    watched: Annotated[
        tuple[Literal[*MEASURES], ...],  # type: ignore[valid-type] # the domain's names
        NoDecode,
        BeforeValidator(_parted),
    ] = ("auc", "sensitivity_medium", "sensitivity_high", "calibration_slope", "oe_ratio")


class SparkSettings(_Settings):
    """The cluster that analyses and scores may run on."""

    model_config = _group("SPARK")

    secret: SecretStr | None = Field(
        None, description="what the parts of the cluster know of each other"
    )


class PipelineSettings(BaseModel):
    """Everything about the change-data pipeline. ``http`` is where its metrics are served."""

    model_config = ConfigDict(frozen=True)

    http: HttpSettings
    kafka: KafkaSettings
    connect: ConnectSettings
    cdc: CdcSettings
    sink: SqlSinkSettings
    lake: LakeSettings
    database: DatabaseSettings
    spark: SparkSettings
    doctor: DoctorSettings
    erasure: ErasureSettings
    log: LogSettings
    traces: TracesSettings

    @property
    def topic(self) -> str:
        """The topic of change events."""
        return f"{self.cdc.server_name}.{self.database.mysql_database}.predictions"

    @classmethod
    def load(cls) -> PipelineSettings:
        """Read the environment and ``.env``. Raises ``InvalidSetting`` naming what is wrong."""
        return cls(**_loaded(cls))


class Settings(BaseModel):
    """All settings of the service, read once, at start."""

    model_config = ConfigDict(frozen=True)

    http: HttpSettings
    rate: RateSettings
    database: DatabaseSettings
    model: ModelSettings
    queue: QueueSettings
    idempotency: IdempotencySettings
    performance: PerformanceSettings
    traces: TracesSettings
    log: LogSettings
    drift: DriftSettings
    files: FilesSettings
    access: AccessSettings
    oidc: OidcSettings
    audit: AuditSettings

    @classmethod
    def load(cls) -> Settings:
        """Read the environment and ``.env``. Raises ``InvalidSetting`` naming what is wrong."""
        return cls(**_loaded(cls))


def _loaded(settings: type[BaseModel]) -> dict[str, Any]:
    # Each field is a group of settings.
    fields: dict[str, Any] = {n: field.annotation for n, field in settings.model_fields.items()}
    return {name: _loaded_group(group) for name, group in fields.items()}


def _loaded_group(group: type[_Group]) -> _Group:
    try:
        return group()
    except ValidationError as error:
        raise InvalidSetting(_explain(group, error)) from None


def _explain(group: type[BaseSettings], error: ValidationError) -> str:
    prefix = group.model_config.get("env_prefix", "")
    problems = []
    for problem in error.errors(include_input=False, include_url=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        known_by_field = field in group.model_fields
        name = f"{prefix}{field}".upper() if known_by_field else field
        said = problem["msg"].removeprefix("Value error, ") if not name else problem["msg"]
        problems.append(f"{name}: {said}" if name else said)
    return "; ".join(problems)


def results_url(text: str) -> URL:
    """Return the SQLAlchemy URL, with our drivers, of a database for results of analyses.

    ``text`` may begin with ``jdbc:``. Raises ``InvalidSetting``.
    """
    return _driver_url(
        text.removeprefix("jdbc:"),
        "--output",
        {
            "postgresql": "postgresql+asyncpg",
            "mssql": "mssql+mssqlpython",
            "sqlserver": "mssql+mssqlpython",
        },
    )


def database_url(text: str) -> URL:
    """Return the URL of a database of predictions: a ``mysql://`` or ``sqlite://`` URL, or a file.

    Raises ``InvalidSetting``.
    """
    if "://" not in text:
        return URL.create("sqlite+aiosqlite", database=text)
    return _async_url(text)


def _async_url(text: str) -> URL:
    return _driver_url(
        text, "STROKE_DATABASE_URL", {"mysql": "mysql+asyncmy", "sqlite": "sqlite+aiosqlite"}
    )


def _driver_url(text: str, setting: str, drivers: dict[str, str]) -> URL:
    try:
        url = make_url(text)
    except Exception as error:
        raise InvalidSetting(f"{setting} is not a database URL") from error
    backend = url.get_backend_name()
    if backend not in drivers:
        names = " or ".join(f"{name}://" for name in drivers)
        raise InvalidSetting(f"{setting} must be a {names} URL")
    return url.set(drivername=drivers[backend])
