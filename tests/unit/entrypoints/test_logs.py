from __future__ import annotations

import io
import json
import logging
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import trace

from stroke.entrypoints.logs import JsonFormatter, TextFormatter, configuration, outline
from stroke.entrypoints.request_id import CURRENT

CANARY = "Canary Q. Patient"


def _raise() -> None:
    nobody: dict[str, str] = {}
    try:
        nobody[CANARY]
    except KeyError as cause:
        raise ValueError(f"cannot store {CANARY}") from cause


@pytest.fixture
def error() -> BaseException:
    try:
        _raise()
    except ValueError as raised:
        return raised
    raise AssertionError


def test_an_outline_names_types_and_places_of_the_whole_chain(error: BaseException) -> None:
    outlined = outline(error)
    assert "builtins.ValueError at" in outlined
    assert "caused by builtins.KeyError at" in outlined
    assert "test_logs.py:" in outlined
    assert "_raise" in outlined


def test_an_outline_tells_no_text(error: BaseException) -> None:
    assert CANARY not in outline(error)


def test_an_outline_stops_where_the_context_is_hidden() -> None:
    hidden = ValueError()
    hidden.__context__ = KeyError()
    hidden.__suppress_context__ = True
    assert outline(hidden) == "builtins.ValueError at nowhere"


def test_a_record_is_one_line_of_json_without_the_text_of_its_exception(
    error: BaseException,
) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("a logger of this test alone")
    logger.propagate = False
    logger.addHandler(handler)
    logger.error("the batch of %d failed", 3, exc_info=error)
    [line] = stream.getvalue().splitlines()
    record = json.loads(line)
    assert (record["level"], record["message"]) == ("error", "the batch of 3 failed")
    assert record["logger"] == logger.name
    assert record["time"].endswith("+00:00")
    assert "ValueError" in record["error"]
    assert CANARY not in line


def test_a_line_of_a_traced_request_names_its_trace() -> None:
    record = logging.LogRecord("stroke", logging.INFO, "", 1, "said", None, None)
    untraced = json.loads(JsonFormatter().format(record))
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(context)):
        traced = json.loads(JsonFormatter().format(record))

    assert "trace_id" not in untraced
    assert traced["trace_id"] == f"{0xABC:032x}"


def test_a_line_within_a_request_names_it() -> None:
    record = logging.LogRecord("stroke", logging.INFO, "", 1, "said", None, None)
    assert "request_id" not in json.loads(JsonFormatter().format(record))
    token = CURRENT.set("visit-1")
    try:
        assert json.loads(JsonFormatter().format(record))["request_id"] == "visit-1"
        assert TextFormatter().format(record).endswith(" INFO stroke said request_id=visit-1")
    finally:
        CURRENT.reset(token)


def test_a_text_line_is_one_line_and_tells_no_text_of_an_exception(error: BaseException) -> None:
    failure = (type(error), error, error.__traceback__)
    record = logging.LogRecord("stroke", logging.ERROR, "", 1, "two\nlines", None, failure)
    [line] = TextFormatter().format(record).splitlines()
    assert "ERROR stroke two\\nlines error=builtins.ValueError at" in line
    assert CANARY not in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_configuration_makes_lines_of_the_form(form: Literal["json", "text"]) -> None:
    factory = configuration(form)["formatters"]["lines"]["()"]
    assert factory == f"stroke.entrypoints.logs.{form.capitalize()}Formatter"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
@given(message=st.text())
@example("down\r\nERROR forged")
@example("\x1b[2J\x9b1m\u2028\x85\u202e\ud800\U000e0001")
def test_no_message_makes_a_second_line_or_moves_a_terminal(
    formatter: JsonFormatter, message: str
) -> None:
    line = formatter.format(logging.LogRecord("stroke", 20, "", 1, "%s", (message,), None))
    assert line.isprintable()
    assert line.splitlines() == [line]
    if not isinstance(formatter, TextFormatter):
        assert json.loads(line)["message"] == message
