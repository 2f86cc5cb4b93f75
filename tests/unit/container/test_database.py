"""Which account of MySQL gets its rights from an upgrade, and when."""

from __future__ import annotations

import pytest

from stroke.adapters.sql import schema
from stroke.config import DatabaseSettings
from stroke.container.database import migrating, rights_to_give

OWN = "mysql://stroke:x@nowhere/d"
OTHER = "mysql://stroke_schema:y@nowhere/d"


def rights(revision: str = "head", **configured: str) -> list[str]:
    settings = DatabaseSettings.model_validate(configured)
    found = rights_to_give(settings, revision)
    # `stroke db upgrade` takes the account first, and `stroke serve --migrate` does not.
    assert rights_to_give(migrating(settings), revision) == found
    return found


@pytest.mark.parametrize(
    ("configured", "service"),
    [
        ({"url": OWN, "migration_url": OTHER}, "stroke"),
        # As in the chart's job, which has the one account, and knows the name of the other.
        ({"url": OTHER, "service_user": "stroke"}, "stroke"),
        ({"url": OWN, "migration_url": OTHER, "service_user": "api"}, "api"),
        ({"url": "sqlite:///x.db", "migration_url": OTHER, "service_user": "api"}, "api"),
        ({"mysql_host": "db", "mysql_user": "api", "migration_url": OTHER}, "api"),
    ],
)
@pytest.mark.parametrize("revision", ["head", schema.head()])
def test_an_upgrade_by_another_account_gives_the_service_its_rights_by_table(
    configured: dict[str, str], service: str, revision: str
) -> None:
    found = rights(revision, **configured)
    assert len(found) > 10
    assert {each.partition(" TO ")[2] for each in found} == {f"'{service}'@'%'"}
    assert all(" ON `d`.`" in each for each in found)


@pytest.mark.parametrize(
    "configured",
    [
        {"url": OWN},
        {"url": OWN, "migration_url": OWN},
        {"url": OTHER, "service_user": "stroke_schema"},
        {"url": "sqlite:///x.db"},
        {"url": "sqlite:///x.db", "service_user": "stroke"},
        {"url": "sqlite:///x.db", "migration_url": OTHER},
        {"mysql_host": "db", "migration_url": OTHER},
    ],
)
def test_an_account_that_upgrades_for_itself_gives_nothing(configured: dict[str, str]) -> None:
    assert rights(**configured) == []


def test_an_upgrade_to_a_former_schema_gives_nothing_for_tables_are_missing() -> None:
    assert rights("0016", url=OWN, migration_url=OTHER) == []
