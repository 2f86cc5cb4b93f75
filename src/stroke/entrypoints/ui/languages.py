"""The page's languages: English in the sources, the others in ``catalogues/LANGUAGE.po``.

The catalogues are read as they are written, so that nothing has to be compiled before a start. A
clinic's own folder of them comes on top: see STROKE_UI_CATALOGUES in docs/settings.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, tzinfo
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.numbers import format_decimal, get_decimal_symbol
from babel.support import Translations

from stroke.domain.errors import InvalidSetting

SOURCE: Final = "en"
_OURS: Final = Path(__file__).parent / "catalogues"


class Language:
    """One language: what the page says in it, and how it writes numbers and dates."""

    def __init__(self, code: str, translations: Translations) -> None:
        self.code = code
        self._locale = Locale.parse(code, sep="-")
        self.translations = translations

    @property
    def name(self) -> str:
        """The language's name in the language itself."""
        name = self._locale.get_display_name(self._locale) or self.code
        return name[:1].upper() + name[1:]

    @property
    def decimal_point(self) -> str:
        """What stands before the decimals."""
        return get_decimal_symbol(self._locale)

    def say(self, message: str, **values: Any) -> str:
        """Return ``message`` in this language, with ``%(name)s`` replaced by the values."""
        said = self.translations.ugettext(message)
        return said % values if values else said

    def say_n(self, one: str, many: str, n: int, **values: Any) -> str:
        """Return the form for ``n`` things; ``%(n)s`` is the number as it is written here."""
        said = self.translations.ungettext(one, many, n)
        return said % {"n": self.number(n), **values}

    def number(self, value: float, decimals: int | None = None) -> str:
        """Return a number as it is written: as it is, or with so many decimals.

        A minus is the sign of mathematics, which is as wide as a plus.
        """
        if decimals is None:
            pattern = "#,##0.######"
        else:
            pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        text = format_decimal(value, format=pattern, locale=self._locale)
        return text.replace("-", "\N{MINUS SIGN}")

    def typed(self, value: float) -> str:
        """Return a number as a person types it: without separators of thousands."""
        return format_decimal(value, format="0.######", locale=self._locale)

    def signed(self, value: float, decimals: int = 2) -> str:
        """Return a number with its sign; what rounds to zero has none."""
        rounded = round(value, decimals)
        sign = "+" if rounded > 0 else ""
        return sign + self.number(rounded + 0.0, decimals)

    def day(self, moment: date) -> str:
        """Return a day, such as 29 Nov 2026."""
        return format_date(moment, format="d MMM yyyy", locale=self._day_locale)

    def short_day(self, moment: date) -> str:
        """Return a day without its year."""
        return format_date(moment, format="d MMM", locale=self._day_locale)

    def month(self, moment: date) -> str:
        """Return a month and its year."""
        return format_date(moment, format="MMM yyyy", locale=self._day_locale)

    def moment(self, moment: datetime, zone: tzinfo) -> str:
        """Return an aware time in ``zone``."""
        return format_datetime(
            moment, format="d MMM yyyy, HH:mm", tzinfo=zone, locale=self._day_locale
        )

    @property
    def _day_locale(self) -> Locale:
        # Day before month, as the page's English has it.
        return Locale("en", "GB") if self.code == SOURCE else self._locale


class Languages(Mapping[str, Language]):
    """The languages that the page speaks, by their codes; English is the first."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        files = [path for folder in (_OURS, *folders) for path in sorted(folder.glob("*.po"))]
        self._languages = {SOURCE: Language(SOURCE, _translations([]))}
        for code in dict.fromkeys(path.stem for path in files):
            read = [path for path in files if path.stem == code]
            try:
                self._languages[code] = Language(code, _translations(read))
            except (ValueError, UnknownLocaleError):
                raise InvalidSetting(
                    f"the catalogue {read[-1].name} names no language: call it de.po or pt-BR.po"
                ) from None

    def __getitem__(self, code: str) -> Language:
        return self._languages[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._languages)

    def __len__(self) -> int:
        return len(self._languages)

    def wanted(self, chosen: str | None, accepted: str | None) -> Language:
        """Return the chosen language, or the one that ``Accept-Language`` likes best."""
        if chosen in self._languages:
            return self._languages[chosen]
        for code in _by_preference(accepted or ""):
            for known in (code, code.split("-")[0]):
                if known in self._languages:
                    return self._languages[known]
        return self._languages[SOURCE]


@cache
def languages(folder: Path | None = None) -> Languages:
    """Return the languages, with the catalogues of a clinic's own ``folder`` on top.

    Raises ``InvalidSetting`` for a catalogue that cannot be read.
    """
    return Languages([] if folder is None else [folder])


def _translations(files: Sequence[Path]) -> Translations:
    merged = Translations()
    for path in files:
        try:
            with path.open("rb") as file:
                catalogue = read_po(file, abort_invalid=True)
        except (OSError, ValueError, PoFileError) as error:
            raise InvalidSetting(f"the catalogue {path.name} cannot be read") from error
        compiled = BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        read = Translations(compiled)
        # The one that is read last counts.
        read.add_fallback(merged)
        merged = read
    return merged


def _by_preference(accepted: str) -> list[str]:
    """Return the codes of an ``Accept-Language``, the best first; what is no code is left out."""
    weighed: list[tuple[float, int, str]] = []
    for part in accepted.split(",")[:20]:
        code, _, parameters = part.partition(";")
        _, _, weight = parameters.partition("=")
        try:
            quality = float(weight) if weight.strip() else 1.0
        except ValueError:
            continue
        if quality > 0 and code.strip():
            weighed.append((-quality, len(weighed), code.strip()))
    return [code for *_, code in sorted(weighed)]
