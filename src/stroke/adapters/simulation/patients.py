"""Synthetic patients with correlated measurements, from a seed.

Each patient takes the same number of uniform draws from one PCG64 stream, in order, and
everything else is table look-up and interpolation: the same seed gives the same patients
whatever the version of Python, and however many are drawn at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stroke.adapters.simulation import marginals
from stroke.adapters.simulation.people import NATIONS, Nation
from stroke.domain.patient import OPTIONAL

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

GENDERS: Final = ("Female", "Male", "Other")
SMOKING_STATUSES: Final = ("never smoked", "formerly smoked", "smokes", "Unknown")

_INFANT_AGE: Final = 2  # younger patients' ages are written in tenths of years, others' whole

# Columns of uniform draws; one row of them is one patient.
_DRAWS: Final = [
    "gender",
    "age",
    "hypertension",
    "heart_disease",
    "glucose",
    "glucose_follows",
    "bmi",
    "smoking",
    "nation",
    "province",
    "given",
    "family",
]


@dataclass(frozen=True, slots=True)
class Column:
    """One field of many patients: patient ``i`` has ``values[index[i]]``, None for a gap."""

    values: tuple[str | float | int | None, ...]
    index: Indices


Columns = Mapping[str, Column]


def simulate(
    count: int, seed: int, *, missing: float = 0, at_a_time: int = 65_536
) -> Iterator[Columns]:
    """Yield ``count`` patients, ``at_a_time`` of them in one mapping by the API's field names.

    Every one passes ``Patient``'s validation. The share ``missing`` of them (0 to 1) has no BMI,
    and the same share, whoever that is, no glucose level; all other values are the same with any
    share. ``at_a_time`` bounds the memory and changes no patient.
    """
    stream = np.random.Generator(np.random.PCG64(seed))
    of_gaps = np.random.Generator(np.random.PCG64([seed, 1]))
    for start in range(0, count, at_a_time):
        patients = min(at_a_time, count - start)
        draws = stream.random((patients, len(_DRAWS)))
        made = _patients(dict(zip(_DRAWS, np.ascontiguousarray(draws.T), strict=True)))
        if missing:
            gaps = of_gaps.random((patients, len(OPTIONAL))) < missing
            made |= {n: _without(made[n], gaps[:, at]) for at, n in enumerate(OPTIONAL)}
        yield made


def _without(column: Column, gaps: NDArray[np.bool_]) -> Column:
    return Column((*column.values, None), np.where(gaps, len(column.values), column.index))


def _patients(draw: Mapping[str, Floats]) -> dict[str, Column]:
    age = np.interp(draw["age"], np.linspace(0, 1, 21), marginals.AGE_QUANTILES)
    decade = np.minimum((age / 10).astype(np.int64), marginals.DECADES - 1)
    gender = np.digitize(draw["gender"], np.cumsum(marginals.GENDERS))
    follows = draw["glucose_follows"] < marginals.GLUCOSE_FOLLOWS_BMI
    glucose = _quantile(marginals.GLUCOSE, decade, np.where(follows, draw["bmi"], draw["glucose"]))
    hypertension = _of(marginals.HYPERTENSION, decade) * _of(
        marginals.HYPERTENSION_BY_BMI_QUARTER, (draw["bmi"] * 4).astype(np.int64)
    )
    heart_disease = _of(marginals.HEART_DISEASE, decade) * np.where(
        gender == GENDERS.index("Male"),
        marginals.HEART_DISEASE_OF_MEN,
        marginals.HEART_DISEASE_OF_WOMEN,
    )
    return {
        "gender": Column(GENDERS, gender),
        "age": _age(age),
        "hypertension": Column((0, 1), (draw["hypertension"] < hypertension).astype(np.int64)),
        "heart_disease": Column((0, 1), (draw["heart_disease"] < heart_disease).astype(np.int64)),
        "avg_glucose_level": _rounded(glucose, decimals=2),
        "bmi": _rounded(_quantile(marginals.BMI, decade, draw["bmi"]), decimals=1),
        "smoking_status": Column(SMOKING_STATUSES, _smoking(decade, draw["smoking"])),
        **_people(draw, gender),
    }


def _of(table: tuple[float, ...], index: Indices) -> Floats:
    return np.asarray(table)[index]


def _quantile(tables: tuple[tuple[float, ...], ...], decade: Indices, at: Floats) -> Floats:
    """Return each patient's value ``at`` a quantile of the table of their decade of age."""
    values = np.empty_like(at)
    for number, table in enumerate(tables):
        chosen = decade == number
        values[chosen] = np.interp(at[chosen], marginals.QUANTILES, table)
    return values


def _smoking(decade: Indices, at: Floats) -> Indices:
    shares = np.cumsum(np.asarray(marginals.SMOKING), axis=1)[decade]
    status: Indices = (at[:, None] >= shares).sum(axis=1)
    return status


def _age(age: Floats) -> Column:
    tenths = np.where(age < _INFANT_AGE, np.rint(age * 10), np.floor(age) * 10)
    return _scaled(tenths.astype(np.int64), 10)


def _rounded(values: Floats, *, decimals: int) -> Column:
    scale = 10**decimals
    return _scaled(np.rint(values * scale).astype(np.int64), scale)


def _scaled(values: Indices, scale: int) -> Column:
    low, high = int(values.min()), int(values.max())
    table = tuple(v // scale if v % scale == 0 else v / scale for v in range(low, high + 1))
    return Column(table, values - low)


def _people(draw: Mapping[str, Floats], gender: Indices) -> Columns:
    nation = _pick(draw["nation"], np.full(1, len(NATIONS)), np.zeros_like(gender))
    provinces = np.array([len(n.provinces) for n in NATIONS])
    province = _pick(draw["province"], provinces, nation) + _before(provinces)[nation]
    # Names lie in one table: by nation, then female before male, then given, then family.
    women, men, families = (
        np.array([len(getattr(n, part)) for n in NATIONS]) for part in ("female", "male", "family")
    )
    female = np.where(
        gender == GENDERS.index("Other"),
        draw["given"] < 0.5,  # noqa: PLR2004 -- either half of the names
        gender == GENDERS.index("Female"),
    )
    given = np.where(
        female,
        _pick(draw["given"], women, nation),
        women[nation] + _pick(draw["given"], men, nation),
    )
    family = _pick(draw["family"], families, nation)
    name = _before((women + men) * families)[nation] + given * families[nation] + family
    return {
        "name": Column(tuple(full for n in NATIONS for full in _names(n)), name),
        "country": Column(tuple(n.country for n in NATIONS), nation),
        "province": Column(tuple(p for n in NATIONS for p in n.provinces), province),
    }


def _pick(at: Floats, sizes: Indices, group: Indices) -> Indices:
    """Return the index, in a list of the size of each patient's group, that ``at`` falls on."""
    picked: Indices = (at * sizes[group]).astype(np.int64)
    return picked


def _before(sizes: Indices) -> Indices:
    """Return where each group starts when groups of ``sizes`` lie one after another."""
    starts: Indices = np.cumsum(sizes) - sizes
    return starts


def _names(nation: Nation) -> Iterator[str]:
    for given in nation.female + nation.male:
        for family in nation.family:
            yield nation.order.format(given=given, family=family)
