"""Why the sink of the lake fails: at a row, at the bucket, or at the catalog."""

from __future__ import annotations

from typing import Final

from stroke.application.pipeline.failure_causes.entries import (
    GOES_ON,
    PARK,
    PLACE,
    RECORD,
    Entry,
)

ROWS: Final = (
    Entry(
        RECORD,
        "a value is of another type than its column in the lake",
        f"give the column of the lake's table MySQL's type, {PARK}",
        ("For input string", r"Cannot convert (in )?to \w+: ", "Text .* could not be parsed"),
        r"java\.lang\.(NumberFormat|IllegalArgument)Exception"
        r"|java\.time\.format\.DateTimeParseException",
    ),
)

STORE: Final = (
    Entry(
        PLACE,
        "the bucket of the lake is not there",
        "create it, or correct S3_BUCKET",
        r".*(specified bucket does not exist|NoSuchBucket)",
        r"software\.amazon\.awssdk\.services\.s3\.model\.\w+",
    ),
    Entry(
        PLACE,
        "S3 refuses the credentials, or the account lacks a right on the bucket",
        "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role, and the bucket's policy",
        r".*(Status Code: 40[13]\b|Access Denied|InvalidAccessKeyId|SignatureDoesNotMatch"
        r"|ExpiredToken)|Unable to load credentials",
        r"software\.amazon\.awssdk\.\S+",
    ),
    Entry(
        PLACE,
        "S3 fails, or asks to slow down",
        f"wait, or look at the provider's state; {GOES_ON}",
        r".*Status Code: (5\d\d|429)\b",
        r"software\.amazon\.awssdk\.\S+",
    ),
    Entry(
        PLACE,
        "S3 cannot be reached",
        f"check STROKE_LAKE_ENDPOINT and the network; {GOES_ON}",
        r"(Unable to execute HTTP request|Received an UnknownHostException)",
        r"software\.amazon\.awssdk\.core\.exception\.\w+",
    ),
    Entry(
        PLACE,
        "the table of the lake is not in the catalog",
        "`stroke connectors apply` makes it; if it was lost, see docs/operations.md#rebuild-a-sink",
        r"(Table|Namespace) does not exist",
        r"org\.apache\.iceberg\.exceptions\.NoSuch\w+",
    ),
    Entry(
        PLACE,
        "the catalog of the lake refuses the account",
        "check STROKE_LAKE_JDBC_USER and STROKE_LAKE_JDBC_PASSWORD, or the catalog's credentials",
        "",
        r"org\.apache\.iceberg\.exceptions\.(NotAuthorized|Forbidden)Exception",
    ),
    Entry(
        PLACE,
        "another writer keeps changing the table of the lake",
        f"end the other writers, such as a compaction; {GOES_ON}",
        "",
        r"org\.apache\.iceberg\.exceptions\.CommitFailedException",
    ),
)
