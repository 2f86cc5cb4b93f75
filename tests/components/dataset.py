"""The public data set, where the machine has it: it is never committed."""

from __future__ import annotations

from pathlib import Path

import pytest

CSV = Path(__file__).parents[3] / "shared/data/healthcare-dataset-stroke-data.csv"

needs_data_set = pytest.mark.skipif(
    not CSV.is_file(), reason="needs the public data set in ../shared/data, which is not committed"
)
