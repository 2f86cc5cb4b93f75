"""What middleware needs that may answer in the place of the application."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

_REPLY: Final = "stroke.reply"


class Reply:
    """What is known of the answer to one request: its status, which is 0 before it begins."""

    __slots__ = ("status",)

    def __init__(self) -> None:
        self.status = 0


def watched(scope: Scope, send: Send) -> tuple[Reply, Send]:
    """Return what knows the answer to a request, and what to give to the application as ``send``.

    Layers of one request share it: the outermost that asks watches for all of them.
    """
    kept: Reply | None = scope.get(_REPLY)
    if kept is not None:
        return kept, send
    # ``send`` belongs to what holds the scope: if the scope led back to it, each request would
    # leave a circle to the garbage collector, which stops the service while it looks for them.
    reply = scope[_REPLY] = Reply()

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
        await send(message)

    return reply, sending


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
