"""What accounts of MySQL get."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.adapters.sql.grants import Account, grants


def test_the_service_may_add_to_the_audit_trail_and_do_nothing_else_with_it() -> None:
    [audit] = [each for each in grants("service", "stroke", "db") if "`audit`" in each]
    assert audit == "GRANT SELECT, INSERT ON `db`.`audit` TO 'stroke'@'%'"


def test_the_service_gets_no_right_to_all_tables_and_none_to_change_one() -> None:
    for each in grants("service", "stroke", "db"):
        rights = re.fullmatch(r"GRANT ([A-Z, ]+) ON `db`\.`[a-z_]+` TO 'stroke'@'%'", each)
        assert rights is not None
        assert set(rights[1].split(", ")) <= {"SELECT", "INSERT", "UPDATE", "DELETE"}


def test_names_of_databases_stand_for_themselves_alone() -> None:
    [all_] = grants("migrations", "stroke", "my_db")
    assert r" ON `my\_db`.* TO " in all_


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(get_args(Account)))
def test_no_name_ends_its_quotes(user: str, database: str, account: Account) -> None:
    try:
        found = grants(account, user, database)
    except ValueError:
        assert "\0" in user + database
        return
    ending = " WITH GRANT OPTION" if account == "migrations" else ""
    for each in found:
        without = re.sub(r"'(?:[^'\\]|\\\\|'')*'|`(?:[^`]|``)*`", "?", each)
        assert re.fullmatch(rf"GRANT [A-Z, ]+ ON (\?\.\?|\?\.\*|\*\.\*) TO \?@\?{ending}", without)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_nobody_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        grants("service", name, "db")
    with pytest.raises(ValueError, match="no name"):
        grants("service", "stroke", name)
