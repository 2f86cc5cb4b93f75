"""What the page shows of one estimate: the numbers, already in the words of a language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from stroke.domain.errors import InvalidPatient
from stroke.domain.patient import SMOKING_STATUSES, Patient
from stroke.domain.risk import ModelDescription, RiskAssessment, RiskBands
from stroke.entrypoints.ui import charts, supporting, words
from stroke.entrypoints.ui.languages import Language
from stroke.entrypoints.ui.measurements import Form, glucose_range, read_number
from stroke.entrypoints.ui.records import in_100
from stroke.entrypoints.ui.words import Frequency, Unit

_OLD: Final = 75
# The gravest ones come first; more of them say the same again.
_REASONS: Final = 3
# The public data set that the shipped model was trained on, by its checksum. In cross-validation
# AUC within 75 and older is 0.51 (0.44 to 0.57): docs/decisions/0106.
_HARDLY_RANKS_THE_OLD: Final = frozenset(
    {"644d473b05d2797006bd94865e4f8bb057f0c721617911613c82c8fcfc707420"}
)
_CHANGEABLE: Final = ("avg_glucose_level", "bmi")
_SLIDERS: Final = {"avg_glucose_level": (60.0, 280.0), "bmi": (18.0, 46.0)}


def hardly_ranks_the_old(model: ModelDescription) -> bool:
    """Return whether the data set of ``model`` is one from which nobody learns to rank the old."""
    return str(model.training.get("sha256", "")) in _HARDLY_RANKS_THE_OLD


class Line(NamedTuple):
    """One bar of the comparison."""

    label: str
    frequency: Frequency
    is_patient: bool = False


class Slider(NamedTuple):
    """One measurement that "what if" can move; numbers are as HTML writes them."""

    field: str
    title: str
    low: str
    high: str
    step: str
    value: str
    unit: str
    was: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """An assessment and what is needed to show it."""

    patient: Patient
    assessment: RiskAssessment
    model: ModelDescription
    language: Language
    glucose_unit: Unit = "mg/dL"

    @property
    def risk(self) -> Frequency:
        """The risk; its denominator is the page's."""
        return Frequency.headline(self.assessment.probability)

    @property
    def interval(self) -> tuple[Frequency, Frequency] | None:
        """The 95 % interval of the estimate, or None where the model gives none."""
        found = self.assessment.interval
        if found is None:
            return None
        return Frequency(found.low, self.risk.of), Frequency(found.high, self.risk.of)

    @property
    def risk_in_100(self) -> str:
        """The estimate as the scale of the picture counts: in 100, whatever is said."""
        return in_100(self.risk.probability, self.language)

    @property
    def interval_in_100(self) -> tuple[str, str] | None:
        """The ends of the interval as the scale of the picture counts: in 100, whatever is said."""
        if self.interval is None:
            return None
        low, high = self.interval
        return in_100(low.probability, self.language), in_100(high.probability, self.language)

    @property
    def bands(self) -> RiskBands:
        """Where the bands start for the variant that answered."""
        for variant in self.model.variants:
            if variant.missing == self.assessment.missing:
                return variant.bands
        return self.model.bands

    @property
    def scale_end(self) -> float:
        """Where the scale ends."""
        high = self.interval[1].probability if self.interval else None
        return charts.scale_end([self.assessment.probability, high])

    @property
    def waterfall(self) -> charts.Waterfall:
        """The path from the typical person to this one."""
        return charts.waterfall(self.assessment.baseline_log_odds, self.assessment.contributions)

    @property
    def support_level(self) -> str | None:
        """``within``, ``edge`` or ``outside`` of the training data; None where nothing is known."""
        found = self.assessment.support
        return None if found is None else str(found.level)

    @property
    def support_reasons(self) -> list[str]:
        """Why the training data hardly speak for this patient, or do not."""
        found = self.assessment.support
        reasons = [] if found is None else found.reasons
        return [
            supporting.reason(str(each.code), each.features, each.fewer_than, self.language)
            for each in reasons[:_REASONS]
        ]

    @property
    def ranks_hardly(self) -> bool:
        """Whether the model hardly tells higher from lower risk among people of this age."""
        return self.patient.age >= _OLD and hardly_ranks_the_old(self.model)

    @property
    def comparison(self) -> list[Line]:
        """The patient, and others whom the model or its training data know."""
        say = self.language.say
        lines = [Line(say("This patient"), self.risk, is_patient=True)]
        compared = self.assessment.comparison
        if compared is not None and compared.average_risk is not None:
            average = Frequency(compared.average_risk, self.risk.of)
            lines.append(Line(say("Average person of this age and sex in the data"), average))
        if compared is not None and compared.reference_risk is not None:
            # The values of stroke.domain.comparison.REFERENCE_VALUES.
            label = say(
                "Same person without these diseases, never smoked, glucose %(glucose)s, BMI 25",
                glucose=f"{words.in_unit(90, self.glucose_unit):g} {self.glucose_unit}",
            )
            lines.append(Line(label, Frequency(compared.reference_risk, self.risk.of)))
        rows, strokes = self.model.training.get("rows"), self.model.training.get("strokes")
        if rows and strokes is not None:
            overall = Frequency(strokes / rows, self.risk.of)
            lines.append(Line(say("All people in the data"), overall))
        return lines

    @property
    def summary(self) -> tuple[str, str] | None:
        """The difference to the average person, absolute before relative; None without one."""
        compared = self.assessment.comparison
        if compared is None or compared.average_risk is None:
            return None
        average = Frequency(compared.average_risk, self.risk.of)
        more = self.risk.count - average.count
        of, number = self.language.number(self.risk.of), self.language.number(abs(more))
        say = self.language.say
        if more > 0:
            said = say("%(n)s more in %(of)s", n=number, of=of)
        elif more < 0:
            said = say("%(n)s fewer in %(of)s", n=number, of=of)
        else:
            said = say("As many in %(of)s", of=of)
        times = say(
            "than the average person of this age and sex (%(times)s times).",
            times=self.language.number(
                self.assessment.probability / max(compared.average_risk, 1e-9), 1
            ),
        )
        if more == 0:
            times = say("as the average person of this age and sex.")
        if compared.equal_age is not None:
            times += " " + say(
                "The average person reaches this estimate at about %(age)s.",
                age=self.language.number(round(compared.equal_age)),
            )
        return said, times

    @property
    def comparison_top(self) -> float:
        """The longest bar of the comparison."""
        return max(line.frequency.probability for line in self.comparison) or 1.0

    @property
    def given(self) -> list[tuple[str, str]]:
        """The measurements, each with its name, in the form's order."""
        names = (
            *("age", "gender", "bmi", "avg_glucose_level"),
            *("hypertension", "heart_disease", "smoking_status"),
        )
        values = [(name, getattr(self.patient, name)) for name in names]
        own = dict(self.patient.further)
        values += [(each.name, own.get(each.name)) for each in self.model.further]
        return [
            (words.feature(name, self.language), self.said(name, each)) for name, each in values
        ]

    def said(self, name: str, value: object) -> str:
        """Return a measurement in words."""
        for declared in self.model.further:
            if declared.name == name:
                return words.own_value(declared, value, self.language)
        return words.measured(name, value, self.language, self.glucose_unit)

    @property
    def sliders(self) -> list[Slider]:
        """The measurements that "what if" can move: those that were measured."""
        found = []
        for name in _CHANGEABLE:
            value = getattr(self.patient, name)
            if value is None:
                continue
            low, high = _SLIDERS[name]
            low, high = min(low, value), max(high, value)
            step, unit = (1.0, "mg/dL") if name == "avg_glucose_level" else (0.1, "kg/m²")
            if name == "avg_glucose_level" and self.glucose_unit == "mmol/L":
                low, high, value = (words.in_unit(each, "mmol/L") for each in (low, high, value))
                step, unit = 0.1, "mmol/L"
            # A slider stops at multiples of its step: from the measured value, it can come back.
            low = value - int((value - low) / step) * step
            found.append(
                Slider(
                    "what_if_glucose" if name == "avg_glucose_level" else "what_if_bmi",
                    words.feature(name, self.language),
                    _plain(low),
                    _plain(high),
                    _plain(step),
                    _plain(value),
                    unit,
                    self.language.number(round(value, 2)),
                )
            )
        return found

    @property
    def as_text(self) -> str:
        """The estimate as text, to be pasted into a record."""
        say, language = self.language.say, self.language
        band = words.band(self.assessment.category, language)
        lines = [
            say("Stroke-risk estimate"),
            words.sentence(self.risk, language),
        ]
        if self.interval:
            lines.append(self.interval_sentence)
        lines.append(say("Band of this model: %(band)s", band=band))
        lines.append("")
        lines += [f"{name}: {value}" for name, value in self.given]
        lines.append("")
        if self.ranks_hardly:
            lines.append(say("From 75 on the model hardly tells higher from lower risk."))
        lines.append(say("Decision support, no diagnosis."))
        lines.append(say("Model %(version)s", version=self.model.version))
        return "\n".join(lines)

    @property
    def interval_sentence(self) -> str:
        """What the interval says; "" without one."""
        if self.interval is None:
            return ""
        low, high = self.interval
        return self.language.say(
            "Anything from %(low)s to %(high)s in %(of)s is plausible (95 %% interval of the "
            "estimate).",
            low=low.short(self.language),
            high=high.short(self.language),
            of=self.language.number(self.risk.of),
        )


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The estimate of the same person with other values."""

    before: Estimate
    after: Estimate | None

    @property
    def said(self) -> tuple[str, str]:
        """The number, and the difference in words."""
        shown = self.after or self.before
        of = self.before.risk.of
        risk = Frequency(shown.assessment.probability, of)
        language = self.before.language
        return words.in_words(risk, language), words.difference(self.before.risk, risk, language)


def changed(patient: Patient, form: Form) -> Patient | None:
    """Return the patient with what "what if" moved, or None where nothing was."""
    changes: dict[str, Any] = {}
    glucose = read_number(form.get("what_if_glucose"))
    if (
        glucose is not None
        and patient.avg_glucose_level is not None
        and glucose in glucose_range(form.glucose_unit)
    ):
        was = words.in_unit(patient.avg_glucose_level, form.glucose_unit)
        if glucose != was:
            factor = words.MG_PER_MMOL if form.glucose_unit == "mmol/L" else 1
            changes["avg_glucose_level"] = round(glucose * factor, 2)
    bmi = read_number(form.get("what_if_bmi"))
    if bmi is not None and patient.bmi is not None and bmi != round(patient.bmi, 2):
        changes["bmi"] = bmi
    smoking = form.get("what_if_smoking")
    if smoking in SMOKING_STATUSES and smoking != patient.smoking_status:
        changes["smoking_status"] = smoking
    return _replaced(patient, changes) if changes else None


def _replaced(patient: Patient, changes: Mapping[str, Any]) -> Patient | None:
    try:
        return replace(patient, **changes)
    except InvalidPatient:
        return None


def _plain(number: float) -> str:
    return f"{round(number, 2):g}"
