"""A restore gives no id anew, and every type of MySQL reaches both copies as it is."""

# ruff: noqa: S608 -- statements of names and values that this file makes

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import httpx
import pytest

from components.audit_entries import written_by_commands
from components.containers import ROOT
from components.processes import environment
from components.stack import PipelineStack

from .test_pipeline_verify import NAME, assert_equal, predict, verified

pytestmark = pytest.mark.soak("drills: a restore, and columns of every type of MySQL")

# Each type of MySQL 9's manual with its lowest, its highest and an awkward value.
VALUES: Final[dict[str, tuple[str, ...]]] = {
    "TINYINT": ("-128", "127", "0"),
    "TINYINT UNSIGNED": ("0", "255", "1"),
    "BOOLEAN": ("TRUE", "FALSE", "TRUE"),
    "SMALLINT": ("-32768", "32767", "0"),
    "SMALLINT UNSIGNED": ("0", "65535", "1"),
    "MEDIUMINT": ("-8388608", "8388607", "0"),
    "MEDIUMINT UNSIGNED": ("0", "16777215", "1"),
    "INT": ("-2147483648", "2147483647", "0"),
    "INT UNSIGNED": ("0", "4294967295", "1"),
    "BIGINT": ("-9223372036854775808", "9223372036854775807", "0"),
    "BIGINT UNSIGNED": ("0", "18446744073709551615", "9223372036854775808"),
    "DECIMAL(65,30)": ("-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1", "1.5"),
    "DECIMAL(38,0)": ("-" + "9" * 38, "9" * 38, "0"),
    "DECIMAL(9,2)": ("-9999999.99", "9999999.99", "0.10"),
    "FLOAT": ("-3.402823466e38", "1.175494351e-38", "3.14159274"),
    "DOUBLE": ("-1.7976931348623157e308", "2.2250738585072014e-308", "0.30000000000000004"),
    "BIT(1)": ("b'0'", "b'1'", "b'1'"),
    "BIT(9)": ("b'0'", "b'111111111'", "b'100000001'"),
    "BIT(64)": ("0", "18446744073709551615", "1"),
    "DATE": ("'1000-01-01'", "'9999-12-31'", "'1969-12-31'"),
    "DATE NULL": ("'1582-10-10'", "'1582-10-04'", "'1582-10-15'"),
    "DATETIME": ("'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'1969-12-31 23:59:59'"),
    "DATETIME(3)": ("'1000-01-01'", "'9999-12-31 23:59:59.999'", "'1969-12-31 23:59:59.001'"),
    "DATETIME(6)": ("'1582-10-10'", "'9999-12-31 23:59:59.999999'", "'2024-02-29 00:00:00.1'"),
    "TIMESTAMP NULL": ("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-03-31 02:30:00'"),
    "TIMESTAMP(6) NULL": ("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.4'", "NOW(6)"),
    "TIME": ("'-838:59:59'", "'838:59:59'", "'00:00:00'"),
    "TIME(6)": ("'-00:00:00.000001'", "'23:59:59.999999'", "'24:00:00'"),
    "YEAR": ("1901", "2155", "0"),
    "CHAR(5)": ("''", "'Zoë 王'", "' a'"),
    "VARCHAR(20)": ("''", "'😀 O''Brien \\\\ %'", "' a '"),
    "VARCHAR(20) CHARACTER SET latin1": ("''", "'Zoë'", "' '"),
    "BINARY(4)": ("''", "x'01000000'", "x'00ff'"),
    "VARBINARY(9)": ("''", "x'00ff00'", "x'20'"),
    "TINYBLOB": ("''", "x'00ff00'", "x'20'"),
    "BLOB": ("''", "x'00ff00'", "REPEAT(x'ff00', 9000)"),
    "MEDIUMBLOB": ("''", "x'00ff00'", "x'20'"),
    "LONGBLOB": ("''", "x'00ff00'", "x'20'"),
    "TINYTEXT": ("''", "'Zoë 王 😀'", "' '"),
    "TEXT": ("''", "'Zoë 王 😀'", "REPEAT('é', 9000)"),
    "MEDIUMTEXT": ("''", "'Zoë'", "' '"),
    "LONGTEXT": ("''", "'Zoë'", "' '"),
    "ENUM('a','b c','')": ("'a'", "'b c'", "''"),
    "SET('a','b','c d')": ("''", "'a,c d'", "'b'"),
    "JSON": ("'null'", '\'{"b": 1.0, "a": [1e20, "ü"]}\'', "'[]'"),
    "GEOMETRY": (
        "ST_GeomFromText('POINT(1 2)')",
        "ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))', 4326)",
        "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')",
    ),
    "POINT": ("POINT(0, 0)", "POINT(-1.5, 1e300)", "ST_GeomFromText('POINT(1 2)', 4326)"),
    "LINESTRING": ("ST_GeomFromText('LINESTRING(0 0, 1 1)')",) * 3,
    "POLYGON": ("ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))')",) * 3,
    "MULTIPOINT": ("ST_GeomFromText('MULTIPOINT(0 0, 1 1)')",) * 3,
    "VECTOR(3)": ("TO_VECTOR('[1,-2,3.5]')", "TO_VECTOR('[0,0,0]')", "TO_VECTOR('[1e38,1,1]')"),
}
DROPPED: Final = 70


