"""Simulated records say what the simulated patients are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Final

import pytest

from stroke.adapters.clinical_codes.files import read_code_book
from stroke.adapters.simulation.fhir import fhir_lines
from stroke.adapters.simulation.writing import Format, text
from stroke.application.clinical.assessing import chart_of
from stroke.domain.clinical.mapping import MappingRules, map_chart

BOOK: Final = read_code_book()
DAY: Final = date(2024, 2, 29)


@pytest.mark.parametrize("requests", [False, True], ids=["bundles", "requests"])
def test_records_are_read_as_the_patients_that_they_were_made_of(requests: bool) -> None:
    lines = b"".join(text(300, 3, Format.NDJSON, missing=0.2)).splitlines()
    records = fhir_lines(300, 3, missing=0.2, as_of=DAY, requests=requests)
    now = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)

    for patient, record in zip(map(json.loads, lines), records, strict=True):
        found = map_chart(chart_of(json.loads(record)), BOOK, MappingRules(adult_age=0), now)
        read = {name: value.value for name, value in found.values.items()}
        if patient["age"] < 2:  # tenths of years do not come from days
            assert read.pop("age") == pytest.approx(patient.pop("age"), abs=0.1)
        assert read == {name: patient[name] for name in read}
        assert found.lacking == tuple(
            name for name in ("avg_glucose_level", "bmi") if patient[name] is None
        )
