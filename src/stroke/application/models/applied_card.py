"""A model's card as XML, in the form of CHAI's Applied Model Card, version 0.2.

The Coalition for Health AI publishes the form (https://mc.chai.org/v0.2/schema.xsd) as a draft. The
texts are those of the card in its other forms: what neither the artefact nor the program can answer
is said to be open, and who can answer it. A card is no certification, and CHAI has not seen it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from stroke.application.models.card import NOTICE, OPEN, ModelCard, facts_of
from stroke.domain.performance import GAPS

NAMESPACE: Final = "https://mc.chai.org/v0.2/schema.xsd"

Element = tuple[str, "str | tuple[Element, ...]"]
"""A name, and a text or further elements."""

_USER: Final = "whoever uses the model"
_DEVELOPER: Final = "whoever trained the model"
# XML 1.0 has no sign for these, written as references or not.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFITS: Final = "Refits of the whole model to bootstrap samples of the training data."
_METHOD: Final = "Cross-validation: patients not seen in training. Intervals hold 95 %."


def as_applied_card(card: ModelCard) -> str:
    """Return the card as an XML document."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines += _lines(("AppliedModelCard", tuple(_parts(card))), f' xmlns="{NAMESPACE}"', 0)
    return "\n".join(lines) + "\n"


def _lines(element: Element, attributes: str, depth: int) -> Iterator[str]:
    name, content = element
    blank = "  " * depth
    if isinstance(content, str):
        text = escape(_NOT_IN_XML.sub("\ufffd", content), {"\r": "&#13;"})
        yield f"{blank}<{name}{attributes}>{text}</{name}>"
        return
    yield f"{blank}<{name}{attributes}>"
    for each in content:
        yield from _lines(each, "", depth + 1)
    yield f"{blank}</{name}>"


def _parts(card: ModelCard) -> Iterator[Element]:
    answers = {each.paragraph: each for each in card.attributes}

    def said(*paragraphs: str) -> str:
        """Return the answers to source attributes, or who can give them."""
        found = (answers[each] for each in paragraphs)
        return "\n\n".join(
            f"{each.title}: {each.answer or f'{OPEN} ({each.whose} can say it).'}" for each in found
        )

    yield (
        "BasicInfo",
        (
            ("ModelName", card.name),
            ("ModelDeveloper", said("(1)(i)")),
            ("DeveloperContact", said("(1)(i)")),
        ),
    )
    yield (
        "ReleaseInfo",
        (
            ("ReleaseStage", _open(_USER)),
            ("ReleaseDate", _open(_USER)),
            ("ReleaseVersion", card.version),
            ("GlobalAvailability", _open(_USER)),
            ("RegulatoryApproval", f"None is claimed. {NOTICE}"),
        ),
    )
    yield (
        "ModelSummary",
        (
            ("Summary", _summary(card)),
            ("Keywords", tuple(("Keyword", each) for each in ("stroke", "risk prediction"))),
        ),
    )
    yield (
        "UsesAndDirections",
        (
            ("IntendedUseAndWorkflow", said("(2)(i)", "(2)(iv)")),
            ("PrimaryIntendedUsers", said("(2)(iii)")),
            (
                "HowToUse",
                f"Read the probability with its interval and its factors. {_bands(card)}",
            ),
            ("TargetedPatientPopulation", said("(2)(ii)")),
            ("CautionedOutOfScopeSettings", said("(3)(i)")),
        ),
    )
    yield (
        "Warnings",
        (
            ("KnownRisksAndLimitations", said("(3)(ii)")),
            ("KnownBiasesOrEthicalConsiderations", said("(4)(ii)", "(4)(iii)", "(7)(ii)")),
            ("ClinicalRiskLevel", _open(_USER)),
        ),
    )
    yield (
        "TrustIngredients",
        (
            (
                "AISystemFacts",
                (
                    ("OutcomesAndOutputs", said("(1)(iii)", "(1)(iv)")),
                    ("ModelType", card.model_type),
                    ("InputDataSource", said("(4)(i)")),
                    ("OutputAndInputDataTypes", f"Features: {', '.join(card.features)}."),
                    ("DevelopmentDataCharacterization", said("(4)(iii)", "(4)(iv)")),
                    ("BiasMitigationApproaches", said("(5)(i)", "(5)(ii)")),
                    ("OngoingMaintenance", said("(8)(i)", "(8)(iii)", "(9)(i)", "(9)(ii)")),
                    ("Security", f"The graph has the sha256 {card.sha256}."),
                    ("Transparency", _sure(card)),
                ),
            ),
            (
                "TransparencyInformation",
                (
                    ("FundingSource", said("(1)(ii)")),
                    ("StakeholdersConsulted", _open(_DEVELOPER)),
                ),
            ),
        ),
    )
    # Of an update by a line the measures are not of the training data.
    yield "KeyMetrics", tuple(_metrics(card, card.judged or said("(4)(iii)")))
    yield (
        "Resources",
        (
            ("EvaluationReferences", said("(6)(i)", "(7)(iii)", "(7)(v)")),
            ("PeerReviewedPublications", _open(_DEVELOPER)),
            ("PatientConsentOrDisclosure", _open(_USER)),
        ),
    )
    yield "Bibliography", ""


