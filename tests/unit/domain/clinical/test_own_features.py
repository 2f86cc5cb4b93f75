"""Features of a model's own in a chart: found by a site's codes, or not found, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.charts import ICD10, PATIENT, bundle, condition, more_pages, observation, prefetch
from builders.further import DATA_SET, OF_ALL_KINDS, WAIST
from builders.further_codes import CODES, DIABETIC, MAPPED, WARD, answer, married, waist
from stroke.adapters.clinical_codes.files import shipped_codes
from stroke.domain.clinical.chart import chart_of_bundle, chart_of_prefetch
from stroke.domain.clinical.codes import CodeBook, code_book
from stroke.domain.clinical.mapping import MappedChart, MappingRules, map_chart
from stroke.domain.clinical.queries import queries, templates
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import FeatureKind, Further, FurtherFeature

NOW: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)
BOOK: Final = code_book(shipped_codes(), CODES)
SHIPPED: Final = code_book(shipped_codes())
WHOLE: Final[dict[str, Any]] = {
    "patient": PATIENT | married(),
    "further": bundle(waist(), answer("0")),
    "conditions": bundle(condition("d", *DIABETIC)),
}
VALUES: Final = {"waist": 96.5, "diabetes": 1, "alcohol": "none", "ever_married": "Yes"}


def mapped(declared: Further = MAPPED, book: CodeBook = BOOK, **changed: Any) -> MappedChart:
    sent = prefetch(**{**WHOLE, **changed})
    sent = {key: value for key, value in sent.items() if value != "absent"}
    return map_chart(chart_of_prefetch(sent, "p1"), book, MappingRules(), NOW, declared)


def own(found: MappedChart) -> dict[str, Any]:
    return {name: each.value for name, each in found.values.items() if name not in RAW_FEATURES}


def said(found: MappedChart, feature: str) -> list[str]:
    return [note.text for note in found.notes if note.feature == feature]


def observed(value: dict[str, Any], feature: FurtherFeature) -> MappedChart:
    """Return a chart with one observation of ``feature``, which the ward's code R1 means."""
    entry: dict[str, Any] = {"observations": {"ward": ["R1"]}}
    if feature.kind is FeatureKind.FLAG:
        entry["values"] = {"1": {"ward": ["pos"]}, "0": {"ward": ["neg"]}}
    book = code_book(shipped_codes(), {**CODES, "further": {feature.name: entry}})
    reading = observation("r", "R1", **value)
    reading["code"] = {"coding": [{"system": WARD, "code": "R1"}]}
    return mapped((feature,), book, further=bundle(reading))


def test_each_place_of_a_record_gives_its_feature_and_says_where_from() -> None:
    found = mapped()

    assert own(found) == VALUES
    assert {"Observation/wst1", "Observation/alc1", "Condition/d", "Patient/p1"} <= set(found.basis)
    assert found.not_sent == found.incomplete == ()
    patient = found.patient((), MAPPED)
    assert patient is not None
    assert dict(patient.further) == VALUES


def test_a_model_without_features_of_its_own_is_not_touched_by_the_sites_codes() -> None:
    plain = mapped((), SHIPPED)
    with_codes = mapped((), BOOK)
    assert plain.values == with_codes.values
    assert (plain.notes, plain.not_sent) == (with_codes.notes, with_codes.not_sent)
    # What nobody asks for is known all the same.
    assert plain.unmapped == {"loinc": 2, "snomed": 1}
    assert with_codes.unmapped == {}


def test_what_no_code_maps_is_not_found_and_is_said_where_it_may_be_missing() -> None:
    found = mapped(OF_ALL_KINDS, SHIPPED)
    assert own(found) == {}
    assert said(found, "waist") == ["no code maps waist: it counts as missing"]
    assert said(found, "diabetes") == []
    assert found.patient((), OF_ALL_KINDS) is None
    assert found.not_sent == ()


@pytest.mark.parametrize(
    ("value", "unit", "found", "reason"),
    [
        (38, "[in_i]", 96.52, None),
        (38, "INCH", None, "a unit that is not known"),  # as UCUM's code
        (0.965, "m", None, "a unit that is not known"),
        (9, "cm", None, "not plausible (it must be 40 to 200 cm)"),
        ("96", "cm", None, "no number"),
        (True, "cm", None, "no number"),
    ],
)
def test_a_number_is_taken_in_units_that_are_known_and_within_its_range(
    value: Any, unit: str, found: float | None, reason: str | None
) -> None:
    chart = mapped(further=bundle(waist(value, unit), answer("0")))
    assert own(chart).get("waist") == (None if found is None else pytest.approx(found))
    if reason is not None:
        first, last = said(chart, "waist")
        assert reason in first
        assert last == "the record has no usable waist: it counts as missing"
        assert str(value) not in first or isinstance(value, bool | int)


