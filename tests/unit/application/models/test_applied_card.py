"""The card in CHAI's form has each element that the form asks for, in its order."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.applied_card import strays
from fakes.predictions import FakeRiskModel
from runner.examples import examples
from stroke.adapters.onnx.manifest import read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.application.models.applied_card import NAMESPACE, as_applied_card
from stroke.application.models.card import NOTICE, card_of
from stroke.domain.risk import ModelDescription

IMPORTED: ModelDescription = FakeRiskModel().description
SHIPPED_MODEL: ModelDescription = read_manifest(SHIPPED / DEFAULT).description


def parsed(model: ModelDescription) -> ET.Element:
    return ET.fromstring(as_applied_card(card_of(model)))  # noqa: S314 -- it is our own


def text_of(root: ET.Element, path: str) -> str:
    found = root.find("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))
    assert found is not None
    return found.text or ""


@pytest.mark.parametrize("model", [SHIPPED_MODEL, IMPORTED], ids=["shipped", "imported"])
def test_a_card_has_all_elements_of_the_form_in_its_order(model: ModelDescription) -> None:
    assert strays(parsed(model), NAMESPACE) == []


@pytest.mark.parametrize(
    ("element", "change", "stray"),
    [
        ("BasicInfo", "", "AppliedModelCard lacks BasicInfo"),
        ("ModelName", "", "BasicInfo lacks ModelName"),
        ("MetricResult", "", "Results lacks MetricResult"),
        ("ModelName", "<Other/>", "Other is not of BasicInfo"),
        ("Bibliography", "<Bibliography/><Bibliography/>", "Bibliography is not of"),
        ("Label", "<Label language='en'/>", "Label has attributes"),
        ("Keywords", "<Keywords>stroke</Keywords>", "Keywords has text"),
    ],
)
def test_what_is_not_of_the_form_is_found(element: str, change: str, stray: str) -> None:
    whole = as_applied_card(card_of(IMPORTED))
    changed = re.sub(rf"<{element}>.*?</{element}>", change, whole, flags=re.DOTALL)
    assert changed != whole

    found = strays(ET.fromstring(changed), NAMESPACE)  # noqa: S314 -- it is our own

    assert any(stray in each for each in found), found


def test_the_figures_of_the_artefact_are_in_it_with_their_intervals() -> None:
    results = parsed(SHIPPED_MODEL).iter(f"{{{NAMESPACE}}}MetricResult")
    found = {text_of(each, "Label"): json.loads(text_of(each, "ValueJson")) for each in results}

    for name, figure in SHIPPED_MODEL.metrics.items():
        assert found[name] == {
            "kind": "estimate_ci",
            "estimate": figure["value"],
            "lower": figure["low"],
            "upper": figure["high"],
            "level": 95,
        }
    assert sum("gender" in label for label in found) == 3


def test_what_nobody_here_can_answer_is_open_and_never_made_up() -> None:
    root = parsed(IMPORTED)

    for path in (
        "BasicInfo/ModelDeveloper",
        "ReleaseInfo/GlobalAvailability",
        "Warnings/ClinicalRiskLevel",
        "KeyMetrics/FairnessEquity/TestType",
        "TrustIngredients/TransparencyInformation/FundingSource",
    ):
        assert "can say it" in text_of(root, path)
    results = root.iter(f"{{{NAMESPACE}}}MetricResult")
    assert {text_of(each, "ValueJson") for each in results} == {"null"}


def test_the_card_says_that_it_is_no_certification() -> None:
    root = parsed(SHIPPED_MODEL)

    assert NOTICE in text_of(root, "ReleaseInfo/RegulatoryApproval")
    assert NOTICE in text_of(root, "ModelSummary/Summary")


@settings(max_examples=examples(50), deadline=None)
@given(st.text())
def test_any_text_of_an_artefact_stays_text(text: str) -> None:
    root = parsed(replace(IMPORTED, model_type=text))

    assert strays(root, NAMESPACE) == []
    kept = text_of(root, "TrustIngredients/AISystemFacts/ModelType")
    assert len(kept) == len(text)
    assert all(a in (b, "\N{REPLACEMENT CHARACTER}") for a, b in zip(kept, text, strict=True))
