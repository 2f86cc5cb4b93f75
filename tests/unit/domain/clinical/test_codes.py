"""The book of codes: what is shipped, and how a site changes it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from builders.further_codes import CODES
from stroke.adapters.clinical_codes.files import read_code_book, shipped_codes
from stroke.domain.clinical.codes import CONDITIONS, OBSERVATIONS, CodeSet, Coding
from stroke.domain.errors import InvalidCodes
from stroke.domain.patient import SMOKING_STATUSES


def written(folder: Path, **parts: Any) -> Path:
    path = folder / "codes.json"
    path.write_text(json.dumps({"version": "ward-1", **parts}))
    return path


def test_the_shipped_book_has_codes_of_each_meaning_and_the_licences() -> None:
    book = read_code_book()

    assert {meaning for meaning, *_ in book.listed()} == {
        *OBSERVATIONS,
        *CONDITIONS,
        *SMOKING_STATUSES,
    }
    assert re.search("LOINC", book.licences[0])
    assert any("SNOMED" in licence for licence in book.licences)


def test_the_codes_of_heart_disease_include_those_of_the_narrower_meaning() -> None:
    book = read_code_book()
    narrow = book.conditions["ischaemic_heart_disease"].codes

    assert set(narrow["snomed"]) <= set(book.conditions["heart_disease"].codes["snomed"])


def test_no_code_means_two_conditions_that_exclude_each_other() -> None:
    book = read_code_book()
    stroke = book.conditions["stroke"]

    for meaning in ("hypertension", "heart_disease"):
        for system, codes in book.conditions[meaning].codes.items():
            for code in codes:
                assert not stroke.holds(Coding(system, code.partition("-")[0])), code


def test_a_site_adds_codes_and_systems(tmp_path: Path) -> None:
    site = written(
        tmp_path,
        systems={"ward": ["urn:ward:codes"]},
        observations={"bmi": {"ward": ["BMI"]}},
        conditions={"heart_disease": {"snomed": {"123": "site"}}},
    )

    book = read_code_book(site)

    assert book.version.endswith("+ward-1")
    assert book.observations["bmi"].holds(book.coding("urn:ward:codes", "BMI"))
    assert book.observations["bmi"].holds(book.coding("http://loinc.org", "39156-5"))
    assert book.conditions["heart_disease"].holds(book.coding("http://snomed.info/sct", "123"))


def test_a_site_takes_codes_away(tmp_path: Path) -> None:
    site = written(tmp_path, remove={"observations": {"weight": {"loinc": ["3141-9"]}}})

    book = read_code_book(site)

    assert not book.observations["weight"].holds(Coding("loinc", "3141-9"))
    assert book.observations["weight"].holds(Coding("loinc", "29463-7"))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"version": 7}, "'version' must be text"),
        ({"colour": "red"}, "unknown part 'colour'"),
        ({"systems": {"x": "http://x"}}, "'systems'"),
        ({"observations": {"pulse": {"loinc": ["8867-4"]}}}, "must have some of bmi"),
        ({"observations": {"bmi": ["39156-5"]}}, "codes by system"),
        ({"observations": {"bmi": {"loinc": "39156-5"}}}, "must be a list of codes"),
        ({"observations": {"bmi": {"loinc": {"1": "sure"}}}}, "must say confirmed"),
        ({"conditions": {"stroke": {"icd-10": ["stroke"]}}}, "neither a code of ICD-10"),
        ({"conditions": {"stroke": {"ward": ["1"]}}}, "systems without an address: ward"),
        ({"remove": {"pulse": {}}}, "'remove'"),
        ({"licences": "free"}, "'licences'"),
    ],
)
def test_a_wrong_file_is_refused_with_the_part_that_is_wrong(
    tmp_path: Path, parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidCodes, match=re.escape(said)):
        read_code_book(written(tmp_path, **parts))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidCodes, match="cannot be read"):
        read_code_book(tmp_path / "absent.json")
    (tmp_path / "words.json").write_text("words")
    with pytest.raises(InvalidCodes, match="no JSON"):
        read_code_book(tmp_path / "words.json")


@pytest.mark.parametrize(
    ("code", "entry", "holds"),
    [
        ("I25.1", "I20-I25", True),
        ("I20", "I20-I25", True),
        ("I26.0", "I20-I25", False),
        ("i25.10", "I25.1", True),
        ("I251", "I25.1", True),
        ("I25", "I25.1", False),
        ("I63.9 G", "I60-I64", True),
        ("Z86.73", "Z86.73", True),
        ("Z86.7", "Z86.73", False),
        ("I2", "I20-I25", False),
        ("", "I20-I25", False),
        ("O10", "I10", False),
    ],
)
def test_icd10_is_matched_by_its_beginning(code: str, entry: str, holds: bool) -> None:
    assert CodeSet({"icd-10": {entry: "site"}}).holds(Coding("icd-10", code)) is holds


def test_the_address_of_a_system_may_end_in_a_slash_or_name_a_version() -> None:
    book = read_code_book()

    assert book.coding("http://loinc.org/", "x").system == "loinc"
    assert book.coding("http://snomed.info/sct|2026", "x").system == "snomed"
    assert book.coding("http://example.org", "x").system == "other"
    assert book.coding(None, "x").system == "none"


def test_every_shipped_code_says_how_sure_it_is() -> None:
    document = shipped_codes()

    assert {level for *_, level in read_code_book().listed()} == {"confirmed", "known"}
    assert re.fullmatch(r"\d{4}\.\d{1,2}\.\d+", document["version"])


def test_a_site_maps_features_of_a_models_own_and_lists_their_codes(tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    path.write_text(json.dumps(CODES))

    listed = set(read_code_book(path).listed()) - set(read_code_book().listed())

    assert ("further.waist", "loinc", "8280-0", "site") in listed
    assert ("further.waist", "ward", "WST", "known") in listed
    assert ("further.diabetes", "icd-10", "E10-E14", "site") in listed
    assert ("further.alcohol = some", "ward", "2", "site") in listed
    assert ("further.ever_married = No", "marital", "S", "site") in listed
    assert len(listed) == 12


SEEN: Any = {"loinc": ["8280-0"]}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ([], "'waist' of 'further' must have some of"),
        ({"codes": SEEN}, "must have some of observations, conditions, patient, units, values"),
        ({}, "must have one of"),
        ({"observations": SEEN, "conditions": SEEN}, "must have one of"),
        ({"observations": {}}, "must have a code"),
        ({"observations": {"loinc": []}}, "must have a code"),
        ({"observations": {"ward": ["1"]}}, "systems without an address: ward"),
        ({"observations": {"loinc": "8280-0"}}, "must be a list of codes"),
        ({"conditions": {"icd-10": ["waist"]}}, "neither a code of ICD-10"),
        ({"observations": SEEN, "units": ["cm"]}, "a number above 0"),
        ({"observations": SEEN, "units": {"m": 0}}, "a number above 0"),
        ({"observations": SEEN, "units": {"m": True}}, "a number above 0"),
        ({"observations": SEEN, "units": {"m": 10**400}}, "a number above 0"),
        ({"observations": SEEN, "units": {"m": "100"}}, "a number above 0"),
        ({"observations": SEEN, "values": ["none"]}, "codes by the model's words"),
        ({"observations": SEEN, "values": {"no": {"ward": ["1"]}}}, "without an address: ward"),
        ({"observations": SEEN, "values": {"no": ["1"]}}, "codes by system"),
        ({"conditions": SEEN, "units": {"m": 1}}, "'conditions' takes no units"),
        ({"conditions": SEEN, "values": {"1": SEEN}}, "'conditions' takes no values"),
        ({"patient": "birthDate", "values": {"1": SEEN}}, "must be 'maritalStatus'"),
        ({"patient": "maritalStatus"}, "needs 'values'"),
    ],
)
def test_wrong_codes_of_a_models_own_feature_are_refused_by_its_name(
    tmp_path: Path, entry: Any, said: str
) -> None:
    with pytest.raises(InvalidCodes, match=re.escape(said)):
        read_code_book(written(tmp_path, further={"waist": entry}))
    with pytest.raises(InvalidCodes, match="by the name of a feature"):
        read_code_book(written(tmp_path, further=[entry]))
