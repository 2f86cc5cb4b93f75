"""Which extra of stroke holds a package that is not installed."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from typing import Final

# Where a package is imported by another name than it is installed by.
_DISTRIBUTIONS: Final = {
    "dateutil": "python-dateutil",
    "imblearn": "imbalanced-learn",
    "sklearn": "scikit-learn",
}
# Which extra a command is made for, where several have the package that it lacks.
_MADE_FOR: Final = {
    **dict.fromkeys(("connectors", "doctor", "lake", "pipeline"), "pipeline"),
    **dict.fromkeys(("analytics", "drift", "performance"), "analytics"),
}
_REQUIREMENT: Final = re.compile(r"^([A-Za-z0-9._-]+).*?;.*\bextra == ['\"]([a-z-]+)['\"]")


def what_to_install(module: str, command: str = "") -> str:
    """Return the advice for ``command``, which lacks ``module``, the name that it imports.

    It names the extra that the command is made for, or else each extra that has the package, by
    stroke's own metadata.
    """
    name = _DISTRIBUTIONS.get(module, module)
    extras = extras_with(name)
    if _MADE_FOR.get(command) in extras:
        extras = [_MADE_FOR[command]]
    if not extras:
        return f"this command needs the package {name}: install requirements/app.txt again"
    files = " or ".join(f"requirements/{extra}.txt" for extra in extras)
    return (
        f"this command needs the package {name}, of the extra {' or '.join(extras)}: "
        f"pip install --require-hashes -r {files}"
    )


def extras_with(name: str) -> list[str]:
    """Return the extras that require the distribution ``name``, in alphabetical order."""
    try:
        requirements = requires("stroke") or []
    except PackageNotFoundError:  # run from a folder of sources
        return []
    found = (_REQUIREMENT.match(each) for each in requirements)
    return sorted({each[2] for each in found if each and _normal(each[1]) == _normal(name)})


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
