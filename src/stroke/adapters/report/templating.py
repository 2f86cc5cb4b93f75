"""The HTML templates of the reports, which escape every value."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def fill(template: str, **values: Any) -> str:
    """Return the HTML of a file in ``templates/``, filled with ``values``.

    Every value is escaped, except the ``Markup`` that ``plots.as_svg`` makes. A value that the
    template names and ``values`` lacks raises ``jinja2.UndefinedError``.
    """
    return environment().get_template(template).render(values)


@cache
def environment() -> Environment:
    """Return the environment in which all templates are compiled, once per process."""
    return Environment(
        loader=PackageLoader("stroke.adapters.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
