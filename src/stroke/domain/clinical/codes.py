"""The codes by which a record's measurements and conditions are found: a book of them.

A code is matched by its system and its value, never by its text. ICD-10 is matched by its
beginning, for a record may be finer than the book: I25 finds I25.1, and I20-I25 finds both.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from stroke.domain.errors import InvalidCodes
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.patient import SMOKING_STATUSES

ICD10: Final = "icd-10"
OTHER_SYSTEM: Final = "other"
NO_SYSTEM: Final = "none"

OBSERVATIONS: Final = (
    "bmi",
    "weight",
    "height",
    "glucose",
    "mean_glucose",
    "never_glucose",
    "smoking",
)
CONDITIONS: Final = ("hypertension", "heart_disease", "ischaemic_heart_disease", "stroke")
LEVELS: Final = ("confirmed", "known", "site")
"""How sure a code is: seen in records of others, known and to be checked, or a site's own."""

_PARTS: Final = {
    "observations": OBSERVATIONS,
    "conditions": CONDITIONS,
    "smoking_answers": SMOKING_STATUSES,
}
_TEXTS: Final = ("version", "licences", "systems", "remove")
_FURTHER: Final = "further"
_PLACES: Final = ("observations", "conditions", "patient")
MARITAL_STATUS: Final = "maritalStatus"
"""The only field of a Patient that a feature of a model's own may come from."""
_FLAGS: Final = frozenset({"0", "1"})
_ICD10: Final = re.compile(r"[A-Z][0-9][0-9A-Z](\.?[0-9A-Z]{1,4})?")
_RANGE: Final = re.compile(r"[A-Z][0-9][0-9A-Z]-[A-Z][0-9][0-9A-Z]")
# Behind it ICD-10-GM may have a dagger, an asterisk, how sure it is and which side.
_HEAD: Final = re.compile(r"[A-Z][0-9][0-9A-Z](?:\.?[0-9A-Z]{1,4})?")
_CATEGORY: Final = 3


class Coding(NamedTuple):
    """One code of a system, the system by the book's short name or as the record has it."""

    system: str
    code: str


@dataclass(frozen=True, slots=True)
class CodeSet:
    """The codes of one meaning: by system, each with how sure it is."""

    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def holds(self, coding: Coding) -> bool:
        """Return whether the coding means this."""
        listed = self.codes.get(coding.system)
        if not listed:
            return False
        if coding.system != ICD10:
            return coding.code in listed
        found = _plain(coding.code)
        return any(_covers(entry, found) for entry in listed)


@dataclass(frozen=True, slots=True)
class FurtherCodes:
    """Where a record has a feature that a model declares for itself.

    It has one place: ``observations``, ``conditions``, or the patient's marital status. ``units``
    are factors to the model's unit, by UCUM code or text; ``values`` are answers, by the model's
    word for them ("0" and "1" for a flag).
    """

    observations: CodeSet = field(default_factory=CodeSet)
    conditions: CodeSet = field(default_factory=CodeSet)
    marital_status: bool = False
    units: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, CodeSet] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Which part of a record it is: one of a code file's three."""
        if self.marital_status:
            return "patient"
        return "observations" if self.observations.codes else "conditions"

    def fits(self, feature: FurtherFeature) -> bool:
        """Return whether values of ``feature`` can be found by these codes."""
        if feature.kind is FeatureKind.NUMBER:
            return self.place == "observations"
        if feature.is_text:
            return self.place != "conditions" and not self.values.keys().isdisjoint(
                feature.categories
            )
        return self.place != "patient" or not self.values.keys().isdisjoint(_FLAGS)


@dataclass(frozen=True, slots=True)
class CodeBook:
    """Every code that is looked for, and the systems' addresses.

    ``version`` is that of the shipped file, with that of the site's file behind a ``+``.
    """

    version: str
    licences: tuple[str, ...]
    systems: Mapping[str, str]
    """The short name of each system, by its address."""
    observations: Mapping[str, CodeSet]
    conditions: Mapping[str, CodeSet]
    smoking_answers: Mapping[str, CodeSet]
    further: Mapping[str, FurtherCodes] = field(default_factory=dict)
    """By the name of the feature that a model may declare."""

    def maps(self, feature: FurtherFeature) -> bool:
        """Return whether the book says where a record has a feature of a model's own."""
        codes = self.further.get(feature.name)
        return codes is not None and codes.fits(feature)

    def observed(self) -> Iterator[tuple[str, CodeSet]]:
        """Give each meaning that an observation may have, with its codes."""
        yield from self.observations.items()
        for name, codes in self.further.items():
            yield meaning_of(name), codes.observations

    def diagnosed(self) -> Iterator[tuple[str, CodeSet]]:
        """Give each meaning that a condition may have, with its codes."""
        yield from self.conditions.items()
        for name, codes in self.further.items():
            yield meaning_of(name), codes.conditions

    def coding(self, system: str | None, code: str) -> Coding:
        """Return a coding of a record with the short name of its system."""
        if system is None:
            return Coding(NO_SYSTEM, code)
        address = system.strip().rstrip("/").partition("|")[0]
        return Coding(self.systems.get(address, OTHER_SYSTEM), code.strip())

    def listed(self) -> Iterable[tuple[str, str, str, str]]:
        """Give meaning, system, code and how sure it is, for each code of the book."""
        for part in (self.observations, self.smoking_answers, self.conditions):
            for meaning, found in part.items():
                yield from _listed(meaning, found)
        for name, own in self.further.items():
            for found in (own.observations, own.conditions):
                yield from _listed(meaning_of(name), found)
            for word, found in own.values.items():
                yield from _listed(f"{meaning_of(name)} = {word}", found)


