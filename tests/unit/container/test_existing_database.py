"""A command that uses a database does not make one: a mistyped name must not go unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from stroke.application.models.replay import ReplayOptions
from stroke.config import DatabaseSettings, Settings
from stroke.container.database import prepare_schema, schema_revision
from stroke.container.downgrades import downgrade_schema
from stroke.container.engines import engine_of, existing_database, is_there
from stroke.container.replay import changes_of
from stroke.domain.errors import InvalidSetting


@pytest.fixture
def mistyped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatabaseSettings:
    monkeypatch.setenv("STROKE_DATABASE_URL", f"sqlite:///{tmp_path}/strok.db")
    return Settings.load().database


def test_whatever_uses_a_database_refuses_a_file_that_is_not_there(
    mistyped: DatabaseSettings, tmp_path: Path
) -> None:
    for use in (
        engine_of,
        existing_database,
        prepare_schema,
        lambda settings: downgrade_schema(settings, "0001"),
        lambda _: changes_of("db", ReplayOptions()),
    ):
        with pytest.raises(InvalidSetting) as refused:
            use(mistyped)
        said = str(refused.value)
        assert f"{tmp_path}/strok.db" in said
        assert "STROKE_DATABASE_URL" in said
        assert "`stroke db upgrade`" in said
    assert not is_there(mistyped)
    assert schema_revision(mistyped) is None  # `stroke db status` shows the file's name itself
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_sqlites_own_way_is_looked_for_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_URL", f"sqlite:///file:{tmp_path}/a%20b.db?uri=true")
    settings = Settings.load().database
    with pytest.raises(InvalidSetting, match=r"a b\.db"):
        existing_database(settings)
    (tmp_path / "a b.db").touch()
    assert existing_database(settings) == settings.sqlalchemy_url


def test_the_name_of_a_setting_that_is_not_set_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STROKE_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSetting, match="STROKE_DATABASE_SQLITE_PATH"):
        existing_database(Settings.load().database)


def test_a_start_makes_the_file_and_mysql_is_always_there(
    mistyped: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_schema(mistyped, may_make=True)
    assert (tmp_path / "strok.db").is_file()
    assert schema_revision(mistyped) is not None
    monkeypatch.setenv("STROKE_DATABASE_URL", "mysql://stroke:x@nowhere.invalid/stroke")
    mysql = Settings.load().database
    assert is_there(mysql)
    assert existing_database(mysql) == mysql.sqlalchemy_url
