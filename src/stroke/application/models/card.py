"""The card of a model: what it is, HTI-1's source attributes, and the TRIPOD+AI checklist.

Everything is answered from the artefact, or said to be open: nothing is made up. A card is no
certification.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stroke.application.models import answers
from stroke.application.models import answers_of_update as updates
from stroke.application.models.source_attributes import Attribute, source_attributes
from stroke.application.models.tripod import SOURCE, ChecklistItem, Status, checklist
from stroke.domain.performance import GAPS
from stroke.domain.risk import ModelDescription

NOTICE: Final = (
    "This card is made from the model's artefact. It is no certification, no medical device file "
    "and no proof of compliance with any rule."
)
_FAIRNESS: Final = (
    "The largest differences between the levels of a group, cross-validated.",
    "Each interval takes into account how many levels are compared.",
    "Strokes are more frequent in older patients: no calibrated model has equal odds there.",
)
_CROSS_VALIDATED: Final = "Cross-validated: patients not seen in training. Intervals hold 95 %."
_SEEN: Final = "Training patients, and how many of them had a stroke."
_SEEN_BEFORE: Final = f"Of the model before the update. {_SEEN}"
_THRESHOLDS_SHOWN: Final = 10
_PARTS: Final = "Under `for`, D is the development of a model, and E its evaluation."
OPEN: Final = "open"
"""What an attribute is that neither the artefact nor the program can answer."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a reader should know of a model before trusting it.

    ``fairness`` holds the gaps between groups that training measured (of cross-validated
    probabilities), ``cross_validated`` the calibration, decision curve and groups behind them,
    ``interval`` and ``support`` say in words how sure an answer is and whom the
    data speak for, ``update`` what an update made of which model, and ``judged`` whom the
    measures are of where those are not the training data. They are empty, or None, where the
    artefact has nothing of it.
    """

    name: str
    version: str
    sha256: str
    model_type: str
    features: tuple[str, ...]
    medium_from: float
    high_from: float
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    attributes: tuple[Attribute, ...]
    notice: str = NOTICE
    interval: str | None = None
    support: str | None = None
    fairness: tuple[Mapping[str, Any], ...] = ()
    tripod: tuple[ChecklistItem, ...] = ()
    cross_validated: Mapping[str, Any] | None = None
    update: str | None = None
    judged: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a card as it is shown: a heading, sentences, and a table if it has ``columns``."""

    title: str
    texts: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def card_of(model: ModelDescription) -> ModelCard:
    """Return the card of a model, from its description alone."""
    return ModelCard(
        model.name,
        model.version,
        model.sha256,
        model.model_type,
        model.features,
        model.bands.medium,
        model.bands.high,
        model.training,
        model.metrics,
        source_attributes(model),
        interval=answers.interval(model),
        support=answers.support(model),
        fairness=answers.gaps(model),
        tripod=checklist(model),
        cross_validated=model.population.get("cross_validated"),
        update=updates.update(model),
        judged=updates.judged(model),
    )


def facts_of(card: ModelCard) -> dict[str, str]:
    """Return what a card begins with."""
    return {
        "Version": card.version,
        "Graph (sha256)": card.sha256,
        "Kind": card.model_type,
        "Features": ", ".join(card.features),
        "Risk categories": f"Medium from {card.medium_from}, High from {card.high_from}",
    }


def sections_of(card: ModelCard) -> Iterator[Section]:
    """Return the parts of a card, for people: what the artefact has nothing of is left out."""
    if card.update is not None:
        yield Section("Update by outcomes", (card.update,))
    if card.metrics:
        yield Section(
            "Performance",
            (_cross_validated(card),),
            ("measure", "value", "interval"),
            tuple((name, *_figures(each)) for name, each in card.metrics.items()),
        )
    if card.cross_validated is not None:
        yield from _curves(card.cross_validated, _cross_validated(card))
    if counted := card.training.get("counts"):
        yield Section(
            "Whom it saw",
            (_SEEN if card.judged is None else _SEEN_BEFORE,),
            ("group", "level", "patients", "strokes"),
            tuple(
                (group, level, f"{each['patients']:,}", f"{each['strokes']:,}")
                for group, levels in counted.items()
                for level, each in levels.items()
            ),
        )
    sure = tuple(text for text in (card.interval, card.support) if text is not None)
    if sure:
        yield Section("How sure an answer is", sure)
    if card.fairness:
        yield Section(
            "Fairness",
            _FAIRNESS,
            ("group", "measure", "difference", "interval", "highest", "lowest", "left out"),
            tuple(_gap(each) for each in card.fairness),
        )
    answered = sum(each.answer is not None for each in card.attributes)
    yield Section(
        "Source attributes (HTI-1)",
        (f"45 CFR 170.315(b)(11)(iv)(B): {answered} of {len(card.attributes)} are answered.",),
        ("paragraph", "attribute", "answer"),
        tuple((each.paragraph, each.title, _answer(each)) for each in card.attributes),
    )
    statuses = [each.status for each in card.tripod]
    yield Section(
        "TRIPOD+AI checklist",
        (_tally(statuses), _PARTS),
        ("item", "for", "what it asks", "status", "answer"),
        tuple(
            (each.item, each.applies, f"{each.section}: {each.asks}", each.status, _reply(each))
            for each in card.tripod
        ),
    )


