"""The calculator's form: what was typed, in whichever unit, and what is wrong with it.

The ranges are the domain's (``stroke.domain.patient``), in the unit that was chosen: what a hint
says is what the server takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stroke.domain.errors import InvalidPatient
from stroke.domain.further import FeatureKind, Further, FurtherFeature, values_of
from stroke.domain.patient import (
    AGE,
    AVG_GLUCOSE_LEVEL,
    BMI,
    COUNTRY_LENGTH,
    GENDERS,
    NAME_LENGTH,
    OPTIONAL,
    PROVINCE_LENGTH,
    SMOKING_STATUSES,
    Patient,
    Range,
    extended,
    holds_controls,
)
from stroke.entrypoints.ui.languages import Language
from stroke.entrypoints.ui.words import MG_PER_MMOL, Unit, feature, significant

_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{0,9})?|[.,][0-9]{1,9}", re.ASCII)
# A model's own feature may be below zero, and of any size.
_SIGNED: Final = re.compile(
    r"[-\N{MINUS SIGN}]?(?:[0-9]{1,16}(?:[.,][0-9]{0,20})?|[.,][0-9]{1,20})", re.ASCII
)
_KG_PER_POUND: Final = 0.45359237
_M_PER_INCH: Final = 0.0254
_INCHES: Final = 12
# Wider than living people, like the domain's ranges: they catch slips and wrong units.
HEIGHT_CM: Final = Range(30, 280, "cm")
WEIGHT_KG: Final = Range(1, 700, "kg")
FEET: Final = Range(1, 9, "ft")
INCHES: Final = Range(0, 11.99, "in")
POUNDS: Final = Range(2, 1543, "lb")

_EXAMPLES: Final = {"age": 67, "bmi": 27.4, "avg_glucose_level": 105.5}
_FLAGS: Final = {"0": 0, "1": 1}
_TEXTS: Final = {"name": NAME_LENGTH, "country": COUNTRY_LENGTH, "province": PROVINCE_LENGTH}
_NEEDED: Final = ("age", "gender", "hypertension", "heart_disease", "smoking_status")

FIELDS: Final = (
    "age",
    "bmi",
    "height_system",
    "height_cm",
    "weight_kg",
    "height_ft",
    "height_in",
    "weight_lb",
    "gender",
    "avg_glucose_level",
    "glucose_unit",
    "hypertension",
    "heart_disease",
    "smoking_status",
    "name",
    "country",
    "province",
    "form_key",
    "what_if_glucose",
    "what_if_bmi",
    "what_if_smoking",
)
"""The names of the form's fields, but for those of features that a model declares for itself."""

PREFIX: Final = "own_"
"""Begins the names of these others: a feature may be called as a field is."""


def glucose_range(unit: Unit) -> Range:
    """Return the range of glucose in ``unit``: no wider than the domain's, to two decimals."""
    if unit == "mg/dL":
        return AVG_GLUCOSE_LEVEL
    low = math.ceil(AVG_GLUCOSE_LEVEL.low / MG_PER_MMOL * 100) / 100
    high = math.floor(AVG_GLUCOSE_LEVEL.high / MG_PER_MMOL * 100) / 100
    return Range(low, high, "mmol/L")


def read_number(text: str) -> float | None:
    """Return a number as people type it, with a point or a comma; None if it is none."""
    text = text.strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def field_of(feature_name: str) -> str:
    """Return the name of the field for a feature that the served model declares for itself."""
    return f"{PREFIX}{feature_name}"


def read_signed(text: str) -> float | None:
    """Return a number as people type it, which may be below zero; None if it is none."""
    text = text.strip()
    if not _SIGNED.fullmatch(text):
        return None
    return float(text.replace(",", ".").replace("\N{MINUS SIGN}", "-"))


