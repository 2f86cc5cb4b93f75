"""The service's own table as a source of analyses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, insert, text

from builders.changes import Batches
from builders.truth import EVENTS, latest_of
from contracts.analyses import ChangeSourceContract
from stroke.adapters.sql.snapshot import SqlChanges
from stroke.adapters.sql.tables import predictions
from stroke.domain.errors import StoreUnavailable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fill(url: URL) -> None:
    """Make the table, with the rows that the events leave."""
    engine = create_engine(url)
    predictions.create(engine)
    with engine.begin() as connection:
        for number, change in latest_of(EVENTS).items():
            row = {column.name: change.get(column.name) for column in predictions.columns}
            stored, factors = change["timestamp_us"], row["contributing_factors"]
            row |= {"id": number, "prediction_data": None}
            row["timestamp"] = None if stored is None else EPOCH + timedelta(microseconds=stored)
            row["contributing_factors"] = None if factors is None else json.loads(factors)
            connection.execute(insert(predictions), row)
    engine.dispose()


class TestSqlChanges(ChangeSourceContract[Batches]):
    has_events = False

    @pytest.fixture
    def url(self, tmp_path: Path) -> URL:
        return URL.create("sqlite", database=str(tmp_path / "predictions.db"))

    @pytest.fixture
    def source(self, url: URL) -> SqlChanges:
        fill(url)
        return SqlChanges(url)

    @pytest.fixture
    def gone(self, tmp_path: Path) -> SqlChanges:
        return SqlChanges(URL.create("sqlite", database=str(tmp_path / "no" / "folder.db")))

    def test_a_database_that_goes_away_while_it_is_read_is_said(
        self, source: SqlChanges, url: URL
    ) -> None:
        read = source.read(with_name=False)
        engine = create_engine(url)
        predictions.drop(engine)
        engine.dispose()

        with pytest.raises(StoreUnavailable, match="went away while it was read"):
            list(read.rows)

    def test_whatever_a_row_holds_the_others_are_read(self, source: SqlChanges, url: URL) -> None:
        """SQLite stores any value in any column, and an adopted table may have it."""
        engine = create_engine(url)
        odd: list[tuple[str, object]] = [
            ("timestamp", "0000-00-00 00:00:00"),
            ("timestamp", "9999-12-31 23:59:59.999999"),
            ("timestamp", 1_767_323_045),
            ("age", "old"),
            ("probability", -1e-300),
            ("hypertension", 0.5),
            ("gender", b"\xff"),
        ]
        with engine.begin() as connection:
            for number, (column, value) in enumerate(odd, 100):
                row = {"id": number, "value": value}
                query = f"INSERT INTO predictions (id, {column}) VALUES (:id, :value)"  # noqa: S608
                connection.execute(text(query), row)
        engine.dispose()

        read = source.read(with_name=False)
        rows = [row for batch in read.rows for row in batch.to_pylist()]

        assert len(rows) == 13
        assert [row["timestamp_us"] for row in rows[6:9]] == [None, 253_402_300_799_999_999, None]
        assert rows[10]["probability"] == -1e-300
        assert read.position()["strange_values"] == 5
