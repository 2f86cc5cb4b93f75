"""How long a topic keeps its records, as its settings say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stroke.adapters.kafka.settings_of import kept_for


@pytest.mark.parametrize(
    ("retention", "policy", "kept"),
    [
        (1_000, "delete", timedelta(seconds=61)),
        (1_000, "compact,delete", timedelta(seconds=61)),
        (1_000, "compact", None),
        (-1, "delete", None),
        (2**63 - 1, "delete", None),  # as some write "for ever"
    ],
)
def test_a_topic_keeps_records_for_so_long(
    retention: int, policy: str, kept: timedelta | None
) -> None:
    settings = {"retention.ms": str(retention), "segment.ms": "60000", "cleanup.policy": policy}
    assert kept_for(settings) == kept
