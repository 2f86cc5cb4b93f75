"""Renders the page's templates; what is put into them is escaped."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.ext import i18n

from stroke.entrypoints.ui import charts, words
from stroke.entrypoints.ui.languages import Language

_ASSETS: Final = Path(__file__).parent / "assets"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """A file that pages load: its bytes, the same in gzip, and its media type."""

    content: bytes
    zipped: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """Return the files that pages load, by name."""
    found = {}
    for path in sorted(_ASSETS.iterdir()):
        content = path.read_bytes()
        found[path.name] = Asset(content, gzip.compress(content, mtime=0), _TYPES[path.suffix])
    return found


@cache
def assets_version() -> str:
    """Return what changes whenever one of these files does: it is part of their addresses."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(name.encode() + asset.content)
    return digest.hexdigest()[:12]


@cache
def _speaking(language: Language) -> Environment:
    # One for each language: overlays share their globals, and gettext with them.
    made = Environment(
        loader=PackageLoader("stroke.entrypoints.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[i18n],
    )
    made.install_gettext_translations(  # type: ignore[attr-defined] # i18n adds it
        language.translations, newstyle=True
    )
    made.globals |= {"charts": charts, "words": words}
    made.filters |= {
        "number": language.number,
        "typed": language.typed,
        "signed": language.signed,
        "day": language.day,
    }
    return made


def render(template: str, language: Language, **context: Any) -> str:
    """Return a page, or a part of one, in ``language``."""
    return _speaking(language).get_template(template).render(language=language, **context)
