"""The page's way with numbers: natural frequencies, one denominator on a page, no bare risk.

Why these words: Gigerenzer et al., Psychol Sci Public Interest 2007; NICE NG197, 2021; van der Bles
et al., PNAS 2020. See docs/decisions/0089-the-page.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.entrypoints.ui.languages import Language

HUNDRED: Final = 100
NOTHING: Final = "\N{EN DASH}"
"""What stands for a value that is not there."""
_THOUSAND: Final = 1000
# The least log-odds, either way, that are called so.
_STRONGLY, _PLAINLY, _A_LITTLE = 1.0, 0.25, 0.05


@dataclass(frozen=True, slots=True)
class Frequency:
    """A risk as so many ``of`` 100 or 1,000 people; ``count`` is rounded."""

    probability: float
    of: int = HUNDRED

    @classmethod
    def headline(cls, probability: float) -> Frequency:
        """Return the frequency whose ``of`` the whole page counts: 1,000 below 1 in 100."""
        return cls(probability, HUNDRED if probability >= 1 / HUNDRED else _THOUSAND)

    @property
    def count(self) -> int:
        """How many of them, rounded; a risk that is not certain is never all of them."""
        rounded = int(self.probability * self.of + 0.5)
        return min(rounded, self.of - 1) if self.probability < 1 else self.of

    @property
    def rest(self) -> int:
        """How many of them are not."""
        return self.of - self.count

    @property
    def is_less_than_one(self) -> bool:
        """Whether it rounds to none, and is some."""
        return self.count == 0

    def short(self, language: Language) -> str:
        """Return the number alone: 18, or < 1."""
        return "< 1" if self.is_less_than_one else language.number(self.count)


def in_words(frequency: Frequency, language: Language) -> str:
    """Return the frequency: 18 in 100, or fewer than 1 in 1,000."""
    of = language.number(frequency.of)
    if frequency.is_less_than_one:
        return language.say("fewer than 1 in %(of)s", of=of)
    return language.say("%(count)s in %(of)s", count=frequency.short(language), of=of)


def sentence(frequency: Frequency, language: Language) -> str:
    """Return the sentence that says both sides."""
    of = language.number(frequency.of)
    if frequency.is_less_than_one:
        return language.say("Of %(of)s people like this one, fewer than 1 has had a stroke.", of=of)
    if frequency.count == 1:
        return language.say(
            "Of %(of)s people like this one, 1 has had a stroke and %(rest)s have not.",
            of=of,
            rest=language.number(frequency.rest),
        )
    if frequency.rest == 1:
        return language.say(
            "Of %(of)s people like this one, %(count)s have had a stroke and 1 has not.",
            of=of,
            count=language.number(frequency.count),
        )
    return language.say(
        "Of %(of)s people like this one, %(count)s have had a stroke and %(rest)s have not.",
        of=of,
        count=language.number(frequency.count),
        rest=language.number(frequency.rest),
    )


def difference(before: Frequency, after: Frequency, language: Language) -> str:
    """Return the difference of the rounded numbers, so that what is shown adds up."""
    change = after.count - before.count
    of = language.number(after.of)
    if change == 0:
        return language.say("as now")
    was = before.short(language)
    if change < 0:
        return language.say(
            "instead of %(was)s: %(n)s fewer in %(of)s", was=was, n=language.number(-change), of=of
        )
    return language.say(
        "instead of %(was)s: %(n)s more in %(of)s", was=was, n=language.number(change), of=of
    )


def effect(log_odds: float, language: Language) -> str:
    """Return what a measurement does to the estimate, by the size of its log-odds."""
    size, raises = abs(log_odds), log_odds > 0
    if size >= _STRONGLY:
        return language.say("raises strongly") if raises else language.say("lowers strongly")
    if size >= _PLAINLY:
        return language.say("raises") if raises else language.say("lowers")
    if size >= _A_LITTLE:
        return language.say("raises a little") if raises else language.say("lowers a little")
    return language.say("hardly matters")


def band(category: str | None, language: Language) -> str:
    """Return the word of a band, or a dash where a row has none."""
    known = {
        "Low": language.say("Low"),
        "Medium": language.say("Medium"),
        "High": language.say("High"),
    }
    return known.get(category or "", NOTHING)


def sex(gender: str | None, language: Language) -> str:
    """Return the word of a sex."""
    known = {
        "Female": language.say("female"),
        "Male": language.say("male"),
        "Other": language.say("other"),
    }
    return known.get(gender or "", NOTHING)


def smoking(status: str | None, language: Language) -> str:
    """Return the words of a smoking status."""
    known = {
        "never smoked": language.say("never"),
        "formerly smoked": language.say("formerly"),
        "smokes": language.say("smokes"),
        "Unknown": language.say("unknown"),
    }
    return known.get(status or "", NOTHING)


def yes_no(flag: float | str | None, language: Language) -> str:
    """Return yes for 1 and no for 0."""
    if flag is None:
        return NOTHING
    return language.say("yes") if flag == 1 else language.say("no")


def feature(name: str, language: Language) -> str:
    """Return what a feature of the model is called.

    One that a model declares for itself is called by its name, if no catalogue has it.
    """
    known = {
        "age": language.say("Age"),
        "gender": language.say("Sex"),
        "hypertension": language.say("High blood pressure"),
        "heart_disease": language.say("Heart disease"),
        "avg_glucose_level": language.say("Average glucose"),
        "bmi": language.say("BMI"),
        "smoking_status": language.say("Smoking"),
        "probability": language.say("Estimate"),
    }
    return known.get(name) or in_catalogue(name.replace("_", " "), language)


def in_catalogue(word: str, language: Language) -> str:
    """Return a word of a model's own in the language, where a clinic's catalogue has it."""
    # An empty text stands for the head of a catalogue.
    return language.translations.ugettext(word) if word else word


_SMALLEST, _LARGEST = 1e-6, 1e9  # numbers that six decimals and a line have room for
Unit = Literal["mg/dL", "mmol/L"]
MG_PER_MMOL: Final = 18.0156
"""Milligrams in a decilitre for a millimole in a litre: glucose has 180.156 g/mol."""


def measured(name: str, value: object, language: Language, glucose_unit: Unit = "mg/dL") -> str:
    """Return a measurement as people read it, with its unit."""
    if value is None:
        return language.say("not measured")
    if name == "gender":
        return sex(str(value), language)
    if name == "smoking_status":
        return smoking(str(value), language)
    if not isinstance(value, int | float):
        return str(value)
    return _number(name, value, language, glucose_unit)


def own_value(declared: FurtherFeature, value: Any, language: Language) -> str:
    """Return a value of a feature that a model declares for itself, with its unit."""
    if value is None:
        return language.say("not measured")
    if declared.reason(value) is not None:  # of a row that another program changed
        return str(value)
    if declared.is_text:
        return in_catalogue(value, language)
    if declared.kind is FeatureKind.FLAG:
        return yes_no(value, language)
    return f"{significant(value, language)} {declared.unit}".strip()


def significant(value: float, language: Language) -> str:
    """Return a number of any size as it is written, to six significant digits."""
    shown = float(f"{value:.6g}")
    if shown and not _SMALLEST <= abs(shown) < _LARGEST:
        return f"{shown:.6g}".replace("-", "\N{MINUS SIGN}")
    return language.number(shown)


def _number(name: str, value: float, language: Language, glucose_unit: Unit) -> str:
    match name:
        case "hypertension" | "heart_disease":
            return yes_no(value, language)
        case "age":
            return language.say("%(n)s years", n=language.number(value))
        case "bmi":
            return f"{language.number(round(value, 1))} kg/m²"
        case "avg_glucose_level":
            return f"{language.number(in_unit(value, glucose_unit))} {glucose_unit}"
    return language.number(value)


def in_unit(milligrams: float, unit: Unit) -> float:
    """Return glucose in ``unit``, rounded as that unit is read."""
    return round(milligrams / MG_PER_MMOL, 2) if unit == "mmol/L" else round(milligrams, 2)
