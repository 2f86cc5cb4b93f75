"""What a client did not send is fetched: from whom, with which rights, and how much of it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from builders.charts import PATIENT, bundle, condition, glucose
from fakes.clinical import FakeClinicalObserver, FakeRecordServer
from stroke.adapters.clinical_codes.files import read_code_book
from stroke.application.clinical.fetching import ChartFetching, FetchLimits
from stroke.domain.clinical.chart import KEYS, chart_of_prefetch
from stroke.domain.clinical.grants import Grant, grant_of

pytestmark = pytest.mark.anyio

BOOK: Final = read_code_book()
BASE: Final = FakeRecordServer.base
ALL: Final = Grant("a-token", (("*", "rs"),), None)


class Record:
    """A chart on a fake server, and what fetches it."""

    def __init__(self, **limits: Any) -> None:
        self.server = FakeRecordServer()
        self.server.answers = {
            "Patient/p1": PATIENT,
            "Observation": bundle(glucose()),
            "Condition": bundle(condition("c1", "s", "c")),
        }
        self.observer = FakeClinicalObserver()
        usual = {"seconds": 1.0, "most_bytes": 100_000, "most_pages": 3, "connections": 4}
        self.fetching = ChartFetching(
            self.server, [f"{BASE}/"], BOOK, self.observer, FetchLimits(**(usual | limits))
        )


@pytest.fixture
def record() -> Record:
    return Record()


def page(following: str | None, *resources: dict[str, Any]) -> dict[str, Any]:
    own = {"relation": "self", "url": f"{BASE}/Condition"}
    links = [own] if following is None else [own, {"relation": "next", "url": following}]
    return bundle(*resources, link=links)


async def test_what_is_fetched_is_asked_as_the_prefetch_would_be(record: Record) -> None:
    fetched = await record.fetching.fetch(KEYS, "p1", BASE, ALL)

    assert set(fetched.found) == set(KEYS)
    assert fetched.why_not == {}
    assert {token for _, token in record.server.asked} == {"a-token"}
    urls = [url for url, _ in record.server.asked]
    assert f"{BASE}/Patient/p1" in urls
    asked = [parse_qs(urlsplit(url).query) for url in urls if "Observation" in url]
    assert all(each["patient"] == ["p1"] and each["_sort"] == ["-date"] for each in asked)
    assert "http://loinc.org|39156-5" in asked[0]["code"][0]
    assert record.observer.seen == {"fetched": 6}
    chart = chart_of_prefetch(fetched.found, "p1", BASE)
    assert (chart.not_sent, chart.incomplete) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    "base",
    [
        "https://ehr.example",
        "https://ehr.example/fhir2",
        "https://ehr.example/fhir/../x",
        "http://ehr.example/fhir",
        "https://ehr.example:444/fhir",
        "https://ehr.example@evil.example/fhir",
        "https://EVIL.example/fhir",
        "",
    ],
)
async def test_no_other_server_than_a_listed_one_is_asked(record: Record, base: str) -> None:
    fetched = await record.fetching.fetch(["patient", "glucose"], "p1", base, ALL)

    assert fetched.why_not == {"patient": "not-listed", "glucose": "not-listed"}
    assert record.server.asked == []


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("patient/*.read", {"patient", "glucose", "conditions"}),
        ("patient/*.*", {"patient", "glucose", "conditions"}),
        ("system/*.rs", {"patient", "glucose", "conditions"}),
        ("user/Patient.read user/Observation.read", {"patient", "glucose"}),
        ("patient/Patient.r patient/Condition.s", {"patient", "conditions"}),
        ("patient/Patient.s patient/Condition.r", set()),
        ("patient/Observation.cruds", {"glucose"}),
        ("patient/Observation.rs?category=laboratory", set()),
        ("patient/Condition.write", set()),
        ("patient/patient.read launch openid fhirUser", set()),
        ("patient/Observation.sr", set()),
        ("", set()),
    ],
)
async def test_the_scopes_say_what_is_asked_for(
    record: Record, scope: str, allowed: set[str]
) -> None:
    grant = grant_of(authorization(scope=scope))
    assert grant is not None

    fetched = await record.fetching.fetch(["patient", "glucose", "conditions"], "p1", BASE, grant)

    assert set(fetched.found) == allowed
    assert set(fetched.why_not.values()) <= {"scope"}
    assert len(record.server.asked) == len(allowed)


async def test_a_token_for_another_patient_fetches_nothing(record: Record) -> None:
    grant = grant_of(authorization(patient="p2"))
    assert grant is not None

    assert (await record.fetching.fetch(["patient"], "p1", BASE, grant)).found == {}
    assert record.server.asked == []


def authorization(**changes: Any) -> dict[str, Any]:
    whole = {
        "access_token": "a-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "cds-service",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


@pytest.mark.parametrize(
    "given",
    [
        None,
        "Bearer x",
        authorization(access_token=None),
        authorization(access_token="a b"),
        authorization(access_token="a\r\nX: y"),
        authorization(access_token="ü"),
        authorization(access_token="x" * 9000),
        authorization(access_token=7),
        authorization(token_type="MAC"),
        authorization(token_type=None),
        authorization(scope=None),
        authorization(scope=["patient/*.read"]),
        authorization(expires_in=0),
        authorization(expires_in=-1),
    ],
)
def test_an_authorization_that_cannot_be_used_is_none(given: Any) -> None:
    assert grant_of(given) is None


def test_no_token_is_shown_by_what_holds_it() -> None:
    grant = grant_of(authorization(access_token="CANARY", patient="CANARY"))

    assert "CANARY" not in repr(grant)


async def test_next_pages_are_read(record: Record) -> None:
    record.server.answers |= {
        "Condition": page(f"{BASE}?_getpages=1", condition("c1", "s", "c")),
        "_getpages=1": page(f"{BASE}/Condition?page=3", condition("c2", "s", "c")),
        "Condition?page=3": page(None, condition("c3", "s", "c")),
    }

    fetched = await record.fetching.fetch(["conditions"], "p1", BASE, ALL)

    chart = chart_of_prefetch({"patient": PATIENT} | dict(fetched.found), "p1", BASE)
    assert [entry.resource["id"] for entry in chart.of_type("Condition")] == ["c1", "c2", "c3"]
    assert "conditions" not in chart.incomplete


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/fhir/Condition?page=2",
        "http://ehr.example/fhir/Condition?page=2",
        "https://ehr.example/other/Condition",
        "https://ehr.example/fhirs/Condition",
        "https://ehr.example/fhir/../secret",
        "//evil.example/fhir/x",
        "file:///etc/passwd",
        "https://[",
        "/secret",
    ],
)
async def test_a_next_page_elsewhere_is_not_asked_for_and_the_chart_is_incomplete(
    record: Record, following: str
) -> None:
    record.server.answers["Condition"] = page(following, condition("c1", "s", "c"))

    fetched = await record.fetching.fetch(["conditions"], "p1", BASE, ALL)

    assert len(record.server.asked) == 1
    chart = chart_of_prefetch({"patient": PATIENT} | dict(fetched.found), "p1", BASE)
    assert chart.incomplete == {"conditions"}


async def test_a_chart_of_endless_pages_is_left_incomplete(record: Record) -> None:
    record.server.answers["Condition"] = page("Condition?again", condition("c1", "s", "c"))

    fetched = await record.fetching.fetch(["conditions"], "p1", BASE, ALL)

    assert len(record.server.asked) == 3
    chart = chart_of_prefetch({"patient": PATIENT} | dict(fetched.found), "p1", BASE)
    assert chart.incomplete == {"conditions"}


async def test_all_of_a_chart_has_one_limit_of_bytes() -> None:
    record = Record(most_bytes=2_500, connections=1)
    record.server.answers |= {
        "Observation": bundle(glucose(note=[{"text": "x" * 1_500}])),
        "Condition": bundle(condition("c1", "s", "c", note=[{"text": "x" * 1_500}])),
    }

    fetched = await record.fetching.fetch(["glucose", "conditions"], "p1", BASE, ALL)

    assert (set(fetched.found), fetched.why_not) == ({"glucose"}, {"conditions": "too-long"})


async def test_what_takes_too_long_is_left_and_the_rest_counts() -> None:
    record = Record(seconds=0.1)
    record.server.delays["Condition"] = 5

    fetched = await record.fetching.fetch(["patient", "conditions"], "p1", BASE, ALL)

    assert set(fetched.found) == {"patient"}
    assert fetched.why_not == {"conditions": "late"}
    assert record.observer.seen == {"fetched": 1, "late": 1}


async def test_waiting_for_a_connection_counts_into_the_time() -> None:
    record = Record(seconds=0.1, connections=1)
    record.server.delays = {"Patient/p1": 5}

    fetched = await record.fetching.fetch(["patient", "glucose"], "p1", BASE, ALL)

    assert fetched.why_not == {"patient": "late", "glucose": "late"}


async def test_what_the_server_refuses_is_said_by_key(record: Record) -> None:
    del record.server.answers["Condition"]
    record.server.answers["Patient/p1"] = b"<Patient/>"

    fetched = await record.fetching.fetch(KEYS, "p1", BASE, ALL)

    assert fetched.why_not == {"conditions": "refused", "patient": "no-json"}


async def test_an_id_makes_no_other_request(record: Record) -> None:
    await record.fetching.fetch(["patient", "glucose"], "../x?y&z=1#", BASE, ALL)

    urls = sorted(url for url, _ in record.server.asked)
    assert urls[1] == f"{BASE}/Patient/..%2Fx%3Fy%26z%3D1%23"
    assert parse_qs(urlsplit(urls[0]).query)["patient"] == ["../x?y&z=1#"]