def _bands(card: ModelCard) -> str:
    return f"Medium begins at {card.medium_from}, and High at {card.high_from}."


def _summary(card: ModelCard) -> str:
    facts = [f"{name}: {value}" for name, value in facts_of(card).items()]
    return "\n".join([*facts, *([card.update] if card.update else []), NOTICE])


def _sure(card: ModelCard) -> str:
    known = [text for text in (card.interval, card.support) if text is not None]
    return "\n\n".join(known) or _open(_DEVELOPER)


def _metrics(card: ModelCard, whom: str) -> Iterator[Element]:
    measured = {name: each for name, each in card.metrics.items() if _is_figure(each)}
    gaps = {
        f"{each['group']}, {GAPS[each['measure']]}": each["estimate"]
        for each in card.fairness
        if each["estimate"] is not None
    }
    left_out = [
        f"{each['group']}: {', '.join(each['left_out'])}"
        for each in card.fairness
        if each["left_out"]
    ]
    small = f" Too small to take part: {'; '.join(dict.fromkeys(left_out))}." if left_out else ""
    yield _metric(
        "UsefulnessUsabilityEfficacy",
        "Discrimination and calibration of the probability.",
        measured,
        meaning="A calibrated model has slope 1, intercept 0, and as many strokes as expected.",
        whom=whom,
    )
    yield _metric(
        "FairnessEquity",
        "The largest differences between the levels of a group.",
        gaps,
        meaning="Strokes are more frequent in older patients: no calibrated model has equal odds "
        f"there.{small}",
        whom=whom,
    )
    yield _metric(
        "SafetyReliability",
        "The part of the patients' intervals that holds what refits of the model say.",
        {},
        meaning=card.interval or _open(_DEVELOPER),
        whom=whom,
        method=_open(_DEVELOPER) if card.interval is None else _REFITS,
    )


def _metric(
    name: str,
    goal: str,
    found: Mapping[str, Mapping[str, float]],
    *,
    meaning: str,
    whom: str,
    method: str | None = None,
) -> Element:
    """Return a group of measures; ``method`` says how they were made, if not as the others."""
    method = method or (_METHOD if found else _open(_DEVELOPER))
    results: list[Element] = [
        ("MetricResult", (("Label", label), ("ValueJson", json.dumps(_value(each)))))
        for label, each in found.items()
    ]
    # The form wants one result at the least.
    nothing: Element = ("MetricResult", (("Label", "see Interpretation"), ("ValueJson", "null")))
    return (
        name,
        (
            ("MetricGoal", goal),
            ("Results", tuple(results) or (nothing,)),
            ("Interpretation", meaning),
            ("TestType", method),
            ("TestingDataDescription", whom),
            ("ValidationProcessAndJustification", method),
        ),
    )


def _value(figure: Mapping[str, float]) -> dict[str, Any]:
    """Return an estimate with its interval, in the words of CHAI's examples."""
    ends = {"lower": figure["low"], "upper": figure["high"], "level": 95}
    return {"kind": "estimate_ci", "estimate": figure["value"], **ends}


def _is_figure(figure: object) -> bool:
    return isinstance(figure, Mapping) and {"value", "low", "high"} <= figure.keys()


def _open(whose: str) -> str:
    return f"{OPEN.capitalize()}: {whose} can say it."
