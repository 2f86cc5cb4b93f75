"""Why the training data hardly speak for a patient: the reasons of the domain, in a language."""

from __future__ import annotations

from collections.abc import Sequence

from stroke.entrypoints.ui.languages import Language
from stroke.entrypoints.ui.words import feature


def reason(code: str, features: Sequence[str], fewer_than: int | None, language: Language) -> str:
    """Return one reason as a sentence. An unknown code is a reason without its why."""
    say = language.say
    what = feature(features[0], language) if features else ""
    other = feature(features[-1], language) if features else ""
    few = language.number(fewer_than or 0)
    known = {
        "none-as-low": say("%(what)s: nobody in the data had such a low value.", what=what),
        "few-as-low": say(
            "%(what)s: fewer than %(few)s people in the data had such a low value.",
            what=what,
            few=few,
        ),
        "none-as-high": say("%(what)s: nobody in the data had such a high value.", what=what),
        "few-as-high": say(
            "%(what)s: fewer than %(few)s people in the data had such a high value.",
            what=what,
            few=few,
        ),
        "none-as-low-for": say(
            "%(what)s: nobody in the data with about this value of %(other)s had such a low one.",
            what=what,
            other=other,
        ),
        "few-as-low-for": say(
            "%(what)s: fewer than %(few)s people in the data with about this value of %(other)s "
            "had such a low one.",
            what=what,
            other=other,
            few=few,
        ),
        "none-as-high-for": say(
            "%(what)s: nobody in the data with about this value of %(other)s had such a high one.",
            what=what,
            other=other,
        ),
        "few-as-high-for": say(
            "%(what)s: fewer than %(few)s people in the data with about this value of %(other)s "
            "had such a high one.",
            what=what,
            other=other,
            few=few,
        ),
        "too-few-of-kind": say(
            "%(what)s: fewer than %(few)s people in the data were of this kind.",
            what=what,
            few=few,
        ),
        "few-of-kind": say(
            "%(what)s: fewer than %(few)s people in the data were of this kind.",
            what=what,
            few=few,
        ),
        "none-of-kind-for": say(
            "%(what)s: nobody in the data with about this value of %(other)s was of this kind.",
            what=what,
            other=other,
        ),
        "few-of-kind-for": say(
            "%(what)s: fewer than %(few)s people in the data with about this value of %(other)s "
            "were of this kind.",
            what=what,
            other=other,
            few=few,
        ),
        "no-such-combination": say("Nobody in the data had such a combination of values."),
        "rare-combination": say("Such a combination of values was rare in the data."),
    }
    return known.get(code, say("Few people in the data were like this one."))
