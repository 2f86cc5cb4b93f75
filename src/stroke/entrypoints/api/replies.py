"""What middleware needs that may answer in the place of the application."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send


class Reply:
    """Sends one answer, and knows whether a part of it is out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False

    async def send(self, message: Message) -> None:
        """Send a part of the application's answer."""
        self._started = True
        await self._send(message)

    async def instead(self, answer: Response, scope: Scope, receive: Receive) -> None:
        """Send ``answer`` if the application has sent nothing yet.

        Otherwise raises ``ConnectionAbortedError``: half an answer is out, and only a broken
        connection says so to the client.
        """
        if self._started:
            raise ConnectionAbortedError("the answer broke off") from None
        await answer(scope, receive, self._send)