def meaning_of(feature: str) -> str:
    """Return the meaning that a feature of a model's own has among the book's: none has a dot."""
    return f"{_FURTHER}.{feature}"


def _listed(meaning: str, found: CodeSet) -> Iterator[tuple[str, str, str, str]]:
    for system, codes in found.codes.items():
        for code, level in codes.items():
            yield meaning, system, code, level


def code_book(shipped: Mapping[str, Any], site: Mapping[str, Any] | None = None) -> CodeBook:
    """Return the book of the ``shipped`` document, changed by that of a ``site``.

    A site's document has the same parts, each optional: its codes are added, its systems too. Of
    ``further`` a name that both have is the site's.
    Under ``remove`` it has codes, by part, meaning and system, that do not count. Raises
    ``InvalidCodes``, which says which part of a document is wrong.
    """
    _check(shipped, "the shipped codes", needs_all=True)
    merged = {part: _copied(shipped[part]) for part in _PARTS}
    systems = {name: list(urls) for name, urls in shipped["systems"].items()}
    version = str(shipped["version"])
    licences = tuple(shipped["licences"])
    if site is not None:
        _check(site, "the site's codes", needs_all=False)
        version = f"{version}+{site['version']}"
        licences += tuple(site.get("licences", ()))
        for name, urls in site.get("systems", {}).items():
            systems.setdefault(name, []).extend(urls)
        for part in _PARTS:
            _add(merged[part], site.get(part, {}))
            _take_away(merged[part], site.get("remove", {}).get(part, {}))
    own = {**shipped.get(_FURTHER, {}), **({} if site is None else site.get(_FURTHER, {}))}
    further = {name: _further_codes(each) for name, each in own.items()}
    used = {system for part in merged.values() for codes in part.values() for system in codes}
    used.update(*(found.codes for each in further.values() for found in _sets_of(each)))
    unknown = used - set(systems)
    if unknown:
        raise InvalidCodes(f"codes have systems without an address: {', '.join(sorted(unknown))}")
    return CodeBook(
        version,
        licences,
        {url.rstrip("/"): name for name, urls in systems.items() for url in urls},
        _sets(merged["observations"]),
        _sets(merged["conditions"]),
        _sets(merged["smoking_answers"]),
        further,
    )


def _sets(part: _Codes) -> dict[str, CodeSet]:
    return {meaning: CodeSet(codes) for meaning, codes in part.items()}


def _sets_of(own: FurtherCodes) -> Iterator[CodeSet]:
    yield own.observations
    yield own.conditions
    yield from own.values.values()


def _further_codes(entry: Mapping[str, Any]) -> FurtherCodes:
    values = {word: _code_set(codes) for word, codes in entry.get("values", {}).items()}
    return FurtherCodes(
        _code_set(entry.get("observations", {})),
        _code_set(entry.get("conditions", {})),
        "patient" in entry,
        {unit: float(factor) for unit, factor in entry.get("units", {}).items()},
        values,
    )


def _code_set(by_system: Mapping[str, Any]) -> CodeSet:
    found: _Codes = {}
    _add(found, {"": by_system})
    return CodeSet(found.get("", {}))


_Codes = dict[str, dict[str, dict[str, str]]]  # by meaning and system: how sure each code is


def _copied(part: Mapping[str, Any]) -> _Codes:
    return {
        meaning: {system: dict(codes) for system, codes in by_system.items()}
        for meaning, by_system in part.items()
    }


def _add(part: _Codes, more: Mapping[str, Any]) -> None:
    for meaning, by_system in more.items():
        for system, codes in by_system.items():
            listed = codes if isinstance(codes, Mapping) else dict.fromkeys(codes, "site")
            part.setdefault(meaning, {}).setdefault(system, {}).update(listed)


def _take_away(part: _Codes, less: Mapping[str, Any]) -> None:
    for meaning, by_system in less.items():
        for system, codes in by_system.items():
            for code in codes:
                part.get(meaning, {}).get(system, {}).pop(code, None)


