"""Settings: the only reader of the environment.

Every setting has a name with the prefix ``STROKE_``; the names of an existing ``.env`` stay valid
beside them. Secrets have no defaults and show as ``**********``. README.md lists all settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url

from stroke.domain.errors import InvalidSetting


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


class HttpSettings(BaseSettings):
    """Where the service listens and what it accepts."""

    model_config = _group("HTTP")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=64)
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    shutdown_seconds: int = Field(20, ge=1)


class DatabaseSettings(BaseSettings):
    """Where predictions are kept: MySQL when any of its names is set, else a SQLite file."""

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
    mysql_database: str = Field(
        "stroke_predictions",
        validation_alias=AliasChoices("STROKE_DATABASE_MYSQL_DATABASE", "MYSQL_DATABASE"),
    )
    pool_size: int = Field(5, ge=1, le=100)
    connect_timeout_seconds: float = Field(5, gt=0)
    statement_timeout_seconds: float = Field(30, gt=0)
    wait_seconds: float = Field(
        60, ge=0, description="how long a start waits for a database that is not up yet"
    )

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


class ModelSettings(BaseSettings):
    """Which model is served."""

    model_config = _group("MODEL")

    saved_model: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_MODEL_SAVED_MODEL", "SAVED_MODEL")
    )
    store: Path = Path("models")


class QueueSettings(BaseSettings):
    """How predictions gather for their commit."""

    model_config = _group("QUEUE")

    capacity: int = Field(1024, ge=1)
    commit_size: int = Field(512, ge=1, le=10_000)


class Settings(BaseModel):
    """All settings, read once, at start."""

    model_config = ConfigDict(frozen=True)

    http: HttpSettings
    database: DatabaseSettings
    model: ModelSettings
    queue: QueueSettings

    @classmethod
    def load(cls) -> Settings:
        """Read the environment and ``.env``. Raises ``InvalidSetting`` naming what is wrong."""
        groups: dict[str, type[BaseSettings]] = {
            "http": HttpSettings,
            "database": DatabaseSettings,
            "model": ModelSettings,
            "queue": QueueSettings,
        }
        loaded: dict[str, Any] = {}
        for name, group in groups.items():
            try:
                loaded[name] = group()
            except ValidationError as error:
                raise InvalidSetting(_explain(group, error)) from None
        return cls(**loaded)


def _explain(group: type[BaseSettings], error: ValidationError) -> str:
    prefix = group.model_config.get("env_prefix", "")
    problems = []
    for problem in error.errors(include_input=False, include_url=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        known_by_field = field in group.model_fields
        name = f"{prefix}{field}".upper() if known_by_field else field
        problems.append(f"{name}: {problem['msg']}")
    return "; ".join(problems)


def _async_url(text: str) -> URL:
    try:
        url = make_url(text)
    except Exception as error:
        raise InvalidSetting("STROKE_DATABASE_URL is not a database URL") from error
    drivers = {"mysql": "mysql+asyncmy", "sqlite": "sqlite+aiosqlite"}
    backend = url.get_backend_name()
    if backend not in drivers:
        raise InvalidSetting("STROKE_DATABASE_URL must be a mysql:// or sqlite:// URL")
    return url.set(drivername=drivers[backend])
