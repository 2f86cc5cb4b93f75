"""An HTTP server that answers what a test tells it to, whatever it is asked."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

from components.loopback import LoopbackServer, in_bytes


class ScriptedServer(LoopbackServer):
    """Listens on a free port of 127.0.0.1 within ``with``.

    Gives ``answers``, status and body, in turn, the last one again and again. A body is bytes, or
    is sent as JSON.
    """

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, body = script._next(f"{self.command} {self.path}")
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815

        super().__init__(Handler)

    def _next(self, request: str) -> tuple[int, bytes]:
        self.asked.append(request)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return status, in_bytes(body)
