from __future__ import annotations

import os
from pathlib import Path

import pytest

from stroke.config import Settings
from stroke.domain.errors import InvalidSetting


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("STROKE_", "MYSQL_", "SAVED_MODEL")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def url() -> str:
    return Settings.load().database.sqlalchemy_url.render_as_string(hide_password=False)


def test_with_nothing_set_predictions_go_to_a_sqlite_file() -> None:
    assert url() == "sqlite+aiosqlite:///stroke.db"
    assert Settings.load().http.port == 8000
    assert Settings.load().http.host == "127.0.0.1"


def test_the_names_of_an_existing_env_file_stay_valid(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "MYSQL_HOST=db\nMYSQL_PORT=3307\nMYSQL_USER=app\nMYSQL_PASSWORD=p@ss/w:rd\n"
        "MYSQL_DATABASE=clinic\nMYSQL_ROOT_PASSWORD=unused\nSAVED_MODEL=other\n"
    )
    assert url() == "mysql+asyncmy://app:p%40ss%2Fw%3Ard@db:3307/clinic?charset=utf8mb4"
    assert Settings.load().model.saved_model == "other"


def test_the_environment_wins_over_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("STROKE_HTTP_PORT=9000\n")
    monkeypatch.setenv("STROKE_HTTP_PORT", "9001")
    assert Settings.load().http.port == 9001


def test_our_own_names_work_for_mysql_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROKE_DATABASE_MYSQL_USER", "app")
    monkeypatch.setenv("STROKE_DATABASE_MYSQL_PASSWORD", "p")
    assert url().startswith("mysql+asyncmy://app:p@127.0.0.1:3306/stroke_predictions")


@pytest.mark.parametrize("name", ["MYSQL_HOST", "MYSQL_USER", "MYSQL_PASSWORD"])
def test_half_of_mysql_is_refused_rather_than_served_from_sqlite(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(InvalidSetting, match="MYSQL_USER and MYSQL_PASSWORD"):
        url()


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("mysql://a:b@h/d", "mysql+asyncmy"),
        ("mysql+pymysql://a:b@h/d", "mysql+asyncmy"),
        ("sqlite:///x.db", "sqlite+aiosqlite"),
    ],
)
def test_a_url_gets_the_driver_that_stroke_uses(
    given: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_URL", given)
    assert Settings.load().database.sqlalchemy_url.drivername == driver


@pytest.mark.parametrize("given", ["postgresql://a:s3cret@h/d", "s3cret", "://s3cret"])
def test_a_url_that_cannot_be_served_from_is_refused_without_being_quoted(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_URL", given)
    with pytest.raises(InvalidSetting) as caught:
        url()
    assert "STROKE_DATABASE_URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_wrong_value_is_named_by_its_environment_name_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STROKE_HTTP_PORT", "s3cret")
    with pytest.raises(InvalidSetting, match="STROKE_HTTP_PORT") as caught:
        Settings.load()
    assert "s3cret" not in str(caught.value)
    monkeypatch.delenv("STROKE_HTTP_PORT")
    monkeypatch.setenv("MYSQL_PORT", "70000")
    with pytest.raises(InvalidSetting, match="MYSQL_PORT"):
        Settings.load()


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL_USER", "app")
    monkeypatch.setenv("MYSQL_PASSWORD", "s3cret")
    settings = Settings.load()
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings.database.sqlalchemy_url)


def test_settings_cannot_be_changed_after_the_start() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().http.port = 1
