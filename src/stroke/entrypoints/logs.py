"""Logs without patients: one JSON object per line, and of an exception only where it was raised."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

from opentelemetry import trace

from stroke.entrypoints.request_id import CURRENT


def configuration(form: Literal["json", "text"] = "json") -> dict[str, Any]:
    """Return what uvicorn configures in every worker: lines of ``form`` on stderr.

    The access log stays off: /metrics counts requests.
    """
    formatter = {"json": "JsonFormatter", "text": "TextFormatter"}[form]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{__name__}.{formatter}"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"stroke": {"level": "INFO"}, "uvicorn": {"level": "WARNING"}},
    }


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; exceptions as outlines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON with time (UTC), level, logger, message and error.

        Within a request also with the request's id; if the request is traced, also with the
        trace's id, as OpenTelemetry writes it.
        """
        return _visible(json.dumps(self._fields(record), ensure_ascii=False))

    @staticmethod
    def _fields(record: logging.LogRecord) -> dict[str, str]:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = outline(record.exc_info[1])
        if (request := CURRENT.get()) is not None:
            line["request_id"] = request
        if (span := trace.get_current_span().get_span_context()).is_valid:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
        return line


class TextFormatter(JsonFormatter):
    """Formats a record as one line for people, with what the JSON line has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as: time, LEVEL, logger, message, then the other fields."""
        line = self._fields(record)
        known = (line.pop("time"), line.pop("level").upper(), line.pop("logger"))
        message = line.pop("message")
        shown = [*known, message, *(f"{name}={value}" for name, value in line.items())]
        return _visible(" ".join(shown))


def _visible(text: str) -> str:
    """Return ``text`` with what is not printed as JSON escapes.

    A line end within a message would make two lines of one, also one of Unicode's, and a terminal
    carries out control characters.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def outline(error: BaseException) -> str:
    """Return an exception's chain as types and places, without texts.

    The text of a driver's or a validator's exception may hold the values of a patient.
    """
    links = []
    link: BaseException | None = error
    while link is not None:
        frames = traceback.extract_tb(link.__traceback__)
        places = " > ".join(f"{f.filename}:{f.lineno} {f.name}" for f in frames)
        links.append(f"{type(link).__module__}.{type(link).__qualname__} at {places or 'nowhere'}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "; caused by ".join(links)
