"""What two models say of the same patients, in few bytes for each."""

from __future__ import annotations

from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.application.models.columns import Whole
from stroke.application.models.judged import JudgedRows
from stroke.application.quality.calibration import Floats
from stroke.application.quality.performance import Sample
from stroke.domain.features import AGE_GROUPS

_HIGH: Final = 2  # Low, Medium, High
# Places of categories and of levels are small numbers.
_COLUMNS: Final = {
    "outcome": "b",
    "first": "d",
    "first_category": "b",
    "second": "d",
    "second_category": "b",
    "gender": "b",
    "age_group": "b",
    "smoking": "b",
    "site": "i",
}


class KeptPairs:
    """Keeps two probabilities, two categories, outcome and groups: 26 bytes for each patient.

    The columns grow in place: arrays that are joined at the end would take their room twice.
    """

    def __init__(self) -> None:
        self._columns = {name: array(kind) for name, kind in _COLUMNS.items()}
        self._sites: dict[str, int] = {"": 0}

    def add(
        self, rows: JudgedRows, first: tuple[Floats, Whole], second: tuple[Floats, Whole]
    ) -> None:
        """Add patients, and the probabilities and categories that both models give them."""
        read = rows.features
        sites = [self._sites.setdefault(site, len(self._sites)) for site in rows.site.tolist()]
        for name, values in (
            ("outcome", rows.stroke),
            ("first", first[0]),
            ("first_category", first[1]),
            ("second", second[0]),
            ("second_category", second[1]),
            ("gender", read["gender"]),
            ("age_group", np.searchsorted(AGE_GROUPS.cuts, read["age"], side="right")),
            ("smoking", read["smoking_status"]),
            ("site", sites),
        ):
            kept = self._columns[name]
            kept.frombytes(np.ascontiguousarray(values, np.dtype(kept.typecode)).tobytes())

    def samples(self) -> tuple[Sample, Sample]:
        """Return all patients as either model sees them; both share what is the patients' own."""
        kept: dict[str, NDArray[Any]] = {
            name: np.frombuffer(values, np.dtype(values.typecode))
            for name, values in self._columns.items()
        }
        names = np.array([*self._sites], object)
        size = len(kept["outcome"])
        # A constant takes no room; without sites, their names do not either.
        site = names[kept["site"]] if len(names) > 1 else np.broadcast_to(names, size)
        variant = np.broadcast_to(np.int8(0), size)

        def of(model: str) -> Sample:
            category = kept[f"{model}_category"]
            return Sample(
                outcome=kept["outcome"],
                probability=kept[model],
                medium=category >= 1,
                high=category >= _HIGH,
                gender=kept["gender"],
                age_group=kept["age_group"],
                variant=variant,
                smoking=kept["smoking"],
                site=site,
            )

        return of("first"), of("second")
