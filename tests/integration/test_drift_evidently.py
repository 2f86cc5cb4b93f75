"""The population stability index against evidently's, of the same patients."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pytest

from components.containers import ROOT
from components.processes import environment, run_stroke
from stroke.adapters.training.histograms import reference_histograms
from stroke.domain.drift import SCORE, WATCHED, BinCounts, ReferenceHistogram, drift
from stroke.domain.features import RAW_FEATURES

pytestmark = pytest.mark.soak("a second implementation, with a .venv of its own")

COUNT: Final = 20_000
PYTHON: Final = ".venv-evidently/bin/python"
RAW: Final = "age in evidently's bins"


def test_the_index_is_evidentlys(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """Over the bins of a manifest, and over those that evidently makes of numbers itself.

    Of the current patients under 40 two in three are left out.
    """
    reference, others = (scored(tmp_path, seed=seed) for seed in (1, 2))
    current = others[(others["age"] >= 40) | (others.index % 3 == 0)]
    histograms = manifest_histograms(reference)

    def given(data: pd.DataFrame) -> pd.DataFrame:
        binned = {
            name: [f"bin {each.place(value)}" for value in data[name]]
            for name, each in histograms.items()
        }
        return pd.DataFrame(binned | {RAW: data["age"].tolist()})

    expected = evidently(tmp_path, given(reference), given(current))

    assert expected.keys() == {*WATCHED, RAW}
    assert min(expected[name] for name in ("age", SCORE, RAW)) > 0.1, "the patients differ"
    for name, each in histograms.items():
        assert index(each, current[name]) == pytest.approx(expected[name], abs=1e-12), name
    both = np.concatenate([reference["age"], current["age"]])
    edges = np.histogram_bin_edges(both, bins="sturges")
    shares = np.histogram(reference["age"], edges)[0] / len(reference)
    in_theirs = ReferenceHistogram(tuple(shares), tuple(edges[1:-1]))
    assert index(in_theirs, current["age"]) == pytest.approx(expected[RAW], abs=1e-12)
    figures(
        f"PSI of age {expected['age']:.6f} and of the score {expected[SCORE]:.6f}, evidently's and "
        "ours"
    )


def scored(folder: Path, *, seed: int) -> pd.DataFrame:
    people = run_stroke("simulate", str(COUNT), "--seed", str(seed), folder=folder).stdout
    done = run_stroke("predict", "-", folder=folder, given=people.encode())
    return pd.read_csv(StringIO(done.stdout))


def manifest_histograms(data: pd.DataFrame) -> dict[str, ReferenceHistogram]:
    """Return what `stroke model train` would write of these patients."""
    found = reference_histograms(data[[*RAW_FEATURES]], data[SCORE].to_numpy())
    return {
        name: ReferenceHistogram(
            tuple(each["shares"]), tuple(each.get("cuts", ())), tuple(each.get("labels", ()))
        )
        for name, each in found.items()
    }


def index(histogram: ReferenceHistogram, values: pd.Series) -> float:
    tally = BinCounts.of(histogram)
    tally.add(histogram, values.tolist())
    found = drift("one", histogram, tally).psi
    assert found is not None
    return found


def evidently(folder: Path, reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, float]:
    """Return what evidently finds for each column."""
    subprocess.run(["deploy/python/set-up.sh", "evidently"], cwd=ROOT, check=True)
    files = [folder / "reference.csv", folder / "current.csv"]
    for data, file in zip((reference, current), files, strict=True):
        data.to_csv(file, index=False)
    done = subprocess.run(
        [PYTHON, "tests/components/evidently_psi.py", *files],
        cwd=ROOT,
        env=environment(DO_NOT_TRACK="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    indices: dict[str, float] = json.loads(done.stdout)
    return indices
