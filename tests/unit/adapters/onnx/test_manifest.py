from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stroke.adapters.onnx.folder_store import FolderStore
from stroke.adapters.onnx.manifest import MANIFEST, Manifest, read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED, ModelStore
from stroke.domain.errors import InvalidModel, ModelNotFound
from stroke.domain.risk import Accuracy, RiskBands


def manifest_json(**changes: Any) -> dict[str, Any]:
    document = {
        "manifest_version": 1,
        "name": "mine",
        "version": "mine-1",
        "model_type": "test",
        "sha256": "0" * 64,
        "features": ["age", "bmi"],
        "bands": {"medium": 0.1, "high": 0.2},
    }
    return {**document, **changes}


def write(folder: Path, document: Any) -> Path:
    (folder / MANIFEST).write_text(json.dumps(document))
    return folder


def test_a_manifest_says_in_the_domains_words_what_its_model_is(tmp_path: Path) -> None:
    described = read_manifest(write(tmp_path, manifest_json())).description
    assert described.bands == RiskBands(0.1, 0.2)
    assert described.features == ("age", "bmi")
    assert described.metrics == {}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"manifest_version": 2}, "manifest_version"),
        ({"features": ["age", "shoe_size"]}, "shoe_size"),
        ({"bands": {"medium": 0.5, "high": 0.5}}, "bands"),
        ({"sha256": "abc"}, "sha256"),
        ({"version": "v" * 65}, "version"),
        ({"name": "../up"}, "name"),
        ({"surprise": 1}, "surprise"),
        ({"contributions": {"columns": ["shoe_size"], "intercept": 0.0}}, "shoe_size"),
        ({"reference_patient": {"age": 45.0}}, "gender"),
        ({"companions": [{"missing": ["age"]}]}, "avg_glucose_level, bmi"),
        ({"companions": [{"missing": []}]}, "avg_glucose_level, bmi"),
        ({"companions": [{"missing": ["bmi", "avg_glucose_level"]}]}, "in this order"),
        ({"companions": [{"missing": ["bmi"]}, {"missing": ["bmi"]}]}, "each combination"),
        ({"companions": [{"missing": ["avg_glucose_level", "bmi"]}]}, "each combination"),
        (
            {"companions": [{"missing": ["avg_glucose_level"]}, {"missing": ["bmi"]}]},
            "each combination",
        ),
        (
            {"features": ["bmi", "bmi_category"], "companions": [{"missing": ["bmi"]}]},
            "bmi_category is derived",
        ),
        (
            {
                "contributions": {"columns": ["age"], "intercept": 0.0},
                "companions": [{"missing": ["bmi"]}],
            },
            "intercept",
        ),
        ({"companions": [{"missing": ["bmi"], "bands": {"medium": 0.5, "high": 0.1}}]}, "bands"),
    ],
)
def test_a_manifest_that_breaks_the_contract_is_refused_by_name(
    changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidModel, match=named):
        read_manifest(write(tmp_path, manifest_json(**changes)))


def test_a_manifest_without_companions_needs_every_measurement(tmp_path: Path) -> None:
    described = read_manifest(write(tmp_path, manifest_json())).description
    assert (described.may_be_missing, len(described.variants)) == ((), 1)


def test_a_manifest_says_what_may_be_missing_and_what_that_costs(tmp_path: Path) -> None:
    lost = {"value": 0.01, "low": -0.01, "high": 0.03}
    compared = {"patients": 100, "auc": 0.8, "auc_of_full_model": 0.81, "auc_lost": lost}
    companions = [
        {"missing": ["avg_glucose_level"]},
        {"missing": ["bmi"], "bands": {"medium": 0.3, "high": 0.4}, "compared": compared},
        {"missing": ["avg_glucose_level", "bmi"]},
    ]
    described = read_manifest(write(tmp_path, manifest_json(companions=companions))).description
    assert described.may_be_missing == ("avg_glucose_level", "bmi")
    full, no_glucose, no_bmi, neither = described.variants
    assert (full.name, full.bands) == ("full", described.bands)
    assert (no_glucose.name, no_glucose.bands) == ("without avg_glucose_level", described.bands)
    assert (no_bmi.name, no_bmi.bands) == ("without bmi", RiskBands(0.3, 0.4))
    assert neither.name == "without avg_glucose_level and bmi"
    assert (no_glucose.accuracy, neither.accuracy) == (None, None)
    assert no_bmi.accuracy == Accuracy(100, 0.8, 0.81, 0.01, -0.01, 0.03)


def test_the_shipped_companions_meet_the_required_figures_and_lose_nothing_measurable() -> None:
    companions = read_manifest(SHIPPED / DEFAULT).companions
    assert [each.missing for each in companions] == [
        ("avg_glucose_level",),
        ("bmi",),
        ("avg_glucose_level", "bmi"),
    ]
    for each in companions:
        assert 0.9 <= each.metrics["calibration_slope"].value <= 1.1
        assert each.metrics["ece"].value <= 0.01
        assert each.metrics["brier"].value <= 0.0430
        assert each.metrics["auc"].value >= 0.83
        assert each.bands is not None
        assert each.compared is not None
        assert each.compared.auc_lost.low <= 0 <= each.compared.auc_lost.high


def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(InvalidModel, match=MANIFEST):
        read_manifest(tmp_path)


def test_a_missing_manifest_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=MANIFEST):
        read_manifest(tmp_path)


def test_the_shipped_manifest_meets_the_required_figures() -> None:
    metrics = read_manifest(SHIPPED / DEFAULT).metrics
    assert 0.9 <= metrics["calibration_slope"].value <= 1.1
    assert metrics["ece"].value <= 0.01
    assert metrics["brier"].value <= 0.0430
    assert metrics["auc"].value >= 0.835
    for metric in metrics.values():
        assert metric.low <= metric.value <= metric.high


def test_a_manifest_cannot_be_changed_once_it_is_read() -> None:
    manifest = Manifest.model_validate(manifest_json())
    with pytest.raises(ValueError, match="frozen"):
        manifest.version = "other"


class TestModelStore:
    @pytest.fixture
    def store(self, tmp_path: Path) -> ModelStore:
        folder = tmp_path / "models" / "mine"
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"")
        return ModelStore(FolderStore(tmp_path / "models"))

    def test_without_a_choice_the_shipped_default_is_served(self, store: ModelStore) -> None:
        assert store.locate(None) == store.locate(DEFAULT) == SHIPPED / DEFAULT

    def test_a_name_a_folder_and_a_file_can_be_chosen(self, store: ModelStore) -> None:
        folder = store.kept.stored("mine")
        assert store.locate("mine") == folder
        assert store.locate(str(folder)) == folder
        assert store.locate(str(folder / "model.onnx")) == folder / "model.onnx"

    def test_a_model_that_is_not_there_is_named_beside_those_that_are(
        self, store: ModelStore
    ) -> None:
        with pytest.raises(ModelNotFound, match=r"'other'.*mine, stroke-spline-lr"):
            store.locate("other")

    def test_a_store_that_does_not_exist_holds_the_default_only(self, tmp_path: Path) -> None:
        assert ModelStore(FolderStore(tmp_path / "nowhere")).names() == [DEFAULT]
