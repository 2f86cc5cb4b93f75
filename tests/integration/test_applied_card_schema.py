"""CHAI's own schema is what the tests hold the card in its form against."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import urllib3

from builders.applied_card import MANY, OUTLINE, Child
from stroke.application.models.applied_card import NAMESPACE

_XS = "{http://www.w3.org/2001/XMLSchema}"


def schema() -> ET.Element:
    """Return CHAI's schema, from the file that STROKE_TEST_CHAI_SCHEMA names, or from its server.

    It is not part of this program. Where it cannot be fetched, the test is skipped.
    """
    if path := os.environ.get("STROKE_TEST_CHAI_SCHEMA"):
        return ET.fromstring(Path(path).read_bytes())  # noqa: S314 -- named by who runs the test
    try:
        answer = urllib3.request("GET", NAMESPACE, timeout=10.0, retries=False)
    except urllib3.exceptions.HTTPError:
        pytest.skip("needs CHAI's schema: mc.chai.org cannot be reached from here")
    assert answer.status == 200, "CHAI has moved its schema"
    return ET.fromstring(answer.data)  # noqa: S314 -- expat resolves no external entity


def children(kind: ET.Element) -> tuple[Child, ...]:
    [sequence] = kind.findall(f"{_XS}sequence")
    found = []
    for each in sequence.findall(f"{_XS}element"):
        # A sequence that repeats has one element.
        least, most = (
            {"unbounded": MANY}.get(text) or int(text)
            for text in (
                min(each.get("minOccurs", "1"), sequence.get("minOccurs", "1")),
                max(each.get("maxOccurs", "1"), sequence.get("maxOccurs", "1")),
            )
        )
        name = each.get("name") or str(each.get("ref"))
        found.append((name.rpartition(":")[2], least, most))
    return tuple(found)


@pytest.mark.soak("it fetches the schema from CHAI's server, which is not part of this program")
def test_the_outline_of_the_card_is_that_of_the_schema() -> None:
    root = schema()
    kinds = {each.get("name"): each for each in root.findall(f"{_XS}complexType")}
    outline: dict[str, tuple[Child, ...]] = {}

    def describe(element: ET.Element) -> None:
        kind = element.find(f"{_XS}complexType")
        if kind is None:
            kind = kinds.get(element.get("type", "").rpartition(":")[2])
        if kind is None:  # text, or the signature, which has a schema of its own
            return
        outline[str(element.get("name"))] = children(kind)
        for each in kind.iter(f"{_XS}element"):
            describe(each)

    [card] = root.findall(f"{_XS}element")
    describe(card)

    assert root.get("targetNamespace") == NAMESPACE
    assert outline == OUTLINE
