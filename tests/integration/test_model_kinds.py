"""Which kinds of pickled models are imported: the table of `docs/models.md`, made anew.

The converter runs in this process, because fifty processes would take minutes to start; that it
runs in another interpreter is tested in test_model_import.py.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression

from builders.pickled_models import SCIKIT_LEARN, Kind, OwnStep, patients
from stroke.adapters.onnx.graph import Graph
from stroke.adapters.training.importing import TOLERANCE
from stroke.adapters.training.pickle_converter import __main__ as converter
from stroke.adapters.training.pickle_converter.refusals import Refused, refused_step
from stroke.adapters.training.verification import trial_patients as probe_frame
from stroke.adapters.training.verification import with_engineered
from stroke.domain.errors import InvalidModel

REFUSED = [kind for kind in SCIKIT_LEARN if kind.refused]
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
CANDIDATES = ([0, 1], [1, 4])

pytestmark = pytest.mark.filterwarnings("default")  # scikit-learn's, on what people have


@pytest.fixture(scope="module")
def training() -> tuple[Any, Any]:
    return patients()


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = with_engineered(probe_frame(1_000))
    file = tmp_path_factory.mktemp("probes") / "probes.json"
    file.write_text(json.dumps({name: table[name].tolist() for name in table.columns}))
    return file


def difference(graph: Path, original: list[float], probes: Path) -> float:
    """Return how far the graph is from the original; infinity if it does not run."""
    columns = {
        name: np.array(values, object if isinstance(values[0], str) else np.float64)
        for name, values in json.loads(probes.read_text()).items()
    }
    try:
        probability, _ = Graph(graph.read_bytes()).run(columns)
    except InvalidModel:
        return np.inf
    return float(np.abs(probability - np.array(original)).max())


def imported(kind: Kind, training: Any, probes: Path, folder: Path) -> str:
    """Return why the kind is refused, and nothing if a graph is as exact as it must be."""
    file = folder / "model.joblib"
    joblib.dump(kind.make(*training), file)
    for candidates in CANDIDATES:
        options = {**kind.options, "candidates": candidates}
        try:
            said = converter.convert(file, probes, folder, options)
        except Refused as refusal:
            return str(refusal)
        original = json.loads((folder / "original.json").read_text())
        for graph in folder.glob("candidate-*.onnx"):
            if difference(graph, original, probes) <= TOLERANCE:
                return ""
            graph.unlink()
    return str(said["reason"] or f"not exact: {said['steps']}")


@pytest.mark.parametrize("kind", SCIKIT_LEARN, ids=lambda kind: kind.tried)
def test_a_kind_is_imported_exactly_or_the_refusal_says_what_to_do(
    kind: Kind, training: Any, probes: Path, tmp_path: Path
) -> None:
    reason = imported(kind, training, probes, tmp_path)
    if kind.refused:
        assert kind.refused in reason
    else:
        assert reason == ""


def table_of(kinds: list[Kind]) -> list[str]:
    """Return the rows of the page's table."""
    return [
        f"| {kind.tried} | {'refused: ' + shown(kind.refused) if kind.refused else 'imported'} |"
        for kind in kinds
    ]


def shown(refusal: str) -> str:
    """Return what the table says of a refusal."""
    return f"the message says `{refusal}`"


def test_the_page_lists_what_was_tried_with_the_versions() -> None:
    text = PAGE.read_text()
    rows = text.partition("| tried | result |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert rows == table_of(SCIKIT_LEARN)
    named = dict(
        re.findall(r"(scikit-learn|skl2onnx|imbalanced-learn|onnxruntime) ([\d.]+\d)", text)
    )
    assert named == {name: version(name) for name in named}
    assert len(named) == 4


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.tried)
def test_the_page_says_of_each_refused_kind_what_to_use_instead(kind: Kind) -> None:
    advice = r"\b(?:use|fit it|set|put|choose|say|are converted)\b"
    assert re.search(advice, kind.refused, re.IGNORECASE)


@pytest.mark.parametrize(
    "step", [LogisticRegression(), OwnStep(), KNNImputer()], ids=lambda step: type(step).__name__
)
def test_no_step_is_refused_without_advice(step: Any) -> None:
    bare, explained = (
        str(refused_step("a", step, "is odd")),
        str(refused_step("a", step, "is odd: x")),
    )
    assert re.search(r" is odd: (?:it is a class of your own: )?use ", bare)
    assert explained.endswith("is odd: x")
