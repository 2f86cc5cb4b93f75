"""What a caller may do, and what keys, sites and scopes may be called."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.access import api_key
from builders.predictions import NOON
from stroke.domain.access import (
    ANYBODY,
    Principal,
    Scope,
    checked_name,
    checked_scopes,
    checked_site,
)
from stroke.domain.errors import InvalidAccess, ScopeMissing

SCOPES = st.frozensets(st.sampled_from(Scope))
A_SECOND = timedelta(seconds=1)


def caller(*scopes: Scope) -> Principal:
    return Principal("key", "1", "north", frozenset(scopes))


@given(SCOPES, st.sampled_from(Scope))
def test_a_caller_without_admin_may_do_what_its_scopes_say_and_no_more(
    scopes: frozenset[Scope], wanted: Scope
) -> None:
    limited = scopes - {Scope.ADMIN}
    assert caller(*limited).may(wanted) is (wanted in limited)


@pytest.mark.parametrize("wanted", Scope)
def test_admin_includes_each_scope_but_that_of_all_sites(wanted: Scope) -> None:
    assert caller(Scope.ADMIN).may(wanted) is (wanted is not Scope.ALL_SITES)
    assert caller(Scope.ADMIN, Scope.ALL_SITES).may(wanted)
    assert ANYBODY.may(wanted)


def test_a_scope_that_is_required_is_named_where_it_is_missing() -> None:
    caller(Scope.READ).require(Scope.READ)
    with pytest.raises(ScopeMissing, match="erase"):
        caller(Scope.READ).require(Scope.ERASE)


def test_a_key_ends_at_the_very_time_it_expires_or_once_it_is_revoked() -> None:
    key = api_key("1" * 16, expires_at=NOON)
    assert (key.state(NOON - A_SECOND), key.state(NOON)) == ("in force", "expired")
    assert api_key("1" * 16).state(NOON + timedelta(days=99_999)) == "in force"
    assert api_key("1" * 16, revoked_at=NOON, expires_at=NOON).state(NOON) == "revoked"


def test_the_hash_of_a_key_does_not_show() -> None:
    assert "ab" * 8 not in repr(api_key("1" * 16))


@pytest.mark.parametrize("names", [["read"], [" read ", "", "predict"], ["all-sites", "admin"]])
def test_scopes_are_taken_by_their_names(names: list[str]) -> None:
    assert checked_scopes(names) == {name.strip() for name in names if name}


@pytest.mark.parametrize("names", [[], [""], ["reads"], ["READ"], ["read", "delete"], ["*"]])
def test_no_scope_and_an_unknown_one_are_refused_with_those_there_are(names: list[str]) -> None:
    with pytest.raises(InvalidAccess, match="predict, read, erase"):
        checked_scopes(names)


@pytest.mark.parametrize("site", ["n", "north", "North-2", "7.b_c", "x" * 64])
def test_a_site_is_a_short_word(site: str) -> None:
    assert checked_site(site) == site


@pytest.mark.parametrize("site", ["", " ", "a b", "-a", "ü", "a/b", "a,b", "x" * 65, "a\n", "%"])
def test_what_is_no_site_is_refused(site: str) -> None:
    with pytest.raises(InvalidAccess, match="site"):
        checked_site(site)


@pytest.mark.parametrize("name", ["ward 3", "  山田  ", "x" * 100])
def test_a_name_is_printable_and_trimmed(name: str) -> None:
    assert checked_name(name) == name.strip()


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "\x1b[31m", "x" * 101])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidAccess, match="name"):
        checked_name(name)


def test_a_caller_sees_its_own_site_unless_it_has_all_of_them() -> None:
    assert caller(Scope.READ).only_site == caller(Scope.ADMIN).only_site == "north"
    assert caller(Scope.READ, Scope.ALL_SITES).only_site is None
    assert ANYBODY.only_site is None


def test_a_caller_without_a_site_sees_no_row_rather_than_all() -> None:
    assert Principal("token", "1", None, frozenset({Scope.READ})).only_site == ""


def test_rows_keep_the_kind_and_id_of_a_caller_and_nothing_of_anybody() -> None:
    assert caller(Scope.READ).name == "key:1"
    assert ANYBODY.name is None
