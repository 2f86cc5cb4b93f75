"""References of FHIR resources: whether one names the patient whose chart is open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

_RELATIVE: Final = re.compile(r"Patient/([^/?#]+)(?:/_history/[^/?#]+)?")
_ABSOLUTE: Final = re.compile(
    r"(https?://[^?#]+)/Patient/([^/?#]+)(?:/_history/[^/?#]+)?", re.IGNORECASE
)
_RESOURCE: Final = re.compile(
    r"(https?://[^?#]+)/[A-Z][A-Za-z]+/[^/?#]+(?:/_history/[^/?#]+)?", re.IGNORECASE
)
_UUID: Final = "urn:uuid:"
_PORTS: Final = {"http": 80, "https": 443}
# FHIR allows 64 of fewer characters; records have others, too.
_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_URL: Final = re.compile(r"(?:https?://|urn:)[!-~]+")
_LONGEST_URL: Final = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """Which patient a chart is of: the id, and the servers on which this id is that patient's.

    ``urls`` are the full URLs that the Patient resource itself came with, ``identifiers`` its
    identifiers, each with its system. Without a server and a URL, an absolute reference counts by
    its id alone.
    """

    patient_id: str
    server: str | None = None
    urls: frozenset[str] = frozenset()
    identifiers: frozenset[tuple[str, str]] = frozenset()
    _bases: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Once for all resources: a client may send thousands of either.
        bases = {_base(url) for url in self.urls if _ABSOLUTE.fullmatch(url)}
        if self.server is not None:
            bases.add(_normal(self.server))
        object.__setattr__(self, "_bases", frozenset(bases))

    def is_subject_of(self, resource: Mapping[str, Any]) -> bool:
        """Return whether the resource's subject is this patient.

        A subject that is contained in the resource, that is only described, or that stands on
        another server is not: it may be anybody. One without a reference may be named by an
        identifier that the Patient has.
        """
        subject = resource.get("subject", resource.get("patient"))
        if not isinstance(subject, Mapping):
            return False
        reference = subject.get("reference")
        if reference is None:
            return identifier_of(subject.get("identifier")) in self.identifiers
        return isinstance(reference, str) and self._is_named_by(reference.strip())

    def _is_named_by(self, reference: str) -> bool:
        if (match := _RELATIVE.fullmatch(reference)) is not None:
            return match[1] == self.patient_id
        if reference in self.urls:
            return True
        if reference.lower().startswith(_UUID):  # a UUID's letters are the same in both cases
            named = reference.lower()
            if self.urls:
                return any(named == url.lower() for url in self.urls)
            return named.removeprefix(_UUID) == self.patient_id.lower()
        match = _ABSOLUTE.fullmatch(reference)
        return match is not None and match[2] == self.patient_id and self._knows(match[1])

    def may_be_subject_of(self, resource: Mapping[str, Any]) -> bool:
        """Return whether a resource's subject, which is not clearly this patient, may be so.

        It has no reference, or one to a contained resource or to the same id on another server.
        """
        subject = resource.get("subject", resource.get("patient"))
        reference = subject.get("reference") if isinstance(subject, Mapping) else None
        if not isinstance(reference, str) or reference.strip().startswith("#"):
            return True
        match = _ABSOLUTE.fullmatch(reference.strip())
        return match is not None and match[2] == self.patient_id

    def _knows(self, base: str) -> bool:
        return not self._bases or _normal(base) in self._bases


def bare_id(text: str) -> str:
    """Return the id of a patient, which some clients write as a reference."""
    match = _RELATIVE.fullmatch(text.strip())
    return match[1] if match else text.strip()


def identifier_of(identifier: Any) -> tuple[str, str] | None:
    """Return the system and the value of an Identifier, None for one that lacks either."""
    if not isinstance(identifier, Mapping):
        return None
    system, value = identifier.get("system"), identifier.get("value")
    if not isinstance(system, str) or not isinstance(value, str):
        return None
    found = (system.strip(), value.strip())
    return found if all(found) else None


def server_of(full_url: str | None) -> str | None:
    """Return the base address of the server that a full URL leads to, None for a mere name."""
    match = _RESOURCE.fullmatch(full_url) if full_url is not None else None
    return _normal(match[1]) if match is not None else None


def reference_of(resource: Mapping[str, Any], full_url: str | None) -> str | None:
    """Return how others refer to a resource: by type and id, else by its full URL.

    None where neither can be written into a reference.
    """
    kind, own = resource.get("resourceType"), resource.get("id")
    if isinstance(kind, str) and isinstance(own, str) and _ID.fullmatch(own):
        return f"{kind}/{own}"
    if full_url is not None and _URL.fullmatch(full_url) and len(full_url) <= _LONGEST_URL:
        return full_url
    return None


def _base(url: str) -> str:
    match = _ABSOLUTE.fullmatch(url)
    return _normal(match[1]) if match else ""


def _normal(url: str) -> str:
    try:
        parts = urlsplit(url.rstrip("/"))
        port = parts.port
    except ValueError:
        return url
    host = parts.netloc.lower()
    if port is not None and port == _PORTS.get(parts.scheme.lower()):
        host = host.rpartition(":")[0]
    return f"{parts.scheme.lower()}://{host}{parts.path}"