def column(number: int) -> str:
    return f"ward_{number}"


def test_columns_of_every_type_arrive_by_insert_update_and_snapshot_and_are_verified(
    pipeline: PipelineStack,
) -> None:
    ids = predict(pipeline, 6)
    # Dropped ones count for Iceberg, too.
    for first in range(0, DROPPED, 10):
        gone = [f"gone_{number}" for number in range(first, first + 10)]
        pipeline.mysql(
            "ALTER TABLE predictions " + ", ".join(f"ADD COLUMN {name} INT NULL" for name in gone)
        )
        pipeline.mysql(f"UPDATE predictions SET {gone[0]} = 1 WHERE id = {ids[0]}")
        pipeline.mysql("ALTER TABLE predictions " + ", ".join(f"DROP COLUMN {n}" for n in gone))
    kinds = list(VALUES)
    pipeline.mysql(
        "ALTER TABLE predictions "
        + ", ".join(f"ADD COLUMN {column(n)} {kind}" for n, kind in enumerate(kinds))
    )
    try:
        for place in range(3):
            values = ", ".join(
                f"{column(n)} = {VALUES[kind][place]}" for n, kind in enumerate(kinds)
            )
            update = f"UPDATE predictions SET {values} WHERE id = {ids[place]}"
            pipeline.mysql(update.replace("%", "%%"))
        names = ", ".join(map(column, range(len(kinds))))
        pipeline.mysql(
            f"INSERT INTO predictions (id, {names}) SELECT id + 5000, {names} FROM predictions"
            f" WHERE id IN ({ids[0]}, {ids[1]}, {ids[2]})"
        )
        nulls = ", ".join(f"{column(n)} = NULL" for n in range(len(kinds)))
        pipeline.mysql(f"UPDATE predictions SET {nulls} WHERE id = {ids[1] + 5000}")

        code, copies = verified(pipeline)
        assert code == 0, f"{copies}\n{columns_that_differ(pipeline, ids)}"

        # A snapshot reads rows by another way than the binlog's.
        pipeline.sink("DELETE FROM predictions WHERE id = ANY($1::bigint[])", ids)
        repaired = pipeline.stroke("pipeline", "repair", "--yes", "--timeout", "240")
        assert repaired.returncode == 0, f"{repaired.stdout}{columns_that_differ(pipeline, ids)}"
        assert pipeline.stroke("connectors", "status").returncode == 0
        # Java's calendar lacks these days, and Debezium takes 0 for a year of two digits.
        lost, year = kinds.index("DATETIME(6)"), kinds.index("YEAR")
        named = [line for line in repaired.stderr.splitlines() if "not verified" in line]
        days = "days from 1582-10-05 to before 1582-10-15"
        assert named == [
            f"not verified: column {column(lost)}, of type datetime(6), {days}",
            f"not verified: column {column(year)}, of type year, the year 0",
        ]
        day = f"SELECT {column(lost)} FROM predictions WHERE id = "
        assert str(pipeline.mysql(f"{day}{ids[0]}")[0][0]).startswith("1582-10-10")
        assert str(pipeline.sink(f"{day}{ids[0]}")[0][0]).startswith("1582-10-20")
        assert str(pipeline.sink(f"{day}{ids[0] + 5000}")[0][0]).startswith("1582-10-10")
        born = f"SELECT {column(year)} FROM predictions WHERE id = "
        assert pipeline.mysql(f"{born}{ids[2]}")[0][0] == 0
        assert pipeline.sink(f"{born}{ids[2]}")[0][0] == 2000
        assert pipeline.sink(f"{born}{ids[2] + 5000}")[0][0] == 1900
    finally:
        pipeline.mysql(f"DELETE FROM predictions WHERE id >= {ids[0]}")
        pipeline.mysql(
            "ALTER TABLE predictions "
            + ", ".join(f"DROP COLUMN {column(n)}" for n in range(len(kinds)))
        )
    assert_equal(pipeline)