def test_the_newest_usable_value_counts_and_newer_ones_are_noted() -> None:
    entries = (
        waist(100, own="old", effectiveDateTime="2020-01-01"),
        waist(90, own="mid", effectiveDateTime="2026-01-01"),
        waist(80, own="wrong", effectiveDateTime="2026-02-01", status="preliminary"),
        answer("7", own="odd", effectiveDateTime="2026-02-01"),
        answer("1", "0", own="both", effectiveDateTime="2026-02-02"),
        answer("2", own="first", effectiveDateTime="2025-01-01"),
    )
    found = mapped(further=bundle(*entries))
    assert (own(found)["waist"], own(found)["alcohol"]) == (90.0, "some")
    assert said(found, "waist") == [
        "the waist of 2026-02-01 was not used: its status is preliminary"
    ]
    assert [each.partition(":")[2] for each in said(found, "alcohol")] == [
        " it has no answer that is known"
    ] * 2


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (condition("d", ICD10, "E11.9"), 1),
        (condition("d", *DIABETIC, clinicalStatus={"coding": [{"code": "resolved"}]}), 0),
        (condition("d", *DIABETIC, verificationStatus={"coding": [{"code": "provisional"}]}), 0),
        (condition("d", ICD10, "I10"), 0),
    ],
)
def test_a_flag_of_conditions_is_there_or_not_as_other_conditions_are(
    sent: dict[str, Any], value: int
) -> None:
    assert own(mapped(conditions=bundle(sent)))["diabetes"] == value


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueBoolean": True}, 1),
        ({"valueBoolean": False}, 0),
        ({"valueCodeableConcept": {"coding": [{"system": WARD, "code": "pos"}]}}, 1),
        ({"valueCodeableConcept": {"coding": [{"system": WARD, "code": "neg"}]}}, 0),
        ({"valueCodeableConcept": {"text": "positive"}}, None),
        ({"valueString": "1"}, None),
        ({"valueInteger": 1}, None),
    ],
)
def test_a_flag_of_an_observation_is_a_boolean_or_a_coded_answer(
    value: dict[str, Any], found: int | None
) -> None:
    feature = FurtherFeature("atrial_fibrillation", FeatureKind.FLAG)
    assert own(observed(value, feature)).get(feature.name) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueInteger": 7}, 7.0),
        ({"valueQuantity": {"value": 7}}, 7.0),
        ({"valueQuantity": {"value": 7, "code": "1", "system": "http://unitsofmeasure.org"}}, 7.0),
        ({"valueQuantity": {"value": 7, "unit": "mg"}}, None),
        ({"valueQuantity": {"value": 7, "comparator": "<"}}, None),
        ({"valueInteger": 70}, None),
        ({"valueInteger": True}, None),
    ],
)
def test_a_number_without_a_unit_is_one_that_the_record_has_without_a_unit(
    value: dict[str, Any], found: float | None
) -> None:
    feature = FurtherFeature("score", FeatureKind.NUMBER, 0, 42)
    assert own(observed(value, feature)).get("score") == found
    with_unit = FurtherFeature("waist", FeatureKind.NUMBER, 0, 42, "cm")
    assert own(observed({"valueInteger": 7}, with_unit)) == {}


@pytest.mark.parametrize(
    ("status", "value"), [("W", "Yes"), ("S", "No"), ("UNK", None), ("", None)]
)
def test_the_marital_status_gives_what_a_site_says_that_it_means(
    status: str, value: str | None
) -> None:
    assert own(mapped(patient=PATIENT | married(status))).get("ever_married") == value


def test_a_code_means_a_feature_only_where_the_models_words_fit() -> None:
    other = FurtherFeature("ever_married", FeatureKind.CATEGORY, categories=("single", "wed"))
    assert not BOOK.maps(other)
    assert not BOOK.maps(FurtherFeature("diabetes", FeatureKind.NUMBER, 0, 20))
    assert not BOOK.maps(FurtherFeature("Waist", FeatureKind.NUMBER, 40, 200))
    assert [BOOK.maps(each) for each in DATA_SET] == [True, False, False]
    assert BOOK.maps(WAIST)


def test_a_client_is_asked_for_them_and_has_to_send_what_may_be_there() -> None:
    assert mapped(further="absent").not_sent == ("further",)
    assert mapped(further=None).not_sent == ()
    assert mapped((), further="absent").not_sent == ()
    assert mapped(MAPPED[1:2], further="absent").not_sent == ()  # only conditions have it
    assert mapped(further=more_pages(waist())).incomplete == ("further",)
    assert mapped((), further=more_pages(waist())).incomplete == ()


def test_a_record_that_came_whole_lacks_no_key() -> None:
    resources = [PATIENT, condition("c", *DIABETIC)]
    found = map_chart(chart_of_bundle(bundle(*resources)), BOOK, MappingRules(), NOW, MAPPED)
    assert found.not_sent == ()
    assert own(found) == {"diabetes": 1}


def test_the_prefetch_asks_for_the_sites_codes_by_the_addresses_of_their_systems() -> None:
    asked = templates(BOOK)["further"]
    assert "code=http://loinc.org|8280-0,urn:ward:codes|WST,http://loinc.org|74013-4&" in asked
    assert "44054006" not in asked
    assert asked.endswith("&_sort=-date&_count=40")
    assert "further" not in templates(SHIPPED)


def test_a_sites_code_of_any_characters_stays_one_code_of_the_search() -> None:
    odd = {"version": "1", "systems": {"ours": ["urn:a?b&c"]}}
    further = {"score": {"observations": {"ours": ["A&B, 1+1=2|x%41#$\\y", "Z"]}}}
    asked = templates(code_book(shipped_codes(), {**odd, "further": further}))

    assert asked["further"].count("&") == 3
    target = queries(asked, "p1")["further"].target
    [codes] = parse_qs(urlsplit(target).query)["code"]
    assert codes == r"urn:a?b&c|A&B\, 1+1=2\|x%41#\$\\y,urn:a?b&c|Z"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON, JSON)
def test_whatever_a_record_has_there_is_read_or_passed_over(
    quantity: Any, concept: Any, status: Any
) -> None:
    odd = waist(valueQuantity=quantity)
    coded = answer("0", valueCodeableConcept=concept)
    found = mapped(
        patient=PATIENT | {"maritalStatus": status},
        further=bundle(odd, coded, answer("1", own="b")),
    )
    assert own(found)["diabetes"] == 1
    if (patient := found.patient((), MAPPED)) is not None:
        assert dict(patient.further)["ever_married"] in ("Yes", "No")
