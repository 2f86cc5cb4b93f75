"""FHIR resources in answers: found, and kept for the validator (test_fhir_peers.py)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "STROKE_TEST_RESOURCES"
"""The environment's name of a folder that each resource of an answer is written into."""


def resources_in(document: Any) -> Iterator[dict[str, Any]]:
    """Give the outermost resources of a JSON document: a bundle with all that is in it."""
    if isinstance(document, dict):
        if isinstance(document.get("resourceType"), str):
            yield document
        else:
            for value in document.values():
                yield from resources_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from resources_in(value)


def keep_resources(body: bytes, test: str) -> None:
    """Write the resources of an answer into the folder, if there is one."""
    if (folder := os.environ.get(FOLDER)) is None:
        return
    try:
        document = json.loads(body)
    except ValueError:
        return
    for resource in resources_in(document):
        line = json.dumps({"test": test, "resource": resource})
        name = hashlib.sha256(json.dumps(resource, sort_keys=True).encode()).hexdigest()
        Path(folder, f"{name}.json").write_text(line)
