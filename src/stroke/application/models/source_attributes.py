"""The source attributes that HTI-1 asks for of a predictive decision support intervention.

45 CFR 170.315(b)(11)(iv)(B), the final rule HTI-1 of 9 January 2024 (89 FR 1192), names 31. The
list was compared with two others made from the rule: that of OpenEMR's decision support (its table
``dsi_predictive_source_attributes``) and that of Aidbox's documentation. Titles are ours, and
shorter. Whoever needs the rule's words reads the rule.
"""

from __future__ import annotations

from dataclasses import dataclass

from stroke.application.models import answers
from stroke.domain.risk import ModelDescription


@dataclass(frozen=True, slots=True)
class Attribute:
    """One source attribute: its paragraph in (iv)(B), what it asks for, and the answer.

    ``answer`` is None where it is open; ``whose`` then says who can answer it.
    """

    paragraph: str
    title: str
    answer: str | None
    whose: str = ""


def source_attributes(model: ModelDescription) -> tuple[Attribute, ...]:
    """Return the 31 attributes in the rule's order, answered from ``model`` or open."""
    yours, developer = "whoever uses the model", "whoever trained the model"
    data = answers.data(model)
    return (
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
        Attribute("(3)(ii)", "Known risks and limits", answers.limits(model)),
        Attribute("(4)(i)", "Criteria of the training data", answers.criteria(model), developer),
        Attribute("(4)(ii)", "Use of demographic and social variables", answers.demographic(model)),
        Attribute(
            "(4)(iii)", "Representativeness of the training data", answers.counts(model), developer
        ),
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
            answers.metrics(model),
            f"{developer} (`stroke model evaluate`)",
        ),
        Attribute(
            "(7)(ii)",
            "Fairness in test data of the same source",
            answers.fairness(model),
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
    )
