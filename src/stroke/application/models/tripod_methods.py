"""Items 1 to 17 of the TRIPOD+AI checklist: title, abstract, introduction and methods."""

from __future__ import annotations

from typing import Final

from stroke.application.models import answers
from stroke.application.models import answers_of_update as updates
from stroke.application.models.tripod_parts import (
    REPORTER,
    USER,
    Answered,
    Row,
    of_training,
    part,
    unanswered,
    whole,
)
from stroke.domain.risk import ModelDescription

_THRESHOLDS: Final = (
    " Cross-validated, Medium and High together find 93 % of strokes, and High is the top 10 % of "
    "patients."
)
_OWN_PREDICTORS: Final = (
    " Of the model's own features, a number is a straight line, held at the same quantiles, and a "
    "category has an indicator for each value but its reference."
)


def introduction(model: ModelDescription) -> tuple[Row, ...]:
    """Return what the title, the abstract and the introduction say."""
    section, both = "Introduction", "D;E"
    return (
        (
            "1",
            "Title",
            both,
            "Say that it is a prediction model, for whom, and of which outcome",
            whole(
                of_training(
                    model,
                    f"{model.name}: development of a model of the probability that a patient has "
                    "had a stroke, for patients like those of its training data.",
                )
            ),
        ),
        ("2", "Abstract", both, "A summary, by TRIPOD+AI for Abstracts", unanswered(REPORTER)),
        ("3a", section, both, "Why such a model, and which others there are", unanswered(REPORTER)),
        (
            "3b",
            section,
            both,
            "Target population, purpose in the care pathway, intended users",
            part(
                "Decision support. It informs; it replaces no clinical judgement, and it is no "
                "diagnosis.",
                "the place in the care pathway, and the users",
                USER,
            ),
        ),
        ("3c", section, both, "Known inequalities of health between groups", unanswered(REPORTER)),
        (
            "4",
            section,
            both,
            "Objectives: development, evaluation, or both",
            whole(
                of_training(
                    model, "Development, with internal validation. There was no external one."
                )
            ),
        ),
    )


def participants(model: ModelDescription) -> tuple[Row, ...]:
    """Return what is known of data, patients and outcome."""
    section, both = "Methods: data and participants", "D;E"
    return (
        (
            "5a",
            section,
            both,
            "Sources of the data, why these, and whom they represent",
            part(answers.data(model), "where the data come from, and whom they represent"),
        ),
        ("5b", section, both, "Dates of the data", unanswered()),
        ("6a", section, both, "Setting, and number and place of centres", unanswered()),
        (
            "6b",
            section,
            both,
            "Who was eligible",
            part(
                of_training(model, "Training took every row of the data, and left none out."),
                "who was eligible for the data set itself",
            ),
        ),
        (
            "6c",
            section,
            both,
            "Treatments, and how they were handled",
            part(
                of_training(
                    model,
                    "Treatments were not asked for. Features of the model's own may be some: "
                    f"{', '.join(each.name for each in model.further)}."
                    if model.further
                    else "No treatment is a feature, and none was taken into account.",
                ),
                "which treatments the patients had",
            ),
        ),
        (
            "7",
            section,
            both,
            "Preparation and checks of the data, and whether alike in all groups",
            whole(
                of_training(
                    model,
                    "Each value was checked against its plausible range, and each category against "
                    "the known ones, by the same rules for everybody. One wrong row, and the file "
                    "is refused.",
                )
            ),
        ),
    )


