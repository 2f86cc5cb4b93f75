"""The card says what the artefact knows, and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from fakes.predictions import FakeRiskModel
from stroke.application.models.card import NOTICE, as_markdown, card_of
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


def test_each_row_of_the_table_has_three_cells() -> None:
    rows = [line for line in as_markdown(card_of(TRAINED)).splitlines() if line.startswith("|")]

    assert len(rows) == 33
    assert {row.count("|") for row in rows} == {4}
