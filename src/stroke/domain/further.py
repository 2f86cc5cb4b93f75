"""Features that a model declares for itself, beyond the seven that every patient has."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from stroke.domain.errors import InvalidPatient, Violation
from stroke.domain.features import FEATURES
from stroke.domain.patient import FurtherValues, flag_of

MOST_FURTHER: Final = 20
"""How many features a model may declare: a request with all of them stays a small one."""

MOST_CATEGORIES: Final = 50
LONGEST_CATEGORY: Final = 100

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_RESERVED: Final = frozenset(
    {
        *FEATURES,
        # other fields of requests and columns of tables and files
        *("name", "country", "province", "id", "prediction_id", "timestamp", "date", "stroke"),
        *("probability", "risk_category", "contributing_factors", "prediction_data"),
        *("model_version", "model_variant", "idempotency_key", "site", "created_by", "source"),
        *("interval_low", "interval_high", "support_reasons", "average_risk", "equal_age"),
        *("relative_to_average", "reference_risk", "relative_to_reference", "line", "reason"),
        "problem",
        # keys of prediction_data, and outputs of graphs
        *("baseline_log_odds", "log_odds", "accuracy", "interval", "support", "comparison"),
        *("contributions", "probabilities", "output_probability", "leverage", "missing"),
        *("patient", "patients", "changes", "subject", "store"),
    }
)
_KEYS: Final = frozenset(name.replace("_", "") for name in _RESERVED)


class FeatureKind(StrEnum):
    """What the values of a declared feature are."""

    NUMBER = "number"
    FLAG = "flag"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True)
class FurtherFeature:
    """A feature that a model's manifest declares.

    A number lies between ``low`` and ``high``, in ``unit``; a category is one of ``categories``; a
    flag is 0 or 1. Explanations compare with ``reference``. Raises ``ValueError`` saying what is
    wrong with the declaration.
    """

    name: str
    kind: FeatureKind
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    categories: tuple[str, ...] = ()
    may_be_missing: bool = False
    reference: float | int | str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a name has 1 to 40 letters, digits and underscores, a letter first")
        key = key_of_feature(self.name)
        if key in _KEYS or key.startswith("logodds"):  # as columns of contributions do
            raise ValueError(f"{self.name} is the name of something else already")
        if not self.unit.isprintable() or len(self.unit) > LONGEST_CATEGORY:
            raise ValueError(f"the unit of {self.name} is not a short printable text")
        if self.kind is FeatureKind.CATEGORY:
            self._check_categories()
        elif self.categories:
            raise ValueError(f"{self.name} is no category: it has no categories")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"the range of {self.name} needs a lower and a higher finite number")
        if self.reference is None:
            object.__setattr__(self, "reference", self._usual())
        if self.reason(self.reference) is not None:
            raise ValueError(f"the reference of {self.name} is none of its values")

    @property
    def is_text(self) -> bool:
        """Whether its values are words."""
        return self.kind is FeatureKind.CATEGORY

    def reason(self, value: object) -> str | None:
        """Return what is wrong with ``value``, without quoting it; None for a value of it."""
        if self.kind is FeatureKind.CATEGORY:
            known = isinstance(value, str) and value in self.categories
            return None if known else f"must be one of {', '.join(map(repr, self.categories))}"
        if self.kind is FeatureKind.FLAG:
            return None if flag_of(value) is not None else "must be 0 or 1"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "must be a number"
        # An int of any length is finite, and may be too long to ask of it as a float.
        if isinstance(value, float) and not math.isfinite(value):
            return "must be a finite number"
        unit = f" {self.unit}" if self.unit else ""
        inside = self.low <= value <= self.high
        return None if inside else f"must be {self.low:g} to {self.high:g}{unit}"

    def takes(self, value: object) -> bool:
        """Return whether ``value``, None for a missing one, may be a patient's."""
        return self.may_be_missing if value is None else self.reason(value) is None

    def as_data(self) -> dict[str, Any]:
        """Return the declaration as manifests and answers have it."""
        data: dict[str, Any] = {"name": self.name, "type": self.kind.value}
        if self.kind is FeatureKind.NUMBER:
            data |= {"range": [self.low, self.high], "unit": self.unit}
        elif self.is_text:
            data["categories"] = list(self.categories)
        return data | {"may_be_missing": self.may_be_missing, "reference": self.reference}

    def value_of(self, value: object) -> float | int | str | None:
        """Return ``value`` as it is stored: a float, 0 or 1, or a word; None where it is missing.

        Raises ``InvalidPatient``.
        """
        if value is None and self.may_be_missing:
            return None
        if (wrong := self.reason(value)) is not None:
            raise InvalidPatient((Violation(self.name, wrong),))
        if self.kind is FeatureKind.FLAG:
            return flag_of(value)
        return value if isinstance(value, str) else float(value)  # type: ignore[arg-type]

    def _check_categories(self) -> None:
        if not 1 < len(self.categories) <= MOST_CATEGORIES:
            raise ValueError(f"{self.name} needs 2 to {MOST_CATEGORIES} categories")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"a category of {self.name} is there twice")
        for each in self.categories:
            if each != each.strip() or not 0 < len(each) <= LONGEST_CATEGORY:
                raise ValueError(
                    f"a category of {self.name} has 1 to {LONGEST_CATEGORY} characters, and no "
                    "blanks around them"
                )
            if not each.isprintable():
                raise ValueError(f"a category of {self.name} has control characters")

    def _usual(self) -> float | int | str:
        if self.kind is FeatureKind.CATEGORY:
            return self.categories[0]
        return 0 if self.kind is FeatureKind.FLAG else (self.low + self.high) / 2


Further = tuple[FurtherFeature, ...]
"""What a model declares, in its order; empty for most."""


def key_of_feature(name: str) -> str:
    """Return what two spellings of a name share in the header of a file."""
    return name.replace("_", "").casefold()


def check_declared(further: Further) -> None:
    """Raise ``ValueError`` unless a model may declare all of ``further`` together."""
    if len(further) > MOST_FURTHER:
        raise ValueError(f"a model declares at most {MOST_FURTHER} further features")
    keys = [key_of_feature(each.name) for each in further]
    if len(set(keys)) != len(keys):
        raise ValueError("two further features have the same name, or nearly so")


def values_of(further: Iterable[FurtherFeature], given: Mapping[str, object]) -> FurtherValues:
    """Return the values of ``further`` among ``given``, in the order of the declarations.

    A name that is not there is a missing value. Raises ``InvalidPatient`` naming every feature
    whose value is wrong, or missing where it must not be.
    """
    values: list[tuple[str, float | int | str | None]] = []
    violations: list[Violation] = []
    for each in further:
        try:
            values.append((each.name, each.value_of(given.get(each.name))))
        except InvalidPatient as error:
            violations += error.violations
    if violations:
        raise InvalidPatient(tuple(violations))
    return tuple(values)


def check_values(further: Iterable[FurtherFeature], values: FurtherValues) -> None:
    """Raise ``InvalidPatient`` unless ``values`` are those that a model with ``further`` takes.

    Values of other features do not matter.
    """
    values_of(further, dict(values))
