"""What a client's access token allows on its FHIR server, by its scopes (SMART App Launch).

The server decides; this is looked at before, so that no request is made in vain, and so that an
answer that leaves something out for want of a right is not taken for a record without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stroke.domain.clinical.references import bare_id

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,8192}=*")
# Version 1 writes .read, version 2 the letters of what may be done. A query behind it narrows it
# to some of the resources, which is no right to all of them.
_SCOPE: Final = re.compile(
    r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(read|\*|c?r?u?d?s?)", re.ASCII
)
_MOST_SCOPES: Final = 500


@dataclass(frozen=True, slots=True)
class Grant:
    """A token for the client's server. ``patient`` is whom it is for, None for more than one."""

    token: str = field(repr=False)
    scopes: tuple[tuple[str, str], ...]
    """Kinds of resources, and what may be done with them."""
    patient: str | None = field(repr=False)

    def allows(self, kind: str, patient_id: str, *, searches: bool) -> bool:
        """Return whether every resource of a kind may be read, or searched, for a patient."""
        if self.patient not in (None, patient_id):
            return False
        letter = "s" if searches else "r"
        return any(
            of in ("*", kind) and (rights in ("*", "read") or letter in rights)
            for of, rights in self.scopes
        )


def grant_of(authorization: Any) -> Grant | None:
    """Return the grant in ``fhirAuthorization``, None where there is none that can be used."""
    if not isinstance(authorization, Mapping):
        return None
    token, kind = authorization.get("access_token"), authorization.get("token_type")
    lives, scopes = authorization.get("expires_in"), authorization.get("scope")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return None
    if not isinstance(kind, str) or kind.lower() != "bearer" or not isinstance(scopes, str):
        return None
    if isinstance(lives, int | float) and lives <= 0:
        return None
    patient = authorization.get("patient")
    found = (_SCOPE.fullmatch(each) for each in scopes.split()[:_MOST_SCOPES])
    return Grant(
        token,
        tuple((each[2], each[3]) for each in found if each is not None),
        bare_id(patient) if isinstance(patient, str) else None,
    )
