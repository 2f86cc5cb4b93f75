"""The TRIPOD+AI checklist of a model: 27 items, 52 with their parts, each answered or open.

Collins et al. 2024, BMJ 385:e078378, table 2 (CC BY 4.0); what an item asks is in our own, shorter
words. TRIPOD+AI is for the report of a study. An artefact cannot know who was asked, who paid, or
where patients came from: such items stay open, and say who can answer them. A checklist is no
proof that a study was well made.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stroke.application.models import answers
from stroke.domain.risk import ModelDescription

SOURCE: Final = "Collins et al. 2024, BMJ 385:e078378"


class Status(StrEnum):
    """Whether an item is answered as a whole, in part, or not at all."""

    ANSWERED = "answered"
    PARTLY = "partly"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One item, or a part of one, as ``item`` numbers it (``12c``).

    ``applies`` is D (development), E (evaluation) or D;E. ``remains`` says what the answer leaves
    open, and ``whose`` who can say the rest.
    """

    item: str
    section: str
    applies: str
    asks: str
    status: Status
    answer: str | None
    remains: str = ""
    whose: str = ""


_DEVELOPER: Final = "whoever trained the model"
_REPORTER: Final = "whoever reports a study of the model"
_USER: Final = "whoever uses the model"
_THRESHOLDS: Final = (
    " Cross-validated, Medium and High together find 93 % of strokes, and High is the top 10 % of "
    "patients."
)


def checklist(model: ModelDescription) -> tuple[ChecklistItem, ...]:
    """Return all 52 parts in the checklist's order."""
    return tuple(
        _item(row)
        for row in (
            *_introduction(model),
            *_participants(model),
            *_variables(model),
            *_analysis(model),
            *_open_science(model),
            *_results(model),
            *_discussion(model),
        )
    )


_Answered = tuple[str | None, str, str]
_Row = tuple[str, str, str, str, _Answered]


def _item(row: _Row) -> ChecklistItem:
    item, section, applies, asks, (answer, remains, whose) = row
    if answer is None:
        return ChecklistItem(item, section, applies, asks, Status.OPEN, None, remains, whose)
    if remains:
        return ChecklistItem(item, section, applies, asks, Status.PARTLY, answer, remains, whose)
    return ChecklistItem(item, section, applies, asks, Status.ANSWERED, answer)


def _all(answer: str | None, whose: str = _DEVELOPER) -> _Answered:
    """Return a whole answer; ``whose`` counts where there is none."""
    return answer, "", whose


def _part(answer: str | None, remains: str, whose: str = _DEVELOPER) -> _Answered:
    return answer, remains, whose


def _open(whose: str = _DEVELOPER) -> _Answered:
    return None, "", whose


def _of_training(model: ModelDescription, answer: str) -> str | None:
    """Return what is true of every model that `stroke model train` makes."""
    return answer if answers.trained_here(model) else None


def _introduction(model: ModelDescription) -> tuple[_Row, ...]:
    section, both = "Introduction", "D;E"
    return (
        (
            "1",
            "Title",
            both,
            "Say that it is a prediction model, for whom, and of which outcome",
            _all(
                _of_training(
                    model,
                    f"{model.name}: development of a model of the probability that a patient has "
                    "had a stroke, for patients like those of its training data.",
                )
            ),
        ),
        ("2", "Abstract", both, "A summary, by TRIPOD+AI for Abstracts", _open(_REPORTER)),
        ("3a", section, both, "Why such a model, and which others there are", _open(_REPORTER)),
        (
            "3b",
            section,
            both,
            "Target population, purpose in the care pathway, intended users",
            _part(
                "Decision support. It informs; it replaces no clinical judgement, and it is no "
                "diagnosis.",
                "the place in the care pathway, and the users",
                _USER,
            ),
        ),
        ("3c", section, both, "Known inequalities of health between groups", _open(_REPORTER)),
        (
            "4",
            section,
            both,
            "Objectives: development, evaluation, or both",
            _all(
                _of_training(
                    model, "Development, with internal validation. There was no external one."
                )
            ),
        ),
    )


def _participants(model: ModelDescription) -> tuple[_Row, ...]:
    section, both = "Methods: data and participants", "D;E"
    return (
        (
            "5a",
            section,
            both,
            "Sources of the data, why these, and whom they represent",
            _part(answers.data(model), "where the data come from, and whom they represent"),
        ),
        ("5b", section, both, "Dates of the data", _open()),
        ("6a", section, both, "Setting, and number and place of centres", _open()),
        (
            "6b",
            section,
            both,
            "Who was eligible",
            _part(
                _of_training(model, "Training took every row of the data, and left none out."),
                "who was eligible for the data set itself",
            ),
        ),
        (
            "6c",
            section,
            both,
            "Treatments, and how they were handled",
            _part(
                _of_training(model, "No treatment is a feature, and none was taken into account."),
                "which treatments the patients had",
            ),
        ),
        (
            "7",
            section,
            both,
            "Preparation and checks of the data, and whether alike in all groups",
            _all(
                _of_training(
                    model,
                    "Each value was checked against its plausible range, and each category against "
                    "the known ones, by the same rules for everybody. One wrong row, and the file "
                    "is refused.",
                )
            ),
        ),
    )


