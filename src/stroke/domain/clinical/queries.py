"""What a record is asked for: queries of FHIR, as templates of CDS Hooks' restricted set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlencode

from stroke.domain.clinical import chart as keys
from stroke.domain.clinical.codes import CodeBook

_LOINC: Final = "http://loinc.org|"
_MEANS_MORE: Final = re.compile(r"[\\,$|]")
_ESCAPED: Final = r"\\\g<0>"
_OF_EACH: Final = 20  # observations of each feature
_WHO: Final = "{{context.patientId}}"


class Query(NamedTuple):
    """A request to a FHIR server: a search, or else the reading of one resource.

    ``target`` stands behind the server's base.
    """

    kind: str
    target: str
    searches: bool


def templates(book: CodeBook) -> dict[str, str]:
    """Return what gives each key of the prefetch, the newest observations first."""

    def observations(*meanings: str, count: int) -> str:
        codes = ",".join(
            f"{_LOINC}{code}"
            for meaning in meanings
            for code in book.observations[meaning].codes.get("loinc", ())
        )
        return f"Observation?patient={_WHO}&code={codes}&_sort=-date&_count={count}"

    found = {
        keys.PATIENT: f"Patient/{_WHO}",
        keys.BMI: observations("bmi", count=5),
        keys.BODY: observations("weight", "height", count=20),
        keys.GLUCOSE: observations("glucose", "mean_glucose", count=10),
        keys.SMOKING: observations("smoking", count=5),
        keys.CONDITIONS: f"Condition?patient={_WHO}&_count=500",
    }
    if further := _further_codes(book):
        count = _OF_EACH * sum(bool(each.observations.codes) for each in book.further.values())
        found[keys.FURTHER] = (
            f"Observation?patient={_WHO}&code={','.join(further)}&_sort=-date&_count={count}"
        )
    return found


def _further_codes(book: CodeBook) -> list[str]:
    """Return the codes of observations for features of a model's own, each behind its system.

    A site's codes may have any character: those that mean something in a search are escaped as FHIR
    says, and those that mean something in an address as URLs do.
    """
    addresses: dict[str, str] = {}
    for address, name in book.systems.items():
        addresses.setdefault(name, address)
    return [
        quote(f"{addresses[system]}|{_MEANS_MORE.sub(_ESCAPED, code)}", safe="/:|")
        for each in book.further.values()
        for system, codes in each.observations.codes.items()
        for code in codes
    ]


def queries(found: Mapping[str, str], patient_id: str) -> dict[str, Query]:
    """Return the templates ``found`` as requests for one patient."""
    return {key: _query(each, patient_id) for key, each in found.items()}


def _query(template: str, patient_id: str) -> Query:
    path, asks, parameters = template.partition("?")
    kind = path.partition("/")[0]
    if not asks:
        return Query(kind, path.replace(_WHO, quote(patient_id, safe="")), searches=False)
    pairs = [each.partition("=")[::2] for each in parameters.split("&")]
    filled = [(name, unquote(value).replace(_WHO, patient_id)) for name, value in pairs]
    return Query(kind, f"{path}?{urlencode(filled, quote_via=quote)}", searches=True)
