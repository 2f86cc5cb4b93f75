"""Answers as JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Response


def rendered(content: Any) -> bytes:
    """Return ``content`` as JSON; times are written in UTC, with a Z.

    orjson renders the domain's dataclasses, their days and their times itself.
    """
    return orjson.dumps(content, option=orjson.OPT_UTC_Z)


def json_response(content: Any, status: int = HTTPStatus.OK) -> Response:
    """Return an answer with ``content`` as JSON."""
    return Response(rendered(content), status, media_type="application/json")
