"""The columns that scoring adds to a file, and what becomes of those of an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stroke.application.predictions.cells import key_of
from stroke.domain.comparison import Comparison

ADDED: Final = ("probability", "risk_category", "contributing_factors", "model_version")
"""Every scored file has these. A file that has all of them is one that stroke has scored."""

VARIANT: Final = "model_variant"
CONTRIBUTION: Final = "log_odds_"
"""What stands before a feature's name in the name of the column of its contributions."""

INTERVAL: Final = ("interval_low", "interval_high")
SUPPORT: Final = ("support", "support_reasons")
COMPARED: Final = Comparison._fields
CONTEXT: Final = (*INTERVAL, *SUPPORT, *COMPARED)
"""What is known beside a score: interval, support with its reasons, and comparison."""

BASELINE: Final = "baseline_log_odds"
PREDICTION_ID: Final = "prediction_id"
"""The id of the row's stored prediction: no score, and it stays true when a row is scored anew."""


def added_names(
    contributions_of: Sequence[str] | None = None,
    *,
    variants: bool = False,
    context: bool = False,
) -> list[str]:
    """Return the names of the columns that scoring adds, in their order.

    Those of contributions, of the model's variant and of the ``CONTEXT`` are added if they are
    wanted.
    """
    names = [*ADDED, *([VARIANT] if variants else []), *(CONTEXT if context else [])]
    if contributions_of is not None:
        names += [*(f"{CONTRIBUTION}{feature}" for feature in contributions_of), BASELINE]
    return names


def earlier_scores(names: Sequence[str]) -> list[int]:
    """Return the places of the columns that an earlier run of scoring added to a file.

    There are some only if all of ``ADDED`` are there: a file that has just one of them has it from
    somewhere else. A new run leaves these columns out, and adds its own.
    """
    keys = [key_of(name) for name in names]
    if not {key_of(name) for name in ADDED} <= set(keys):
        return []
    known = {key_of(name) for name in (*ADDED, VARIANT, *CONTEXT, BASELINE)}
    start = key_of(CONTRIBUTION)
    return [at for at, key in enumerate(keys) if key in known or key.startswith(start)]


def replaced(name: str) -> str:
    """Return the words for a file ``name`` whose earlier scores are left out."""
    return f"{name} was scored before: its scores are replaced"
