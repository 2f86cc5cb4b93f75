"""A FHIR server of a record system that answers what a test gives it, by path."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from components.loopback import LoopbackServer, in_bytes


class Answer(NamedTuple):
    """What is answered: ``body`` is sent as ``in_bytes`` says, after ``delay`` seconds.

    With ``trickle`` seconds, each of its bytes is sent so long after the one before.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] = {}
    delay: float = 0
    trickle: float = 0


class Asked(NamedTuple):
    """A request: its target, and its headers in small letters."""

    target: str
    headers: Mapping[str, str]


class FhirRecord(LoopbackServer):
    """Listens on a free port of 127.0.0.1 within ``with``; its base is ``base``.

    ``answers`` are by target behind the base, without or with the query. All else is 404.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[Asked] = []
        record = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                record.asked.append(Asked(self.path, headers))
                answer = record._answer(self.path.removeprefix("/fhir/"))
                time.sleep(answer.delay)
                body = in_bytes(answer.body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if "Transfer-Encoding" not in answer.headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    for part in (
                        [body[at : at + 1] for at in range(len(body))]
                        if (answer.trickle)
                        else [body]
                    ):
                        self.wfile.write(part)
                        self.wfile.flush()
                        time.sleep(answer.trickle)
                except OSError:  # nobody reads it any more
                    self.close_connection = True

        super().__init__(Handler)
        self.base = f"{self.url}/fhir"

    def _answer(self, target: str) -> Answer:
        given = self.answers.get(target, self.answers.get(target.partition("?")[0]))
        if given is None:
            return Answer({"resourceType": "OperationOutcome"}, 404)
        return given if isinstance(given, Answer) else Answer(given)
