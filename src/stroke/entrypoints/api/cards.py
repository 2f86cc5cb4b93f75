"""Cards of CDS Hooks: what a clinician sees of an assessment, and what is asked of a client."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID, uuid5

from stroke.application.clinical.assessing import called
from stroke.application.clinical.hospital import AssessedChart, Viewed
from stroke.domain.clinical.codes import CodeBook
from stroke.domain.clinical.found import Found
from stroke.domain.clinical.queries import templates
from stroke.domain.risk import RiskCategory
from stroke.entrypoints.api.fhir_resources import (
    CVA,
    LIMITS,
    further_notes,
    in_words,
    risk_assessment,
)

SERVICE: Final = "stroke-risk"
HOOK: Final = "patient-view"
LONGEST_SUMMARY: Final = 139
_INDICATORS: Final = {
    RiskCategory.LOW: "info",
    RiskCategory.MEDIUM: "info",
    RiskCategory.HIGH: "warning",
}
_REASONS: Final = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
_OWN_REASONS: Final = "urn:stroke:override-reason"
OVERRIDE_REASONS: Final = (
    {
        "system": _REASONS,
        "code": "patient-ineligible",
        "display": "Patient does not meet eligibility for recommended action",
    },
    {
        "system": _REASONS,
        "code": "action-completed",
        "display": "Recommended action was already completed",
    },
    {"system": _OWN_REASONS, "code": "known", "display": "The risk is known and treated"},
    {"system": _OWN_REASONS, "code": "wrong-data", "display": "A value is wrong or out of date"},
    {"system": _OWN_REASONS, "code": "not-relevant", "display": "Not relevant at this visit"},
)
REASON_CODES: Final = frozenset(reason["code"] for reason in OVERRIDE_REASONS)
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|~&])")


def discovery(book: CodeBook) -> dict[str, Any]:
    """Return what the service asks clients for; templates are of the restricted set."""
    return {
        "services": [
            {
                "hook": HOOK,
                "id": SERVICE,
                "title": "Stroke risk",
                "description": "A calibrated, explained probability of stroke from seven "
                "measurements",
                "version": "2.0.1",
                "hookVersion": "1.0",
                "usageRequirements": "Needs sex, birth date, BMI (or weight and height), glucose, "
                "smoking status and all conditions, those that are over included.",
                "prefetch": templates(book),
            }
        ]
    }


def cards(viewed: Viewed, *, says_lacking: bool, public: str | None) -> list[dict[str, Any]]:
    """Return the cards of a chart: one, or none.

    ``says_lacking`` is whether a patient whose record lacks something gets a card that says so.
    """
    if viewed.assessed is not None:
        return [_assessed(viewed, viewed.assessed, public)] if viewed.assessed.kept.shown else []
    if viewed.mapped.excluded is not None or not says_lacking:
        return []
    return [
        {
            "summary": _summary(f"Stroke risk not assessed: {viewed.why_not}"),
            "indicator": "info",
            "detail": _list("", (note.text for note in viewed.mapped.notes)).strip(),
            "source": _source(public),
        }
    ]


def _assessed(viewed: Viewed, assessed: AssessedChart, public: str | None) -> dict[str, Any]:
    kept, assessment = assessed.kept, assessed.assessment
    suggestion = {
        "label": "Save this assessment",
        "uuid": str(uuid5(UUID(kept.id), "save")),
        "actions": [
            {
                "type": "create",
                "description": "Store the RiskAssessment in the record",
                "resource": risk_assessment(assessed, stored_here=False),
            }
        ],
    }
    card: dict[str, Any] = {
        "uuid": kept.id,
        "summary": _summary(
            f"Stroke risk {assessment.probability:.1%} ({assessment.category})"
            + (
                f", without {' and '.join(called(name) for name in assessment.missing)}"
                if assessment.missing
                else ""
            )
        ),
        "indicator": _INDICATORS[assessment.category],
        "detail": _detail(viewed, assessed),
        "source": _source(public),
        "suggestions": [suggestion],
        "selectionBehavior": "any",
        "overrideReasons": list(OVERRIDE_REASONS),
    }
    if public is not None:
        card["links"] = [
            {"label": "About the model", "url": f"{public}/ui/model", "type": "absolute"}
        ]
    return card


def _summary(text: str) -> str:
    return text if len(text) <= LONGEST_SUMMARY else f"{text[: LONGEST_SUMMARY - 1]}…"


def _source(public: str | None) -> dict[str, Any]:
    source: dict[str, Any] = {"label": "stroke", "topic": CVA}
    if public is not None:
        source["url"] = public
    return source


def _detail(viewed: Viewed, assessed: AssessedChart) -> str:
    values = viewed.mapped.values
    rows = ["| measurement | value | adds (log-odds) | from |", "| --- | --- | --- | --- |"]
    for each in assessed.assessment.contributions:
        found = values.get(each.feature)
        value = "missing" if found is None else _shown(found)
        where = "" if found is None else _where(found)
        added = f"{each.log_odds:+.2f}"
        rows.append(f"| {called(each.feature)} | {escaped(value)} | {added} | {escaped(where)} |")
    said = [*further_notes(assessed.assessment), *assessed.kept.notes]
    words = ". ".join(in_words(assessed.assessment)[:3])
    parts = [
        f"{words[:1].upper()}{words[1:]}." if words else "",
        "\n".join(rows),
        _list("To know:", said) if said else "",
        f"Model {escaped(assessed.kept.model_version)}. {LIMITS}",
    ]
    return "\n\n".join(part for part in parts if part)


def _list(title: str, texts: Iterable[str]) -> str:
    return "\n".join([title, "", *(f"* {escaped(text)}" for text in texts)])


def _shown(found: Found) -> str:
    if found.feature != "age" and isinstance(found.value, int):
        return "yes" if found.value else "no"
    return f"{found.value:.4g}" if isinstance(found.value, float) else str(found.value)


def _where(found: Found) -> str:
    days = [f"{each.moment:%Y-%m-%d}" for each in found.sources if each.moment is not None]
    return ", ".join([found.how, *dict.fromkeys(days)])


def escaped(text: str) -> str:
    """Return a text as GitHub's Markdown shows it: some of it is a record's own, a unit say."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
