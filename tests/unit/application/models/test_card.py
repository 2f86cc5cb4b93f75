"""The card says what the artefact knows, and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes.predictions import FakeRiskModel
from runner.examples import examples
from stroke.adapters.onnx.manifest import read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.application.models.card import NOTICE, as_markdown, card_of
from stroke.application.models.tripod import Status
from stroke.domain.risk import ModelDescription

IMPORTED = FakeRiskModel().description
TRAINED: ModelDescription = replace(
    IMPORTED,
    metrics={"auc": {"value": 0.83, "low": 0.81, "high": 0.85}},
    training={
        "rows": 5_110,
        "strokes": 249,
        "sha256": "ab" * 32,
        "counts": {"gender": {"Female": {"patients": 2_994, "strokes": 141}}},
    },
)
MEASURED: ModelDescription = replace(
    TRAINED,
    population={
        "fairness": [
            {
                "group": "gender",
                "measure": "equalised_odds_high",
                "estimate": {"value": 0.1, "low": 0.02, "high": 0.18},
                "highest": "Female",
                "lowest": "Male",
                "left_out": ["Other"],
            },
            {
                "group": "smoking_status",
                "measure": None,
                "estimate": None,
                "highest": "",
                "lowest": "",
                "left_out": ["smokes"],
            },
        ]
    },
)
SHIPPED_MODEL: ModelDescription = read_manifest(SHIPPED / DEFAULT).description
OF_TRIPOD_AI = [
    *((1, ""), (2, ""), (3, "abc"), (4, ""), (5, "ab"), (6, "abc"), (7, ""), (8, "abc")),
    *((9, "abc"), (10, ""), (11, ""), (12, "abcdefg"), (13, ""), (14, ""), (15, ""), (16, "")),
    *((17, ""), (18, "abcdef"), (19, ""), (20, "abc"), (21, ""), (22, ""), (23, "ab")),
    *((24, ""), (25, ""), (26, ""), (27, "abc")),
]
OF_HTI_1 = {"1": 4, "2": 4, "3": 2, "4": 4, "5": 2, "6": 4, "7": 5, "8": 4, "9": 2}


def test_there_are_the_31_attributes_of_the_rule_in_its_order() -> None:
    paragraphs = [each.paragraph for each in card_of(IMPORTED).attributes]

    numerals = ("i", "ii", "iii", "iv", "v")
    assert paragraphs == [
        f"({group})({numeral})" for group, count in OF_HTI_1.items() for numeral in numerals[:count]
    ]
    assert len(paragraphs) == 31


def test_what_is_not_answered_says_who_can_answer_it() -> None:
    for model in (IMPORTED, TRAINED):
        for each in card_of(model).attributes:
            assert each.answer or each.whose
            assert each.answer is None or each.answer.strip()


def test_figures_come_from_the_artefact() -> None:
    answers = {each.paragraph: each.answer for each in card_of(TRAINED).attributes}

    assert "auc 0.8300 (0.8100 to 0.8500)" in (answers["(7)(i)"] or "")
    assert "5,110 patients, 249 with a stroke" in (answers["(2)(ii)"] or "")
    assert "Female 2,994" in (answers["(4)(iii)"] or "")
    assert "gender and age" in (answers["(4)(ii)"] or "")


def test_an_imported_model_has_no_figures_and_says_so() -> None:
    answers = {each.paragraph: each.answer for each in card_of(IMPORTED).attributes}

    assert answers["(7)(i)"] is None
    assert answers["(2)(ii)"] is None
    assert answers["(4)(iii)"] is None
    assert "not known" in (answers["(3)(ii)"] or "")


def test_the_card_is_no_certification_and_says_so_in_either_form() -> None:
    card = card_of(TRAINED)

    assert "no certification" in NOTICE
    assert NOTICE in as_markdown(card)
    assert json.loads(json.dumps(asdict(card)))["notice"] == NOTICE


def tables(text: str) -> dict[str, list[str]]:
    """Return the rows of each section's table, its heading and rule included."""
    found: dict[str, list[str]] = {}
    for part in text.split("\n## ")[1:]:
        heading, *lines = part.splitlines()
        found[heading] = [line for line in lines if line.startswith("|")]
    return found


def test_each_row_of_the_table_has_three_cells() -> None:
    rows = tables(as_markdown(card_of(TRAINED)))["Source attributes (HTI-1)"]

    assert len(rows) == 33
    assert {row.count("|") for row in rows} == {4}