@dataclass(slots=True)
class Form:
    """What was typed, what it means, and what is wrong or missing.

    ``errors`` has sentences by field; ``missing`` names the fields without which there is no
    estimate; ``values`` are the patient's measurements so far. Nothing is ever taken back from
    ``typed``: what a person typed is shown again as it was.
    """

    typed: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    bmi_from_height: float | None = None
    further: Further = ()
    """What the served model declares for itself."""
    own: dict[str, float | int | str | None] = field(default_factory=dict)
    """The values of these features so far, by their names."""

    def get(self, name: str) -> str:
        """Return what stands in a field."""
        return self.typed.get(name, "")

    @property
    def glucose_unit(self) -> Unit:
        """The unit that glucose is typed in."""
        return "mmol/L" if self.get("glucose_unit") == "mmol/L" else "mg/dL"

    @property
    def is_empty(self) -> bool:
        """Whether no measurement was given yet."""
        given = (*self.values.values(), *self.own.values())
        return not self.errors and all(value in (None, "") for value in given)

    @property
    def patient(self) -> Patient | None:
        """The patient, where nothing that is needed is missing or wrong."""
        wrong = {name for name in self.errors if name not in _TEXTS}
        if self.missing or wrong:
            return None
        texts = {name: self.values.get(name, "") for name in _TEXTS}
        try:
            patient = Patient(**{**self.values, **texts})
            return extended(patient, values_of(self.further, self.own))
        except InvalidPatient as error:
            named = {each.name: field_of(each.name) for each in self.further}
            for violation in error.violations:
                place = named.get(violation.field, violation.field)
                self.errors.setdefault(place, violation.reason)
            return None


def read_form(
    typed: Mapping[str, str],
    language: Language,
    may_be_missing: Collection[str],
    further: Further = (),
) -> Form:
    """Return what the form says. ``may_be_missing`` names what the served model can do without.

    ``further`` are the features that it declares for itself.
    """
    fields = (*FIELDS, *(field_of(each.name) for each in further))
    form = Form({name: typed[name] for name in fields if name in typed}, further=further)
    _read_number_field(form, "age", AGE, language, language.say("years"))
    unit = form.glucose_unit
    glucose = _read_number_field(form, "avg_glucose_level", glucose_range(unit), language, unit)
    if unit == "mmol/L" and glucose is not None:
        form.values["avg_glucose_level"] = round(glucose * MG_PER_MMOL, 2)
    elif "avg_glucose_level" in form.errors:
        _suspect_unit(form, language)
    _read_number_field(form, "bmi", BMI, language, BMI.unit)
    if not form.get("bmi").strip():
        _bmi_of_height_and_weight(form, language)
    _read_choice(form, "gender", GENDERS, language)
    _read_choice(form, "smoking_status", SMOKING_STATUSES, language)
    _read_flags(form, language)
    for name, longest in _TEXTS.items():
        _read_text(form, name, longest, language)
    for name in (*_NEEDED, *OPTIONAL):
        if name in form.values or name in form.errors:
            continue
        if name in may_be_missing:
            form.values[name] = None
        else:
            form.missing.append(name)
    for each in further:
        _read_own(form, each, language)
    return form


def as_typed(patient: Mapping[str, Any], language: Language) -> dict[str, str]:
    """Return a patient's measurements as the form's fields have them."""
    typed = {}
    for name, value in patient.items():
        if isinstance(value, float):
            typed[name] = language.typed(value)
        elif value is not None:
            typed[name] = str(value)
    return typed


def _read_number_field(
    form: Form, name: str, plausible: Range, language: Language, unit: str
) -> float | None:
    text = form.get(name).strip()
    if not text:
        return None
    value = read_number(text)
    if value is None:
        example = language.number(_EXAMPLES.get(name, 70))
        form.errors[name] = language.say("Type a number, such as %(n)s.", n=example)
        return None
    if value not in plausible:
        form.errors[name] = language.say(
            "%(what)s is %(low)s to %(high)s %(unit)s.",
            what=_title(name, language),
            low=language.number(plausible.low),
            high=language.number(plausible.high),
            unit=unit,
        )
        return None
    if name in ("age", "bmi", "avg_glucose_level"):
        form.values[name] = value
    return value


def _title(name: str, language: Language) -> str:
    titles = {
        "height_cm": language.say("Height"),
        "height_ft": language.say("Height"),
        "height_in": language.say("Inches"),
        "weight_kg": language.say("Weight"),
        "weight_lb": language.say("Weight"),
    }
    return titles.get(name) or feature(name, language)