def _variables(model: ModelDescription) -> tuple[_Row, ...]:
    section, both = "Methods: outcome and predictors", "D;E"
    return (
        (
            "8a",
            section,
            both,
            "The outcome: definition, time horizon, how and when it was assessed",
            _part(
                _of_training(
                    model,
                    "The column `stroke` of the training data: whether the patient has had a "
                    "stroke. It has no date, so that there is no time horizon.",
                ),
                "how and when strokes were found, and whether alike in all groups",
            ),
        ),
        ("8b", section, both, "Who assessed the outcome, if that takes judgement", _open()),
        ("8c", section, both, "Blinding of the assessment of the outcome", _open()),
        (
            "9a",
            section,
            "D",
            "Choice of the predictors, and selection before the model was built",
            _all(
                _of_training(
                    model,
                    "The features that the program's patients have. None was chosen by its "
                    "relation to the outcome.",
                )
            ),
        ),
        (
            "9b",
            section,
            both,
            "Definition of each predictor, how and when it was measured",
            _part(
                f"{', '.join(model.features)}. Age in years, glucose in mg/dL, BMI in kg/m2.",
                "how and when each was measured",
            ),
        ),
        ("9c", section, both, "Who assessed predictors that take judgement", _open()),
        (
            "10",
            section,
            both,
            "Sample size, and whether it suffices",
            _part(
                _of_training(
                    model,
                    f"{answers.data(model)} All were taken. The program calculates no sample size.",
                ),
                "whether that many suffice",
            ),
        ),
        ("11", section, both, "Missing data", _all(_missing(model))),
    )


def _missing(model: ModelDescription) -> str | None:
    lacked = {
        name.removeprefix("missing_"): count
        for name, count in model.training.items()
        if name.startswith("missing_") and count
    }
    counted = ", ".join(f"{count:,} patients lacked {name}" for name, count in lacked.items())
    text = (
        f"{counted or 'No patient lacked a measurement'}. The full model takes the median for what "
        "is missing. A companion for each combination of missing measurements was fitted to all "
        "patients without them. No patient was left out."
    )
    return _of_training(model, text)


def _analysis(model: ModelDescription) -> tuple[_Row, ...]:
    section, both = "Methods: analysis", "D;E"
    measures = ", ".join(model.metrics)
    return (
        (
            "12a",
            section,
            "D",
            "How the data were used, and whether they were split",
            _all(
                _of_training(
                    model,
                    "All patients were used to fit. Performance is of a cross-validation, 5 times "
                    "5-fold, stratified by the outcome: patients whom the scored model had not "
                    "seen.",
                )
            ),
        ),
        (
            "12b",
            section,
            "D",
            "How predictors were handled",
            _all(
                _of_training(
                    model,
                    "Restricted cubic splines with 4 knots of age, glucose and BMI, held at the "
                    "0.1 % and 99.9 % quantiles; indicators of categories; all standardised.",
                )
            ),
        ),
        (
            "12c",
            section,
            "D",
            "Type of model and why, how it was built, tuned and validated",
            _all(
                _of_training(
                    model,
                    f"{model.model_type.capitalize()}, with a ridge penalty (C = 1). Nothing was "
                    "tuned. It is validated by cross-validation. Decision 0002 says why this type.",
                )
            ),
        ),
        (
            "12d",
            section,
            both,
            "Differences between clusters, such as hospitals",
            _all(_of_training(model, "None was examined: the training data name no site.")),
        ),
        (
            "12e",
            section,
            both,
            "Measures of performance, and why these",
            _all(
                _of_training(
                    model,
                    f"{measures}, with 95 % bootstrap intervals: how well the model tells patients "
                    "apart, and whether its probabilities are right.",
                )
            ),
        ),
        (
            "12f",
            section,
            "E",
            "Updates of the model after its evaluation",
            _all(_of_training(model, "None: a version never changes.")),
        ),
        (
            "12g",
            section,
            "E",
            "How predictions were calculated",
            _all(f"By the ONNX graph with the sha256 {model.sha256[:12]}, wherever it is used."),
        ),
        (
            "13",
            section,
            both,
            "Methods against class imbalance, and recalibration",
            _all(_of_training(model, "None: no resampling, and no class weights.")),
        ),
        (
            "14",
            section,
            both,
            "Approaches to fairness, and why",
            _all(
                _of_training(
                    model,
                    "None changes the model. The differences between groups are measured "
                    "(decision 0097).",
                )
            ),
        ),
        (
            "15",
            section,
            "D",
            "Output of the model, and how thresholds were found",
            _part(
                f"A probability. Medium from {model.bands.medium}, High from {model.bands.high}."
                + (_THRESHOLDS if answers.trained_here(model) else ""),
                "" if answers.trained_here(model) else "how the thresholds were found",
            ),
        ),
        (
            "16",
            section,
            both,
            "Differences between the data of development and evaluation",
            _all(_of_training(model, "None: both are the same data, by cross-validation.")),
        ),
        ("17", section, both, "Ethical approval and consent", _open()),
    )


