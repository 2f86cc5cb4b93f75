"""What a Java stack trace may be quoted for: never messages, which quote records."""

from __future__ import annotations

import re
from typing import Final

from stroke.application.pipeline.kafka_connect_model import TopicPartition

# The first line and each cause begin with the class. Only names that can be nothing else count:
# a message that goes over several lines may hold a patient's name.
_THROWN: Final = re.compile(
    r"^(?:Caused by: )?(?:[a-z_]\w*\.)+([A-Z][\w$]*(?:Exception|Error|Throwable|Failure))(?=:|\s*$)"
)
_CAUSE: Final = "Caused by: "
# The whole message of IcebergWriter in Iceberg 1.12.
_NAMED: Final = re.compile(
    r"(?:Caused by: )?org\.apache\.kafka\.connect\.errors\.DataException: An error occurred "
    r"converting record, topic: (?P<topic>[\w.-]+), partition, (?P<partition>\d+), "
    r"offset: (?P<offset>\d+)"
)


def exception_classes(trace: str) -> str:
    """Return ``ConnectException < DataException``: the outermost first, each once."""
    lines = trace.splitlines()
    causes = [line for line in lines[:1] if line] + [x for x in lines[1:] if x.startswith(_CAUSE)]
    classes = [found.group(1) for line in causes if (found := _THROWN.match(line))]
    return " < ".join(dict.fromkeys(classes))


def failing_record(trace: str) -> tuple[TopicPartition, int] | None:
    """Return the place and offset of the record that the lake's sink names; None if it does not."""
    found = next(filter(None, map(_NAMED.fullmatch, trace.splitlines())), None)
    if found is None:
        return None
    return TopicPartition(found["topic"], int(found["partition"])), int(found["offset"])
