"""Any JSON at all to the routes of record systems: an answer of the protocol, and never a fault."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.asgi import connected
from builders.charts import (
    ICD10,
    PATIENT,
    bmi,
    bundle,
    condition,
    glucose,
    observation,
    prefetch,
    quantity,
    request,
    smoking,
)
from builders.service import service_parts
from stroke.adapters.clinical_codes.files import read_code_book
from stroke.domain.clinical.chart import chart_of_prefetch
from stroke.domain.clinical.mapping import MappingRules, map_chart

NOW: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)
BOOK: Final = read_code_book()
HOOK: Final = "/cds-services/stroke-risk"
FEEDBACK: Final[dict[str, Any]] = {
    "feedback": [
        {
            "card": "6931f7a2-8c2a-5e68-97fb-899d9531818c",
            "outcome": "overridden",
            "overrideReason": {"reason": {"code": "known"}, "userComment": "x"},
            "outcomeTimestamp": "2026-11-29T12:00:00Z",
        }
    ]
}
AUTHORIZATION: Final = {
    "access_token": "t",
    "token_type": "Bearer",
    "expires_in": 1,
    "scope": "patient/*.rs",
    "subject": "s",
}
WHOLE: Final = bundle(PATIENT, bmi(), glucose(), smoking(), condition("c", "s", "c"))
# What each route takes rightly, and what it may answer.
ROUTES: Final[dict[str, tuple[dict[str, Any], set[int]]]] = {
    HOOK: (request() | {"fhirAuthorization": AUTHORIZATION}, {200, 412, 422}),
    f"{HOOK}/feedback": (FEEDBACK, {200, 422}),
    "/fhir/$stroke-risk": (WHOLE, {200, 412, 422}),
}
WORDS: Final = [
    "resourceType",
    "Bundle",
    "Patient",
    "Condition",
    "Patient/p1",
    "final",
    "mg/dL",
    "",
]
JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "coding", "entry", "value", *WORDS]), inner)
    ),
    max_leaves=6,
)


def places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value of a document."""
    found = [at] if at else []
    if isinstance(document, dict):
        listed = list(document.items())
    else:
        listed = list(enumerate(document)) if isinstance(document, list) else []
    for key, value in listed:
        found += places(value, (*at, key))
    return found


def changed(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a document with another value at the end of the way."""
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return copy


async def answers(path: str, documents: list[Any]) -> list[tuple[int, Any]]:
    async with connected(service_parts().app) as client:
        kind = {"Content-Type": "application/json"}
        found = [
            await client.post(path, content=json.dumps(each), headers=kind) for each in documents
        ]
    return [(each.status_code, each.json()) for each in found]


ODD: Final[list[Any]] = [None, True, 0, "", "x", [], {}, [1], [[]], {"a": []}]
FULL: Final = prefetch(
    patient=PATIENT | {"deceasedBoolean": False, "meta": {"lastUpdated": "2026-01-01"}},
    body=bundle(
        observation("w", "29463-7", valueQuantity=quantity(80, "kg")),
        observation("h", "8302-2", valueQuantity=quantity(180, "cm"), effectiveDateTime=None)
        | {"effectivePeriod": {"start": "2026-01-01", "end": "2026-02-01"}},
        link=[{"relation": "self", "url": "x"}],
    ),
    glucose=[
        bundle(glucose(), component=[]),
        {"resourceType": "OperationOutcome", "issue": [{"severity": "warning"}]},
        glucose(own="t", effectiveDateTime=None)
        | {"effectiveTiming": {"event": ["2026-01-01"], "repeat": {"boundsPeriod": {}}}}
        | {"component": [{"code": {"coding": [{"system": "s", "code": "c"}]}}]},
    ],
    conditions=bundle(
        condition("c", ICD10, "I10", code={"coding": [{"code": "I10 G", "extension": [{}]}]}),
        {"resourceType": "Condition", "abatementDateTime": "2026"},
    ),
)


def test_no_value_at_any_place_of_a_chart_breaks_its_reading() -> None:
    # Each kind of value at each place: what a generator finds seldom.
    ways = places(FULL)
    assert len(ways) > 200
    for way in ways:
        for value in ODD:
            sent = changed(FULL, way, value)
            chart = chart_of_prefetch(sent, "p1", "https://ehr.example/fhir")
            try:
                map_chart(chart, BOOK, MappingRules(), NOW)
            except Exception as error:
                error.add_note(f"{value!r} at {way}")
                raise


@pytest.mark.parametrize("path", sorted(ROUTES))
@given(st.data())
@settings(max_examples=3, deadline=None)
def test_whatever_stands_at_one_place_is_answered_by_the_protocol(
    path: str, data: st.DataObject
) -> None:
    document, expected = ROUTES[path]
    ways = st.lists(st.sampled_from(places(document)), min_size=8, max_size=8)
    documents = [changed(document, way, data.draw(JSON)) for way in data.draw(ways)]

    for status, answer in asyncio.run(answers(path, documents)):
        assert status in expected
        if status != 200:
            assert answer["resourceType"] == "OperationOutcome"
            assert answer["issue"]


@pytest.mark.parametrize("path", sorted(ROUTES))
@given(st.lists(JSON, min_size=8, max_size=8))
@settings(max_examples=2, deadline=None)
def test_what_is_no_chart_at_all_is_refused(path: str, documents: list[Any]) -> None:
    for status, answer in asyncio.run(answers(path, documents)):
        assert status in {400, 412, 422}
        assert answer["resourceType"] == "OperationOutcome"
