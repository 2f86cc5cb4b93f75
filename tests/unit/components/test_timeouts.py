"""Tests of the tests: no call of a real service has the few seconds that a library allows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
CALLS = {"AsyncClient", "Client", "delete", "get", "patch", "post", "put", "request", "stream"}


def hurried(source: str) -> Iterator[int]:
    """Yield the lines that call httpx, or open S3, without a time limit or an own transport."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="httpx"), attr=name)) if (
                name in CALLS and {"timeout", "transport"}.isdisjoint(x.arg for x in node.keywords)
            ):
                yield node.lineno
            case ast.Call(func=ast.Name(id="S3FileSystem")) if not (
                {"request_timeout", "connect_timeout"} <= {each.arg for each in node.keywords}
            ):
                yield node.lineno


def test_every_call_says_how_long_it_waits() -> None:
    # On a machine that three workers share, a process may stand still for five seconds.
    found = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        for line in hurried(path.read_text())
    ]
    assert found == []


def test_a_call_without_a_limit_is_found() -> None:
    source = "httpx.get(url)\nhttpx.post(url, timeout=60)\nhttpx.Client(transport=there)"
    assert list(hurried(source)) == [1]
    source = "S3FileSystem(request_timeout=9)\nS3FileSystem(request_timeout=9, connect_timeout=9)"
    assert list(hurried(source)) == [1]
