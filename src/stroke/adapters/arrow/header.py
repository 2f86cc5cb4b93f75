"""The header of a CSV of patients: which column holds what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stroke.adapters.arrow.cells import split
from stroke.adapters.arrow.rows import BOM
from stroke.domain.errors import InvalidData
from stroke.domain.features import ENGINEERED_FEATURES, RAW_FEATURES

PERSONAL: Final = ("name", "country", "province")
ADDED: Final = ("probability", "risk_category", "contributing_factors", "model_version")
PREDICTION_ID: Final = "prediction_id"


@dataclass(frozen=True, slots=True)
class Header:
    """Columns of a file: ``positions`` of those that stroke knows, and ``width`` of them all."""

    width: int
    positions: Mapping[str, int]

    @classmethod
    def parse(cls, text: bytes, *, store: bool) -> Header:
        """Read a header row. Raises ``InvalidData`` naming every column that is in the way.

        The raw features must be there, and with ``store`` the personal columns too. Columns
        of the engineered features are optional, all others are nobody's business, except the
        names of the columns that scoring adds.
        """
        try:
            names = [name.strip() for name in split(text.removeprefix(BOM).decode())]
        except UnicodeDecodeError:
            raise InvalidData("the header is not UTF-8 text: save the file as UTF-8 CSV") from None
        required = RAW_FEATURES + (PERSONAL if store else ())
        missing = [name for name in required if name not in names]
        if missing:
            hint = "" if len(names) > 1 else " (cells must be separated by commas)"
            raise InvalidData(f"columns missing from the header: {', '.join(missing)}{hint}")
        known = RAW_FEATURES + PERSONAL + ENGINEERED_FEATURES
        twice = [name for name in known if names.count(name) > 1]
        if twice:
            raise InvalidData(f"columns that stand twice in the header: {', '.join(twice)}")
        taken = [name for name in (*ADDED, PREDICTION_ID) if name in names]
        if taken:
            raise InvalidData(f"columns that scoring would add, rename them: {', '.join(taken)}")
        return cls(len(names), {name: names.index(name) for name in known if name in names})
