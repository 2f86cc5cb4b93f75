"""Keys of the settings are written down before the service stores them."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.databases import run_statements
from stroke.config import Settings
from stroke.container.access import adopt_keys
from stroke.container.database import prepare_schema
from stroke.domain.errors import StrokeError

KEY = f"stroke_{'a' * 16}_{'b' * 43}"
ENTRIES = "SELECT action, target, outcome FROM audit ORDER BY number"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STROKE_DATABASE_URL", f"sqlite:///{tmp_path}/stroke.db")
    monkeypatch.setenv("STROKE_ADMIN_KEY", KEY)
    found = Settings.load()
    prepare_schema(found.database, may_make=True)
    return found


def test_a_key_is_written_down_before_it_is_stored_and_once(settings: Settings) -> None:
    adopt_keys(settings)
    adopt_keys(settings)

    entries = run_statements(settings.database.sqlalchemy_url, ENTRIES)
    assert entries == [("key.create", "a" * 16, "asked"), ("key.create", "a" * 16, "done")]


def test_a_key_is_not_stored_where_the_trail_refuses_entries(settings: Settings) -> None:
    url = settings.database.sqlalchemy_url
    refuses = "BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"
    run_statements(url, f"CREATE TRIGGER audit_refuses_more {refuses}")

    with pytest.raises(StrokeError):
        adopt_keys(settings)

    assert run_statements(url, "SELECT id FROM api_keys") == []
