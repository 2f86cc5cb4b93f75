"""What is wrong with a value of a file, in the words of a language.

The domain says it in English, in a handful of forms. One that is not known here stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

from stroke.entrypoints.ui.languages import Language
from stroke.entrypoints.ui.words import significant

_NUMBER: Final = r"(-?[0-9.]+(?:e[+-][0-9]+)?)"
_RANGE: Final = re.compile(rf"must be {_NUMBER} to {_NUMBER}(?: (\S.*))?")
_CHOICES: Final = re.compile(r"""must be one of ((?:(?:'[^']*'|"[^"]*")(?:, )?)+)""")
_LONGEST: Final = re.compile(r"must have at most ([0-9]+) characters")


def mistake(reason: str, language: Language) -> str | None:
    """Return what is wrong with a value; None where the language has no words for it."""
    say = language.say
    plain = {
        "must be a number": say("must be a number"),
        "must be a finite number": say("must be a number"),
        "must be 0 or 1": say("must be 0 or 1"),
        "must be text": say("must be text"),
        "must not contain control characters": say("must have letters, digits and signs only"),
    }
    if reason in plain:
        return plain[reason]
    if found := _RANGE.fullmatch(reason):
        low, high = (significant(float(each), language) for each in found.groups()[:2])
        unit = say("years") if found[3] == "years" else found[3] or ""
        return say("must be %(low)s to %(high)s %(unit)s", low=low, high=high, unit=unit).strip()
    if found := _CHOICES.fullmatch(reason):
        # The words of the file, which are English in every language.
        return say("must be one of %(names)s", names=found[1])
    if found := _LONGEST.fullmatch(reason):
        return language.say_n(
            "must have at most %(n)s character",
            "must have at most %(n)s characters",
            int(found[1]),
        )
    return None
