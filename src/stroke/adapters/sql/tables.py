"""The tables as the newest revision leaves them; migrations/ creates them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

predictions: Final = Table(
    "predictions",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("timestamp", DateTime),  # UTC, microseconds, without a time zone
    Column("gender", String(10)),
    Column("age", Double),
    Column("hypertension", SmallInteger),
    Column("heart_disease", SmallInteger),
    Column("avg_glucose_level", Double),
    Column("bmi", Double),
    Column("smoking_status", String(20)),
    Column("name", String(100)),
    Column("country", String(50)),
    Column("province", String(50)),
    Column("probability", Double),
    Column("risk_category", String(10)),
    Column("contributing_factors", JSON),
    Column("prediction_data", JSON),
    Column("model_version", String(64)),
    Column("idempotency_key", String(64)),
    Column("site", String(64)),
    Column("created_by", String(128)),
    implicit_returning=False,
)

outcomes: Final = Table(
    "outcomes",
    MetaData(),
    Column("prediction_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stroke", Boolean),
    Column("date", Date),
    Column("source", String(100)),
    Column("recorded_at", DateTime),  # UTC, microseconds, without a time zone
    implicit_returning=False,
)

batches: Final = Table(
    "batches_by_idempotency_key",
    MetaData(),
    Column("idempotency_key", String(64), primary_key=True),
    Column("made_at", DateTime),  # UTC, microseconds, without a time zone
    Column("ids", JSON),  # of the predictions in their order: [first id, how many, step] each
    implicit_returning=False,
)

api_keys: Final = Table(
    "api_keys",
    MetaData(),
    Column("id", String(32), primary_key=True),
    Column("name", String(100)),
    Column("site", String(64)),
    Column("scopes", String(255)),  # with commas
    Column("secret_hash", String(64)),
    Column("created_at", DateTime),  # UTC, microseconds, without a time zone, like the next two
    Column("expires_at", DateTime),
    Column("revoked_at", DateTime),
    Column("replaced_by", String(32)),
    implicit_returning=False,
)

erasure_jobs: Final = Table(
    "erasure_jobs",
    MetaData(),
    Column("id", String(32), primary_key=True),
    Column("idempotency_key", String(64)),  # SHA-256 of site and key
    Column("ids", JSON),
    Column("unknown_ids", JSON),
    Column("site", String(64)),
    Column("actor", String(128)),
    Column("request_id", String(128)),
    Column("asked_at", DateTime),  # UTC, microseconds, without a time zone, like the next three
    Column("started_at", DateTime),
    Column("ended_at", DateTime),
    Column("waits_from", DateTime),  # from then on a worker may take it up
    Column("worker", String(64)),
    Column("attempts", SmallInteger),
    Column("state", String(10)),
    Column("result", JSON(none_as_null=True)),
    Column("trouble", String(500)),
    implicit_returning=False,
)

sessions: Final = Table(
    "browser_sessions",
    MetaData(),
    Column("id_hash", String(64), primary_key=True),
    Column("kind", String(10)),
    Column("caller", String(100)),
    Column("site", String(64)),
    Column("scopes", String(255)),  # with commas
    Column("begun_at", DateTime),  # UTC, microseconds, without a time zone, like the next two
    Column("used_at", DateTime),
    Column("ends_at", DateTime),
    Column("sealed", LargeBinary),
    implicit_returning=False,
)

audit: Final = Table(
    "audit",
    MetaData(),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime),  # UTC, microseconds, without a time zone
    Column("actor", String(100)),
    Column("site", String(100)),
    Column("action", String(40)),
    Column("target", String(255)),
    Column("request_id", String(128)),
    Column("outcome", String(20)),
    Column("times", BigInteger),
    Column("previous", String(64)),
    Column("digest", String(64)),
    implicit_returning=False,
)

audit_head: Final = Table(
    "audit_head",
    MetaData(),
    Column("id", SmallInteger, primary_key=True, autoincrement=False),  # 1, and no other
    Column("number", BigInteger),
    Column("digest", String(64)),
    implicit_returning=False,
)

assessments: Final = Table(
    "assessments",
    MetaData(),
    Column("id", String(36), primary_key=True),
    Column("prediction_id", BigInteger),  # NULL, like all that names anybody, once it is erased
    Column("subject", String(128)),
    Column("server", String(255)),
    Column("hook_instance", String(64)),
    Column("basis", JSON(none_as_null=True)),
    Column("notes", JSON(none_as_null=True)),
    Column("shown", Boolean),
    Column("model_version", String(64)),
    Column("site", String(64)),
    Column("made_at", DateTime),  # UTC, microseconds, without a time zone, like the next one
    Column("erased_at", DateTime),
    implicit_returning=False,
)

feedback: Final = Table(
    "feedback",
    MetaData(),
    Column("assessment_id", String(36), primary_key=True),
    Column("verdict", String(20)),
    Column("reason", String(64)),
    Column("comment", Text),
    Column("given_at", DateTime),  # UTC, microseconds, without a time zone
    implicit_returning=False,
)

used_tokens: Final = Table(
    "used_tokens",
    MetaData(),
    Column("digest", String(64), primary_key=True),
    Column("ends_at", DateTime),  # UTC, microseconds, without a time zone
    implicit_returning=False,
)

platform_reports: Final = Table(
    "platform_reports",
    MetaData(),
    Column("kind", String(20), primary_key=True),
    Column("made_at", DateTime),  # UTC, microseconds, without a time zone
    Column("content", JSON),
    implicit_returning=False,
)

deployments: Final = Table(
    "deployments",
    MetaData(),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime),  # UTC, microseconds, without a time zone
    Column("actor", String(128)),
    Column("action", String(20)),
    Column("model", String(64)),
    Column("reason", String(500)),
    Column("roles", JSON),
    implicit_returning=False,
)

shadow_scores: Final = Table(
    "shadow_scores",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("prediction_id", BigInteger),
    Column("model_version", String(64)),
    Column("probability", Double),  # NULL where the shadow could not say
    Column("risk_category", String(10)),
    Column("why_not", String(20)),
    Column("scored_at", DateTime),  # UTC, microseconds, without a time zone
    implicit_returning=False,
)

worker_turns: Final = Table(
    "worker_turns",
    MetaData(),
    Column("task", String(40), primary_key=True),
    Column("taken_at", DateTime),  # UTC, microseconds, without a time zone
    implicit_returning=False,
)

COLUMNS: Final = tuple(column.name for column in predictions.columns)