def _cross_validated(card: ModelCard) -> str:
    if card.judged is None:
        return _CROSS_VALIDATED
    return f"Cross-validated: {card.judged}. No line had seen whom it scored. Intervals hold 95 %."


def _curves(found: Mapping[str, Any], how: str) -> Iterator[Section]:
    yield Section(
        "Calibration",
        (how, "Ten groups of equal count, by their estimated risk."),
        ("estimated", "observed", "interval", "patients"),
        tuple(
            (
                f"{each['predicted']:.4f}",
                f"{each['observed']:.4f}",
                f"{each['low']:.4f} to {each['high']:.4f}",
                f"{each['samples']:,}",
            )
            for each in found["calibration"]
        ),
    )
    points = found["decision_curve"]
    yield Section(
        "Decision curve",
        ("Net benefit per patient of acting from a threshold on (Vickers and Elkin 2006).",),
        ("threshold", "net benefit", "interval", "acting on everybody"),
        tuple(
            (
                f"{each['threshold']:.4f}",
                f"{each['net_benefit']:.4f}",
                f"{each['low']:.4f} to {each['high']:.4f}",
                f"{each['treat_all']:.4f}",
            )
            for each in points[:: max(len(points) // _THRESHOLDS_SHOWN, 1)]
        ),
    )
    yield Section(
        "Groups",
        (how, "Of groups that are too small there are no measures."),
        (
            "group",
            "level",
            "patients",
            "strokes",
            "AUC",
            "interval",
            "observed / expected",
            "interval",
        ),
        tuple(_group(each) for each in found["groups"]),
    )


def _group(each: Mapping[str, Any]) -> tuple[str, ...]:
    events = "" if each["events"] is None else f"{each['events']:,}"
    known = [each["measures"].get(name) for name in ("auc", "oe_ratio")]
    figures = [part for found in known for part in (_figures(found) if found else ("", ""))]
    return each["group"], each["level"], f"{each['samples']:,}", events, *figures


def as_markdown(card: ModelCard) -> str:
    """Return the card in Markdown. Text from the artefact cannot end a cell or a line."""
    lines = [f"# {_cell(card.name)}", "", card.notice, ""]
    lines += [f"- {name}: {_cell(value)}" for name, value in facts_of(card).items()]
    for section in sections_of(card):
        lines += ["", f"## {section.title}"]
        for text in section.texts:
            lines += ["", text]
        if section.columns:
            lines += ["", _row(section.columns), f"|{'---|' * len(section.columns)}"]
            lines += [_row(each) for each in section.rows]
    return "\n".join(lines) + "\n"


def _tally(statuses: list[Status]) -> str:
    answered, partly, open_ = (statuses.count(each) for each in Status)
    return (
        f"{SOURCE}, in our own words. It has {len(statuses)} items and parts: {answered} are "
        f"answered, {partly} are answered in part, and {open_} are open."
    )


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Return one line without a bar, and without what a viewer takes for HTML or a link."""
    return " ".join(text.replace("|", "/").replace("<", "&lt;").replace("[", "\\[").split())


def _figures(figure: Mapping[str, float]) -> tuple[str, str]:
    return f"{figure['value']:.4f}", f"{figure['low']:.4f} to {figure['high']:.4f}"


def _gap(gap: Mapping[str, Any]) -> tuple[str, ...]:
    left_out = ", ".join(gap["left_out"])
    if gap["estimate"] is None:
        return gap["group"], "too few patients", "", "", "", "", left_out
    value, interval = _figures(gap["estimate"])
    return (
        gap["group"],
        GAPS[gap["measure"]],
        value,
        interval,
        gap["highest"],
        gap["lowest"],
        left_out,
    )


def _answer(attribute: Attribute) -> str:
    return attribute.answer or f"{OPEN}: {attribute.whose}"


def _reply(item: ChecklistItem) -> str:
    if item.answer is None:
        return f"{OPEN}: {item.whose}"
    rest = f" {OPEN.capitalize()}: {item.remains} ({item.whose})." if item.remains else ""
    return item.answer + rest
