"""Names that a new model may not have, and what becomes of those that are in a store already."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest
from typer.testing import CliRunner, Result

from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.config import Settings
from stroke.container.models import load_deployable
from stroke.domain.errors import InvalidData, InvalidSetting, ModelStoreUnavailable
from stroke.entrypoints.cli.commands.model_training import SHIPPED_NAME, valid_name
from stroke.entrypoints.cli.main import app

CSV = "gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status,stroke\n"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STROKE_MODEL_STORE", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "best.onnx").write_bytes((SHIPPED / DEFAULT / "model.onnx").read_bytes())
    return tmp_path / "models"


TRAIN = ["train", "--data", "data.csv"]
OTHERS = (["import", "best.onnx"], ["update", "--from-outcomes", "--data", "data.csv"])


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((each, name) for each in (TRAIN, *OTHERS) for name in ("stop", "champion", "challenger")),
        *((each, "stroke-spline-lr") for each in OTHERS),
    ],
)
def test_a_new_model_is_not_called_by_a_name_that_means_something_else(
    command: list[str], name: str, store: Path
) -> None:
    done = CliRunner().invoke(app, ["model", *command, "--name", name, "--replace"])

    assert isinstance(done.exception, InvalidSetting), done.output
    assert name in str(done.exception)
    assert not store.exists()


def test_the_name_is_that_of_the_shipped_model_and_names_like_it_are_free(tmp_path: Path) -> None:
    assert SHIPPED_NAME == DEFAULT
    for name in ("stroke-spline-lr-2", "stop-2", "mine"):
        assert valid_name(name) == name
    assert valid_name(DEFAULT, tmp_path / "anew", trained=True) == DEFAULT
    with pytest.raises(InvalidSetting, match="stop"):
        valid_name(DEFAULT, tmp_path / "stop", trained=True)


def test_training_needs_no_name_and_may_take_that_of_the_shipped_model() -> None:
    done = CliRunner().invoke(app, ["model", *TRAIN])

    assert isinstance(done.exception, InvalidData), done.output  # there is no patient in the data


@pytest.mark.parametrize("name", [DEFAULT, "stop", "champion"])
def test_a_store_that_has_such_a_name_from_before_goes_on(name: str, store: Path) -> None:
    copytree(SHIPPED / DEFAULT, store / name)
    manifest = store / name / "manifest.json"
    document = manifest.read_text(encoding="utf-8")
    version = f'"version": "{DEFAULT}-cabc5afbc888"'
    assert version in document
    manifest.write_text(document.replace(version, '"version": "ours-1"'), encoding="utf-8")

    for wanted in (name, "ours-1"):
        found = load_deployable(Settings.load().model, wanted)
        assert found.description.version == "ours-1"


@pytest.mark.parametrize("options", [[], ["--json"], ["--long", "--archived"]])
def test_a_list_says_that_there_is_no_store(store: Path, options: list[str]) -> None:
    def listed() -> Result:
        return CliRunner().invoke(app, ["model", "list", *options])

    missing = listed()
    assert missing.exit_code == 0
    assert "models is not there" in missing.stderr
    assert DEFAULT in missing.stdout

    store.mkdir()
    assert (listed().exit_code, listed().stderr) == (0, "")

    store.rmdir()
    store.write_text("")
    assert isinstance(listed().exception, ModelStoreUnavailable)
    assert "is no folder" in str(listed().exception)
