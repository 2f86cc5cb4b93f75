"""What two models say of the same patients, kept outside memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stroke.application.models.columns import Whole
from stroke.application.models.judged import JudgedRows
from stroke.application.models.ports import NewScratch, Scratch
from stroke.application.quality.calibration import Floats, Labels
from stroke.application.quality.performance import (
    AGE_LEVELS,
    GENDER_LEVELS,
    MISSING,
    SMOKING_LEVELS,
)
from stroke.application.quality.sums import Mask
from stroke.domain.features import AGE_GROUPS
from stroke.domain.performance import ALL

# Places of categories and of levels are small numbers: 26 bytes for each patient.
_PATIENT: Final = np.dtype(
    [
        ("outcome", "i1"),
        ("first", "f8"),
        ("first_category", "i1"),
        ("second", "f8"),
        ("second_category", "i1"),
        ("gender", "i1"),
        ("age_group", "i1"),
        ("smoking_status", "i1"),
        ("site", "i4"),
    ]
)
_MEDIUM: Final = 1  # Low, Medium, High
_AT_ONCE: Final = 1 << 16


class Answers(NamedTuple):
    """What one model said: probabilities and the places of the categories, ``(N,)`` each."""

    probability: Floats
    category: Whole

    def bands(self) -> tuple[Mask, Mask]:
        """Return who is in Medium or High, and who in High."""
        return self.category >= _MEDIUM, self.category > _MEDIUM


class Piece(NamedTuple):
    """Some patients, and what the first and the second model say of them."""

    outcome: Labels
    answers: tuple[Answers, Answers]


class LevelOfPairs(NamedTuple):
    """A level of a group, or everybody: how many patients and strokes, and where they are."""

    group: str
    level: str
    samples: int
    events: int
    place: int


class PairedPatients:
    """Patients of one level, who can be read as often as needed."""

    def __init__(self, kept: Scratch) -> None:
        self._kept = kept

    def pieces(self) -> Iterator[Piece]:
        """Yield all patients in the order in which they were added."""
        for some in _read(self._kept):
            first, second = (
                Answers(some[model].copy(), some[f"{model}_category"].copy())
                for model in ("first", "second")
            )
            yield Piece(some["outcome"].astype(np.int64), (first, second))


class KeptPairs:
    """Keeps two probabilities, two categories, outcome and groups: 26 bytes for each patient."""

    def __init__(self, scratch: NewScratch) -> None:
        self._scratch = scratch
        self._kept = scratch(_PATIENT)
        self._sites: dict[str, int] = {"": 0}
        self._counts: dict[str, Counter[tuple[int, int]]] = {
            group: Counter() for group in (ALL, "gender", "age_group", "smoking_status", "site")
        }

    def add(self, rows: JudgedRows, first: Answers, second: Answers) -> None:
        """Add patients, and what both models say of them."""
        read = rows.features
        kept = np.empty(len(rows.stroke), _PATIENT)
        for name, values in {
            "outcome": rows.stroke,
            "first": first.probability,
            "first_category": first.category,
            "second": second.probability,
            "second_category": second.category,
            "gender": read["gender"],
            "age_group": np.searchsorted(AGE_GROUPS.cuts, read["age"], side="right"),
            "smoking_status": read["smoking_status"],
            "site": [self._sites.setdefault(each, len(self._sites)) for each in rows.site.tolist()],
        }.items():
            kept[name] = values
        self._kept.append(kept)
        for group, counts in self._counts.items():
            places = np.zeros(len(kept), np.int64) if group == ALL else kept[group]
            for outcome in (0, 1):
                found, numbers = np.unique(places[kept["outcome"] == outcome], return_counts=True)
                for place, number in zip(found.tolist(), numbers.tolist(), strict=True):
                    counts[place, outcome] += number

    def levels(self) -> Iterator[LevelOfPairs]:
        """Yield everybody, and then each level that has patients; see ``performance.parts``."""
        smoking = self._counts["smoking_status"].keys()
        knows_smoking = any(SMOKING_LEVELS[place] != MISSING for place, _ in smoking)
        sites = sorted(self._sites.items()) if len(self._sites) > 1 else []
        for group, levels in (
            (ALL, [(ALL, 0)]),
            ("gender", [(name, at) for at, name in enumerate(GENDER_LEVELS)]),
            ("age_group", [(name, at) for at, name in enumerate(AGE_LEVELS)]),
            (
                "smoking_status",
                [(name, at) for at, name in enumerate(SMOKING_LEVELS) if knows_smoking],
            ),
            ("site", [(name or MISSING, at) for name, at in sites]),
        ):
            counts = self._counts[group]
            for name, place in levels:
                others, strokes = counts[place, 0], counts[place, 1]
                if group == ALL or others + strokes:
                    yield LevelOfPairs(group, name, others + strokes, strokes, place)

    @contextmanager
    def patients(self, level: LevelOfPairs) -> Iterator[PairedPatients]:
        """Give the patients of a level; a level of a group is a copy, which is let go again."""
        if level.group == ALL:
            yield PairedPatients(self._kept)
            return
        with closing(self._scratch(_PATIENT)) as chosen:
            for some in _read(self._kept):
                chosen.append(some[some[level.group] == level.place])
            yield PairedPatients(chosen)

    def close(self) -> None:
        """Let the patients go."""
        self._kept.close()


def _read(kept: Scratch) -> Iterator[NDArray[Any]]:
    for start in range(0, len(kept), _AT_ONCE):
        yield kept.read(start, start + _AT_ONCE)