def columns_that_differ(pipeline: PipelineStack, ids: list[int]) -> str:
    """Return what MySQL and the SQL copy print of the columns of some types, for a reader."""
    found = []
    for number, kind in enumerate(VALUES):
        query = f"SELECT {column(number)} FROM predictions WHERE id = ANY_OF ORDER BY id"
        mine = pipeline.mysql(
            query.replace("= ANY_OF", f"IN ({ids[0]}, {ids[1]}, {ids[2]})").replace(
                column(number), f"HEX({column(number)})" if kind == "VECTOR(3)" else column(number)
            )
        )
        theirs = pipeline.sink(query.replace("= ANY_OF", "= ANY($1::bigint[])"), ids[:3])
        found.append(f"{kind}: {mine!r:.120} {theirs!r:.120}")
    return "\n".join(found)


def run(pipeline: PipelineStack, script: str, *arguments: str) -> str:
    """Run a backup script against the stack, as an operator does on its host."""
    container = pipeline.compose("ps", "--quiet", "mysql").strip()
    done = subprocess.run(
        [ROOT / "deploy" / "backup" / script, "--container", container, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment() | {"COMPOSE_PROJECT_NAME": pipeline.project},
    )
    assert done.returncode == 0, pipeline.redacted(done.stdout + done.stderr)
    return done.stdout + done.stderr


def test_after_a_restore_no_id_is_given_anew_and_what_only_the_copies_had_comes_back(
    pipeline: PipelineStack, tmp_path: Path
) -> None:
    predict(pipeline, 10)
    assert_equal(pipeline)
    target = ("--target", str(tmp_path))
    assert "would dump" in run(pipeline, "mysql-backup.sh", *target, "--dry-run")
    run(pipeline, "mysql-backup.sh", *target)
    after_backup = predict(pipeline, 50)
    assert_equal(pipeline)
    names = pipeline.mysql("SELECT id, name, probability FROM predictions ORDER BY id")

    pipeline.compose("stop", "api", "connectors", "connect", "verify")
    dry = run(pipeline, "mysql-restore.sh", *target, "--dry-run")
    assert "will need --replace" in dry
    said = run(pipeline, "mysql-restore.sh", *target, "--replace", "--yes")
    assert "as new changes" in said
    assert "margin" not in said
    pipeline.up()

    since = predict(pipeline, 50)
    assert min(since) > max(after_backup)
    code, copies = verified(pipeline)
    assert code == 1
    assert copies["s3"]["ids"]["extra"] == after_backup
    with written_by_commands(pipeline) as written:
        listed = pipeline.stroke("pipeline", "bring-back", "--dry-run", "--timeout", "240")
    assert written == []
    assert f"50 rows: {after_backup[0]}-{after_backup[-1]}" in listed.stdout
    with written_by_commands(pipeline, NAME) as written:
        back = pipeline.stroke("pipeline", "bring-back", "--yes", "--timeout", "240")
    assert back.returncode == 0, back.stderr
    assert written == [("data.import", "rows of copies", end) for end in ("asked", "done")]

    assert_equal(pipeline)
    now = pipeline.mysql("SELECT id, name, probability FROM predictions ORDER BY id")
    assert now[: len(names)] == names
    assert [row[0] for row in now[len(names) :]] == since
    answer = httpx.get(
        f"{pipeline.api_url}/api/v1/predictions/{after_backup[7]}", headers=pipeline.key, timeout=30
    )
    assert answer.status_code == 200
    safe = pipeline.stroke("pipeline", "next-id", "--dry-run")
    assert "which is safe" in safe.stdout
    assert "names the newest state" in pipeline.stroke("lake", "roll-forward").stdout
