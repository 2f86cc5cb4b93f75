"""The copies of the predictions: an SQL database, and a table in the lake."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from sqlalchemy import URL

from stroke.config.reading import SettingsGroup, prefixed
from stroke.config.urls import driver_url
from stroke.domain.errors import InvalidSetting


class SqlSinkSettings(SettingsGroup):
    """The SQL database that predictions are replicated to: SQL Server, or PostgreSQL."""

    model_config = prefixed("SINK")

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
            return driver_url(
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


class LakeSettings(SettingsGroup):
    """The Iceberg table of change events in the S3 bucket, and the catalog that knows it."""

    model_config = prefixed("LAKE")

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
