"""Why the source fails at MySQL, or the lake at its catalog there."""

from __future__ import annotations

from typing import Final

from stroke.application.pipeline.failure_causes.entries import (
    PLACE,
    START,
    Entry,
)

DATABASE: Final = (
    Entry(
        PLACE,
        "MySQL refuses the account or its password",
        "check STROKE_CDC_USER and STROKE_CDC_PASSWORD, and STROKE_LAKE_JDBC_USER and "
        "STROKE_LAKE_JDBC_PASSWORD for the lake's catalog",
        r"(Failed to authenticate to the MySQL database|Access denied for user"
        r"|Your password has expired|.*Account is locked)",
    ),
    Entry(
        PLACE,
        "MySQL's account lacks a right that Debezium needs",
        "grant SELECT, RELOAD, REPLICATION SLAVE and REPLICATION CLIENT (deploy/mysql/init)",
        r"(Access denied; you need|.*need \(at least one of\) the .* privilege|\w+ command denied)",
    ),
    Entry(
        PLACE,
        "another reader of MySQL's binlog has the same server id",
        "give each an id of its own: MYSQL_SERVER_ID",
        r"A (slave|replica) with the same server_(uu)?id",
    ),
    Entry(
        PLACE,
        "MySQL no longer has the binlog that the source has not read",
        "docs/operations.md#recover-from-a-purged-binlog",
        r"(Could not find first log file name in binary log index|.*binlog .*no longer available"
        r"|Cannot replicate because the (source|master) purged)",
    ),
    Entry(
        PLACE,
        "MySQL writes no binlog as Debezium needs it",
        "set log_bin, binlog_format=ROW and binlog_row_image=FULL on MySQL",
        r"The MySQL server is not configured to use a (ROW|FULL)",
    ),
    Entry(
        PLACE,
        "the source's memory of MySQL's tables on Kafka is lost",
        "docs/operations.md#disaster-recovery",
        r"The (db|schema) history (topic )?(or its content )?is (fully or partially )?missing",
    ),
    Entry(
        PLACE,
        "MySQL cannot be reached",
        START,
        r"(Communications link failure|Could not create connection to database server"
        r"|Unable to connect|Failed to connect to MySQL)",
    ),
)
