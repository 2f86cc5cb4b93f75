"""Every analysis, defined once, in SQL that DuckDB and Spark read alike.

They read the views of ``change_views``: ``events``, ``snapshot`` and ``factors``. Each orders its
rows totally, so that the same predictions give the same rows. Predictions have no outcome: a rate
here is the share of predictions in the category High, not of strokes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stroke.application.analyses.views import MISSING, PROBABILITY
from stroke.domain.errors import InvalidSetting

MINIMUM_COUNT: Final = 10
"""Fewer predictions show only their number: a rate says little, and may point at a person."""

TOP: Final = 100
_BINS: Final = 20
# The normal quantile of a 95 % interval.
_Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Analysis:
    """One table of results. ``patient_level`` ones have a row per prediction.

    ``needs_events`` are those that only a change log can answer.
    """

    name: str
    title: str
    about: str
    sql: str
    patient_level: bool = False
    needs_events: bool = False

    @property
    def table(self) -> str:
        """The name of its table of results."""
        return f"stroke_analytics_{self.name.replace('-', '_')}"


def analyses(
    *, with_name: bool = False, top: int = TOP, minimum: int = MINIMUM_COUNT
) -> tuple[Analysis, ...]:
    """Return all analyses. ``with_name`` adds the patients' names to those on patient level."""
    return (
        _OPERATIONS,
        _latest(with_name=with_name),
        _RISK_DISTRIBUTION,
        _PROBABILITY_HISTOGRAM,
        _grouped("risk-by-gender", "Risk by gender", "gender", minimum=minimum),
        _grouped("risk-by-age-group", "Risk by age group", "age_group", by="age", minimum=minimum),
        _grouped("risk-by-country", "Risk by country", "country", minimum=minimum),
        _grouped("risk-by-province", "Risk by province", "country", "province", minimum=minimum),
        _grouped(
            "risk-by-hypertension-and-heart-disease",
            "Hypertension and heart disease",
            "hypertension",
            "heart_disease",
            minimum=minimum,
        ),
        _grouped("risk-by-bmi-category", "Risk by BMI", "bmi_category", by="bmi", minimum=minimum),
        _grouped(
            "risk-by-glucose-category",
            "Risk by average glucose",
            "glucose_category",
            by="avg_glucose_level",
            minimum=minimum,
        ),
        _grouped(
            "risk-by-smoking-status", "Risk by smoking status", "smoking_status", minimum=minimum
        ),
        _FACTORS,
        _top(top, with_name=with_name),
        _review(with_name=with_name),
        _TREND,
        _grouped("model-versions", "Model versions", "model_version", minimum=minimum),
    )


def chosen(names: list[str], of: tuple[Analysis, ...]) -> tuple[Analysis, ...]:
    """Return the analyses of these names, or for none all that are not on patient level.

    Raises ``InvalidSetting`` for a name that there is not.
    """
    known = {analysis.name: analysis for analysis in of}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidSetting(f"there is no analysis {unknown[0]!r}: see `stroke analytics list`")
    if not names:
        return tuple(analysis for analysis in of if not analysis.patient_level)
    return tuple(known[name] for name in dict.fromkeys(names))


_HIGH: Final = "CAST(SUM(CASE WHEN risk_category = 'High' THEN 1 ELSE 0 END) AS BIGINT)"
_RATES: Final = (
    "COUNT(*) AS predictions, "
    "CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER () AS share, "
    f"{_HIGH} AS high_risk"
)


def _interval(sign: str) -> str:
    """Return a bound of Wilson's score interval (1927) for ``high_risk`` of ``predictions``."""
    count, high = "CAST(predictions AS DOUBLE)", "CAST(high_risk AS DOUBLE)"
    rate = f"({high} / {count})"
    spread = f"{_Z} * SQRT({rate} * (1 - {rate}) / {count} + {_Z**2 / 4} / ({count} * {count}))"
    return f"({rate} + {_Z**2 / 2} / {count} {sign} {spread}) / (1 + {_Z**2} / {count})"


def _grouped(name: str, title: str, *columns: str, minimum: int, by: str | None = None) -> Analysis:
    """Count by columns, with rates; ``by`` is the number whose order the groups have."""
    keys = ", ".join(f"{_label(column)} AS {column}" for column in columns)
    groups = ", ".join(_label(column) for column in columns)
    named = ", ".join(columns)
    order = f"MIN({by})" if by else "0"

    def shown(value: str) -> str:
        return f"CASE WHEN predictions >= {minimum} THEN {value} END"

    sql = (
        f"SELECT {named}, predictions, share, mean_probability, {shown('high_risk')} AS high_risk, "  # noqa: S608
        f"{shown('CAST(high_risk AS DOUBLE) / predictions')} AS high_rate, "
        f"{shown(_interval('-'))} AS high_rate_low, {shown(_interval('+'))} AS high_rate_high "
        f"FROM (SELECT {keys}, {_RATES}, "
        f"CASE WHEN COUNT(*) >= {minimum} THEN AVG({PROBABILITY}) END AS mean_probability, "
        f"{order} AS place FROM snapshot GROUP BY {groups}) AS counted "
        f"ORDER BY place NULLS LAST, {named}"
    )
    subject = " and ".join(columns).replace("_", " ").replace("bmi", "BMI")
    about = (
        f"Predictions by {subject}, and the share of High among them (95 % Wilson interval; not "
        f"shown below {minimum} predictions)."
    )
    return Analysis(name, title, about, sql)


def _label(column: str) -> str:
    """Return the text that a group has in a table. Group by it: by the column, a text that is
    ``MISSING`` and NULL are two groups that look alike, and nothing orders them.
    """
    return f"COALESCE(CAST({column} AS STRING), '{MISSING}')"


