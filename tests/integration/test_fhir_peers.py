"""The service among peers of a hospital: HAPI's FHIR server, its clients, and its validator."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from builders.charts import (
    ICD10,
    PATIENT,
    SNOMED,
    bmi,
    bundle,
    condition,
    glucose,
    observation,
    prefetch,
    quantity,
    request,
    smoking,
    status,
)
from builders.resources import FOLDER, resources_in
from builders.synthea import KEPT
from components import synthea
from components.containers import ROOT
from components.fhir_peers import RecordPeer, Remark, clinician, java_clients, judged
from components.fhirpath_reading import same
from components.openid_provider import ec_key, public_jwk
from components.processes import Service, run_stroke

pytestmark = pytest.mark.soak("HAPI's server, client and validator: a JVM of minutes and 1.5 GB")

ISSUER: Final = "https://ehr.hospital.example"
PUBLIC: Final = "https://risk.hospital.example"
KEY: Final = ec_key("record", ec.SECP384R1)
MANY: Final = 620  # conditions: more than what one search asks for, and HAPI's pages have fifty


def of(patient: str, *resources: dict[str, Any]) -> list[dict[str, Any]]:
    """Return resources as those of another patient, with ids of their own."""
    text = json.dumps(resources).replace("Patient/p1", f"Patient/{patient}")
    return [each | {"id": f"{patient}-{each['id']}"} for each in json.loads(text)]


def everything(patient: str, *more: dict[str, Any], **who: Any) -> list[dict[str, Any]]:
    person = PATIENT | {"id": patient, **who}
    return [person, *of(patient, bmi(), glucose(), smoking(), *more)]


@pytest.fixture(scope="module")
def record(docker_engine: None) -> Iterator[RecordPeer]:
    with RecordPeer() as running:
        running.put(*everything("erwin", condition("c1", SNOMED, "53741008")))
        running.put(*everything("other", condition("c1", SNOMED, "230690007")))  # a stroke
        running.put(*everything("young", birthDate="2020-01-01"))
        running.put(*everything("bare", gender="unknown"))
        running.put(
            *everything(
                "traps",
                bmi(60, "b2", status="entered-in-error", effectiveDateTime="2026-10-05"),
                bmi(36.6, "b3", effectiveDateTime="2026-10-02T00:30:00+02:00"),
                bmi(20, "b4", effectiveDateTime="2026-10-01T22:00:00Z"),
                glucose(12.694, "mmol/L", "g2", "15074-8", effectiveDateTime="2026-10-03"),
                observation("u", "5792-7", valueQuantity=quantity(1, "mg/dL")),
                condition("c1", SNOMED, "38341003", verificationStatus=status("refuted")),
                condition("c2", ICD10, "I25.1", clinicalStatus=status("resolved")),
            )
        )
        many = [condition(f"m{n}", SNOMED, f"9{n:06}") for n in range(MANY)]
        running.put(*everything("many", *many, condition("z", SNOMED, "53741008")))
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    (folder / "keys.json").write_text(json.dumps({"keys": [public_jwk(KEY, "one")]}))
    client = {"issuer": ISSUER, "keys": "keys.json", "site": "north"}
    (folder / "clients.json").write_text(json.dumps({"clients": [client]}))
    return folder


@pytest.fixture(scope="module")
def service(folder: Path, record: RecordPeer) -> Iterator[Service]:
    with Service(
        folder,
        STROKE_HTTP_WORKERS="2",
        STROKE_CLINICAL_CLIENTS="clients.json",
        STROKE_CLINICAL_PUBLIC_URL=PUBLIC,
        STROKE_CLINICAL_FHIR_SERVERS=record.url,
        STROKE_CLINICAL_FHIR_NETWORKS="127.0.0.0/8",
        STROKE_CLINICAL_FETCH_SECONDS="20",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def metrics(service: Service, folder: Path) -> Callable[[], str]:
    made = run_stroke(
        *("keys", "create", "--name", "prometheus", "--site", "north", "--scope", "metrics"),
        folder=folder,
    )
    assert made.returncode == 0, made.stderr

    def read() -> str:
        answer = urllib3.request(
            "GET", f"{service.url}/metrics", headers={"X-API-Key": made.stdout.strip()}
        )
        assert answer.status == 200
        return answer.data.decode()

    return read


@pytest.fixture(scope="module")
def given(service: Service, record: RecordPeer) -> dict[str, Any]:
    key = ECAlgorithm.to_jwk(KEY, as_dict=True) | {"kid": "one"}
    return {
        "service": service.url,
        "record": record.url,
        "audience": PUBLIC,
        "issuer": ISSUER,
        "key": key,
    }


@pytest.fixture(scope="module")
def seen(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    people = ("erwin", "other", "young", "bare", "traps", "nobody")
    return {each["patient"]: each for each in clinician(people, **given)}


def test_a_chart_becomes_a_card_whose_suggestion_the_record_stores(
    seen: dict[str, Any], record: RecordPeer
) -> None:
    erwin = seen["erwin"]

    assert (erwin["status"], erwin["not_found"]) == (200, [])
    [card] = erwin["cards"]
    assert card["summary"] == "Stroke risk 18.2% (High)"
    assert card["source"] == "stroke"
    stored = record.get(card["stored"])
    assert stored["resourceType"] == "RiskAssessment"
    assert stored["prediction"][0]["probabilityDecimal"] == pytest.approx(18.16, abs=0.01)
    found = record.get("RiskAssessment?patient=erwin")
    assert [each["resource"]["id"] for each in found["entry"]] == [stored["id"]]
    assert {each["reference"] for each in stored["basis"]} == {
        "Patient/erwin",
        "Condition/erwin-c1",
        "Observation/erwin-bmi1",
        "Observation/erwin-glu1",
        "Observation/erwin-smo1",
    }


def test_who_gets_no_card_gets_none(seen: dict[str, Any]) -> None:
    assert seen["other"]["cards"] == seen["young"]["cards"] == []
    [lacking] = seen["bare"]["cards"]
    assert lacking["summary"] == "Stroke risk not assessed: the record lacks sex"


def test_a_patient_whom_the_record_does_not_know_is_412(seen: dict[str, Any]) -> None:
    nobody = seen["nobody"]

    assert (nobody["status"], nobody["not_found"]) == (412, ["patient"])
    assert nobody["said"] == ["not sent: patient"]


def test_the_traps_of_a_record_lead_to_the_same_values(
    seen: dict[str, Any], record: RecordPeer
) -> None:
    [card] = seen["traps"]["cards"]
    stored = record.get(card["stored"])

    basis = {each["reference"] for each in stored["basis"]}
    # 00:30 at +02:00 is half an hour after 22:00 UTC; the newest glucose is in mmol/L.
    assert {"Observation/traps-b3", "Observation/traps-g2", "Condition/traps-c2"} <= basis
    assert not basis & {"Observation/traps-b2", "Observation/traps-b4", "Condition/traps-c1"}
    assert stored["prediction"][0]["probabilityDecimal"] == pytest.approx(18.16, abs=0.05)


def test_what_became_of_a_card_is_kept_and_counted(
    seen: dict[str, Any], given: dict[str, Any], metrics: Callable[[], str], folder: Path
) -> None:
    [again] = clinician(["erwin"], **given, override="known", comment="CANARY comment")

    first = seen["erwin"]["cards"][0]
    [card] = again["cards"]
    assert first["feedback"] == card["feedback"] == 200
    assert card["uuid"] == first["uuid"]  # the same chart is the same advice
    with sqlite3.connect(folder / "stroke.db") as database:
        rows = database.execute(
            "SELECT subject, shown, verdict, reason, comment FROM assessments"
            " JOIN feedback ON assessment_id = id WHERE id = ?",
            [card["uuid"]],
        ).fetchall()
        [[patients]] = database.execute("SELECT COUNT(*) FROM predictions WHERE site = 'north'")
    assert rows == [("erwin", 1, "overridden", "known", "CANARY comment")]
    assert patients == 2  # erwin and traps, each once
    counted = metrics()
    assert re.search(r'stroke_clinical_feedback_total{.*verdict="accepted"} 2', counted)
    assert re.search(r'stroke_clinical_charts_total{answer="card"} [34]', counted)


def fetching(**changes: Any) -> dict[str, Any]:
    whole = {
        "access_token": "CANARY-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "stroke",
        **changes,
    }
    return {"prefetch": False, "authorization": whole}


def test_a_client_that_sends_no_prefetch_has_it_fetched(
    seen: dict[str, Any], given: dict[str, Any]
) -> None:
    erwin, nobody = clinician(["erwin", "nobody"], **(given | fetching()))

    assert erwin["cards"][0]["uuid"] == seen["erwin"]["cards"][0]["uuid"]
    assert nobody["status"] == 412
    assert nobody["said"] == [
        "not sent: patient; it was not fetched, for the FHIR server refuses it"
    ]


def test_conditions_of_several_pages_are_fetched_whole(
    given: dict[str, Any], record: RecordPeer
) -> None:
    first = record.get("Condition?patient=many&_count=500")
    assert [link for link in first["link"] if link["relation"] == "next"]

    [many] = clinician(["many"], **(given | fetching()))

    assert many["status"] == 200, many["said"]
    stored = record.get(many["cards"][0]["stored"])
    assert {"reference": "Condition/many-z"} in stored["basis"]


def test_what_the_scopes_do_not_allow_is_not_fetched(given: dict[str, Any]) -> None:
    [erwin] = clinician(
        ["erwin"], **(given | fetching(scope="patient/Patient.read patient/Observation.read"))
    )

    assert erwin["status"] == 412
    assert len(erwin["said"]) == 1
    assert "conditions" in erwin["said"][0]


def test_nothing_of_a_patient_or_a_token_is_written_down(
    seen: dict[str, Any], service: Service, metrics: Callable[[], str]
) -> None:
    assert seen["erwin"]["status"] == 200

    for text in (service.log, metrics()):
        assert not re.search(r"CANARY|erwin|traps|Muster|12\.694", text)


def test_javas_usual_clients_are_served_as_they_come(tmp_path: Path, docker_engine: None) -> None:
    whole = bundle(PATIENT, bmi(), glucose(), smoking(), condition("c1", SNOMED, "53741008"))
    with Service(tmp_path) as running:
        found = java_clients(running.url, request(), whole)

    hapi = found.pop("hapi")
    assert {name: each["answers"] for name, each in found.items()} == dict.fromkeys(
        ("jdk", "jdk-1.1", "apache-4", "apache-5"), [200] * 8
    )
    assert hapi["version"] == "4.0.1"
    assert hapi["percent"] == pytest.approx(18.16, abs=0.01)
    assert hapi["model"] == hapi["method"]
    # The hook and the operation have the patient on two servers: two assessments, page by page.
    assert hapi["found"] == 2
    assert hapi["missing"] == [404, True]
    assert hapi["patients"] == [404, True]
    assert hapi["unsupported"] == [405, True]


def test_whole_records_of_synthea_say_the_same_to_the_mapping_and_to_fhirpath(
    docker_engine: None,
) -> None:
    made = synthea.records(synthea.PEOPLE, synthea.SEED)
    assert KEPT.read_text(encoding="utf-8") == "".join(synthea.lines(made))

    for each in (*made, *synthea.records(8, seed=42)):
        same(each)


# Warnings and hints that are right, and why they stay.
ALLOWED: Final = {
    "http://snomed.info/sct": "the validator has no SNOMED CT",
    "http://loinc.org": "the validator has no LOINC",
    "urn:stroke:model": "versions of models are codes of our own",
    "dom-6": "errors, and records that are made up, have no narrative",
    "should have a performer": "nobody measured what is made up",
    "should have a self link": "what is sent as a prefetch was not searched for",
}


EMITTING: Final = ("fhir", "hooks", "cds_clients")


def is_allowed(remark: Remark) -> bool:
    return remark.severity in ("warning", "information") and any(
        each in remark.message for each in ALLOWED
    )


def emitted(folder: Path) -> dict[str, dict[str, Any]]:
    """Return every resource that the service's unit tests are answered with, by test."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
        + [
            f"tests/unit/entrypoints/api/test_{name}.py"
            for name in ("fhir", "hooks", "cds_clients")
        ],
        cwd=ROOT,
        env={**os.environ, FOLDER: str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    kept = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {f"{number} {each['test']}": each["resource"] for number, each in enumerate(kept)}


def simulated(folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for options in ((), ("--requests",)):
        done = run_stroke("simulate", "40", "--fhir", "--missing", "0.2", *options, folder=folder)
        assert done.returncode == 0, done.stderr
        for number, line in enumerate(done.stdout.splitlines()):
            for at, each in enumerate(resources_in(json.loads(line))):
                found[f"simulate {options} {number}.{at}"] = each
    return found


def test_no_resource_that_is_emitted_is_wrong(tmp_path: Path, docker_engine: None) -> None:
    own = {f"builder {number}": each for number, each in enumerate(resources_in(prefetch()))}
    whole = emitted(tmp_path / "kept") | simulated(tmp_path) | own
    kinds = Counter(each["resourceType"] for each in whole.values())
    expected = {"RiskAssessment", "Device", "CapabilityStatement", "OperationDefinition", "Bundle"}
    assert expected | {"OperationOutcome"} <= set(kinds)
    names = list(whole)

    remarks = judged(list(whole.values()))

    wrong = {
        (remark.severity, remark.kind, remark.place, remark.message): names[remark.number]
        for remark in remarks
        if not is_allowed(remark)
    }
    assert not wrong, "\n".join(f"{each}: {name}" for each, name in wrong.items())


def test_the_validator_finds_what_is_wrong(docker_engine: None) -> None:
    good: dict[str, Any] = {
        "resourceType": "RiskAssessment",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "prediction": [{"probabilityDecimal": 18.16}],
    }
    bad: list[dict[str, Any]] = [
        good | {"status": "done"},
        good | {"prediction": [{"probabilityDecimal": 181.6}]},
        {name: value for name, value in good.items() if name != "subject"},
        good | {"unknown": 1},
    ]

    remarks = judged([good, *bad])

    assert {each.number for each in remarks if each.severity == "error"} == {1, 2, 3, 4}
