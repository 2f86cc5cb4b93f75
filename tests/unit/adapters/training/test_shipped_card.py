"""The card that is shipped beside the default model is the one that its manifest gives."""

from __future__ import annotations

import json

from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.adapters.training.artefact import CARD, MANIFEST, card

FOLDER = SHIPPED / DEFAULT


def test_the_shipped_card_is_not_stale() -> None:
    """Where it is, `stroke model train` writes both anew: never change one by hand."""
    manifest = json.loads((FOLDER / MANIFEST).read_text(encoding="utf-8"))

    assert (FOLDER / CARD).read_text(encoding="utf-8") == card(manifest)
