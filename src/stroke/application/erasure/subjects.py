"""Patients of record systems: which predictions are theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from stroke.application.erasure.ports import Subject, Subjects
from stroke.domain.errors import SubjectsAlike

# A reference of FHIR: the server's address if it is absolute, the type, and the id.
_REFERENCE: Final = re.compile(
    r"(?:(?P<server>https?://[!-~]{1,240}?)/Patient/|Patient/)?(?P<id>[!-.0-~]{1,128})"
)
REFERENCE: Final = r"^(https?://[!-~]{1,240}/Patient/|Patient/)?[!-.0-~]{1,128}$"
"""The same as clients and their schemas read it."""
MOST_SUBJECTS: Final = 100
"""How many patients one request may name."""


def subject_of(reference: str) -> Subject | None:
    """Return the patient of a reference, such as ``https://ehr.example/fhir/Patient/17``.

    ``Patient/17`` and ``17`` are patients of any one server. None for what is no reference.
    """
    found = _REFERENCE.fullmatch(reference)
    return None if found is None else Subject(found["id"], found["server"])


async def predictions_of(
    subjects: Subjects, wanted: Sequence[Subject], *, site: str | None
) -> set[int]:
    """Return the predictions of patients; with a ``site``, those of this site alone.

    Raises ``SubjectsAlike`` when a reference without a server is that of patients of several
    servers, who are different people, and ``StoreUnavailable``.
    """
    found: set[int] = set()
    for number, subject in enumerate(wanted, start=1):
        by_server = await subjects.find(subject, site=site)
        if subject.server is None and len(by_server) > 1:
            raise SubjectsAlike(
                f"reference {number} of {len(wanted)} is that of patients of {len(by_server)} "
                "servers: give it with its server (https://SERVER/Patient/ID)"
            )
        found.update(each for ids in by_server.values() for each in ids)
    return found
