"""What the committed dashboards and rules ask, for the tests that ask it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from components.containers import ROOT

DASHBOARDS: Final = ROOT / "deploy" / "grafana" / "dashboards"
# What is no series: values, ranges and labels that are grouped by; then functions and keywords.
_DETAILS: Final = re.compile(
    r"\"[^\"]*\"|\[[^\]]*\]|\b(?:by|on|without|ignoring)\s*\([^)]*\)|\b[0-9.]+\b"
)
_WORDS: Final = re.compile(r"\b[a-z_0-9]+\s*(?=\()|\b(?:and|or|unless)\b")
_SELECTOR: Final = re.compile(r"([a-zA-Z_][a-zA-Z0-9_:]*)(?:\{([^}]*)\})?")


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def _targets() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, board in dashboards().items():
        for panel in board["panels"]:
            for inner in [panel, *panel.get("panels", [])]:
                for target in inner.get("targets", []):
                    yield f"{name}: {inner['title']}", target


def expressions() -> list[tuple[str, str]]:
    """Return every PromQL expression of the dashboards, each with where it stands.

    Grafana's $__rate_interval is four scrapes long: a minute.
    """
    return [
        (where, target["expr"].replace("$__rate_interval", "1m"))
        for where, target in _targets()
        if "expr" in target
    ]


def sql_queries() -> dict[str, str]:
    return {where: target["rawSql"] for where, target in _targets() if "rawSql" in target}


def selectors(expression: str) -> set[tuple[str, frozenset[str]]]:
    """Return the series that an expression reads, each with the labels that it asks for."""
    left = _WORDS.sub(" ", _DETAILS.sub(" ", expression))
    return {
        (name, frozenset(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)))
        for name, matchers in _SELECTOR.findall(left)
    }
