"""All routes of record systems on a service that is really served: what leaks, and what is counted.

The patient's id, names and values are canaries, most of them with a word that nothing else has
(``quimby``): they may stand in answers to whoever asked for the patient, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import urllib3

from builders.charts import (
    ABSENT,
    PATIENT,
    bmi,
    bundle,
    glucose,
    more_pages,
    request,
    smoking,
)
from components.fhir_record import FhirRecord
from components.otlp_collector import Collector
from components.processes import Service, run_stroke

WHO: Final = "quimbyp1"
CANARIES: Final = ("quimby", "muster", "erwin", "1959-03-14", "228.6172", "36.6172")
HOOK: Final = "/cds-services/stroke-risk"


class Answer(NamedTuple):
    """A call, and what it was answered."""

    call: str
    status: int
    text: str


class Run(NamedTuple):
    """What the service left behind after all of its routes were called."""

    answers: list[Answer]
    log: str
    metrics: str
    spans: bytes
    folder: Path


def chart(**changed: Any) -> dict[str, Any]:
    """Return a request whose patient is the canary."""
    measured = {"bmi": bundle(bmi(36.6172)), "glucose": bundle(glucose(228.6172))}
    text = json.dumps(request(**(measured | changed)))
    return dict(
        json.loads(text.replace("Patient/p1", f"Patient/{WHO}").replace('"p1"', f'"{WHO}"'))
    )


def other_forms(call: Callable[..., Answer], whole: dict[str, Any]) -> Iterator[Answer]:
    """Call with what changes a meaning, and with the other forms of a search and the operation."""
    yield call("POST", HOOK, chart(bmi=bundle(bmi(36.6172, status="quimby"))))
    changed = bmi(36.6172, modifierExtension=[{"url": "quimby"}], focus=[{"reference": "quimby"}])
    yield call("POST", HOOK, chart(bmi=bundle(changed)))
    yield call("GET", "/fhir/OperationDefinition/stroke-risk")
    yield call("GET", f"/fhir/RiskAssessment?_id=quimby,{WHO}")
    yield call("GET", "/fhir/RiskAssessment?_id=quimby&_id=quimby")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    yield call("POST", "/fhir/RiskAssessment/_search", f"patient={WHO}".encode(), **form)
    yield call("POST", "/fhir/RiskAssessment/_search", b"patient=quimby%202", **form)
    yield call("POST", "/fhir/RiskAssessment/_search", {"patient": WHO})
    asked = [{"name": "bundle", "resource": whole}, {"name": "patient", "valueString": "quimby 2"}]
    for listed in (asked, [*asked, {"name": "patient", "valueReference": {"display": "quimby"}}]):
        parameters = {"resourceType": "Parameters", "parameter": listed}
        yield call("POST", "/fhir/$stroke-risk", parameters)


def called(service: Service, record: FhirRecord) -> Iterator[Answer]:
    """Call every route of record systems, rightly and wrongly."""

    def call(method: str, path: str, body: Any = None, **more: Any) -> Answer:
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **more}
        answer = urllib3.request(
            method, service.url + path, body=sent, headers=headers, retries=False, redirect=False
        )
        return Answer(f"{method} {path}", answer.status, answer.data.decode())

    yield call("GET", "/cds-services")
    first = call("POST", HOOK, chart())
    yield first
    uuid = json.loads(first.text)["cards"][0]["uuid"]
    yield call("POST", HOOK, chart(glucose=ABSENT, conditions=more_pages()))
    yield call("POST", HOOK, chart(glucose=bundle(glucose(1, "quimby-unit"))))
    yield call("POST", HOOK, chart() | {"hook": "quimby"})
    yield call("POST", HOOK, chart() | {"context": {"patientId": "quimby quimby"}})
    yield call("POST", HOOK, chart() | {"hookInstance": "quimby\n"})
    yield call("POST", HOOK, json.dumps(chart()).encode()[:-9])
    yield call("POST", "/cds-services/quimby", chart())
    granted = {
        "access_token": "quimby-token",
        "token_type": "Bearer",
        "expires_in": 60,
        "scope": "user/*.rs",
        "subject": "quimby",
    }
    fetching = {"fhirServer": record.base, "fhirAuthorization": granted}
    record.answers = {
        f"Patient/{WHO}": chart()["prefetch"]["patient"],
        "Observation": {"resourceType": "quimby"},
        "Condition": b"quimby",
    }
    yield call("POST", HOOK, chart(conditions=ABSENT, glucose=ABSENT, patient=ABSENT) | fetching)
    elsewhere = fetching | {"fhirServer": "https://quimby.example/fhir"}
    yield call("POST", HOOK, chart(glucose=ABSENT) | elsewhere)
    feedback = {
        "card": uuid,
        "outcome": "overridden",
        "overrideReason": {"reason": {"code": "known"}, "userComment": "quimby comment"},
        "outcomeTimestamp": "2026-11-29T12:00:00Z",
    }
    yield call("POST", f"{HOOK}/feedback", {"feedback": [feedback]})
    yield call("POST", f"{HOOK}/feedback", {"feedback": [feedback | {"card": "quimby"}]})
    yield call("POST", f"{HOOK}/feedback", {"feedback": [feedback | {"outcome": "quimby"}]})
    yield call("GET", "/fhir/metadata")
    yield call("GET", f"/fhir/RiskAssessment?patient={WHO}&_count=1")
    yield call("GET", f"/fhir/RiskAssessment?subject=Patient/{WHO}&date=quimby")
    yield call("GET", f"/fhir/RiskAssessment?name={WHO}")
    yield call("GET", f"/fhir/RiskAssessment?patient={WHO}&_format=xml")
    yield call("GET", f"/fhir/RiskAssessment/{uuid}")
    yield call("GET", "/fhir/RiskAssessment/quimby")
    yield call("GET", "/fhir/Device/quimby")
    yield call("GET", f"/fhir/Patient/{WHO}")
    yield call("PUT", f"/fhir/RiskAssessment/{WHO}", {"resourceType": "RiskAssessment"})
    whole = bundle(
        PATIENT | {"id": WHO},
        *(each["resource"] for each in chart()["prefetch"]["conditions"]["entry"]),
        *(each["resource"] for each in chart()["prefetch"]["glucose"]["entry"]),
        *(each["resource"] for each in chart()["prefetch"]["bmi"]["entry"]),
        smoking(),
    )
    yield call("POST", "/fhir/$stroke-risk", whole)
    yield call("POST", f"/fhir/$stroke-risk?patient={WHO}x", whole)
    yield from other_forms(call, whole)
    yield call("POST", "/fhir/$stroke-risk?conditions=quimby", whole)
    yield call("POST", "/fhir/$stroke-risk", {"resourceType": "quimby"})
    yield call("POST", "/fhir/$stroke-risk", b"quimby", **{"Content-Type": "text/quimby"})
    yield call("DELETE", "/api/v1/predictions/1")
    yield call("GET", f"/fhir/RiskAssessment/{uuid}")
    other = call("POST", HOOK, chart(patient=PATIENT | {"gender": "female"}))
    yield other
    judged = feedback | {"card": json.loads(other.text)["cards"][0]["uuid"]}
    judged["overrideReason"] = {"reason": {"code": "wrong-data"}}
    yield call("POST", f"{HOOK}/feedback", {"feedback": [judged]})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("service")
    with Collector() as collector, FhirRecord() as record:
        service = Service(
            folder,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="100",
            STROKE_CLINICAL_FHIR_SERVERS=record.base,
            STROKE_CLINICAL_FHIR_NETWORKS="127.0.0.0/8",
        )
        with service:
            answers = list(called(service, record))
            metrics = urllib3.request("GET", f"{service.url}/metrics").data.decode()
            service.stop()
        return Run(answers, service.log, metrics, b"".join(collector.bodies), folder)


def test_every_route_was_reached_rightly_and_wrongly(run: Run) -> None:
    found: dict[int, int] = {}
    for each in run.answers:
        found[each.status] = found.get(each.status, 0) + 1

    assert {200, 204, 400, 404, 405, 406, 410, 412, 415, 422} == set(found)
    assert 'stroke_clinical_fetches_total{result="fetched"}' in run.metrics
    assert 'stroke_clinical_fetches_total{result="not-listed"}' in run.metrics
    assert b"/fhir/RiskAssessment" in run.spans


@pytest.mark.parametrize("where", ["log", "metrics", "spans"])
def test_nothing_of_a_patient_is_logged_counted_or_traced(run: Run, where: str) -> None:
    text = run.spans.decode("latin-1") if where == "spans" else getattr(run, where)

    assert text
    assert not [each for each in CANARIES if each in text.lower()]


def test_no_error_quotes_what_was_sent(run: Run) -> None:
    errors = [each for each in run.answers if each.status >= 400]

    assert len(errors) > 15
    for each in errors:
        assert json.loads(each.text)["resourceType"] == "OperationOutcome", each.call
        assert not [word for word in CANARIES if word in each.text.lower()], each.call


def test_the_command_line_shows_what_became_of_cards_by_model(run: Run) -> None:
    # One prediction was erased, its card and feedback with it; the operation shows no card.
    done = run_stroke("clinical", "feedback", "--json", folder=run.folder)

    assert done.returncode == 0, done.stderr
    [model] = json.loads(done.stdout)["models"]
    assert model.pop("model_version").startswith("stroke-spline-lr")
    assert model == {
        "shown": 3,
        "accepted": 0,
        "overridden": 1,
        "ignored": 2,
        "reasons": {"wrong-data": 1},
    }
    none = run_stroke("clinical", "feedback", "--site", "elsewhere", folder=run.folder)
    assert (none.returncode, none.stdout) == (0, "no card was shown\n")
