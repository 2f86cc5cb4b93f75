from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.tables import COLUMNS
from stroke.domain.errors import InvalidSetting
from stroke.domain.prediction import PredictionRecord

MIGRATIONS = Path(__file__).parents[4] / "migrations"


def test_the_head_that_the_service_checks_is_the_newest_script() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [schema.head()]


def test_a_record_has_every_column_but_the_request_s_key() -> None:
    assert list(PredictionRecord.__slots__) == [
        each for each in COLUMNS if each != "idempotency_key"
    ]


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("{tmp}/missing/stroke.db", "create it"),
        ("{tmp}", "names a file"),
        ("/proc/stroke.db", "cannot be opened|not writable"),
        (":memory:", "needs a file"),
        ("", "needs a file"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_anything_runs(
    tmp_path: Path, path: str, advice: str
) -> None:
    url = make_url(f"sqlite+aiosqlite:///{path.format(tmp=tmp_path)}")

    with pytest.raises(InvalidSetting, match=advice):
        create_engine(url, pool_size=1, connect_timeout=1)
