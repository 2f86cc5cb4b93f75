"""Where a request goes, without the prefix under which a proxy publishes the service."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

FHIR: Final = "/fhir"
HOOKS: Final = "/cds-services"


def path_of(scope: Scope) -> str:
    """Return the path as routes have it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_under(scope: Scope, *bases: str) -> bool:
    """Return whether a request goes to one of ``bases``, or to what is below it."""
    path = path_of(scope)
    # A loop: several layers ask this of each request, and a generator takes twice as long.
    for base in bases:
        if path.startswith(base) and path[len(base) : len(base) + 1] in ("", "/"):
            return True
    return False
