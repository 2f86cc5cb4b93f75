"""What generated requests need beside the OpenAPI document, which has no words for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyStrategyDefinition, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

from builders.inference import DATATYPES, FEATURES, framed, tensor
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


INFERENCE: Final = "/v2/models/"
_LENGTH: Final = "Inference-Header-Content-Length"
_OUTPUTS: Final = ("probability", "risk_category", "baseline_log_odds", "contribution.age")
_MOST_ROWS: Final = 5
_COLUMNS: Final[dict[str, tuple[Any, ...]]] = {
    "gender": ("Female", "Male", "Other"),
    "age": (71.5, 48, 0.5, 120),
    "hypertension": (1, 0),
    "heart_disease": (0, 0, 1),
    "avg_glucose_level": (105.2, 88.1, 300),
    "bmi": (27.4, 31.0, 14),
    "smoking_status": ("smokes", "Unknown", "never smoked", "formerly smoked"),
    "name": ("Ada", "\u6f22\u5b57 \U0001f600"),
    "country": ("Peru",),
    "province": ("Lima", "Cusco"),
}


def let_tensors_agree(case: schemathesis.Case[Any], served: tuple[str, str]) -> None:
    """Turn tensors that are each well formed into a request that fits together.

    JSON Schema cannot say that every feature is there once, that all have as many values as their
    shapes say, or that the JSON is as long as a header says. ``served`` is the model's name and
    version. What was drawn still decides over rows, shapes, order, outputs and parameters.
    """
    name_served(case, served)
    if case.media_type == "application/octet-stream":
        body: Any = case.body
        drawn = len(getattr(body, "data", body))  # schemathesis wraps its bytes
        store = drawn % 2 == 1
        tensors = _inputs(DATATYPES if store else FEATURES, drawn % _MOST_ROWS + 1, two=store)
        case.body, length = framed(tensors, parameters={"store": store})
        case.headers.update(length)
    elif isinstance(case.body, dict):
        _agree(case.body)


def name_served(case: schemathesis.Case[Any], served: tuple[str, str]) -> None:
    """Let a request name the model that is ``served``, and no length, unless these are to be wrong.

    Otherwise nothing but the name or the length would ever be refused.
    """
    if case.meta is None or not case.meta.is_negative_at(ParameterLocation.HEADER):
        case.headers.pop(_LENGTH, None)
    if case.meta is None or not case.meta.is_negative_at(ParameterLocation.PATH):
        for parameter, value in zip(("model_name", "model_version"), served, strict=True):
            if parameter in case.path_parameters:
                case.path_parameters[parameter] = value


def _agree(body: dict[str, Any]) -> None:
    drawn = body["inputs"]
    # Drawn as they are, hardly any request would store rows or want binary data.
    switches = {"store": len(drawn) % 2 == 1, "binary_data_output": len(drawn) % 3 == 1}
    body["parameters"] = switches | (body.get("parameters") or {})
    names = [*DATATYPES] if body["parameters"]["store"] else [*FEATURES]
    turn = len(drawn) % len(names)
    shape = drawn[0]["shape"]
    rows = int(shape[0] - 1) % _MOST_ROWS + 1  # 2.0 is an integer for JSON Schema
    body["inputs"] = _inputs(names[turn:] + names[:turn], rows, two=len(shape) > 1)
    if body.get("outputs"):
        body["outputs"] = [
            each | {"name": name} for each, name in zip(body["outputs"], _OUTPUTS, strict=False)
        ]


def _inputs(names: Iterable[str], rows: int, *, two: bool) -> list[dict[str, Any]]:
    shape = [rows, 1] if two else [rows]
    return [tensor(each, [*islice(cycle(_COLUMNS[each]), rows)], shape=shape) for each in names]


def send_examples(
    operation: Any,
    mode: GenerationMode,
    *,
    examples: int,
    served: tuple[str, str] | None = None,
    send: Callable[[schemathesis.Case[Any]], object],
) -> None:
    """Send requests of one operation, the same ones every time, valid or not as ``mode`` says.

    ``send`` sends one of them, and compares the answer with the document. ``served`` is the name
    and the version of the served model, for the operations that name it.
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
        if served is not None and operation.path.startswith(INFERENCE):
            if mode is GenerationMode.POSITIVE:
                let_tensors_agree(case, served)
            else:
                name_served(case, served)
        send(case)

    try:
        check()
    except Unsatisfiable:
        # An operation without parameters has nothing that could be wrong.
        assert mode is GenerationMode.NEGATIVE
        assert operation.method == "get"


def run_journeys(
    machine: type[Any],
    *,
    key: Mapping[str, str],
    journeys: int,
    steps: int,
    changed: Callable[[schemathesis.Case[Any]], object],
    answered: Callable[[schemathesis.Case[Any], int], object],
    without: Sequence[Any] = (),
) -> None:
    """Follow the links of a document, the same ways every time: ``machine`` is of its operations.

    ``changed`` may change a request before it is sent with the headers ``key``; ``answered`` gets
    the status of each answer. Each is compared with the document, but for the checks ``without``.
    """

    begun = 0
    found: list[Exception] = []

    class Journey(machine):  # type: ignore[misc]
        def setup(self) -> None:
            nonlocal begun
            begun += 1
            super().setup()

        def get_call_kwargs(self, case: schemathesis.Case[Any]) -> dict[str, Any]:
            return {"headers": dict(key)}

        def before_call(self, case: schemathesis.Case[Any]) -> None:
            changed(case)

        def after_call(self, response: Any, case: schemathesis.Case[Any]) -> None:
            answered(case, response.status_code)

        def validate_response(self, response: Any, case: Any, **more: Any) -> None:
            try:
                case.validate_response(response, excluded_checks=[*without], **more)
            except Exception as finding:
                found.append(finding)
                raise

    while begun < journeys:
        try:
            seed(begun)(Journey).run(
                settings=settings(
                    max_examples=journeys - begun,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                )
            )
        except FlakyStrategyDefinition:
            # The service keeps what it was sent, so the same way again may lead elsewhere, and
            # Hypothesis then gives up. That finds nothing: other ways are gone instead.
            if found:
                raise found[0] from None
