"""The header of a CSV of patients: which column holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stroke.adapters.arrow.csv_cells import split
from stroke.adapters.arrow.csv_rows import BOM
from stroke.application.predictions.cells import (
    PERSONAL,
    check_columns,
    check_line_ends,
    key_of,
    known_names,
    restored,
    trimmed,
)
from stroke.application.predictions.scored_columns import ADDED, PREDICTION_ID
from stroke.domain.errors import InvalidData
from stroke.domain.features import ENGINEERED_FEATURES, RAW_FEATURES
from stroke.domain.further import Further


@dataclass(frozen=True, slots=True)
class Header:
    """Columns of a file: ``positions`` of those that stroke knows, and ``width`` of them all.

    ``may_be_missing`` names the measurements that a row may lack. ``further`` are the features that
    the model declares for itself.
    """

    width: int
    positions: Mapping[str, int]
    may_be_missing: Sequence[str] = ()
    further: Further = ()

    @classmethod
    def parse(
        cls,
        text: bytes,
        *,
        store: bool,
        added: Sequence[str] = (*ADDED, PREDICTION_ID),
        may_be_missing: Sequence[str] = (),
        further: Further = (),
    ) -> Header:
        """Read a header row. Raises ``InvalidData`` naming every column that is in the way.

        The raw features must be there, those of ``further`` that must not be missing, and with
        ``store`` the personal columns too. Columns
        of the engineered features are optional, all others are nobody's business, except the
        names of the columns that scoring adds.
        """
        return cls.of(
            names_of(text),
            needed=PERSONAL if store else (),
            added=added,
            may_be_missing=may_be_missing,
            further=further,
        )

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        *,
        needed: Sequence[str] = (),
        added: Sequence[str] = (*ADDED, PREDICTION_ID),
        may_be_missing: Sequence[str] = (),
        further: Further = (),
    ) -> Header:
        """Find the columns by their ``names``; as ``parse`` does, which takes them from a text.

        ``needed`` ones must be there in addition to the raw features; ``added`` ones must not.
        """
        own = tuple(each.name for each in further)
        known = RAW_FEATURES + PERSONAL + ENGINEERED_FEATURES + own
        names = known_names(names, known)
        needed = (*needed, *(each.name for each in further if not each.may_be_missing))
        check_columns(names, (*RAW_FEATURES, *needed), known)
        keys = {key_of(name) for name in names}
        taken = [name for name in added if key_of(name) in keys]
        if taken:
            raise InvalidData(_in_the_way(taken))
        positions = {name: names.index(name) for name in known if name in names}
        return cls(len(names), positions, may_be_missing, further)


def names_of(text: bytes) -> list[str]:
    """Return the names in a header row. Raises ``InvalidData``."""
    try:
        names = [restored(trimmed(name)) for name in split(text.removeprefix(BOM).decode())]
    except UnicodeDecodeError:
        raise InvalidData("the header is not UTF-8 text: save the file as UTF-8 CSV") from None
    check_line_ends(names)
    return names


def _in_the_way(taken: Sequence[str]) -> str:
    stored = PREDICTION_ID in taken
    hint = " (the rows that have a prediction_id are stored already)" if stored else ""
    return f"columns that scoring would add, rename them: {', '.join(taken)}{hint}"
