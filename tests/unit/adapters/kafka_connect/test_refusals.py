from __future__ import annotations

import pytest

from stroke.adapters.kafka_connect.refusals import violations_of

PREFIX = "is refused by Kafka Connect"


def reasons_of(key: str, *errors: str) -> list[tuple[str, str]]:
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
def test_a_refusal_is_shown_without_the_value_that_it_quotes(error: str, reason: str) -> None:
    assert reasons_of("tasks.max", error) == [("tasks.max", reason)]


def test_a_refused_secret_is_named_by_its_key_alone() -> None:
    assert reasons_of("database.password", "hunter2 is too short") == [
        ("database.password", PREFIX)
    ]


def test_each_reason_is_logged_once() -> None:
    assert reasons_of("x", "It is wrong", "It is wrong") == [("x", f"{PREFIX}: It is wrong")]
