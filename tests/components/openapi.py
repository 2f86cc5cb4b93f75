"""What generated requests need beside the OpenAPI document, which has no words for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from stroke.domain.features import ENGINEERED_FEATURES


def become_known_today(body: Any) -> None:
    """Let an outcome be neither in the future nor before its prediction, which it knows not."""
    if isinstance(body, dict) and "date" in body:
        body["date"] = str(datetime.now(UTC).date())


def withdraw_claims(body: Any) -> None:
    """Take out what must agree with the measurements."""
    if isinstance(body, dict):
        inner = [body["patient"]] if isinstance(body.get("patient"), dict) else []
        for patient in (body, *inner, *(body.get("patients") or ())):
            for feature in ENGINEERED_FEATURES:
                patient.pop(feature, None)


def send_examples(
    operation: Any,
    mode: GenerationMode,
    *,
    examples: int,
    send: Callable[[schemathesis.Case[Any]], object],
) -> None:
    """Send requests of one operation, the same ones every time, valid or not as ``mode`` says.

    ``send`` sends one of them, and compares the answer with the document.
    """

    @seed(1)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            withdraw_claims(case.body)
            become_known_today(case.body)
        send(case)

    try:
        check()
    except Unsatisfiable:
        # An operation without parameters has nothing that could be wrong.
        assert mode is GenerationMode.NEGATIVE
        assert operation.method == "get"
