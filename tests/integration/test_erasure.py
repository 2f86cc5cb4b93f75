"""`stroke erase`: each place, and the command with a service alone, and with a lake."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import URL, insert, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import NOON, outcome, prediction
from components.containers import MySqlServer, PostgreSqlServer
from components.databases import run_statements
from components.lake_events import COLUMNS, TOPIC, Sink, created, deleted, updated
from components.lake_objects import objects_with
from components.object_store import ObjectStore
from components.processes import run_stroke
from contracts.erasure import ErasablePlaceContract, RetentionContract
from contracts.models import score
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.change_log import IcebergChangeLog, lineage_of
from stroke.adapters.iceberg.erasable import LakePlace
from stroke.adapters.sql.binlog import BinlogRetention
from stroke.adapters.sql.erasure import SqlBatchKeys, SqlPredictionPlace
from stroke.adapters.sql.outcomes import SqlOutcomeRepository
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.shadow_scores import SqlShadowScores
from stroke.adapters.sql.tables import batches, predictions
from stroke.adapters.sql_sink import schema as copy_schema
from stroke.adapters.sql_sink.database import SinkDatabase
from stroke.adapters.sql_sink.erasure import SqlCopyPlace, SqlResultsPlace
from stroke.adapters.sql_sink.results import SqlResults
from stroke.application.analyses.queries import analyses, chosen
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.container.clock import utc_now
from stroke.domain.prediction import StoredBatch

pytestmark = pytest.mark.anyio
CANARY = "Canary-7341"


class InDatabase:
    """Rows of the service's database, each with an outcome and a score of a shadow."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.place = SqlPredictionPlace(engine, statement_timeout=30)

    async def put(self, *ids: int) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(insert(predictions), [{"id": each} for each in ids])
        outcomes = SqlOutcomeRepository(self.engine, statement_timeout=30)
        await outcomes.put([outcome(each) for each in ids])
        shadows = SqlShadowScores(self.engine, statement_timeout=30)
        await shadows.add([score(each) for each in ids])


