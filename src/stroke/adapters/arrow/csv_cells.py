"""One CSV row taken apart and judged by the domain: slow, exact, with reasons.

The vectorised path must agree with this one; it sends here every row that it is not sure of.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final, NamedTuple

from stroke.application.predictions import cells
from stroke.application.predictions.cells import PERSONAL
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.features import ENGINEERED_FEATURES, disagreements
from stroke.domain.further import Further, values_of
from stroke.domain.patient import Patient, extended, lacking

_MEASUREMENTS: Final = ("age", "avg_glucose_level", "bmi")
_FLAGS: Final = ("hypertension", "heart_disease")


class JudgedRow(NamedTuple):
    """A row's patient, and how many characters of the row the header's columns take."""

    patient: Patient
    length: int


def split(row: str) -> list[str]:
    """Return the cells of ``row``, which has no line end; raises ``InvalidData``."""
    return [cell.text for cell in cells.split(row)]


def number(text: str) -> float | str:
    """Return the number that ``text`` is, in plain or scientific notation, or else ``text``."""
    return cells.number_of(text)


def judge(
    row: bytes, positions: Mapping[str, int], width: int, may_be_missing: Container[str] = ()
) -> Patient:
    """Return the patient that ``row`` holds, as ``judged`` does."""
    return judged(row, positions, width, may_be_missing).patient


def judged(
    row: bytes,
    positions: Mapping[str, int],
    width: int,
    may_be_missing: Container[str] = (),
    further: Further = (),
) -> JudgedRow:
    """Return the patient that ``row`` holds, or raise what is wrong with it.

    Raises ``InvalidPatient`` for values and ``InvalidData`` for a row that is no row of such
    a file (``width`` cells, known columns at ``positions``). Neither quotes the row.
    """
    try:
        text = row.decode()
    except UnicodeDecodeError:
        raise InvalidData("is not UTF-8 text") from None
    found = cells.without_surplus(cells.split(text), width)
    own = {each.name for each in further}
    values = {
        name: cells.restored(found[position].text)
        if name in own
        else cells.value_of(name, found[position])
        for name, position in positions.items()
    }
    return JudgedRow(patient_of(values, may_be_missing, further), found[-1].end)


def patient_of(
    values: Mapping[str, object], may_be_missing: Container[str] = (), further: Further = ()
) -> Patient:
    """Return the patient of ``values``, numbers or texts of them, as the domain judges them.

    ``further`` features are those that a model declares for itself.

    Without a value (None, or a mark for it) a personal text is empty, the smoking status is
    ``Unknown`` and an engineered feature claims nothing. Only the measurements in
    ``may_be_missing`` may have none. Raises ``InvalidPatient``, which quotes none of them.
    """
    fields: dict[str, object] = {"gender": cells.choice(values["gender"])}
    fields["smoking_status"] = cells.smoking_status(values["smoking_status"])
    for name in PERSONAL:
        if name in values:
            fields[name] = "" if values[name] is None else values[name]
    # What is no number goes there as text and is refused as such.
    fields |= {name: cells.measurement(values[name]) for name in _MEASUREMENTS}
    fields |= {name: cells.flag(values[name]) for name in _FLAGS}
    patient = Patient(**fields)  # type: ignore[arg-type]
    if gaps := lacking(patient.missing, may_be_missing):
        raise InvalidPatient(gaps)
    claims = {name: _claim(name, values[name]) for name in ENGINEERED_FEATURES if name in values}
    if wrong := disagreements(patient, claims):
        raise InvalidPatient(wrong)
    if not further:
        return patient
    own = {each.name: cells.further_cell(each, values) for each in further}
    return extended(patient, values_of(further, own))


def _claim(name: str, value: object) -> object:
    """Return what an engineered feature claims to be; without a value it claims nothing."""
    return cells.measurement(value) if name == "age_hypertension" else cells.choice(value)
