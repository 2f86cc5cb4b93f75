"""A columnar model and CSV text for the tests of bulk scoring."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from builders.predictions import patient_json
from fakes.predictions import FakeRiskModel
from stroke.adapters.arrow.csv_header import Header
from stroke.domain.risk import ModelDescription

FIELDS = tuple(patient_json())


class FakeScores(NamedTuple):
    probability: np.ndarray
    log_odds: np.ndarray
    features: tuple[str, ...]
    baseline_log_odds: float = -3.0


class FakeColumnarRiskModel:
    """``FakeRiskModel``, column by column; refuses texts that are no choice."""

    def __init__(self) -> None:
        self.description: ModelDescription = FakeRiskModel().description

    def score(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> FakeScores:
        assert set(columns["gender"]) <= {"Male", "Female", "Other"}
        log_odds = np.stack([0.05 * (columns["age"] - 45), 0.4 * columns["hypertension"]], axis=1)
        probability = 1 / (1 + np.exp(3.0 - log_odds.sum(axis=1)))
        return FakeScores(probability, log_odds, ("age", "hypertension"))


def header(*names: str) -> Header:
    return Header.parse(",".join(names).encode(), store=False)


def csv_row(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def csv_text(*changes: dict[str, Any], extra: tuple[str, ...] = (), newline: str = "\n") -> bytes:
    """Return a file with one row per mapping of what differs from a plain patient."""
    names = [*FIELDS, *extra]
    rows = [csv_row(names)]
    for change in changes:
        row = {**patient_json(), **dict.fromkeys(extra, ""), **change}
        rows.append(csv_row([str(row[name]) for name in names]))
    return (newline.join(rows) + newline).encode()
