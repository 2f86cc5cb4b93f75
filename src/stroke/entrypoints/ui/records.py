"""What the page shows of a saved estimate: the row as it is, in the words of a language.

A row of an adopted table may lack anything, and may hold any JSON: what is not there is a dash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further
from stroke.domain.prediction import PredictionRecord
from stroke.entrypoints.ui import words
from stroke.entrypoints.ui.languages import Language
from stroke.entrypoints.ui.words import HUNDRED, NOTHING, Frequency

Part = tuple[str, str, str, str]


def in_100(probability: float, language: Language) -> str:
    """Return a risk in 100, for a column or a scale: 18, 1.8, or < 0.1.

    Below 10 it has a decimal: 1.8 and 2.3 may lie in different bands, and both round to 2.
    """
    tenths = int(probability * HUNDRED * 10 + 0.5)
    if tenths == 0:
        return f"< {language.number(0.1, 1)}"
    if tenths < 10 * 10:
        return language.number(tenths / 10, 1)
    return Frequency(probability).short(language)


def interval_in_100(low: float, high: float, language: Language) -> str:
    """Return an interval in 100, for a column of them: 1.2 to 3.1."""
    ends = {"low": in_100(low, language), "high": in_100(high, language)}
    return language.say("%(low)s to %(high)s", **ends)


@dataclass(frozen=True, slots=True)
class Stored:
    """A saved estimate."""

    record: PredictionRecord
    language: Language
    further: Further = ()
    """What the model that made the estimate declares for itself, where that is known."""

    @property
    def risk(self) -> Frequency | None:
        """The estimate; None where the row has none that can be."""
        p = self.record.probability
        return Frequency.headline(p) if p is not None and 0 <= p <= 1 else None

    @property
    def in_words(self) -> str:
        """The estimate in words."""
        return NOTHING if self.risk is None else words.in_words(self.risk, self.language)

    @property
    def in_100(self) -> str:
        """The estimate in 100, for a column of them."""
        if self.risk is None:
            return NOTHING
        return in_100(self.risk.probability, self.language)

    @property
    def _interval(self) -> tuple[float, float] | None:
        found = self._data.get("interval")
        if not isinstance(found, Mapping):
            return None
        low, high = found.get("low"), found.get("high")
        if isinstance(low, int | float) and isinstance(high, int | float) and 0 <= low <= high <= 1:
            return float(low), float(high)
        return None

    @property
    def interval_low(self) -> float | None:
        """The lower end of the interval, where the row has one."""
        return None if self._interval is None else self._interval[0]

    @property
    def interval_high(self) -> float | None:
        """The upper end."""
        return None if self._interval is None else self._interval[1]

    @property
    def interval(self) -> str:
        """The interval in 100, for a column of them; "" without one."""
        return "" if self._interval is None else interval_in_100(*self._interval, self.language)

    @property
    def interval_in_words(self) -> str:
        """The interval among as many people as the estimate counts; "" without one."""
        if self.risk is None or self._interval is None:
            return ""
        of = self.risk.of
        low, high = (Frequency(each, of).short(self.language) for each in self._interval)
        return self.language.say("%(low)s to %(high)s", low=low, high=high)

    @property
    def support(self) -> str:
        """``within``, ``edge`` or ``outside`` of the training data; "" where nothing is known."""
        found = self._data.get("support")
        level = found.get("level") if isinstance(found, Mapping) else found
        return level if level in ("within", "edge", "outside") else ""

    @property
    def name(self) -> str:
        """Whose it is; a dash where nobody said."""
        return self.record.name or NOTHING

    @property
    def age(self) -> str:
        """The age in years."""
        return NOTHING if self.record.age is None else self.language.number(self.record.age)

    @property
    def sex(self) -> str:
        """The sex in a word."""
        return words.sex(self.record.gender, self.language)

    @property
    def made(self) -> str:
        """When it was saved, in UTC."""
        moment = self.record.timestamp
        return NOTHING if moment is None else self.language.moment(moment, UTC)

    @property
    def place(self) -> str:
        """Where the patient is from; "" where nobody said."""
        return ", ".join(each for each in (self.record.province, self.record.country) if each)

    @property
    def parts(self) -> list[Part]:
        """The explanation as it is stored, strongest first: name, value, effect, log-odds."""
        stored = self._data.get("log_odds")
        found = {
            str(name): float(each)
            for name, each in (stored.items() if isinstance(stored, Mapping) else ())
            if isinstance(each, int | float)
        }
        return [
            (
                words.feature(name, self.language),
                self._said(name),
                words.effect(each, self.language),
                self.language.signed(each),
            )
            for name, each in sorted(found.items(), key=lambda item: -abs(item[1]))
        ]

    @property
    def measurements(self) -> list[tuple[str, str]]:
        """The measurements of a row without an explanation."""
        known = [
            (name, words.measured(name, getattr(self.record, name), self.language))
            for name in RAW_FEATURES
        ]
        own = [(each.name, self._said(each.name)) for each in self.further]
        return [(words.feature(name, self.language), said) for name, said in (*known, *own)]

    @property
    def _data(self) -> Mapping[str, Any]:
        data = self.record.prediction_data
        return data if isinstance(data, Mapping) else {}

    def _said(self, name: str) -> str:
        value = self._value(name)
        for declared in self.further:
            if declared.name == name:
                return words.own_value(declared, value, self.language)
        return words.measured(name, value, self.language)

    def _value(self, name: str) -> object:
        return self._data.get(name, getattr(self.record, name, None))
