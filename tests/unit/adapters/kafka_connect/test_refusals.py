from __future__ import annotations

import pytest

from stroke.adapters.kafka_connect.refusals import violations_of

PREFIX = "is refused by Kafka Connect"


def told(key: str, *errors: str) -> list[tuple[str, str]]:
    answer = {
        "configs": [
            {"definition": {"name": key}, "value": {"name": key, "errors": list(errors)}},
            {"definition": {"name": "other"}, "value": None},
            {"definition": {"name": "good"}, "value": {"name": "good", "errors": []}},
        ]
    }
    return [(violation.field, violation.reason) for violation in violations_of(answer)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            "Invalid value hunter2 for configuration tasks.max: Not a number of type INT",
            f"{PREFIX}: Not a number of type INT",
        ),
        ("Invalid value hunter2 for configuration x", PREFIX),
        (
            "Invalid value a\nhunter2 for configuration x: String must be one of: none, all",
            f"{PREFIX}: String must be one of: none, all",
        ),
        (
            "The 'hunter2' value is invalid: it is wrong",
            f"{PREFIX}: The ... value is invalid: it is wrong",
        ),
        ("It cannot be.\nhunter2", f"{PREFIX}: It cannot be."),
        ("", PREFIX),
    ],
)
def test_a_refusal_is_told_without_the_value_that_it_quotes(error: str, reason: str) -> None:
    assert told("tasks.max", error) == [("tasks.max", reason)]


def test_of_a_secret_nothing_but_the_key_is_told() -> None:
    assert told("database.password", "hunter2 is too short") == [("database.password", PREFIX)]


def test_each_reason_is_told_once() -> None:
    assert told("x", "It is wrong", "It is wrong") == [("x", f"{PREFIX}: It is wrong")]