@pytest.mark.parametrize("model", [IMPORTED, TRAINED, MEASURED, SHIPPED_MODEL])
def test_each_row_of_each_table_has_as_many_cells_as_its_head(model: ModelDescription) -> None:
    found = tables(as_markdown(card_of(model)))

    assert {"Source attributes (HTI-1)", "TRIPOD+AI checklist"} <= found.keys()
    for rows in found.values():
        assert len({row.count("|") for row in rows}) <= 1


@given(text=st.text(max_size=30))
@example(text="a\n# b")
@example(text="|<img src=x>[a](b)")
@settings(max_examples=examples(50))
def test_no_text_of_an_artefact_breaks_the_markdown(text: str) -> None:
    counted = {text: {text: {"patients": 1, "strokes": 0}}}
    described = replace(TRAINED, name=text, model_type=text, training={"counts": counted})
    said = as_markdown(card_of(described))

    headings = [line for line in said.splitlines() if line.startswith("#")]
    assert headings[1:] == [
        "## Performance",
        "## Whom it saw",
        "## Source attributes (HTI-1)",
        "## TRIPOD+AI checklist",
    ]
    assert "<img" not in said
    assert " [a](b)" not in said
    for rows in tables(said).values():
        assert len({row.count("|") for row in rows}) == 1


def test_the_checklist_has_the_27_items_and_52_parts_of_tripod_ai_in_its_order() -> None:
    items = [each.item for each in card_of(IMPORTED).tripod]

    assert items == [
        f"{number}{letter}" for number, letters in OF_TRIPOD_AI for letter in letters or ("",)
    ]
    assert len(items) == 52
    assert len({each.rstrip("abcdefg") for each in items}) == 27


def test_each_item_of_the_checklist_is_answered_or_says_who_can_answer_it() -> None:
    for model in (IMPORTED, TRAINED, MEASURED, SHIPPED_MODEL):
        for each in card_of(model).tripod:
            assert (each.answer is None) == (each.status is Status.OPEN)
            assert (each.status is Status.ANSWERED) == (not each.whose)
            assert (each.status is Status.PARTLY) == bool(each.answer and each.remains)


def test_what_stroke_did_not_train_has_its_method_open() -> None:
    statuses = {each.item: each.status for each in card_of(IMPORTED).tripod}

    assert {item for item, status in statuses.items() if status is Status.ANSWERED} == {
        "12g",
        "27a",
    }
    assert statuses["12c"] is Status.OPEN


def test_what_stroke_trained_has_its_method_answered() -> None:
    answered = {each.item: each.answer for each in card_of(SHIPPED_MODEL).tripod}

    assert "5 times" in (answered["12a"] or "")
    assert "201 patients lacked bmi" in (answered["11"] or "")
    assert "5,110 patients, 249 with a stroke" in (answered["20a"] or "")
    for item in ("2", "3c", "5b", "17", "18a", "18b", "19"):
        assert answered[item] is None, item


def test_gaps_between_groups_are_in_the_card_where_training_measured_them() -> None:
    card = card_of(MEASURED)
    answers = {each.paragraph: each.answer for each in card.attributes}
    rows = tables(as_markdown(card))["Fairness"]

    assert "gender, equalised odds, High 0.1000 (0.0200 to 0.1800)" in (answers["(7)(ii)"] or "")
    assert rows[2:] == [
        "| gender | equalised odds, High | 0.1000 | 0.0200 to 0.1800 | Female | Male | Other |",
        "| smoking_status | too few patients |  |  |  |  | smokes |",
    ]
    assert "Fairness" not in tables(as_markdown(card_of(TRAINED)))


def test_the_shipped_card_has_gaps_by_gender_age_and_smoking() -> None:
    rows = tables(as_markdown(card_of(SHIPPED_MODEL)))["Fairness"]

    assert [row.split(" | ")[0] for row in rows[2::3]] == [
        "| gender",
        "| age_group",
        "| smoking_status",
    ]


def test_the_card_says_how_sure_an_answer_is_where_the_artefact_knows() -> None:
    card, said = card_of(SHIPPED_MODEL), as_markdown(card_of(SHIPPED_MODEL))

    assert "94.2% of the refits" in (card.interval or "")
    assert "fewer than 51 training patients" in (card.support or "")
    assert (card.interval or "(none)") in said
    assert (card.support or "(none)") in said
    assert "| gender | Female | 2,994 | 141 |" in said
    assert card_of(IMPORTED).interval is None
    assert card_of(IMPORTED).support is None


def test_smoking_counts_as_an_assessment_of_health_status() -> None:
    answers = {each.paragraph: each.answer for each in card_of(TRAINED).attributes}

    assert "health status assessments: smoking_status" in (answers["(4)(ii)"] or "")
