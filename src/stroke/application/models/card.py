"""The card of a model: what it is, and the source attributes that HTI-1 asks for.

45 CFR 170.315(b)(11)(iv)(B), the final rule HTI-1 of 9 January 2024 (89 FR 1192), names 31 source
attributes of a predictive decision support intervention. Each is answered from the artefact, or
said to be open: nothing is made up. A card is no certification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stroke.domain.risk import ModelDescription

NOTICE: Final = (
    "This card is made from the model's artefact. It is no certification, no medical device file "
    "and no proof of compliance with any rule."
)
OPEN: Final = "open"
"""What an attribute is that neither the artefact nor the program can answer."""

_UNKNOWN_DATA: Final = "The model was imported: its training data are not known here."


@dataclass(frozen=True, slots=True)
class Attribute:
    """One source attribute: its paragraph in (iv)(B), what it asks for, and the answer.

    ``answer`` is None where it is open; ``whose`` then says who can answer it.
    """

    paragraph: str
    title: str
    answer: str | None
    whose: str = ""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a reader should know of a model before trusting it."""

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
        tuple(_attributes(model)),
    )


def as_markdown(card: ModelCard) -> str:
    """Return the card in Markdown."""
    answered = sum(each.answer is not None for each in card.attributes)
    lines = [
        f"# {card.name}",
        "",
        card.notice,
        "",
        f"- Version: `{card.version}`",
        f"- Graph (sha256): `{card.sha256}`",
        f"- Kind: {card.model_type}",
        f"- Features: {', '.join(card.features)}",
        f"- Risk categories: Medium from {card.medium_from}, High from {card.high_from}",
        "",
        "## Source attributes (HTI-1)",
        "",
        f"45 CFR 170.315(b)(11)(iv)(B): {answered} of {len(card.attributes)} are answered.",
        "",
        "| paragraph | attribute | answer |",
        "|---|---|---|",
        *(f"| {each.paragraph} | {each.title} | {_answer(each)} |" for each in card.attributes),
    ]
    return "\n".join(lines) + "\n"


def _answer(attribute: Attribute) -> str:
    if attribute.answer is not None:
        return attribute.answer.replace("|", "/")
    return f"**{OPEN}**: {attribute.whose}"


def _attributes(model: ModelDescription) -> list[Attribute]:
    trained = bool(model.training)
    yours, developer = "whoever uses the model", "whoever trained the model"
    data = _data(model) if trained else None
    return [
        Attribute("(1)(i)", "Name and contact of the developer", None, developer),
        Attribute("(1)(ii)", "Funding source of the development", None, developer),
        Attribute(
            "(1)(iii)",
            "Value that is produced as an output",
            "A probability of a stroke, a risk category of this model's own scale, and each "
            "feature's contribution in log-odds.",
        ),
        Attribute("(1)(iv)", "Kind of output", "A prediction, and a classification made of it."),
        Attribute(
            "(2)(i)",
            "Intended use",
            "Decision support: the probability that a patient like this one has had a stroke, as "
            "the training data record it.",
        ),
        Attribute("(2)(ii)", "Intended patients", data, developer),
        Attribute("(2)(iii)", "Intended users", None, yours),
        Attribute(
            "(2)(iv)",
            "Intended role in decisions",
            "It informs. It replaces no clinical judgement, and it is no diagnosis.",
        ),
        Attribute(
            "(3)(i)",
            "Tasks and populations that a user is cautioned against",
            "Patients unlike those of the training data, and any decision made by the risk alone.",
        ),
        Attribute("(3)(ii)", "Known risks and limits", _limits(model)),
        Attribute(
            "(4)(i)", "Criteria of the training data", data and f"All rows. {data}", developer
        ),
        Attribute("(4)(ii)", "Use of demographic and social variables", _demographic(model)),
        Attribute("(4)(iii)", "Representativeness of the training data", _counts(model), developer),
        Attribute("(4)(iv)", "Relevance of the training data to the setting", None, yours),
        Attribute("(5)(i)", "Approach to fairness in development", None, developer),
        Attribute("(5)(ii)", "Approaches to manage bias", None, developer),
        Attribute("(6)(i)", "Source of external validation", None, yours),
        Attribute("(6)(ii)", "Who did the external testing", None, yours),
        Attribute("(6)(iii)", "Representativeness of external data", None, yours),
        Attribute("(6)(iv)", "Process of external validation", None, yours),
        Attribute(
            "(7)(i)",
            "Validity in test data of the same source",
            _metrics(model),
            f"{developer} (`stroke model evaluate`)",
        ),
        Attribute(
            "(7)(ii)",
            "Fairness in test data of the same source",
            None,
            f"{developer} (`stroke model compare --data`)",
        ),
        Attribute("(7)(iii)", "Validity in external data", None, f"{yours} (`stroke performance`)"),
        Attribute("(7)(iv)", "Fairness in external data", None, f"{yours} (`stroke performance`)"),
        Attribute("(7)(v)", "Evaluations of its effect on outcomes", None, yours),
        Attribute(
            "(8)(i)",
            "How and how often validity is monitored",
            "`stroke performance --watch`, every STROKE_PERFORMANCE_SECONDS where it runs; "
            "`stroke drift report` without outcomes.",
        ),
        Attribute("(8)(ii)", "Validity in local data", None, f"{yours} (`stroke performance`)"),
        Attribute(
            "(8)(iii)",
            "How and how often fairness is monitored",
            "`stroke performance --watch`: differences between gender, age group, smoking status "
            "and site, with the measures above.",
        ),
        Attribute("(8)(iv)", "Fairness in local data", None, f"{yours} (`stroke performance`)"),
        Attribute("(9)(i)", "How and how often the model is updated", None, yours),
        Attribute("(9)(ii)", "How often its performance is corrected", None, yours),
    ]


def _data(model: ModelDescription) -> str:
    facts = model.training
    return (
        f"{facts.get('rows', 0):,} patients, {facts.get('strokes', 0):,} with a stroke "
        f"(data with the sha256 {str(facts.get('sha256', 'unknown'))[:12]})."
    )


def _limits(model: ModelDescription) -> str:
    known = [
        "One data set; outcomes are not dated." if model.training else _UNKNOWN_DATA,
        "No claim is made for other populations.",
    ]
    if model.may_be_missing:
        known.append(f"Patients may lack {' and '.join(model.may_be_missing)}.")
    return " ".join(known)


def _demographic(model: ModelDescription) -> str:
    used = [name for name in ("gender", "age") if name in model.features]
    return (
        f"{' and '.join(used) or 'None'} as features. Race, ethnicity, language, sexual "
        "orientation, gender identity and social determinants of health are no features."
    )


def _counts(model: ModelDescription) -> str | None:
    counts = model.training.get("counts")
    if not isinstance(counts, Mapping):
        return None
    parts = [
        f"{name}: " + ", ".join(f"{kind} {each['patients']:,}" for kind, each in kinds.items())
        for name, kinds in counts.items()
    ]
    return "; ".join(parts) + ". Race, ethnicity and language were not recorded."


def _metrics(model: ModelDescription) -> str | None:
    if not model.metrics:
        return None
    named = [
        f"{name} {each['value']:.4f} ({each['low']:.4f} to {each['high']:.4f})"
        for name, each in model.metrics.items()
    ]
    return f"Cross-validated, with 95 % intervals: {', '.join(named)}."
