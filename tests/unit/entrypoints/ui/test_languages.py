from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

import stroke
from builders.further import WORK
from stroke.domain.errors import InvalidSetting
from stroke.entrypoints.ui.languages import Languages, languages
from stroke.entrypoints.ui.words import feature, in_catalogue, own_value

PACKAGE = Path(stroke.__file__).parent
CATALOGUES = PACKAGE / "entrypoints/ui/catalogues"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "say": None,
    "say_n": (1, 2),
}


@pytest.fixture(scope="module")
def in_sources() -> Catalog:
    with (CATALOGUES / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    found = Catalog()
    for _, _, message, _, _ in extract_from_dir(
        PACKAGE, methods, options, keywords=KEYWORDS, comment_tags=()
    ):
        found.add(message)
    return found


@pytest.mark.parametrize("path", sorted(CATALOGUES.glob("*.po")), ids=lambda path: path.stem)
def test_a_catalogue_has_every_text_of_the_sources_and_no_other(
    path: Path, in_sources: Catalog
) -> None:
    with path.open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    wanted = {message.id for message in in_sources if message.id}
    assert len(wanted) > 150
    assert {message.id for message in catalogue if message.id} == wanted
    for message in catalogue:
        said = message.string
        texts = [said] if said is None or isinstance(said, str) else list(said)
        assert all(text and text.strip() for text in texts) or not message.id, message.id
        assert not message.fuzzy or not message.id, message.id


def test_a_catalogue_puts_in_every_value_that_the_sources_do() -> None:
    with (CATALOGUES / "de.po").open("rb") as file:
        catalogue = read_po(file)
    assert [list(errors) for _, errors in catalogue.check()] == []


@pytest.mark.parametrize(
    ("chosen", "accepted", "code"),
    [
        (None, None, "en"),
        (None, "de", "de"),
        (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        (None, "fr,en;q=0.5,de;q=0.8", "de"),
        (None, "fr", "en"),
        (None, "de;q=0,en", "en"),
        (None, "de;q=much", "en"),
        (None, ";;,,;q=", "en"),
        ("de", "en", "de"),
        ("../../etc", "en", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_what_the_browser_likes_best(
    chosen: str | None, accepted: str | None, code: str
) -> None:
    assert languages().wanted(chosen, accepted).code == code


def test_each_language_writes_numbers_and_days_in_its_own_way() -> None:
    english, german = languages()["en"], languages()["de"]
    assert (english.number(5110.5), german.number(5110.5)) == ("5,110.5", "5.110,5")
    assert (english.number(-0.5, 2), german.number(-0.5, 2)) == (
        "\N{MINUS SIGN}0.50",
        "\N{MINUS SIGN}0,50",
    )
    assert (english.signed(0.001), english.signed(-0.001), english.signed(1)) == (
        "0.00",
        "0.00",
        "+1.00",
    )
    moment = datetime(2026, 3, 29, 10, 42, tzinfo=UTC)
    assert english.moment(moment, UTC) == "29 Mar 2026, 10:42"
    assert german.moment(moment, UTC) == "29 März 2026, 10:42"
    assert (english.name, german.name) == ("English", "Deutsch")


def test_a_clinic_adds_a_language_and_changes_a_text_with_catalogues_of_its_own(
    tmp_path: Path,
) -> None:
    for code, said in (("de", "Taschenrechner"), ("fr", "Calculette")):
        (tmp_path / f"{code}.po").write_text(
            f'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
            f'msgid "Calculator"\nmsgstr "{said}"\n'
        )
    found = Languages([tmp_path])
    assert found["de"].say("Calculator") == "Taschenrechner"
    assert found["de"].say("Age") == "Alter"
    assert found["fr"].say("Calculator") == "Calculette"
    assert found["fr"].say("Age") == "Age"
    assert found["fr"].number(1.5) == "1,5"


def test_a_clinics_catalogue_has_words_for_the_features_of_its_own_model(tmp_path: Path) -> None:
    (tmp_path / "de.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "work type"\nmsgstr "Arbeit"\n\nmsgid "Private"\nmsgstr "angestellt"\n'
    )
    found = Languages([tmp_path])
    assert feature("work_type", found["de"]) == "Arbeit"
    assert own_value(WORK, "Private", found["de"]) == "angestellt"
    assert feature("work_type", found["en"]) == "work type"
    # The head of a catalogue is the translation of an empty text: it is never shown.
    assert in_catalogue("", found["de"]) == ""


@pytest.mark.parametrize(
    ("name", "content"), [("no-language-at-all.po", ""), ("fr.po", "no catalogue")]
)
def test_a_catalogue_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidSetting, match=name):
        Languages([tmp_path])
