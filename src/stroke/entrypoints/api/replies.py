"""What middleware needs that may answer in the place of the application."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

_REPLY: Final = "stroke.reply"


class Reply:
    """What is known of the answer to one request: its status, which is 0 before it begins."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def watched(scope: Scope, send: Send) -> tuple[Reply, Send]:
    """Return what knows the answer to a request, and what to give to the application as ``send``.

    Layers of one request share it: the outermost that asks watches for all of them.
    """
    reply: Reply | None = scope.get(_REPLY)
    if reply is not None:
        return reply, send
    reply = scope[_REPLY] = Reply(send)
    return reply, reply.send


async def answer_instead(
    reply: Reply, answer: Response, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send ``answer`` if the application has sent nothing yet.

    Otherwise raises ``ConnectionAbortedError``: half an answer is out, and only a broken
    connection says so to the client.
    """
    if reply.status:
        raise ConnectionAbortedError("the answer broke off") from None
    await answer(scope, receive, send)
