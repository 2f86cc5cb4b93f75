"""The pages of the project: their links lead somewhere, and the settings page equals the code."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from runner import areas
from stroke.application.predictions.cells import FLAG_WORDS, NO_VALUE
from stroke.config import (
    AccessSettings,
    AuditSettings,
    CanarySettings,
    ClinicalSettings,
    DatabaseSettings,
    DriftSettings,
    ErasureSettings,
    FilesSettings,
    HttpSettings,
    IdempotencySettings,
    LogSettings,
    ModelSettings,
    OidcSettings,
    PerformanceSettings,
    QueueSettings,
    RateSettings,
    SessionSettings,
    ShadowSettings,
    TracesSettings,
    UiSettings,
    UpdateSettings,
)

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/README.md")]
)
GLOSSARY: Final = ROOT / "docs" / "glossary.md"
SERVICE: Final[list[type[BaseSettings]]] = [
    AccessSettings,
    OidcSettings,
    AuditSettings,
    ClinicalSettings,
    DatabaseSettings,
    ErasureSettings,
    FilesSettings,
    ModelSettings,
    CanarySettings,
    ShadowSettings,
    HttpSettings,
    RateSettings,
    SessionSettings,
    QueueSettings,
    IdempotencySettings,
    LogSettings,
    PerformanceSettings,
    DriftSettings,
    TracesSettings,
    UiSettings,
    UpdateSettings,
]
# What the code leaves open until it is needed: the page shows what is then taken.
TAKEN_WHEN_UNSET: Final = {
    "MYSQL_HOST": "127.0.0.1",
    "SAVED_MODEL": "the shipped one",
    "STROKE_LOG_FORMAT": "json",
}
SET_BY_STROKE_ITSELF: Final = {"PROMETHEUS_MULTIPROC_DIR"}
_FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return what a link into ``page`` may name after its ``#``."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def links(text: str) -> list[str]:
    """Return the targets of a page's links to files and headings of this project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", text))
    return [target for target in targets if "://" not in target]


def broken(page: Path, target: str) -> str | None:
    """Return why ``target``, a link in ``page``, leads nowhere, or None."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return f"{page.name}: there is no {path}"
    if anchor and anchor not in anchors(file):
        return f"{page.name}: {file.name} has no heading {anchor}"
    return None


def names(field_name: str, group: type[BaseSettings]) -> list[str]:
    """Return a setting's names in the environment, the one of an older ``.env`` last."""
    alias = group.model_fields[field_name].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [f"{group.model_config.get('env_prefix', '')}{field_name.upper()}"]


def documented() -> dict[str, str]:
    """Return the settings page's first table: each name with its default."""
    text = (ROOT / "docs" / "settings.md").read_text()
    text = text.partition("\n## The service\n")[2].partition("\n## ")[0]
    found: dict[str, str] = {}
    for row in re.findall(r"^\| (`.+?) \| (.*?) ?\| .*\|$", text, re.MULTILINE):
        keys = re.findall(r"`(\w+)`", row[0])
        defaults = row[1].split(", ") if len(keys) > 1 else [row[1]]
        found |= dict(zip(keys, [*defaults, *[""] * len(keys)], strict=False))
    return found


def shown(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert [reason for one in links(page.read_text()) if (reason := broken(page, one))] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading\n```\n# no heading\n```\n[x](#a-heading) [y](other.md)\n")

    assert links(page.read_text()) == ["#a-heading", "other.md"]
    assert broken(page, "#a-heading") is None
    assert broken(page, "#no-heading") == "page.md: page.md has no heading no-heading"
    assert broken(page, "other.md") == "page.md: there is no other.md"


def test_the_page_of_files_lists_the_marks_and_words_that_the_code_reads() -> None:
    text = (ROOT / "docs" / "files.md").read_text()
    listed = {
        label: {word.casefold() for word in re.findall(r"`(.+?)`", rest)}
        for label, rest in re.findall(r"^- ([\w ]+): ((?:`.+?`[,.]\s*)+)", text, re.MULTILINE)
    }
    words = {flag: {w for w, f in FLAG_WORDS.items() if f == flag} for flag in (0, 1)}
    assert listed == {
        "Marks for no value": NO_VALUE - {""},
        "Words for 1": words[1],
        "Words for 0": words[0],
    }


def test_readme_and_contributing_link_the_glossary_which_has_each_term_once() -> None:
    headings = re.findall(r"^### (.+)$", GLOSSARY.read_text(), re.MULTILINE)

    assert len({heading.lower() for heading in headings}) == len(headings) > 0
    for page in ("README.md", "CONTRIBUTING.md"):
        assert any("docs/glossary.md" in link for link in links((ROOT / page).read_text())), page


def test_the_settings_page_has_every_setting_of_the_service_with_its_default() -> None:
    page = documented()
    code = {
        names(field, group)[-1]: shown(description.default)
        for group in SERVICE
        for field, description in group.model_fields.items()
    }

    assert set(page) == set(code) - SET_BY_STROKE_ITSELF
    for name, default in page.items():
        taken = TAKEN_WHEN_UNSET.get(name, code[name])
        assert default.strip("`").lower() == taken.lower(), name


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160


def test_duckdb_makes_a_moment_of_the_lakes_time_as_the_page_says() -> None:
    page = (ROOT / "docs/pipeline.md").read_text()
    (expression,) = re.findall(r"\| DuckDB \| `(.+)` \|", page)
    query = "SELECT {} FROM (SELECT {{'timestamp': 1767312000123456}} AS after)"

    with duckdb.connect() as database:
        found = database.execute(query.format(expression)).fetchall()

    assert found == [(datetime(2026, 1, 2, 0, 0, 0, 123456, tzinfo=UTC).replace(tzinfo=None),)]


def test_contributing_says_which_areas_a_change_to_each_folder_calls_for() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    rows = page.partition("| areas |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    pattern = r"`((?:adapters|application|entrypoints)/\w+)`"
    named = [name for folders, _ in cells for name in re.findall(pattern, folders)]
    there = [
        f"{layer}/{path.parent.name}"
        for layer in ("adapters", "application", "entrypoints")
        for path in (ROOT / "src" / "stroke" / layer).glob("*/__init__.py")
    ]

    assert sorted(named) == sorted(there)
    *sure, any_of_them = cells  # settings, parts and commands: as what they are for
    assert "`config`" in any_of_them[0]
    for folders, wanted in sure:
        mentioned = re.findall(r"`(\w+)`", wanted)
        assert mentioned, folders
        assert set(mentioned) <= set(areas.NAMES)
