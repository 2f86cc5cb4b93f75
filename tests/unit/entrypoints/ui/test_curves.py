"""Curves and groups as the page draws them: points where their numbers are."""

from __future__ import annotations

import pytest

from stroke.adapters.onnx.manifest import read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.domain.performance import CalibrationPoint, CurvePoint
from stroke.entrypoints.ui.curves import auc_of, cross_validated, curves
from stroke.entrypoints.ui.languages import languages

ENGLISH, GERMAN = languages()["en"], languages()["de"]
SHIPPED_CURVES = read_manifest(SHIPPED / DEFAULT).description.population["cross_validated"]
CALIBRATION = [
    CalibrationPoint(0.1, 0.2, 0.05, 0.4, 50),
    CalibrationPoint(0.3, 0.3, 0.2, 0.4, 50),
]
DECISION = [CurvePoint(0.1, 0.05, 0.0, 0.1, 0.02), CurvePoint(0.2, 0.01, 0.0, 0.1, -0.5)]


def test_both_axes_of_the_calibration_have_one_scale_that_holds_every_interval() -> None:
    found = curves(CALIBRATION, DECISION, ENGLISH)

    assert found is not None
    assert found.points[0] == ("25%", "50%", "87.5%", "0%")
    assert found.points[1].x == "75%"
    assert [each.label for each in found.risks] == ["0", "10", "20", "30", "40"]
    assert [(each.x, each.y) for each in found.risks][::4] == [("0%", "100%"), ("100%", "0%")]


def test_what_is_of_no_use_is_drawn_at_no_use_and_its_number_stays() -> None:
    found = curves(CALIBRATION, DECISION, ENGLISH)

    assert found is not None
    assert found.model == "50.00,0.00 100.00,80.00"
    assert found.everybody == "50.00,60.00 100.00,100.00"
    assert found.decision[1].treat_all == -0.5


def test_a_model_that_is_never_of_use_has_a_curve_too() -> None:
    useless = [CurvePoint(0.1, -0.1, -0.2, 0.0, -0.1)]

    found = curves([CalibrationPoint(0, 0, 0, 0, 10)], useless, ENGLISH)

    assert found is not None
    assert found.model == "100.00,100.00"
    assert found.points == [("0%", "100%", "100%", "100%")]


def test_without_points_there_are_no_curves() -> None:
    assert curves([], DECISION, ENGLISH) is None
    assert curves(CALIBRATION, [], ENGLISH) is None


@pytest.mark.parametrize("found", [None, {}])
def test_a_model_without_a_cross_validation_has_no_plots(found: dict[str, object] | None) -> None:
    assert cross_validated(found, ENGLISH) is None
    assert auc_of(found, "75+") is None


def test_groups_of_the_shipped_model_are_named_in_the_language_of_the_page() -> None:
    found = cross_validated(SHIPPED_CURVES, GERMAN)

    assert found is not None
    rows = dict(found.groups)
    assert list(rows) == ["Geschlecht", "Rauchen", "Alter"]
    oldest = rows["Alter"][-1]
    assert (oldest.level, oldest.samples, oldest.events) == ("75 und älter", 518, 102)
    assert oldest.auc is not None
    assert (oldest.auc.value, oldest.auc.interval) == ("0,51", "0,44 bis 0,57")
    youngest = rows["Alter"][0]
    assert (youngest.level, youngest.auc, youngest.ratio) == ("0 bis 17", None, None)


def test_an_estimate_lies_where_its_scale_has_it() -> None:
    measures = {
        "auc": {"value": 0.7, "low": 0.1, "high": 1.0},
        "oe_ratio": {"value": 1.0, "low": 0.0, "high": 9.0},
    }
    group = {"group": "gender", "level": "Male", "samples": 100, "events": 20, "measures": measures}

    found = cross_validated({"calibration": [], "decision_curve": [], "groups": [group]}, ENGLISH)

    assert found is not None
    assert found.curves is None
    [(_, [row])] = found.groups
    assert row.auc is not None
    assert row.ratio is not None
    assert row.auc[:3] == ("50%", "0%", "100%")
    assert row.ratio[:3] == ("50%", "0%", "100%")
    assert (found.chance, found.as_expected) == ("16.67%", "50%")


def test_the_auc_of_an_age_band_is_the_manifest_s() -> None:
    old = auc_of(SHIPPED_CURVES, "75+")

    assert old is not None
    assert old.value == pytest.approx(0.5074, abs=1e-4)
    assert auc_of(SHIPPED_CURVES, "0-17") is None
