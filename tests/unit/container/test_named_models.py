"""Models by what they are in the deployment of a real database, and by all other names."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.adapters.sql.deployments import SqlDeploymentStore
from stroke.config import Settings
from stroke.container.database import prepare_schema
from stroke.container.engines import opened_engine
from stroke.container.named_models import named_model
from stroke.domain.deployment import Change, Deployment
from stroke.domain.errors import ModelError, ModelNotFound, StoreUnavailable

CHANGE = Change(datetime(2026, 11, 1, tzinfo=UTC), "somebody")
SAVED = json.loads((SHIPPED / DEFAULT / "manifest.json").read_text())["version"]


def in_folder(folder: Path, version: str) -> Path:
    shutil.copytree(SHIPPED / DEFAULT, folder)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": version}))
    return folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STROKE_DATABASE_URL", f"sqlite:///{tmp_path}/stroke.db")
    monkeypatch.setenv("STROKE_MODEL_STORE", str(tmp_path / "models"))
    monkeypatch.delenv("SAVED_MODEL", raising=False)
    for name in ("first", "second", "champion"):
        in_folder(tmp_path / "models" / name, f"{name}-1")
    return Settings.load()


def deployed(
    settings: Settings, tmp_path: Path, *, canary: bool = False, of: str = "first-1"
) -> None:
    (tmp_path / "stroke.db").touch()
    prepare_schema(settings.database)
    begun = Deployment.of_setting(SAVED).begun(CHANGE)
    entries = [begun, begun.promoted(of, CHANGE)]
    if canary:
        entries.append(entries[-1].with_canary("second-1", 0.1, CHANGE))

    async def append() -> None:
        async with opened_engine(settings.database) as engine:
            await SqlDeploymentStore(engine, statement_timeout=30).append(entries)

    asyncio.run(append())


def version(settings: Settings, name: str | None, notes: list[str] | None = None) -> str:
    said: list[str] = []
    found = named_model(settings, name, said.append).description.version
    assert bool(said) == bool(notes), said
    assert all(each in said[0] for each in notes or ())
    return found


def test_no_name_is_the_champion_and_a_part_is_no_name_of_the_store(
    settings: Settings, tmp_path: Path
) -> None:
    deployed(settings, tmp_path, canary=True)

    assert version(settings, None) == "first-1"
    assert version(settings, "champion") == "first-1"
    assert version(settings, "challenger") == "second-1"
    assert version(settings, "second") == "second-1"
    assert version(settings, "champion-1") == "champion-1"  # by its version it is still found
    assert version(settings, str(tmp_path / "models" / "champion")) == "champion-1"


def test_where_nothing_was_promoted_the_model_of_the_setting_is_the_champion(
    settings: Settings, tmp_path: Path
) -> None:
    for has_table in (False, True):
        if has_table:
            deployed_nothing(settings, tmp_path)
        assert version(settings, None) == version(settings, "champion") == SAVED
        with pytest.raises(ModelNotFound, match="there is no challenger"):
            version(settings, "challenger")


def deployed_nothing(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "stroke.db").touch()
    prepare_schema(settings.database)


def test_a_database_that_cannot_be_read_is_said_and_fails_only_who_asks_for_a_part(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "stroke.db").write_bytes(b"no database at all" * 100)

    assert version(settings, None, ["cannot be read", "not an SQLite database"]) == SAVED
    assert version(settings, "second") == "second-1"
    for part in ("champion", "challenger"):
        with pytest.raises(StoreUnavailable):
            named_model(settings, part, lambda _: None)


def test_a_champion_beside_the_store_is_the_model_of_the_setting(
    settings: Settings, tmp_path: Path
) -> None:
    deployed(settings, tmp_path, of="beside-1")
    with pytest.raises(ModelError, match="the champion beside-1 cannot be loaded"):
        named_model(settings, None, lambda _: None)

    saved = str(in_folder(tmp_path / "beside", "beside-1"))
    model = settings.model.model_copy(update={"saved_model": saved})
    chosen = settings.model_copy(update={"model": model})

    assert version(chosen, None) == "beside-1"
