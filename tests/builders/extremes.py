"""Rows of an adopted table, with whatever its columns' types allow."""

from __future__ import annotations

import math
import sys
from typing import Any

from hypothesis import strategies as st

from builders.changes import a_change
from builders.truth import Change

TIMES = (
    *(None, 0, -1, 1, 86_399_999_999, 86_400_000_000, -86_400_000_000, -86_400_000_001),
    *(253_402_300_799_999_999, 253_402_300_800_000_000),  # the end of the year 9999, and after it
    *(253_402_214_400_000_000, 253_402_214_399_999_999),  # the beginning of its last day
    *(-62_135_596_800_000_000, -62_135_596_800_000_001),  # the beginning of the year 1
    *(-30_610_224_000_000_000, 2**63 - 1, -(2**63), 2**53 + 1),  # the year 1000
)
"""Microseconds since 1970 (UTC)."""

DOUBLES = (
    *(None, 0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e308, -1e308, -1e-300),
    *(5e-324, -5e-324, sys.float_info.min, sys.float_info.max, 1e-300, 0.5, 1 - 2**-53, 1 + 2**-52),
    *(
        math.nextafter(0.05, 0),
        0.05,
        math.nextafter(0.05, 1),
        0.15,
        0.3,
        0.7,
        99.9,
        2.0**63,
        -(2.0**63),
    ),
)
INTEGERS = (None, 0, 1, -1, 2, 2**63 - 1, -(2**63))
TEXTS = (
    *(
        None,
        "",
        " ",
        "\0",
        "a\0b",
        "\n",
        "\t\r\n",
        "\x1b[31m",
        "\x7f\x85\u2028",
        "\ufeff",
        "\ufffe",
    ),
    *(
        "'",
        '"',
        "\\",
        "$x^2$",
        "{{ 7 }}",
        "<b>&amp;</b>",
        "%s",
        "日本",
        "Ünïcödé",
        "😀\u200d👩",
        "\U0010ffff",
    ),
    *(
        "(missing)",
        "NULL",
        "None",
        "x" * 5_000,
        "[1",
        '["age"]',
        '["a", null, 1, {"b": []}]',
        "[[[[]]]]",
    ),
    *("High", "Low", "Medium", "Other", "null", "{}", "0", "مرحبا", "e\u0301"),
)

_VALUES: dict[str, tuple[Any, ...]] = {
    "timestamp_us": TIMES,
    **dict.fromkeys(("age", "avg_glucose_level", "bmi", "probability"), DOUBLES),
    **dict.fromkeys(("hypertension", "heart_disease"), INTEGERS),
    **dict.fromkeys(("gender", "smoking_status", "country", "province"), TEXTS),
    **dict.fromkeys(("risk_category", "model_version", "contributing_factors"), TEXTS),
}


def extreme_changes() -> list[Change]:
    """Return predictions that have each extreme value of each column at least once."""
    count = max(map(len, _VALUES.values()))
    return [
        a_change(number, number, **{name: of[number % len(of)] for name, of in _VALUES.items()})
        for number in range(count)
    ]


_TEXT = st.none() | st.sampled_from(TEXTS) | st.text(max_size=20)
_KINDS: dict[int, st.SearchStrategy[Any]] = {
    id(TIMES): st.sampled_from(TIMES) | st.integers(-(2**63), 2**63 - 1),
    id(DOUBLES): st.sampled_from(DOUBLES) | st.floats(),
    id(INTEGERS): st.sampled_from(INTEGERS) | st.integers(-(2**63), 2**63 - 1),
    id(TEXTS): _TEXT,
}
ANY_ROW = st.fixed_dictionaries({name: _KINDS[id(of)] for name, of in _VALUES.items()})
"""Any row that the types of the columns allow."""
