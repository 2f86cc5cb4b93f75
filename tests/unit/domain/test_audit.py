"""The chain of the audit trail shows every change to it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.audit import AT, audit_event
from stroke.domain.audit import (
    LONGEST,
    AuditEntry,
    AuditEvent,
    AuditHead,
    BrokenLink,
    broken_links,
    chained,
)

START = AuditHead()


def chain(count: int) -> list[AuditEntry]:
    return list(chained([audit_event(target=str(n)) for n in range(count)], START))


def test_a_chain_goes_on_where_the_one_before_ended() -> None:
    whole = chain(6)
    first = whole[:2]
    events = [each.event for each in whole[2:]]
    assert [*first, *chained(events, AuditHead(2, first[-1].digest))] == whole
    assert list(broken_links(whole, START)) == []


_OTHER: dict[str, Any] = {
    "at": AT + timedelta(microseconds=1),
    "times": 2,
    "target": None,
    "site": None,
    "request_id": None,
}


@pytest.mark.parametrize("name", [each.name for each in fields(AuditEvent)])
def test_a_change_of_any_field_breaks_the_chain_there(name: str) -> None:
    entries = chain(5)
    changed = replace(entries[2].event, **{name: _OTHER.get(name, "another")})
    entries[2] = replace(entries[2], event=changed)
    assert [each.number for each in broken_links(entries, START)] == [3]


def test_a_change_with_a_digest_made_anew_breaks_the_chain_after_it() -> None:
    entries = chain(5)
    changed = replace(entries[2].event, target="999")
    [entries[2]] = chained([changed], AuditHead(2, entries[1].digest))
    assert list(broken_links(entries, START)) == [
        BrokenLink(4, "it does not follow from the one before it")
    ]


@given(st.integers(1, 30), st.data())
def test_whatever_is_removed_before_the_end_is_missed(count: int, data: st.DataObject) -> None:
    entries = chain(count + 1)
    removed = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    left = [each for at, each in enumerate(entries) if at not in removed]
    found = list(broken_links(left, START))
    assert found
    assert sum(int(each.reason.split()[0]) for each in found) == len(removed)


@given(st.integers(0, 9))
def test_an_entry_that_is_put_in_is_found(place: int) -> None:
    entries = chain(10)
    before = entries[place - 1].digest if place else START.digest
    [forged] = chained([audit_event(target="forged")], AuditHead(place, before))
    with_it = [*entries[:place], forged, *entries[place:]]
    assert next(broken_links(with_it, START)) == BrokenLink(place + 1, "it is there twice")


def test_one_entry_cannot_pass_for_another_by_where_its_fields_end() -> None:
    one = audit_event(target='a","b', request_id="c")
    other = audit_event(target="a", request_id='b","c')
    [first], [second] = chained([one], START), chained([other], START)
    assert first.digest != second.digest


@given(st.text(), st.sampled_from(sorted(LONGEST)))
def test_texts_are_one_line_that_fits_and_stay_so(text: str, name: str) -> None:
    kept = getattr(audit_event(**{name: text}), name)
    assert len(kept) <= LONGEST[name]
    assert kept.isprintable()
    assert getattr(audit_event(**{name: kept}), name) == kept


@pytest.mark.parametrize("name", LONGEST)
def test_what_a_log_has_is_not_made_to_fit_before_it_is_checked(name: str) -> None:
    for sent, changed in (("a\nb", "a\nb"), ("x" * 300, "x" * 299 + "and more")):
        columns: dict[str, Any] = {name: sent}
        [entry] = chained([replace(audit_event(), **columns)], START)
        columns = {**entry.columns(), name: changed}
        kept = {each.name: columns[each.name] for each in fields(AuditEvent)}
        found = replace(entry, event=AuditEvent(**kept, kept=True))
        assert [each.number for each in broken_links([found], START)] == [1]


def test_times_are_of_utc_and_need_a_zone() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert audit_event(at=there) == audit_event()
    [one], [other] = chained([audit_event(at=there)], START), chained([audit_event()], START)
    assert one == other
    with pytest.raises(ValueError, match="time zone"):
        audit_event(at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
