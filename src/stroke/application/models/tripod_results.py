"""Items 18 to 27 of the TRIPOD+AI checklist: open science, results and discussion."""

from __future__ import annotations

from stroke.application.models import answers
from stroke.application.models import answers_of_update as updates
from stroke.application.models.tripod_parts import (
    REPORTER,
    USER,
    Row,
    of_training,
    part,
    unanswered,
    whole,
)
from stroke.domain.risk import ModelDescription


def open_science(model: ModelDescription) -> tuple[Row, ...]:
    """Return what of the study is open to others."""
    section, both = "Open science", "D;E"
    sha256 = str(model.training.get("sha256", ""))[:12]
    return (
        ("18a", section, both, "Funding", unanswered()),
        ("18b", section, both, "Conflicts of interest", unanswered()),
        ("18c", section, both, "Protocol of the study", unanswered(REPORTER)),
        ("18d", section, both, "Registration of the study", unanswered(REPORTER)),
        (
            "18e",
            section,
            both,
            "Availability of the data",
            part(
                f"The data have the sha256 {sha256}." if sha256 else None, "where they can be had"
            ),
        ),
        (
            "18f",
            section,
            both,
            "Availability of the code of the analysis",
            whole(of_training(model, "`stroke model train`, which is part of this program.")),
        ),
        ("19", "Patient and public involvement", both, "Who was involved", unanswered()),
    )


def results(model: ModelDescription) -> tuple[Row, ...]:
    """Return what the development found."""
    section, both = "Results", "D;E"
    return (
        (
            "20a",
            section,
            both,
            "Flow of the participants, with and without the outcome",
            whole(
                of_training(
                    model, f"{answers.data(model)} None was left out. There was no follow-up."
                )
            ),
        ),
        (
            "20b",
            section,
            both,
            "Characteristics of the participants",
            part(answers.counts(model), "dates, settings and treatments"),
        ),
        (
            "20c",
            section,
            "E",
            "Comparison of the evaluation data with those of development",
            unanswered(f"{REPORTER} (`stroke drift report` compares stored predictions)"),
        ),
        (
            "21",
            section,
            both,
            "Participants and outcomes in each analysis",
            whole(
                of_training(
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
            part(
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
            part(
                _performance(model),
                "the performance in each subgroup",
            ),
        ),
        (
            "23b",
            section,
            both,
            "Differences of performance between clusters",
            whole(of_training(model, f"Not examined{answers.no_site(model)}.")),
        ),
        (
            "24",
            section,
            "E",
            "Results of updates of the model",
            whole(updates.results(model) or of_training(model, "There was none.")),
        ),
    )


def _performance(model: ModelDescription) -> str | None:
    known = [each for each in (answers.metrics(model), answers.fairness(model)) if each is not None]
    return " ".join(known) or None


def discussion(model: ModelDescription) -> tuple[Row, ...]:
    """Return what the results mean, and how the model is used."""
    section, both = "Discussion", "D;E"
    return (
        (
            "25",
            section,
            both,
            "Interpretation of the results, fairness included",
            unanswered(REPORTER),
        ),
        (
            "26",
            section,
            both,
            "Limits of the study, and what they do to its results",
            part(answers.limits(model), "what these limits do to the results", REPORTER),
        ),
        (
            "27a",
            section,
            "D",
            "How poor or missing input is handled in use",
            whole(_input(model)),
        ),
        (
            "27b",
            section,
            "D",
            "What users must do, and which expertise they need",
            part(
                "Users give the measurements. The program does the rest.",
                "which expertise they need",
                USER,
            ),
        ),
        ("27c", section, both, "Next steps of research", unanswered(REPORTER)),
    )


def _input(model: ModelDescription) -> str:
    missing = " and ".join(answers.may_be_missing(model))
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