class InBatchKeys:
    """Keys of batches of two predictions each, which are deleted."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.place = SqlBatchKeys(engine, statement_timeout=30, page=100)

    async def put(self, *ids: int) -> None:
        rows = [
            {"idempotency_key": f"key {each}", "made_at": NOON.replace(tzinfo=None), "ids": runs}
            for each, runs in ((each, [[each, 1, 1], [10_000 + each, 2, 2]]) for each in ids)
        ]
        async with self.engine.begin() as connection:
            await connection.execute(insert(batches), rows)


class TestPredictionPlace(ErasablePlaceContract):
    @pytest.fixture
    def stage(self, engine: AsyncEngine) -> InDatabase:
        return InDatabase(engine)


class TestBatchKeys(ErasablePlaceContract):
    @pytest.fixture
    def stage(self, engine: AsyncEngine) -> InBatchKeys:
        return InBatchKeys(engine)


class TestBinlogRetention(RetentionContract):
    @pytest.fixture
    def retention(self, mysql_engine: AsyncEngine) -> BinlogRetention:
        return BinlogRetention(mysql_engine, statement_timeout=30)


class InSqlCopy:
    """Rows that the SQL sink did not remove."""

    def __init__(self, url: URL, database: SinkDatabase) -> None:
        self.database = database
        self.place = SqlCopyPlace(url, predictions.name, timeout=30)

    async def put(self, *ids: int) -> None:
        rows = [{"id": each} for each in ids]
        await self.database.call(lambda connection: connection.execute(insert(predictions), rows))


class TestSqlCopyPlace(ErasablePlaceContract):
    @pytest.fixture
    async def stage(self, postgresql: PostgreSqlServer) -> AsyncIterator[InSqlCopy]:
        url = make_url(postgresql.new_database())
        await copy_schema.create(url, predictions, predictions.name)
        database = SinkDatabase(url, timeout=30)
        stage = InSqlCopy(url, database)
        yield stage
        await stage.place.close()
        await database.close()


class InSqlResults:
    """Rows of a table with a row per prediction, beside one that has none."""

    def __init__(self, url: URL) -> None:
        self.url = url
        tables = [each.table for each in analyses() if each.patient_level]
        self.place = SqlResultsPlace(url, tables, timeout=30)

    async def put(self, *ids: int) -> None:
        top, gender = chosen(["top-risks", "risk-by-gender"], analyses())
        results = SqlResults(self.url)
        rows = pa.table({"id": pa.array(ids, pa.int64()), "age": [61.0] * len(ids)})
        await asyncio.to_thread(results.write, top, rows)
        await asyncio.to_thread(results.write, gender, pa.table({"gender": ["Male"]}))


class TestSqlResultsPlace(ErasablePlaceContract):
    @pytest.fixture
    async def stage(self, postgresql: PostgreSqlServer) -> AsyncIterator[InSqlResults]:
        stage = InSqlResults(make_url(postgresql.new_database()))
        yield stage
        await stage.place.close()


class InLake:
    """Events of rows that were made and deleted."""

    def __init__(self, lake: Lake) -> None:
        self.sink = Sink(lake)
        self.place = LakePlace(lake, now=utc_now)

    async def put(self, *ids: int) -> None:
        self.sink.commit(*(created(each, name=f"{CANARY} {each}") for each in ids))
        self.sink.commit(*(deleted(each) for each in ids))


@pytest.fixture
async def in_lake(lake: Lake) -> InLake:
    await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).ensure_table()
    return InLake(lake)


class TestLakePlace(ErasablePlaceContract):
    @pytest.fixture
    def stage(self, in_lake: InLake) -> InLake:
        return in_lake


async def test_a_lake_without_a_table_keeps_nothing(lake: Lake) -> None:
    place = LakePlace(lake, now=utc_now)
    assert await place.find([7]) == []
    assert await place.erase([7]) == 0


async def test_a_file_that_no_snapshot_has_is_searched_too(in_lake: InLake, lake: Lake) -> None:
    await in_lake.put(7)
    in_lake.sink.commit_avro(updated(7, name=CANARY), deleted(7))
    table = lake.load()
    [before] = {
        task.file.file_path for task in table.scan().plan_files() if "avro" in task.file.file_path
    }
    with table.io.new_input(before).open() as stream:
        content = stream.read()
    await in_lake.place.erase([7])
    assert await in_lake.place.find([7]) == []
    left = f"{table.location()}/data/left-behind.avro"
    with table.io.new_output(left).create() as stream:
        stream.write(content)

    [trace] = await in_lake.place.find([7])

    assert (trace.prediction_id, trace.where, trace.until) == (7, left, None)


async def test_a_batch_keeps_its_key_until_its_last_prediction_is_erased(
    engine: AsyncEngine,
) -> None:
    repository = SqlPredictionRepository(engine, statement_timeout=30)
    ids = await repository.add([prediction() for _ in range(4)], batch_key="morning")
    places = (
        SqlPredictionPlace(engine, statement_timeout=30),
        SqlBatchKeys(engine, statement_timeout=30, page=100),
    )
    for place in places:
        await place.erase([ids[0], ids[2]])

    kept = await repository.find_by_key("morning")

    assert isinstance(kept, StoredBatch)
    assert kept.ids == (0, ids[1], 0, ids[3])  # a retry finds nobody there, and is refused
    for place in places:
        await place.erase(ids)
    assert await repository.find_by_key("morning") is None


class Service:
    """Commands on one database with rows 6, 7 and 8."""

    def __init__(self, folder: Path, url: URL, **settings: str) -> None:
        self.folder, self.url = folder, url
        self.settings = {"STROKE_DATABASE_URL": url.render_as_string(hide_password=False)}
        self.settings |= settings
        head = "id,gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status,name"
        rows = [f"{n},Male,61,0,1,228.7,36.6,never smoked,{CANARY} {n}" for n in (6, 7, 8)]
        (folder / "rows.csv").write_text("\n".join([head, *rows]))
        self.stroke("db", "upgrade")
        self.stroke("db", "import", "rows.csv")

    def stroke(self, *arguments: str, fails: int = 0) -> subprocess.CompletedProcess[str]:
        done = run_stroke(*arguments, folder=self.folder, within=120, settings=self.settings)
        assert done.returncode == fails, done.stderr
        assert CANARY not in done.stdout + done.stderr
        return done

    def json(self, *arguments: str, fails: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stroke(*arguments, "--json", fails=fails).stdout)
        return found

    def ids(self) -> list[int]:
        return [row[0] for row in run_statements(self.url, "SELECT id FROM predictions")]


def test_a_service_alone_erases_proves_and_writes_down(tmp_path: Path, url: URL) -> None:
    service = Service(tmp_path, url)
    (tmp_path / "ids.txt").write_text("7\n99\n")
    assert [t["where"] for t in service.json("erase", "prove", "7", fails=1)["traces"]] == [
        "table predictions"
    ]
    assert service.json("erase", "7", "--dry-run")["traces"]
    assert service.ids() == [6, 7, 8]

    done = service.json("erase", "--file", "ids.txt", "--yes")

    assert (done["erased"], done["not_found"]) == ([7], [99])
    assert done["removed"]["database"] == 1
    assert service.ids() == [6, 8]
    assert service.json("erase", "prove", "7", "99")["traces"] == []
    assert service.json("erase", "7", "--yes")["erased"] == []
    entries = service.json("audit", "list")["entries"]
    erasures = [each for each in entries if each["action"] == "prediction.erase"]
    assert [(each["target"], each["outcome"]) for each in reversed(erasures)] == [
        ("2 predictions", "asked"),
        ("7", "asked"),
        ("7", "done"),
        ("99", "not-found"),
        ("1 predictions", "asked"),
        ("7", "not-found"),
    ]
    service.stroke("audit", "verify")


def test_all_predictions_of_a_patient_of_a_record_system_are_erased(
    tmp_path: Path, url: URL
) -> None:
    service = Service(tmp_path, url)
    server = "https://ehr.example/fhir"
    for number, subject in ((6, CANARY), (7, CANARY), (8, "another")):
        run_statements(
            url,
            "INSERT INTO assessments (id, prediction_id, subject, server, shown, model_version,"  # noqa: S608 -- no stranger's
            f" made_at) VALUES ('{number:036}', {number}, '{subject}', '{server}', 1, 'm',"
            " '2026-11-29 12:00:00')",
        )
    (tmp_path / "patients.txt").write_text(f"{server}/Patient/{CANARY}\n")
    by_subject = ("erase", "--subject-key", "patients.txt")
    assert {each["id"] for each in service.json(*by_subject, "--dry-run")["traces"]} == {6, 7}
    assert service.ids() == [6, 7, 8]

    done = service.json(*by_subject, "--yes")

    assert done["erased"] == [6, 7]
    assert service.ids() == [8]
    assert service.json("erase", "prove", *map(str, done["erased"]))["traces"] == []
    said = service.stroke(*by_subject, "--yes", fails=1).stderr  # nobody knows them any more
    assert "no prediction of these ids or subjects" in said
    (tmp_path / "patients.txt").write_text(f"two words {CANARY} /\n")
    assert "entry 4 is no reference" in service.stroke(*by_subject, "--yes", fails=1).stderr
    service.stroke("erase", "8", "--subject-key", "patients.txt", "--yes", fails=2)


def test_no_byte_of_an_erased_row_is_left_in_the_file_of_sqlite(tmp_path: Path) -> None:
    service = Service(tmp_path, URL.create("sqlite+aiosqlite", database=str(tmp_path / "s.db")))
    # As the API does, on a SQLite that is built without secure deletion.
    run_statements(
        service.url, "PRAGMA secure_delete = OFF", "DELETE FROM predictions WHERE id = 6"
    )

    def holds(text: str) -> bool:
        return any(text.encode() in file.read_bytes() for file in tmp_path.glob("s.db*"))

    assert holds(f"{CANARY} 6")
    service.stroke("erase", "6", "7", "--yes")

    assert not holds(f"{CANARY} 6")
    assert not holds(f"{CANARY} 7")
    assert holds(f"{CANARY} 8")


def test_backups_are_named_until_they_are_removed(tmp_path: Path) -> None:
    service = Service(tmp_path, URL.create("sqlite+aiosqlite", database=str(tmp_path / "s.db")))
    (tmp_path / "backups").mkdir()
    old, new = (f"stroke-mysql-{made:%Y%m%dT%H%M%SZ}" for made in (NOON, utc_now()))
    (tmp_path / "backups" / f"{new}.json").touch()
    service.settings["STROKE_BACKUP_TARGET"] = str(tmp_path / "backups")

    done = service.json("erase", "7", "--yes")

    assert [each["what"] for each in done["kept"]] == [f"the backup {new}"]
    assert service.json("erase", "prove", "7")["kept"] == done["kept"]
    (tmp_path / "backups" / f"{old}.sql.gz").touch()  # its time was over long ago
    said = service.stroke("erase", "prove", "7", fails=1).stdout
    assert f"the backup {old} keeps rows, nobody knows how long" in said


def test_results_and_checkpoints_of_analyses_are_erased_and_searched_too(tmp_path: Path) -> None:
    service = Service(tmp_path, URL.create("sqlite+aiosqlite", database=str(tmp_path / "s.db")))
    service.stroke("analytics", "run", "latest-snapshot", "--source", "db", "--output", "reports")
    service.settings["STROKE_ERASURE_ANALYSES"] = "reports"
    assert service.json("erase", "prove", "7", fails=1)["searched"] == [
        "database",
        "keys of batches",
        "analyses in reports",
        "checkpoint in reports",
    ]

    done = service.json("erase", "7", "--yes")

    assert done["removed"]["analyses in reports"] == 1
    assert service.json("erase", "prove", "7")["traces"] == []
    file = tmp_path / "reports" / "stroke_analytics_latest_snapshot.parquet"
    assert pq.read_table(file).column("id").to_pylist() == [6, 8]


def test_values_are_searched_for_in_every_place_and_named_by_their_line(tmp_path: Path) -> None:
    service = Service(tmp_path, URL.create("sqlite+aiosqlite", database=str(tmp_path / "s.db")))
    service.stroke("analytics", "run", "latest-snapshot", "--source", "db", "--output", "reports")
    service.settings["STROKE_ERASURE_ANALYSES"] = "reports"
    (tmp_path / "reports" / "letter.txt").write_text(f"To {CANARY} 7")
    (tmp_path / "values.txt").write_text(f"nobody-of-this-name\n\n {CANARY.lower()} 7 \n")
    prove = ("erase", "prove", "7", "--values", "values.txt")

    def found(**how: int) -> list[tuple[int, str, str]]:
        proof = service.json(*prove, **how)
        assert proof["searched_for_values"] == ["database", "analyses in reports"]
        return [(each["value"], each["place"], each["where"]) for each in proof["values"]]

    letter = f"{tmp_path}/reports/letter.txt"
    in_letter = (3, "analyses in reports", letter)
    assert found(fails=1) == [(3, "database", "table predictions, row 7"), in_letter]
    service.stroke("erase", "7", "--yes")
    assert found(fails=1) == [in_letter]
    assert f"  value 3: {letter}\n" in service.stroke(*prove, fails=1).stdout
    Path(letter).unlink()
    assert found() == []
    assert "database: no value" in service.stroke(*prove).stdout


def test_logs_are_searched_for_ids_and_for_values(tmp_path: Path) -> None:
    service = Service(tmp_path, URL.create("sqlite+aiosqlite", database=str(tmp_path / "s.db")))
    service.stroke("erase", "7", "--yes")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "service.log").write_text("17 requests\n")
    (tmp_path / "values.txt").write_text(CANARY + " 7")
    prove = ["erase", "prove", "7", "--json", "--values", "values.txt", "--logs"]
    service.stroke(*prove, "logs")
    (tmp_path / "logs" / "connect.log").write_text(f"ready\n{CANARY} 7 of id 7\n")

    proof = json.loads(service.stroke(*prove, "logs", fails=1).stdout)

    assert [each["where"] for each in proof["traces"]] == ["logs/connect.log, line 2"]
    assert [each["where"] for each in proof["values"]] == ["logs/connect.log, line 2"]
    piped = run_stroke(
        *prove, "-", folder=tmp_path, settings=service.settings, given=b"a\nprediction 7\n"
    )
    assert piped.returncode == 1
    [trace] = json.loads(piped.stdout)["traces"]
    assert trace["where"].endswith("standard input, line 2")


def test_what_cannot_be_searched_for_is_refused(tmp_path: Path) -> None:
    service = Service(tmp_path, URL.create("sqlite+aiosqlite", database=str(tmp_path / "s.db")))
    (tmp_path / "values.txt").write_text("x\n")
    prove = ("erase", "prove", "7")
    said = service.stroke(*prove, "--values", "values.txt", fails=1).stderr
    assert "value 1 is too short" in said
    assert "cannot be read" in service.stroke(*prove, "--values", "none.txt", fails=1).stderr
    assert "there is no none.log" in service.stroke(*prove, "--logs", "none.log", fails=1).stderr
    service.stroke(*prove, "--values", "-", "--logs", "-", fails=2)


def test_nothing_is_erased_without_consent_and_no_id_is_guessed(tmp_path: Path) -> None:
    service = Service(tmp_path, URL.create("sqlite+aiosqlite", database=str(tmp_path / "s.db")))
    service.stroke("erase", "7", fails=1)  # nobody answers the question
    service.stroke("erase", "--yes", fails=1)
    service.stroke("erase", "seven", "--yes", fails=2)
    (tmp_path / "ids.txt").write_text("7\nseven\n")
    said = service.stroke("erase", "--file", "ids.txt", "--yes", fails=1).stderr
    assert "entry 2 is no id" in said
    assert service.ids() == [6, 7, 8]


@pytest.fixture
def service(tmp_path: Path, mysql: MySqlServer, lake_settings: dict[str, str]) -> Service:
    return Service(tmp_path, make_url(mysql.new_database()), **lake_settings)


@pytest.fixture
def bucket(catalog: dict[str, Any]) -> str:
    return str(catalog["warehouse"]).split("/")[2]


async def test_with_a_lake_the_command_erases_from_both_and_can_be_finished_later(
    service: Service, in_lake: InLake, lake: Lake, s3: ObjectStore, bucket: str
) -> None:
    in_lake.sink.commit(*(created(n, name=f"{CANARY} {n}") for n in (6, 7, 8)))

    said = service.stroke("erase", "7", "--yes", fails=1).stderr  # the lake has not heard of it

    assert "wait until the lake has heard of it" in said
    assert await asyncio.to_thread(service.ids) == [6, 8]
    [left] = service.json("erase", "prove", "7", fails=1)["traces"]
    assert (left["id"], left["place"], left["until"]) == (7, "lake", None)

    in_lake.sink.commit(deleted(7))
    done = service.json("erase", "7", "--yes")

    assert done["removed"]["lake"] == 2
    assert service.json("erase", "prove", "7")["searched"] == [
        "database",
        "keys of batches",
        "lake",
    ]
    (service.folder / "values.txt").write_text(f"{CANARY} 7\n{CANARY} 8\n")
    values = service.json("erase", "prove", "7", "--values", "values.txt", fails=1)["values"]
    assert {(each["value"], each["place"]) for each in values} == {
        (2, "database"),
        (2, f"bucket {bucket}"),
    }
    assert objects_with(s3, bucket, f"{CANARY} 7") == []
    assert objects_with(s3, bucket, f"{CANARY} 8")
    assert lineage_of(lake.load(), TOPIC).offsets == {TopicPartition(TOPIC, 0): 3}
    assert [t["id"] for t in service.json("erase", "prove", "6", "7", fails=1)["traces"]] == [6, 6]