def _check(document: Mapping[str, Any], what: str, *, needs_all: bool) -> None:
    """Raise ``InvalidCodes`` where a document does not have the form of one."""
    if not isinstance(document, Mapping):
        raise InvalidCodes(f"{what} must be a JSON object")
    if unknown := sorted(set(document) - {*_PARTS, *_TEXTS, _FURTHER}):
        raise InvalidCodes(f"{what} have an unknown part {unknown[0]!r}")
    wanted = ("version", "licences", "systems", *_PARTS) if needs_all else ("version",)
    if missing := [name for name in wanted if name not in document]:
        raise InvalidCodes(f"{what} lack {missing[0]!r}")
    if not isinstance(document["version"], str):
        raise InvalidCodes(f"{what}: 'version' must be text")
    if not _is_texts(document.get("licences", [])):
        raise InvalidCodes(f"{what}: 'licences' must be a list of texts")
    _check_systems(document.get("systems", {}), what)
    removed = document.get("remove", {})
    if not isinstance(removed, Mapping) or not set(removed) <= set(_PARTS):
        raise InvalidCodes(f"{what}: 'remove' must have parts with codes")
    for name, meanings in _PARTS.items():
        _check_part(document.get(name, {}), f"{what}: {name!r}", meanings)
        _check_part(removed.get(name, {}), f"{what}: {name!r} of 'remove'", meanings)
    further = document.get(_FURTHER, {})
    if not isinstance(further, Mapping):
        raise InvalidCodes(f"{what}: {_FURTHER!r} must have codes by the name of a feature")
    for name, entry in further.items():
        _check_further(entry, f"{what}: {name!r} of {_FURTHER!r}")


def _check_further(entry: Any, what: str) -> None:
    """Raise ``InvalidCodes`` where codes of a feature of a model's own have another form."""
    if not isinstance(entry, Mapping) or not set(entry) <= {*_PLACES, "units", "values"}:
        raise InvalidCodes(f"{what} must have some of {', '.join((*_PLACES, 'units', 'values'))}")
    places = [place for place in _PLACES if place in entry]
    if len(places) != 1:
        raise InvalidCodes(f"{what} must have one of {', '.join(_PLACES)}")
    [place] = places
    units, values = entry.get("units", {}), entry.get("values", {})
    _check_place(entry, place, what)
    if not isinstance(units, Mapping) or not all(map(_is_factor, units.values())):
        raise InvalidCodes(f"{what}: 'units' must have a number above 0 for each unit")
    if not isinstance(values, Mapping):
        raise InvalidCodes(f"{what}: 'values' must have codes by the model's words")
    _check_part(values, f"{what}: 'values'", values)
    if (units and place != "observations") or (values and place == "conditions"):
        raise InvalidCodes(f"{what}: {place!r} takes no {'units' if units else 'values'}")
    if place == "patient" and not values:
        raise InvalidCodes(f"{what}: 'patient' needs 'values'")


def _check_place(entry: Mapping[str, Any], place: str, what: str) -> None:
    if place != "patient":
        _check_part({place: entry[place]}, what, (place,))
        if not any(entry[place].values()):
            raise InvalidCodes(f"{what}: {place!r} must have a code")
    elif entry[place] != MARITAL_STATUS:
        raise InvalidCodes(f"{what}: 'patient' must be {MARITAL_STATUS!r}")


def _is_factor(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 < value <= sys.float_info.max  # of an int of any length, too
    )


def _check_systems(systems: Any, what: str) -> None:
    if not isinstance(systems, Mapping) or not all(map(_is_texts, systems.values())):
        raise InvalidCodes(f"{what}: 'systems' must have a list of addresses for each name")


def _check_part(part: Any, what: str, meanings: Iterable[str]) -> None:
    if not isinstance(part, Mapping) or not set(part) <= set(meanings):
        raise InvalidCodes(f"{what} must have some of {', '.join(meanings)}")
    for meaning, by_system in part.items():
        if not isinstance(by_system, Mapping):
            raise InvalidCodes(f"{what}: {meaning!r} must have codes by system")
        for system, codes in by_system.items():
            listed = codes if isinstance(codes, Mapping) else dict.fromkeys(_hashable(codes), "")
            if not (_is_texts(codes) or isinstance(codes, Mapping)):
                raise InvalidCodes(f"{what}: {meaning!r} of {system!r} must be a list of codes")
            if isinstance(codes, Mapping) and not set(_hashable(codes.values())) <= set(LEVELS):
                raise InvalidCodes(
                    f"{what}: {meaning!r} of {system!r} must say {', '.join(LEVELS)} for each code"
                )
            for code in listed:
                if system == ICD10 and not (_ICD10.fullmatch(code) or _RANGE.fullmatch(code)):
                    raise InvalidCodes(
                        f"{what}: {code!r} is neither a code of ICD-10 such as I25.1 nor a range "
                        "such as I20-I25"
                    )


def _hashable(values: Any) -> list[str]:
    return [str(value) for value in values] if isinstance(values, Iterable) else []


def _is_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) and each for each in values)


def _plain(code: str) -> str:
    """Return a code of ICD-10 in capitals, without dots and without marks behind it."""
    head = _HEAD.match(code.strip().upper())
    return head[0].replace(".", "") if head else ""


def _covers(entry: str, found: str) -> bool:
    if len(found) < _CATEGORY:
        return False
    if _RANGE.fullmatch(entry):
        first, _, last = entry.partition("-")
        return first <= found[:_CATEGORY] <= last
    return found.startswith(entry.replace(".", ""))
