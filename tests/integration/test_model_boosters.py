"""XGBoost, LightGBM and CatBoost, imported with an interpreter of their own (``--python``)."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from builders import boosted_models
from builders.boosted_models import KINDS
from components.processes import run_stroke

pytestmark = pytest.mark.soak("installs 500 MB of packages that nothing else here needs")

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
VERSIONS = {"xgboost": "3.2.0", "lightgbm": "4.7.0", "catboost": "1.2.10"}
TITLES = {"xgboost": "XGBoost", "lightgbm": "LightGBM", "catboost": "CatBoost"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter with the three libraries, and what the converter needs."""
    folder = tmp_path_factory.mktemp("boosters")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wanted = [f"{name}=={number}" for name, number in VERSIONS.items()]
    ours = ("scikit-learn", "skl2onnx", "onnx", "imbalanced-learn", "pandas", "numpy", "scipy")
    wanted += [f"{name}=={version(name)}" for name in ours]
    python = folder / "bin" / "python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:", *wanted],
        check=True,
        timeout=1200,
    )
    return python


@pytest.fixture(scope="module")
def pickles(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boosted")
    # -P: the module's neighbours must not stand in for the standard library's `platform`.
    options = ["-P", "-W", "ignore"]
    subprocess.run([str(python), *options, boosted_models.__file__, str(folder)], check=True)
    return folder


def rows() -> list[str]:
    """Return the rows of the page's table."""
    return [
        f"| {tried} | {f'refused: the message says `{refused}`' if refused else 'imported'} |"
        for tried, refused in KINDS.values()
    ]


@pytest.mark.parametrize("name", KINDS)
def test_a_model_is_imported_exactly_or_the_refusal_names_the_step(
    name: str, python: Path, pickles: Path, tmp_path: Path
) -> None:
    _, refused = KINDS[name]
    done = run_stroke(
        "model", "import", str(pickles / f"{name}.pkl"), "-n", "mine", "--trust-pickle",
        "--python", str(python), folder=tmp_path,
    )  # fmt: skip
    if refused:
        assert done.returncode == 1
        assert refused in done.stderr
        assert not (tmp_path / "models").exists()
        return
    assert done.returncode == 0, done.stderr
    assert run_stroke("model", "verify", "-m", "mine", folder=tmp_path).returncode == 0


def test_without_the_library_the_refusal_says_what_to_do(pickles: Path, tmp_path: Path) -> None:
    done = run_stroke(
        "model", "import", str(pickles / "xgboost.pkl"), "-n", "mine", "--trust-pickle",
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "'xgboost'" in done.stderr
    assert "--python" in done.stderr


def test_the_page_lists_what_was_tried_with_the_versions() -> None:
    text = PAGE.read_text()
    table = text.partition("| tried with `--python` | result |\n|---|---|\n")[2]
    assert table.partition("\n\n")[0].splitlines() == rows()
    named = dict(re.findall(r"(XGBoost|LightGBM|CatBoost) ([\d.]+\d)", text))
    assert named == {TITLES[name]: number for name, number in VERSIONS.items()}
