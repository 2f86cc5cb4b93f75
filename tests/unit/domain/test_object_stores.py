"""What is said of an object store that cannot be read."""

from __future__ import annotations

import pytest

from stroke.domain.object_stores import advice


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (OSError("AWS Error NO_SUCH_BUCKET during ListObjectsV2"), "no bucket s3://b; correct"),
        (OSError("AWS Error INVALID_ACCESS_KEY_ID during ListObjectsV2"), "X_SECRET_ACCESS_KEY"),
        (OSError("AWS Error ACCESS_DENIED during HeadObject"), "X_ACCESS_KEY_ID"),
        (
            OSError("NETWORK_CONNECTION, curlCode: 7"),
            "nobody answers; correct X_ENDPOINT",
        ),
        (FileNotFoundError(2, "Path does not exist"), "correct it"),
        (OSError("AWS Error SLOW_DOWN"), "X_ENDPOINT and the keys"),
    ],
)
def test_each_cause_names_the_address_and_what_to_do(error: OSError, named: str) -> None:
    said = advice(error, "s3://b/some/prefix", "X_")
    assert said.startswith("s3://b/some/prefix cannot be read: ")
    assert named in said
