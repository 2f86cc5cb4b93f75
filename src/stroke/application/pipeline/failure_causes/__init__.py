"""Why a connector failed, in plain words: the one table of causes, by the exceptions of a trace.

A trace quotes rows of patients. So nothing of a message is passed on but names of columns, tables
and constraints, and these only from where the database's own sentence has them. Sources of the
sentences: PostgreSQL 17 and its JDBC driver 42.7, SQL Server's sys.messages and its JDBC driver
13, Debezium 3.6, Kafka 4.3, the AWS SDK 2, Iceberg 1.12.
"""

from stroke.application.pipeline.failure_causes.entries import Concerns, FailureCause
from stroke.application.pipeline.failure_causes.reading import (
    STALLED,
    UNKNOWN,
    advice_for,
    cause_of,
    known_causes,
)

__all__ = [
    "STALLED",
    "UNKNOWN",
    "Concerns",
    "FailureCause",
    "advice_for",
    "cause_of",
    "known_causes",
]
