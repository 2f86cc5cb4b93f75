"""Whether the training data speak for a patient: how common such values were there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final


class SupportLevel(StrEnum):
    """How well the training data support an estimate.

    ``within``: patients like this one were common. ``edge``: they were rare. ``outside``: there
    was none, so that the estimate is a guess of the model's form.
    """

    WITHIN = "within"
    EDGE = "edge"
    OUTSIDE = "outside"


_RANK: Final = {level: rank for rank, level in enumerate(SupportLevel)}

_WORDS: Final = {
    "gender": "gender",
    "age": "age",
    "hypertension": "hypertension",
    "heart_disease": "heart disease",
    "avg_glucose_level": "average glucose level",
    "bmi": "BMI",
    "smoking_status": "smoking status",
}


class ReasonCode(StrEnum):
    """Stable names of the reasons; a translation goes by them.

    ``features[0]`` of a reason is the value that is rare, ``features[1]`` what it is rare for.
    """

    NONE_AS_LOW = "none-as-low"
    FEW_AS_LOW = "few-as-low"
    NONE_AS_HIGH = "none-as-high"
    FEW_AS_HIGH = "few-as-high"
    NONE_AS_LOW_FOR = "none-as-low-for"
    FEW_AS_LOW_FOR = "few-as-low-for"
    NONE_AS_HIGH_FOR = "none-as-high-for"
    FEW_AS_HIGH_FOR = "few-as-high-for"
    TOO_FEW_OF_KIND = "too-few-of-kind"
    FEW_OF_KIND = "few-of-kind"
    NONE_OF_KIND_FOR = "none-of-kind-for"
    FEW_OF_KIND_FOR = "few-of-kind-for"
    NO_SUCH_COMBINATION = "no-such-combination"
    RARE_COMBINATION = "rare-combination"

    @property
    def level(self) -> SupportLevel:
        """The level that this reason alone gives."""
        few = self.value.startswith(("few", "rare"))
        return SupportLevel.EDGE if few else SupportLevel.OUTSIDE


_KINDS: Final = {
    "hypertension": "answer about hypertension",
    "heart_disease": "answer about heart disease",
}
_TEXTS: Final = {
    ReasonCode.NONE_AS_LOW: "No patient of the training data had {value} this low.",
    ReasonCode.FEW_AS_LOW: "Fewer than {few} patients of the training data had {value} this low.",
    ReasonCode.NONE_AS_HIGH: "No patient of the training data had {value} this high.",
    ReasonCode.FEW_AS_HIGH: "Fewer than {few} patients of the training data had {value} this high.",
    ReasonCode.NONE_AS_LOW_FOR: "No training patient of about this {other} had {value} this low.",
    ReasonCode.FEW_AS_LOW_FOR: (
        "Fewer than {few} training patients of about this {other} had {value} this low."
    ),
    ReasonCode.NONE_AS_HIGH_FOR: "No training patient of about this {other} had {value} this high.",
    ReasonCode.FEW_AS_HIGH_FOR: (
        "Fewer than {few} training patients of about this {other} had {value} this high."
    ),
    ReasonCode.TOO_FEW_OF_KIND: "Fewer than {few} patients of the training data had this {kind}.",
    ReasonCode.FEW_OF_KIND: "Fewer than {few} patients of the training data had this {kind}.",
    ReasonCode.NONE_OF_KIND_FOR: "No training patient of about this {other} had this {kind}.",
    ReasonCode.FEW_OF_KIND_FOR: (
        "Fewer than {few} training patients of about this {other} had this {kind}."
    ),
    ReasonCode.NO_SUCH_COMBINATION: "No patient of the training data had such a combination.",
    ReasonCode.RARE_COMBINATION: "Such a combination was rare in the training data.",
}


@dataclass(frozen=True, slots=True)
class SupportReason:
    """One reason why a patient is at the edge of the training data, or outside.

    ``fewer_than`` is the number of patients that the code speaks of, None where it speaks of none.
    """

    code: ReasonCode
    features: tuple[str, ...]
    fewer_than: int | None
    text: str

    @classmethod
    def of(cls, code: ReasonCode, *features: str, fewer_than: int | None = None) -> SupportReason:
        """Return the reason with its words in plain English."""
        words = [_WORDS[feature] for feature in features]
        first = words[0] if words else ""
        article = "an" if first[:1] in "aeiou" else "a"
        text = _TEXTS[code].format(
            value=f"{article} {first}",
            kind=_KINDS.get(features[0], first) if features else "",
            other=words[-1] if words else "",
            few=fewer_than,
        )
        return cls(code, features, fewer_than, text)

    def as_data(self) -> dict[str, Any]:
        """Return what answers and rows hold of it."""
        return {
            "code": self.code.value,
            "features": list(self.features),
            "fewer_than": self.fewer_than,
            "text": self.text,
        }


@dataclass(frozen=True)
class Support:
    """The level of support and its reasons, those of the level first; none where it is within."""

    level: SupportLevel
    reasons: tuple[SupportReason, ...] = ()

    @classmethod
    def because(cls, reasons: Iterable[SupportReason]) -> Support:
        """Return the support that ``reasons`` leave: the level of the gravest."""
        ordered = sorted(reasons, key=lambda reason: -_RANK[reason.code.level])
        return cls(ordered[0].code.level, tuple(ordered)) if ordered else WITHIN

    @property
    def codes(self) -> str:
        """The codes of the reasons with their features, for a cell of a table."""
        return ";".join(" ".join((each.code, *each.features)) for each in self.reasons)

    def as_data(self) -> Mapping[str, Any]:
        """Return what answers and rows hold of it: one object for all, not to be changed."""
        return self._data

    @cached_property
    def _data(self) -> Mapping[str, Any]:
        # Patients share few values of support, and each one is written twice for each of them.
        return {
            "level": self.level.value,
            "reasons": [reason.as_data() for reason in self.reasons],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Support:
        """Return what ``as_data`` gave.

        Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else.
        """
        reasons = (
            SupportReason(
                ReasonCode(each["code"]), tuple(each["features"]), each["fewer_than"], each["text"]
            )
            for each in data["reasons"]
        )
        return cls(SupportLevel(data["level"]), tuple(reasons))


WITHIN: Final = Support(SupportLevel.WITHIN)
"""The support of a patient against whom nothing speaks."""
