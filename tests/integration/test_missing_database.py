"""Commands on an SQLite file that is not there: a mistyped name makes no database."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.processes import run_stroke

MODEL = "stroke-spline-lr"


@pytest.mark.parametrize(
    "command",
    [
        f"model promote {MODEL} --reason better",
        "model rollback",
        "model status",
        f"model replay --source db --model {MODEL}",
        f"model compare {MODEL} {MODEL}",
        f"model update --model {MODEL} --from-outcomes --name better",
        "audit list",
        "keys revoke nobody",
        "outcomes import rows.csv",
        "db downgrade 0001 --yes",
        "db copy other.db",
        "erase predictions 1 --yes",
        "performance",
        "analytics run --source db --output tables",
    ],
)
def test_a_command_names_the_file_and_makes_none(command: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "prediction_id,stroke,date,source\n1,0,2026-01-01,register\n"
    )
    (tmp_path / "other.db").touch()
    url = f"sqlite:///{tmp_path / 'typo.db'}"

    done = run_stroke(
        *command.split(), folder=tmp_path, within=120, settings={"STROKE_DATABASE_URL": url}
    )

    assert done.returncode != 0
    assert str(tmp_path / "typo.db") in done.stderr
    assert "`stroke db upgrade`" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "typo.db").exists()


def test_the_status_of_a_database_that_is_not_there_makes_none(tmp_path: Path) -> None:
    settings = {"STROKE_DATABASE_URL": f"sqlite:///{tmp_path / 'typo.db'}"}

    done = run_stroke("db", "status", folder=tmp_path, within=120, settings=settings)

    assert done.returncode == 1
    assert str(tmp_path / "typo.db") in done.stdout
    assert "revision: none" in done.stdout
    assert not (tmp_path / "typo.db").exists()