def _suspect_unit(form: Form, language: Language) -> None:
    """Ask whether the other unit is meant, where the number would be right in it."""
    value = read_number(form.get("avg_glucose_level"))
    if value is not None and value in glucose_range("mmol/L"):
        form.errors["avg_glucose_level"] = language.say(
            "%(n)s is far too low in mg/dL. Is it mmol/L?", n=language.number(value)
        )


def _bmi_of_height_and_weight(form: Form, language: Language) -> None:
    if form.get("height_system") == "imperial":
        feet = _read_number_field(form, "height_ft", FEET, language, FEET.unit)
        inches = _read_number_field(form, "height_in", INCHES, language, INCHES.unit)
        pounds = _read_number_field(form, "weight_lb", POUNDS, language, POUNDS.unit)
        if feet is None or pounds is None or "height_in" in form.errors:
            return
        metres = (feet * _INCHES + (inches or 0)) * _M_PER_INCH
        kilograms = pounds * _KG_PER_POUND
    else:
        centimetres = _read_number_field(form, "height_cm", HEIGHT_CM, language, HEIGHT_CM.unit)
        weight = _read_number_field(form, "weight_kg", WEIGHT_KG, language, WEIGHT_KG.unit)
        if centimetres is None or weight is None:
            return
        metres, kilograms = centimetres / 100, weight
    bmi = round(kilograms / metres**2, 1)
    if bmi not in BMI:
        form.errors["bmi"] = language.say(
            "Height and weight make a BMI of %(n)s. It is %(low)s to %(high)s.",
            n=language.number(bmi),
            low=language.number(BMI.low),
            high=language.number(BMI.high),
        )
        return
    form.values["bmi"] = form.bmi_from_height = bmi


def _read_own(form: Form, declared: FurtherFeature, language: Language) -> None:
    """Read the field of a feature that the model declares; an empty one is a missing value."""
    name = field_of(declared.name)
    given = form.get(name).strip()
    if not given:
        if declared.may_be_missing:
            form.own[declared.name] = None
        else:
            form.missing.append(name)
        return
    value: object = given
    if declared.kind is FeatureKind.NUMBER:
        value = read_signed(given)
    elif declared.kind is FeatureKind.FLAG:
        value = _FLAGS.get(given)
    if declared.reason(value) is None:
        form.own[declared.name] = declared.value_of(value)
    else:
        form.errors[name] = _wrong(declared, value, language)


def _wrong(declared: FurtherFeature, value: object, language: Language) -> str:
    """Return what is wrong with what was typed for a feature of the model's own."""
    if declared.kind is FeatureKind.FLAG:
        return language.say("Choose yes or no.")
    if declared.is_text:
        return language.say("Choose one of these.")
    if value is None:
        example = significant(float(declared.reference or 0), language)
        return language.say("Type a number, such as %(n)s.", n=example)
    return language.say(
        "%(what)s is %(low)s to %(high)s %(unit)s.",
        what=feature(declared.name, language),
        low=significant(declared.low, language),
        high=significant(declared.high, language),
        unit=declared.unit,
    ).replace(" .", ".")


def _read_flags(form: Form, language: Language) -> None:
    for name in ("hypertension", "heart_disease"):
        given = form.get(name)
        if given in _FLAGS:
            form.values[name] = _FLAGS[given]
        elif given:
            form.errors[name] = language.say("Choose yes or no.")


def _read_choice(form: Form, name: str, choices: Collection[str], language: Language) -> None:
    given = form.get(name)
    if given in choices:
        form.values[name] = given
    elif given:
        form.errors[name] = language.say("Choose one of these.")


def _read_text(form: Form, name: str, longest: int, language: Language) -> None:
    # A browser sends line breaks and tabs of what was pasted; they are blanks here.
    text = " ".join(form.get(name).split())
    if len(text) > longest:
        form.errors[name] = language.say_n(
            "At most %(n)s character.", "At most %(n)s characters.", longest
        )
    elif holds_controls(text):
        form.errors[name] = language.say("Letters, digits and signs only.")
    else:
        form.values[name] = text
