"""A closed service against its own OpenAPI document: 20,000 requests, with a key and without one.

``test_openapi_live`` is the small form of it in the gate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from components.openapi import (
    INFERENCE,
    become_known_today,
    let_tensors_agree,
    run_journeys,
    send_examples,
    withdraw_claims,
)
from components.processes import Service, new_key, upgrade_schema

pytestmark = pytest.mark.soak("20,000 requests take a quarter of an hour")

WITH_A_KEY: Final = 300
WITHOUT: Final = 100
JOURNEYS: Final = 500
STEPS: Final = 8
ALL: Final = 20_000
MODES = pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())


class Closed:
    """A service that knows one key, and how many requests it got."""

    def __init__(self, service: Service, key: str) -> None:
        self.service = service
        self.key = {"Authorization": f"Bearer {key}"}
        self.answers: Counter[int] = Counter()
        self.document = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
        model = httpx.get(f"{service.url}/model_info", headers=self.key, timeout=60).json()
        self.served = model["name"], model["version"]
        # A key that is made up, in the other header say, would make a request that of nobody.
        self.document.config.generation.update(with_security_parameters=False)

    def count(self, case: schemathesis.Case[Any], headers: Mapping[str, str]) -> None:
        """Send a request, and compare the answer with the document."""
        answer = case.call_and_validate(headers=dict(headers))
        self.answers[answer.status_code] += 1


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    folder = tmp_path_factory.mktemp("openapi")
    database = f"sqlite:///{folder}/stroke.db"
    upgrade_schema(database, folder)
    key = new_key(folder, database, "admin,all-sites")
    with Service(folder, STROKE_DATABASE_URL=database) as service:
        yield Closed(service, key)


def _each(closed: Closed, mode: GenerationMode, headers: Mapping[str, str], examples: int) -> None:
    for result in closed.document.get_all_operations():
        assert isinstance(result, Ok), "the document is not valid OpenAPI"
        operation = result.ok()
        send_examples(
            operation,
            mode,
            examples=examples,
            served=closed.served,
            send=lambda case: closed.count(case, headers),
        )


@MODES
def test_with_a_key_every_answer_is_one_that_the_document_promises(
    closed: Closed, mode: GenerationMode
) -> None:
    before = closed.answers.copy()
    _each(closed, mode, closed.key, WITH_A_KEY)
    assert not {401, 403} & set(closed.answers - before)


@MODES
def test_without_a_key_every_answer_is_one_that_the_document_promises_and_shows_nothing(
    closed: Closed, mode: GenerationMode
) -> None:
    before = closed.answers.copy()
    _each(closed, mode, {}, WITHOUT)
    answers = closed.answers - before
    assert answers[401] > answers.total() / 2


def test_journeys_over_the_links_of_the_document_find_nothing(closed: Closed) -> None:
    def right_where_it_should_be(case: schemathesis.Case[Any]) -> None:
        # What is meant to be wrong stays so.
        if case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE:
            withdraw_claims(case.body)
            become_known_today(case.body)
            if case.operation.path.startswith(INFERENCE):
                let_tensors_agree(case, closed.served)

    def answered(_: schemathesis.Case[Any], status: int) -> None:
        closed.answers[status] += 1

    run_journeys(
        closed.document.as_state_machine(),
        key=closed.key,
        journeys=JOURNEYS,
        steps=STEPS,
        changed=right_where_it_should_be,
        answered=answered,
    )


def test_as_many_requests_were_sent_as_are_promised(closed: Closed) -> None:
    """The last of this module: it counts what the others sent."""
    assert closed.answers.total() >= ALL