def _open_science(model: ModelDescription) -> tuple[_Row, ...]:
    section, both = "Open science", "D;E"
    sha256 = str(model.training.get("sha256", ""))[:12]
    return (
        ("18a", section, both, "Funding", _open()),
        ("18b", section, both, "Conflicts of interest", _open()),
        ("18c", section, both, "Protocol of the study", _open(_REPORTER)),
        ("18d", section, both, "Registration of the study", _open(_REPORTER)),
        (
            "18e",
            section,
            both,
            "Availability of the data",
            _part(
                f"The data have the sha256 {sha256}." if sha256 else None, "where they can be had"
            ),
        ),
        (
            "18f",
            section,
            both,
            "Availability of the code of the analysis",
            _all(_of_training(model, "`stroke model train`, which is part of this program.")),
        ),
        ("19", "Patient and public involvement", both, "Who was involved", _open()),
    )


def _results(model: ModelDescription) -> tuple[_Row, ...]:
    section, both = "Results", "D;E"
    return (
        (
            "20a",
            section,
            both,
            "Flow of the participants, with and without the outcome",
            _all(
                _of_training(
                    model, f"{answers.data(model)} None was left out. There was no follow-up."
                )
            ),
        ),
        (
            "20b",
            section,
            both,
            "Characteristics of the participants",
            _part(answers.counts(model), "dates, settings and treatments"),
        ),
        (
            "20c",
            section,
            "E",
            "Comparison of the evaluation data with those of development",
            _open(f"{_REPORTER} (`stroke drift report` compares stored predictions)"),
        ),
        (
            "21",
            section,
            both,
            "Participants and outcomes in each analysis",
            _all(
                _of_training(
                    model,
                    f"{answers.data(model)} Each model of the cross-validation was fitted to four "
                    "fifths of them, and scored the rest.",
                )
            ),
        ),
        (
            "22",
            section,
            "D",
            "The full model, and how to use it",
            _part(
                f"The artefact {model.version}: its graph is the model. `stroke predict` and the "
                "API run it.",
                "restrictions of its use",
            ),
        ),
        (
            "23a",
            section,
            both,
            "Performance with intervals, in subgroups too",
            _part(
                _performance(model),
                "the performance in each subgroup",
            ),
        ),
        (
            "23b",
            section,
            both,
            "Differences of performance between clusters",
            _all(_of_training(model, "Not examined: the training data name no site.")),
        ),
        (
            "24",
            section,
            "E",
            "Results of updates of the model",
            _all(_of_training(model, "There was none.")),
        ),
    )


def _performance(model: ModelDescription) -> str | None:
    known = [each for each in (answers.metrics(model), answers.fairness(model)) if each is not None]
    return " ".join(known) or None


def _discussion(model: ModelDescription) -> tuple[_Row, ...]:
    section, both = "Discussion", "D;E"
    return (
        ("25", section, both, "Interpretation of the results, fairness included", _open(_REPORTER)),
        (
            "26",
            section,
            both,
            "Limits of the study, and what they do to its results",
            _part(answers.limits(model), "what these limits do to the results", _REPORTER),
        ),
        (
            "27a",
            section,
            "D",
            "How poor or missing input is handled in use",
            _all(_input(model)),
        ),
        (
            "27b",
            section,
            "D",
            "What users must do, and which expertise they need",
            _part(
                "Users give the measurements. The program does the rest.",
                "which expertise they need",
                _USER,
            ),
        ),
        ("27c", section, both, "Next steps of research", _open(_REPORTER)),
    )


def _input(model: ModelDescription) -> str:
    missing = " and ".join(model.may_be_missing)
    rare = answers.support(model)
    return " ".join(
        (
            "A value outside of its plausible range is refused.",
            f"{missing} may be missing, and the answer says so."
            if missing
            else "No measurement may be missing.",
            *([] if rare is None else [rare]),
        )
    )