_ORDER_OF_RISK: Final = (
    "CASE risk_category WHEN 'Low' THEN 1 WHEN 'Medium' THEN 2 WHEN 'High' THEN 3 "
    f"WHEN '{MISSING}' THEN 5 ELSE 4 END"
)

_OPERATIONS: Final = Analysis(
    "operations",
    "Change events by operation",
    "Events of the change log: c created, u updated, d deleted, r read by a snapshot.",
    "SELECT op, COUNT(*) AS events, COUNT(DISTINCT prediction_id) AS predictions "
    "FROM events GROUP BY op ORDER BY op",
    needs_events=True,
)

_RISK_DISTRIBUTION: Final = Analysis(
    "risk-distribution",
    "Predictions by risk category",
    "How many predictions each category has, and their share.",
    "SELECT risk_category, predictions, share, mean_probability FROM ("  # noqa: S608
    f"SELECT {_label('risk_category')} AS risk_category, COUNT(*) AS predictions, "
    "CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER () AS share, "
    f"AVG({PROBABILITY}) AS mean_probability FROM snapshot GROUP BY {_label('risk_category')}) "
    f"AS counted ORDER BY {_ORDER_OF_RISK}, risk_category",
)

_PROBABILITY_HISTOGRAM: Final = Analysis(
    "probability-histogram",
    "Predicted probabilities",
    f"Predictions by {_BINS} equal bins of their probability, left-closed, the last one closed; "
    "bounds are NULL for predictions without a probability (from 0 to 1).",
    f"SELECT CAST(bins.bin AS DOUBLE) / {_BINS} AS low, "  # noqa: S608
    f"CAST(bins.bin + 1 AS DOUBLE) / {_BINS} AS high, "
    "COALESCE(counted.predictions, 0) AS predictions "
    f"FROM (VALUES {', '.join(f'({number})' for number in range(_BINS))}) AS bins(bin) LEFT JOIN ("
    f"SELECT CASE WHEN probability >= 0 AND probability < 1 "
    f"THEN CAST(FLOOR(probability * {_BINS}) AS INT) "
    f"WHEN probability = 1 THEN {_BINS - 1} END AS bin, COUNT(*) AS predictions "
    "FROM snapshot GROUP BY 1) AS counted ON counted.bin = bins.bin "
    f"UNION ALL SELECT NULL, NULL, COUNT(*) FROM snapshot WHERE {PROBABILITY} IS NULL "
    "ORDER BY low NULLS LAST",
)

_FACTORS: Final = Analysis(
    "contributing-factors",
    "What moves the risks most",
    "How often a feature is named among a prediction's contributing factors, and as the first.",
    "SELECT factor, CAST(SUM(times) AS BIGINT) AS predictions, "  # noqa: S608
    "CAST(SUM(CASE WHEN ordinal = 1 THEN times ELSE 0 END) AS BIGINT) AS named_first FROM "
    f"(SELECT list, times, COALESCE(factor, '{MISSING}') AS factor, MIN(ordinal) AS ordinal "
    f"FROM factors GROUP BY list, times, COALESCE(factor, '{MISSING}')) AS named "
    "GROUP BY factor ORDER BY predictions DESC, factor",
)

_TREND: Final = Analysis(
    "trend-per-day",
    "Predictions per day",
    "Predictions per day (UTC) that they were made on, and how many of them are High; the day is "
    "NULL for predictions without a time of the years 1 to 9999.",
    f"SELECT day, COUNT(*) AS predictions, {_HIGH} AS high_risk, "  # noqa: S608
    f"AVG({PROBABILITY}) AS mean_probability FROM snapshot GROUP BY day "
    "ORDER BY day NULLS LAST",
)


def _patient(with_name: bool) -> str:
    return "id, name, " if with_name else "id, "


_SEEN: Final = (
    "timestamp_us, gender, age, hypertension, heart_disease, avg_glucose_level, bmi, "
    "smoking_status, country, province, probability, risk_category, model_version"
)


def _latest(*, with_name: bool) -> Analysis:
    return Analysis(
        "latest-snapshot",
        "The predictions as they are",
        "The latest row of each prediction, without those that were deleted.",
        f"SELECT {_patient(with_name)}{_SEEN}, age_group, bmi_category, "  # noqa: S608
        "glucose_category FROM snapshot ORDER BY id",
        patient_level=True,
    )


def _top(count: int, *, with_name: bool) -> Analysis:
    return Analysis(
        "top-risks",
        "The highest risks",
        f"The {count} predictions of the highest probability.",
        f"SELECT {_patient(with_name)}{_SEEN} FROM snapshot WHERE {PROBABILITY} IS NOT NULL "  # noqa: S608
        f"ORDER BY probability DESC, id LIMIT {count}",
        patient_level=True,
    )


def _above(column: str, limit: int) -> str:
    """Return the condition that a number is above ``limit``; NaN, the greatest of all, is none."""
    return f"({column} > {limit} AND {column} <> CAST('NaN' AS DOUBLE))"


def _review(*, with_name: bool) -> Analysis:
    return Analysis(
        "merits-review",
        "Records that merit review",
        "Predictions in the category Low with a BMI over 35 or an average glucose over 150 mg/dL. "
        "No outcome is known of them: they are not misclassified, they merit a look.",
        f"SELECT {_patient(with_name)}{_SEEN} FROM snapshot WHERE risk_category = 'Low' "  # noqa: S608
        f"AND ({_above('bmi', 35)} OR {_above('avg_glucose_level', 150)}) ORDER BY id",
        patient_level=True,
    )
