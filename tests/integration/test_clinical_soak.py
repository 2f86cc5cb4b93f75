"""Requests that are made up, right and wrong, to the routes of record systems: none is a fault.

``test_any_chart`` is the small form of it in the gate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from builders.charts import PATIENT, SNOMED, bmi, bundle, condition, glucose, request, smoking
from components.clinical_openapi import HOOK, document
from components.openapi import run_journeys, send_examples
from components.processes import Service, new_key, upgrade_schema

pytestmark = pytest.mark.soak("thousands of requests take minutes")

OPERATION: Final = "/fhir/$stroke-risk"
EXAMPLES: Final = 300
JOURNEYS: Final = 200
STEPS: Final = 6
MODES = pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
# Charts are read leniently (decision 0092): a wrong field is passed over, and a right chart may
# lack what is needed. Which answer is right for which chart is the matter of test_mapping.
LENIENT: Final[list[Any]] = [negative_data_rejection, positive_data_acceptance]


class Hospital:
    """A service that knows one key, and what it answered, by operation and status."""

    def __init__(self, service: Service, key: str) -> None:
        self.key = {"Authorization": f"Bearer {key}"}
        self.service = service
        self.answers: Counter[tuple[str, int]] = Counter()
        self.examples: Counter[tuple[str, GenerationMode]] = Counter()
        self.document = schemathesis.openapi.from_dict(document())
        self.document.config.update(base_url=service.url)
        self.document.config.generation.update(with_security_parameters=False)

    def send(self, mode: GenerationMode, case: schemathesis.Case[Any]) -> None:
        """Send a request, and compare the answer with the document."""
        answer = case.call_and_validate(headers=self.key, excluded_checks=LENIENT)
        self.answers[case.operation.path, answer.status_code] += 1
        self.examples[case.operation.label, mode] += 1


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    database = f"sqlite:///{folder}/stroke.db"
    upgrade_schema(database, folder)
    key = new_key(folder, database, "admin,all-sites")
    with Service(folder, STROKE_DATABASE_URL=database) as service:
        yield Hospital(service, key)


@MODES
def test_every_answer_is_one_that_the_standards_know(
    hospital: Hospital, mode: GenerationMode
) -> None:
    for result in hospital.document.get_all_operations():
        assert isinstance(result, Ok), "the document is not valid OpenAPI"
        send_examples(result.ok(), mode, examples=EXAMPLES, send=partial(hospital.send, mode))


def test_journeys_from_a_chart_to_its_assessment_and_feedback_find_nothing(
    hospital: Hospital,
) -> None:
    known_condition = condition("c", SNOMED, "53741008")
    hook = request(conditions={"resourceType": "Bundle", "type": "searchset"})
    hook["prefetch"]["conditions"]["entry"] = [{"resource": known_condition}]
    right = {HOOK: hook, OPERATION: bundle(PATIENT, bmi(), glucose(), smoking(), known_condition)}

    def sometimes_right(case: schemathesis.Case[Any]) -> None:
        # Made-up charts seldom have all that a risk needs: half of the patients have it.
        if case.operation.path in right and len(str(case.body)) % 2:
            case.body = right[case.operation.path]

    def answered(case: schemathesis.Case[Any], status: int) -> None:
        hospital.answers[case.operation.path, status] += 1

    run_journeys(
        hospital.document.as_state_machine(),
        key=hospital.key,
        journeys=JOURNEYS,
        steps=STEPS,
        changed=sometimes_right,
        answered=answered,
        without=LENIENT,
    )


def test_the_routes_were_reached_rightly_and_wrongly(hospital: Hospital) -> None:
    """After the others of this module: it counts what they were answered."""
    by_path: dict[str, set[int]] = {}
    for path, status in hospital.answers:
        by_path.setdefault(path, set()).add(status)

    assert {200, 412, 422} <= by_path[HOOK]
    assert {200, 412, 422} <= by_path[OPERATION]
    assert {200, 422} <= by_path[f"{HOOK}/feedback"]
    assert {200, 422} <= by_path["/fhir/RiskAssessment"]
    assert {200, 404} <= by_path["/fhir/RiskAssessment/{own}"]
    assert not [status for _, status in hospital.answers if status >= 500]


def test_every_operation_got_its_examples_right_and_wrong(hospital: Hospital) -> None:
    """A generator that ends early would find nothing. After the others, as the one above."""
    varied = 0
    for result in hospital.document.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        right, wrong = (hospital.examples[operation.label, mode] for mode in GenerationMode)
        if operation.body or list(operation.iter_parameters()):
            varied += 1
            assert right >= EXAMPLES, operation.label
            assert wrong >= EXAMPLES, operation.label
        else:  # one request is all that there is, and nothing in it can be wrong
            assert (right, wrong) == (1, 0), operation.label
    assert varied >= 6
    assert hospital.answers.total() > 2 * varied * EXAMPLES, "and journeys"
