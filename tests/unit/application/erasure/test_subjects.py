"""References to patients of record systems."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.erasure.ports import Subject
from stroke.application.erasure.subjects import REFERENCE, subject_of


@pytest.mark.parametrize(
    ("reference", "subject"),
    [
        ("17", Subject("17")),
        ("Patient/a-1.B", Subject("a-1.B")),
        ("https://ehr.example/fhir/Patient/17", Subject("17", "https://ehr.example/fhir")),
        ("http://10.0.0.1:8080/Patient/17", Subject("17", "http://10.0.0.1:8080")),
        ("https://a/Patient/1/Patient/2", Subject("2", "https://a/Patient/1")),
        ("Patient", Subject("Patient")),
    ],
)
def test_a_reference_names_an_id_and_perhaps_a_server(reference: str, subject: Subject) -> None:
    assert subject_of(reference) == subject


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "17 18",
        "17\n",
        "Patient/",
        "Observation/17",
        "https://ehr.example/fhir/17",
        "Patient/17/_history/1",
        "ftp://ehr.example/Patient/17",
        "x" * 129,
        "Zoë",
    ],
)
def test_what_is_no_reference_names_nobody(text: str) -> None:
    assert subject_of(text) is None


@given(st.text(alphabet=st.sampled_from("Patient/https:.1 \n"), max_size=40))
def test_the_schema_of_clients_and_the_service_read_the_same(text: str) -> None:
    # JSON Schema's `$` is the end of the text; Python's lets a newline follow.
    assert (re.search(REFERENCE.removesuffix("$") + r"\Z", text) is None) == (
        subject_of(text) is None
    )


def test_a_subject_is_not_shown_by_accident() -> None:
    assert "17" not in repr(Subject("17"))
