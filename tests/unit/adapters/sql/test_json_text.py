"""JSON in a statement for MySQL: what the server reads is what was given."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from asyncmy.connection import Connection
from asyncmy.constants.SERVER_STATUS import SERVER_STATUS_NO_BACKSLASH_ESCAPES
from hypothesis import given
from hypothesis import strategies as st

from stroke.adapters.sql.json_text import JsonText

pytestmark = pytest.mark.anyio

# What a backslash and a character mean to MySQL; any other character stands for itself.
_MEANINGS = {"0": "\0", "'": "'", '"': '"', "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_TEXTS = st.text(st.sampled_from("'\"\\ab%\0\n\r\x1a東😀") | st.characters(codec="utf-8"))


def as_mysql_reads(literal: str, *, backslashes: bool) -> str:
    """Return the text of one literal in single quotes, all of which is the literal."""
    part = r"[^'\\]|\\.|''" if backslashes else r"[^']|''"
    found = re.fullmatch(f"'((?:{part})*)'", literal, re.DOTALL)
    assert found is not None, "the literal ends before its end"
    text = found[1].replace("''", "'") if not backslashes else found[1]
    if not backslashes:
        return text
    return re.sub(r"\\(.)", lambda pair: _MEANINGS.get(pair[1], pair[1]), text, flags=re.DOTALL)


def connection(status: int = 0) -> Any:
    driver: Any = Connection
    made = driver(host="127.0.0.1", user="nobody", charset="utf8mb4")  # it does not connect
    made.server_status = status
    return made


@given(_TEXTS)
async def test_mysql_reads_what_was_written(text: str) -> None:
    for given_text in (text, orjson.dumps({text: text}).decode()):
        literal = connection().literal(JsonText(given_text))
        assert as_mysql_reads(literal, backslashes=True) == given_text


@given(_TEXTS)
async def test_so_does_a_server_to_which_a_backslash_means_nothing(text: str) -> None:
    there = connection(SERVER_STATUS_NO_BACKSLASH_ESCAPES)
    literal = there.literal(JsonText(text))
    assert as_mysql_reads(literal, backslashes=False) == text


async def test_the_driver_asks_the_text_to_escape_itself() -> None:
    """Otherwise a row of JSON takes twenty times as long, and nothing else would say so."""
    assert connection().literal(JsonText("""{"a'b": "c\\d"}""")) == """'{"a\\'b": "c\\\\d"}'"""
