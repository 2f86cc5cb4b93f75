"""The exceptions' classes of a Java stack trace, never their messages: those quote records."""

from __future__ import annotations

import re
from typing import Final

# The first line and each cause begin with the class. Only names that can be nothing else count:
# a message that goes over several lines may hold a patient's name.
_THROWN: Final = re.compile(
    r"^(?:Caused by: )?(?:[a-z_]\w*\.)+([A-Z][\w$]*(?:Exception|Error|Throwable|Failure))(?=:|\s*$)"
)
_CAUSE: Final = "Caused by: "


def exception_classes(trace: str) -> str:
    """Return ``ConnectException < DataException``: the outermost first, each once."""
    lines = trace.splitlines()
    causes = [line for line in lines[:1] if line] + [x for x in lines[1:] if x.startswith(_CAUSE)]
    classes = [found.group(1) for line in causes if (found := _THROWN.match(line))]
    return " < ".join(dict.fromkeys(classes))
