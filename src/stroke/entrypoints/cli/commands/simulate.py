"""`stroke simulate`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stroke.domain.errors import InvalidSetting
from stroke.entrypoints.cli.terminal.output import STDOUT, opened, progress
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm


class Format(StrEnum):
    """How patients are written; known here without importing numpy."""

    CSV = "csv"
    NDJSON = "ndjson"


def simulate(
    count: Annotated[int, typer.Argument(metavar="N", min=0, help="How many patients.")],
    *,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed gives the same patients, byte for byte.")
    ] = 0,
    missing: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="The share of patients without a BMI, and of those without a glucose level.",
        ),
    ] = 0,
    form: Annotated[
        Format, typer.Option("--format", help="Each NDJSON line is a body for POST /predict.")
    ] = Format.CSV,
    fhir: Annotated[
        bool, typer.Option("--fhir", help="Write FHIR R4 Bundles, one a line, as NDJSON.")
    ] = False,
    requests: Annotated[
        bool,
        typer.Option(
            "--requests", help="With --fhir: requests of CDS Hooks instead, with their prefetch."
        ),
    ] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="With --fhir: the day on which the patients are of their age.",
            show_default="today",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The output file; - is stdout.")
    ] = STDOUT,
) -> None:
    """Make plausible synthetic patients for tests, demonstrations and load.

    Ages, blood pressure, heart disease, glucose, BMI and smoking are correlated as in the public
    stroke data set. Names and places from many countries are invented.

    \b
    stroke simulate 1000 --seed 7 > patients.csv
    stroke simulate 1000 --missing 0.2 > gaps.csv
    stroke simulate 1000000 | stroke predict - --output scored.csv
    stroke simulate 10 --fhir --requests > requests.ndjson
    stroke simulate 1 --fhir > bundle.json && stroke clinical assess bundle.json
    stroke simulate 1 --format ndjson | curl -sd @- -H 'Content-Type: application/json' \\
      http://127.0.0.1:8000/predict
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    from stroke.container.simulation import simulated_patients, simulated_records

    if not fhir and (requests or as_of is not None):
        raise InvalidSetting("--requests and --as-of go with --fhir")
    if fhir:
        day = (as_of or datetime.now(UTC)).date()
        made = simulated_records(count, seed, missing=missing, as_of=day, requests=requests)
    else:
        made = simulated_patients(count, seed, form.value, missing=missing)
    with ends_on_sigterm(), progress() as display, opened(output) as stream:
        bar = display.add_task("simulating", total=count)
        for lines in made:
            stream.write(lines)
            display.advance(bar, lines.count(b"\n"))
