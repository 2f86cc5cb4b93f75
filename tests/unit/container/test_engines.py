"""Engines for the service's database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

import stroke.container
from stroke.config import Settings
from stroke.container.engines import opened_engine

pytestmark = pytest.mark.anyio


class _HasLoggedInError(Exception):
    pass


async def test_each_connection_asks_for_the_password_that_the_file_has_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("of-before")
    monkeypatch.setenv("MYSQL_HOST", "nowhere.invalid")
    monkeypatch.setenv("MYSQL_USER", "stroke")
    monkeypatch.setenv("MYSQL_PASSWORD_FILE", str(file))
    seen = []

    def log_in(_dialect: Any, _record: Any, _arguments: Any, named: dict[str, Any]) -> None:
        seen.append(named["password"])
        raise _HasLoggedInError

    async with opened_engine(Settings.load().database) as engine:
        event.listen(engine.sync_engine, "do_connect", log_in)
        for password in ("of-before", "rotated"):
            file.write_text(password)
            with pytest.raises(_HasLoggedInError):
                await engine.connect()

    assert seen == ["of-before", "rotated"]


def test_no_other_module_of_the_container_makes_an_engine_of_the_settings() -> None:
    folder = Path(stroke.container.__file__).parent
    makers = {each.name for each in folder.glob("*.py") if "create_engine(" in each.read_text()}
    # `database` makes one for a database that the settings do not name: where rows come from.
    assert makers == {"engines.py", "database.py"}
