"""A request read, and one answered, where a framework's machinery would take longer than what is asked."""

from __future__ import annotations

from starlette.types import Message, Receive, Send


async def body_of(receive: Receive) -> bytes:
    """The whole body of a request."""
    parts: list[bytes] = []
    more = True
    while more:
        message: Message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def answer(send: Send, status: int, said: bytes) -> None:
    """Answers a request.

    Args:
        said: JSON.
    """
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": said})
