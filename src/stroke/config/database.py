"""Where predictions are stored, how they are committed, and how long their keys count."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from sqlalchemy import URL

from stroke.config.reading import SettingsGroup, content_of, prefixed
from stroke.config.urls import async_url
from stroke.domain.errors import InvalidSetting


class DatabaseSettings(SettingsGroup):
    """Where predictions are stored: MySQL when any of its names is set, else a SQLite file."""

    model_config = prefixed("DATABASE")

    url: SecretStr | None = None
    migration_url: SecretStr | None = Field(
        None,
        description="a URL with the account that changes the schema; the service's own without it",
    )
    service_user: str | None = Field(
        None,
        description="the service's account, which an upgrade gives its rights; by default, the "
        "account of this configuration",
    )
    sqlite_path: Path = Path("stroke.db")
    copy_source: SecretStr | None = Field(
        None, description="the database that `stroke db copy` copies from where it names none"
    )
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
            return async_url(self.url.get_secret_value())
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

    @property
    def user(self) -> str | None:
        """The account of the database; None where it has none, or none is named."""
        return self.mysql_user if self.url is None else self.sqlalchemy_url.username

    def current_password(self) -> str | None:
        """Return MySQL's password as its file has it now, so that it can be rotated.

        It is None where the password comes from no file. A file that cannot be read, or is empty
        for the moment, changes nothing.
        """
        if self.url is not None or self.mysql_password_file is None or self.mysql_password is None:
            return None
        try:
            now = content_of("MYSQL_PASSWORD_FILE", self.mysql_password_file)
        except InvalidSetting:
            now = ""
        return now or self.mysql_password.get_secret_value()


class QueueSettings(SettingsGroup):
    """How predictions are grouped into commits."""

    model_config = prefixed("QUEUE")

    capacity: int = Field(1024, ge=1)
    commit_size: int = Field(512, ge=1, le=10_000)


class IdempotencySettings(SettingsGroup):
    """How long the key of a request is remembered."""

    model_config = prefixed("IDEMPOTENCY")

    hours: float = Field(24, gt=0, le=87_600, description="after these a key is a new one")