def variables(model: ModelDescription) -> tuple[Row, ...]:
    """Return what is known of predictors, sample size and missing values."""
    section, both = "Methods: outcome and predictors", "D;E"
    return (
        (
            "8a",
            section,
            both,
            "The outcome: definition, time horizon, how and when it was assessed",
            part(
                of_training(
                    model,
                    "The column `stroke` of the training data: whether the patient has had a "
                    "stroke. It has no date, so that there is no time horizon.",
                ),
                "how and when strokes were found, and whether alike in all groups",
            ),
        ),
        ("8b", section, both, "Who assessed the outcome, if that takes judgement", unanswered()),
        ("8c", section, both, "Blinding of the assessment of the outcome", unanswered()),
        (
            "9a",
            section,
            "D",
            "Choice of the predictors, and selection before the model was built",
            _choice(model),
        ),
        (
            "9b",
            section,
            both,
            "Definition of each predictor, how and when it was measured",
            part(
                f"{', '.join(model.features)}. Age in years, glucose in mg/dL, BMI in kg/m2."
                + (f" Of the model's own: {answers.further(model)}." if model.further else ""),
                "how and when each was measured",
            ),
        ),
        ("9c", section, both, "Who assessed predictors that take judgement", unanswered()),
        (
            "10",
            section,
            both,
            "Sample size, and whether it suffices",
            part(
                of_training(
                    model,
                    f"{answers.data(model)} All were taken. The program calculates no sample size.",
                ),
                "whether that many suffice",
            ),
        ),
        ("11", section, both, "Missing data", whole(_missing(model))),
    )


def _choice(model: ModelDescription) -> Answered:
    if not model.further:
        return whole(
            of_training(
                model,
                "The features that the program's patients have. None was chosen by its relation to "
                "the outcome.",
            )
        )
    return part(
        of_training(
            model,
            "The features that the program's patients have, and those that whoever trained the "
            f"model added: {', '.join(each.name for each in model.further)}. The program chose "
            "none by its relation to the outcome.",
        ),
        "why these were added",
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
    if any(each.may_be_missing for each in model.further):
        text += (
            " Of the model's own features, a missing number or flag counts as the median, and a "
            "missing category as the reference; how many lacked one is not kept."
        )
    return of_training(model, text)


def _recalibration(model: ModelDescription) -> Answered:
    line = updates.recalibration(model)
    if line is None:
        return whole(of_training(model, "None: no resampling, and no class weights."))
    if answers.trained_here_before(model):
        return whole(f"{line} No resampling, and no class weights.")
    return part(line, "methods against class imbalance of the model before")


def analysis(model: ModelDescription) -> tuple[Row, ...]:
    """Return how the model was made and judged."""
    section, both = "Methods: analysis", "D;E"
    measures = ", ".join(model.metrics)
    return (
        (
            "12a",
            section,
            "D",
            "How the data were used, and whether they were split",
            whole(
                of_training(
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
            whole(
                of_training(
                    model,
                    "Restricted cubic splines with 4 knots of age, glucose and BMI, held at the "
                    "0.1 % and 99.9 % quantiles; indicators of categories; all standardised."
                    + (_OWN_PREDICTORS if model.further else ""),
                )
            ),
        ),
        (
            "12c",
            section,
            "D",
            "Type of model and why, how it was built, tuned and validated",
            whole(
                of_training(
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
            whole(of_training(model, f"None was examined{answers.no_site(model)}.")),
        ),
        (
            "12e",
            section,
            both,
            "Measures of performance, and why these",
            whole(
                of_training(
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
            whole(
                updates.how(model) or of_training(model, "None: a version never changes."),
            ),
        ),
        (
            "12g",
            section,
            "E",
            "How predictions were calculated",
            whole(f"By the ONNX graph with the sha256 {model.sha256[:12]}, wherever it is used."),
        ),
        (
            "13",
            section,
            both,
            "Methods against class imbalance, and recalibration",
            _recalibration(model),
        ),
        (
            "14",
            section,
            both,
            "Approaches to fairness, and why",
            whole(
                of_training(
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
            part(
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
            part(
                f"{answers.data(model)} The measures are of {updates.judged(model)}.",
                "how they differ",
            )
            if updates.is_recalibrated(model) and model.metrics
            else whole(of_training(model, "None: both are the same data, by cross-validation.")),
        ),
        ("17", section, both, "Ethical approval and consent", unanswered()),
    )
