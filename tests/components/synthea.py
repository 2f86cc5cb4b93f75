"""Records of invented patients that Synthea makes (deploy/images/synthea-test).

    PYTHONPATH=tests .venv/bin/python -m components.synthea

makes tests/builders/synthea.jsonl again: the records of ``PEOPLE`` people, each on a line, without
what no reading of a chart looks at. Synthea's own records have megabytes.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from builders.synthea import KEPT
from components.containers import build_image
from components.fhir_peers import labelled

PEOPLE: Final = 4
SEED: Final = 19
_DAY: Final = "20261101"
# What the mapping looks for, and glucose of urine, which it must leave alone.
_CODES: Final = ("39156-5", "29463-7", "8302-2", "2339-0", "2345-7", "72166-2", "5792-7", "25428-4")
_NEWEST: Final = 3
_ALL: Final = ("resourceType", "id", "category", "code", "subject")
_FIELDS: Final = {
    "Patient": ("resourceType", "id", "gender", "birthDate", "deceasedDateTime"),
    "Observation": (
        *(*_ALL, "status", "effectiveDateTime", "issued"),
        *("valueQuantity", "valueCodeableConcept"),
    ),
    "Condition": (
        *(*_ALL, "clinicalStatus", "verificationStatus"),
        *("onsetDateTime", "abatementDateTime"),
    ),
}


def records(people: int, seed: int) -> list[dict[str, Any]]:
    """Return the whole records of so many living people, and of those who died before."""
    options = [
        *("-p", str(people), "-s", str(seed), "-cs", "7", "-a", "50-85", "-r", _DAY, "-e", _DAY),
        "--exporter.years_of_history=5",
        "--exporter.fhir.use_us_core_ig=true",
        "--exporter.hospital.fhir.export=false",
        "--exporter.practitioner.fhir.export=false",
        "Massachusetts",
    ]
    image = build_image("synthea-test")
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", *labelled(), image, *options],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        files = [archive.extractfile(member) for member in archive]
        return [json.load(file) for file in files if file is not None]


def trimmed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the patient, all conditions, and the newest of each measurement."""
    seen: Counter[str] = Counter()
    kept = []
    for entry in reversed(record["entry"]):  # Synthea writes the oldest first
        resource = entry["resource"]
        fields = _FIELDS.get(resource["resourceType"])
        if fields is None:
            continue
        if resource["resourceType"] == "Observation":
            code = next(each["code"] for each in resource["code"]["coding"])
            seen[code] += 1
            if code not in _CODES or seen[code] > _NEWEST:
                continue
        short = {name: resource[name] for name in fields if name in resource}
        kept.append({"fullUrl": entry["fullUrl"], "resource": short})
    return {"resourceType": "Bundle", "type": "collection", "entry": kept}


def lines(made: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the trimmed records as they are kept."""
    for each in made:
        yield json.dumps(trimmed(each), separators=(",", ":"), ensure_ascii=False) + "\n"


def main(path: Path = KEPT) -> None:
    """Make the kept records again."""
    path.write_text("".join(lines(records(PEOPLE, SEED))), encoding="utf-8")


if __name__ == "__main__":
    main()
