"""A patient's chart: the resources that a client sent, and what it did not send.

Everything is read leniently from plain JSON. What is not understood is passed over; what would
change the meaning of a value makes the value unusable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from stroke.domain.clinical.references import Identity, bare_id, identifier_of, server_of
from stroke.domain.clinical.times import instant, order
from stroke.domain.errors import InvalidChart

PATIENT: Final = "patient"
BMI: Final = "bmi"
BODY: Final = "body"
GLUCOSE: Final = "glucose"
SMOKING: Final = "smoking"
CONDITIONS: Final = "conditions"
KEYS: Final = (PATIENT, BMI, BODY, GLUCOSE, SMOKING, CONDITIONS)
"""What a client is asked to send, by the names of CDS Hooks' prefetch."""

FURTHER: Final = "further"
"""What it is asked for besides, where a site maps observations to features of a model's own."""

_NEVER_WITHOUT: Final = frozenset({PATIENT, CONDITIONS})
_FAILURES: Final = frozenset({"error", "fatal"})
_DEEPEST: Final = 4
_SEARCH: Final = "searchset"
_HISTORY: Final = "history"
_NAMED: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[^/?#]+)(?:/_history/[^/?#]+)?$")
_CONDITIONS_PATH: Final = re.compile(r"(?:^|/)Condition(?:/_search)?$")
_OF_A_PATIENT: Final = frozenset(
    {"patient", "subject", "_count", "_sort", "_format", "_pretty", "_total", "_include", ""}
)
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_WHOLE: Final = ""


class Entry(NamedTuple):
    """A resource, the key under which it came, and the full URL that it had in its bundle."""

    resource: Mapping[str, Any]
    key: str = _WHOLE
    full_url: str | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """What is known of one patient.

    ``not_sent`` names keys that the client did not send, or could not; ``incomplete`` those of
    which more pages exist; ``failed`` those whose query was answered with an error. ``sent`` are
    the keys that the client sent and that could be read; None for a whole record.
    """

    identity: Identity
    entries: tuple[Entry, ...]
    not_sent: frozenset[str] = frozenset()
    incomplete: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    sent: frozenset[str] | None = None

    def lacks(self, key: str) -> bool:
        """Return whether a key was not sent, which may be one that not all are asked for."""
        return key in self.not_sent or (self.sent is not None and key not in self.sent)

    def of_type(self, name: str) -> list[Entry]:
        """Return the resources of a type, each once: the newest version of an id."""
        found: dict[object, Entry] = {}
        for entry in self.entries:
            if entry.resource.get("resourceType") != name:
                continue
            own = entry.resource.get("id")
            key: object = own if isinstance(own, str) else id(entry.resource)
            former = found.get(key)
            if former is None or updated(former.resource) < updated(entry.resource):
                found[key] = entry
        return list(found.values())

    @property
    def patient(self) -> Mapping[str, Any] | None:
        """The Patient resource of the chart's own patient."""
        for entry in self.of_type("Patient"):
            if entry.resource.get("id") == self.identity.patient_id:
                return entry.resource
            if entry.full_url is not None and entry.full_url in self.identity.urls:
                return entry.resource
        return None


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and one thing without a list around it in one.

    Programs that make JSON of XML leave lists of one away.
    """
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def updated(resource: Mapping[str, Any]) -> Any:
    """Return when this version of a resource was stored, to sort by."""
    meta = resource.get("meta")
    return order(instant(meta.get("lastUpdated")) if isinstance(meta, Mapping) else None)


@dataclass(slots=True)
class _Read:
    entries: list[Entry] = field(default_factory=list)
    incomplete: bool = False
    failed: bool = False
    asked_for_conditions: bool = False
    searches: Counter[int | None] = field(default_factory=Counter)
    """How many resources came of searches, by how many were found: pages have the same total, or
    none."""
    deleted: set[str] = field(default_factory=set)

    @property
    def is_partial(self) -> bool:
        """Whether a server found more than what was sent."""
        return self.incomplete or any(
            came < total for total, came in self.searches.items() if total is not None
        )

    def holds_only_others(self, kind: str) -> bool:
        """Return whether there are resources, and none is of this kind: it was not asked for."""
        kinds = [entry.resource.get("resourceType") for entry in self.entries]
        return bool(kinds) and kind not in kinds

    def add_pages(self, pages: Counter[int | None]) -> None:
        """Add what came of a list of pages, which are of one search.

        A server may count late: only the last pages say the total of all.
        """
        without = pages.pop(None, 0)
        if len(pages) == 1:
            pages.update(dict.fromkeys(pages, without))
        self.searches.update(pages)


def chart_of_prefetch(prefetch: Any, patient_id: str, server: str | None = None) -> Chart:
    """Return the chart of a CDS Hooks request.

    A key that is not there was not sent. ``null`` means that the record has no such data; of the
    patient it means that nothing was sent, for the context names one. An OperationOutcome in the
    place of the patient or the conditions counts as not sent, too, and so do other resources, or
    what cannot be read, in the place of the conditions: an error is no good health.
    """
    sent = prefetch if isinstance(prefetch, Mapping) else {}
    entries: list[Entry] = []
    not_sent: set[str] = set()
    incomplete: set[str] = set()
    failed: set[str] = set()
    for key in (*KEYS, *(each for each in sent if each not in KEYS)):
        if key not in sent or (sent[key] is None and key == PATIENT):
            not_sent.add(key)
            continue
        found = _Read()
        if sent[key] is not None and not _read(sent[key], key, found):
            not_sent.add(key)
            continue
        entries += found.entries
        if key == CONDITIONS and found.holds_only_others("Condition"):
            not_sent.add(key)
        if found.is_partial:
            incomplete.add(key)
        if found.failed:
            (not_sent if key in _NEVER_WITHOUT else failed).add(key)
    own = bare_id(patient_id)
    chart = Chart(
        _identity(entries, own, server),
        tuple(entries),
        frozenset(not_sent),
        frozenset(incomplete),
        frozenset(failed),
        frozenset(sent) - not_sent,
    )
    if chart.patient is None and PATIENT not in chart.not_sent:
        # Somebody else's.
        return replace(chart, not_sent=chart.not_sent | {PATIENT})
    return chart


def chart_of_bundle(
    bundle: Any, patient_id: str | None = None, *, conditions_known: bool = False
) -> Chart:
    """Return the chart in a Bundle with everything in it, bundles of searches included.

    ``patient_id`` chooses one of several patients. A bundle without any Condition says nothing
    of conditions unless it holds the empty answer of a search for them, or the caller knows
    (``conditions_known``). Raises ``InvalidChart``.
    """
    found = _Read()
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
        raise InvalidChart("this is no FHIR Bundle")
    _read(bundle, _WHOLE, found)
    if found.failed:
        raise InvalidChart("the bundle holds the error of a search: part of the record is missing")
    if found.is_partial:
        raise InvalidChart(
            "the bundle has a link to a next page, or fewer entries than were found: send all "
            "pages in one bundle"
        )
    patients = Chart(Identity(""), tuple(found.entries)).of_type("Patient")
    if patient_id is not None:
        wanted = bare_id(patient_id)
        patients = [each for each in patients if each.resource.get("id") == wanted]
    if not patients:
        raise InvalidChart("the bundle holds no Patient, or not the one that was named")
    if len(patients) > 1:
        raise InvalidChart("the bundle holds several patients: name one of them")
    if len(_servers_of(found.entries, patients[0].resource.get("id"))) > 1:
        raise InvalidChart("the bundle holds patients of several servers with the same id")
    [patient] = patients
    own = patient.resource.get("id")
    if not (isinstance(own, str) and own) and patient.full_url is None:
        raise InvalidChart("the Patient has neither an id nor a full URL")
    urls = frozenset({patient.full_url}) if patient.full_url else frozenset()
    known = (
        conditions_known
        or found.asked_for_conditions
        or any(each.resource.get("resourceType") == "Condition" for each in found.entries)
    )
    return Chart(
        Identity(own if isinstance(own, str) else "", None, urls, _identifiers(patient.resource)),
        tuple(found.entries),
        frozenset() if known else frozenset({CONDITIONS}),
    )


def _identity(entries: list[Entry], patient_id: str, server: str | None) -> Identity:
    own = [
        entry
        for entry in entries
        if entry.resource.get("resourceType") == "Patient"
        and entry.resource.get("id") == patient_id
    ]
    urls = frozenset(entry.full_url for entry in own if entry.full_url is not None)
    identifiers = frozenset(each for entry in own for each in _identifiers(entry.resource))
    return Identity(patient_id, server, urls, identifiers)


def _servers_of(entries: Iterable[Entry], patient_id: Any) -> set[str]:
    """Return the servers, by their full URLs, that have a Patient with this id."""
    found = (
        server_of(entry.full_url)
        for entry in entries
        if entry.resource.get("resourceType") == "Patient"
        and entry.resource.get("id") == patient_id
    )
    return {server for server in found if server is not None}


def _identifiers(patient: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Return the identifiers of a Patient that name a system: a mere number may be anybody's."""
    found = map(identifier_of, listed(patient.get("identifier")))
    return frozenset(each for each in found if each is not None)


def _read(value: Any, key: str, into: _Read, full_url: str | None = None, depth: int = 0) -> bool:
    """Add the resources in ``value``; return whether there was anything that can be read."""
    if depth > _DEEPEST:
        into.failed = True
        return False
    if isinstance(value, list):
        others, into.searches = into.searches, Counter()
        read = [_read(each, key, into, None, depth + 1) for each in value]
        pages, into.searches = into.searches, others
        into.add_pages(pages)
        return all(read)
    if not isinstance(value, Mapping):
        return False
    kind = value.get("resourceType")
    if kind == "OperationOutcome":
        into.failed |= _is_failure(value, alone=depth == 0)
        return True
    if kind != "Bundle":
        into.entries.append(Entry(value, key, full_url))
        return isinstance(kind, str)
    for relation, target in _links(value):
        into.incomplete |= relation == "next"
        into.asked_for_conditions |= relation == "self" and _asks_for_all_conditions(target)
    _read_entries(value, key, into, depth)
    return True


def _read_entries(bundle: Mapping[str, Any], key: str, into: _Read, depth: int) -> None:
    given = listed(bundle.get("entry"))
    entries = [each for each in given if _is_object(each)]
    into.failed |= len(entries) < len(given)
    if bundle.get("type") != _HISTORY:
        into.deleted.update(*map(_deleted, entries))
    for entry in entries:
        # A history has the newest version first: what was made again afterwards has come already.
        into.deleted.update(_deleted(entry))
        into.failed |= _is_refusal(entry.get("response"))
        resource, url = entry.get("resource"), entry.get("fullUrl")
        if resource is None:
            # Other entries may say in a request or a response why they have none.
            into.failed |= not (entry.get("request") or entry.get("response"))
            continue
        if _is_object(resource) and _name_of(resource) in into.deleted:
            continue
        if not _read(resource, key, into, url if isinstance(url, str) else None, depth + 1):
            into.failed = True
    if bundle.get("type") == _SEARCH:
        into.searches[_count(bundle.get("total"))] += sum(map(_is_match, entries))


def _count(total: Any) -> int | None:
    """Return how many a search found, None where that is no number."""
    if isinstance(total, str) and _DIGITS.fullmatch(total):
        return int(total)
    return total if isinstance(total, int) and not isinstance(total, bool) else None


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _name_of(resource: Mapping[str, Any]) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _deleted(entry: Mapping[str, Any]) -> set[str]:
    """Return the name of the resource that an entry of a history or a transaction takes away."""
    request = entry.get("request")
    if not isinstance(request, Mapping) or request.get("method") != "DELETE":
        return set()
    return {match[1] for match in [_NAMED.search(str(request.get("url")))] if match is not None}


def _is_match(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry is one of those that a search's total counts."""
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, Mapping) else None
    resource = entry.get("resource")
    kind = resource.get("resourceType") if isinstance(resource, Mapping) else None
    return mode in (None, "match") and kind != "OperationOutcome"


def _asks_for_all_conditions(url: str) -> bool:
    """Return whether a search is for conditions, and narrowed to nothing but a patient."""
    path, _, query = url.partition("?")
    names = {each.partition("=")[0].partition(":")[0] for each in query.split("&")}
    return _CONDITIONS_PATH.search(path) is not None and names <= _OF_A_PATIENT


def _links(bundle: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for link in listed(bundle.get("link")):
        if isinstance(link, Mapping):  # relations are the same in both cases
            yield str(link.get("relation")).lower(), str(link.get("url"))


def _is_failure(outcome: Mapping[str, Any], *, alone: bool) -> bool:
    """Return whether an OperationOutcome says that data are missing.

    One in the place of data always does. Beside data, only an error does: a server adds
    warnings and hints to what it found.
    """
    if alone:
        return True
    return any(
        isinstance(issue, Mapping) and str(issue.get("severity")) in _FAILURES
        for issue in listed(outcome.get("issue"))
    )


def _is_refusal(response: Any) -> bool:
    status = response.get("status") if isinstance(response, Mapping) else None
    return isinstance(status, str) and status[:1] in {"4", "5"}
