"""Customers who write at a steady pace and behave as the widget does when the line breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from kit.clock import now

Kind = Literal["asker", "wisher", "leaver", "watched"]
ACK_SECONDS, PING_SECONDS, PONG_SECONDS = 6.0, 25.0, 8.0
"""As `TIMING` of api/widget/widget.js."""
TRIES_BEFORE_A_NEW_SOCKET = 3
PATIENCE_SECONDS = 180.0
"""Without a word for this long a conversation counts as stuck."""
PLAIN = (
    "How do I change my plan?",
    "How do I invite a colleague to my workspace?",
    "thanks",
    "Which plan am I on?",
    "hello",
)
WISH, LEAVE, THANKS = "Can I talk to a human please?", "I want to cancel our subscription.", "thanks"
HELP = "How do I invite a colleague to my workspace?"
HUMAN = "human"


@dataclass
class Words:
    """One message of a customer.

    Attributes:
        at: when it was first sent.
        seconds: from the first try to the first word back; None where a person held the conversation.
        tries: how often it was sent.
    """

    client_id: str
    text: str
    at: datetime
    seq: int | None = None
    seconds: float | None = None
    tries: int = 0


@dataclass
class Customer:
    """One conversation, from its opening to a calm end.

    Args:
        url: of the front door.
        kind: what they want: nothing special, a person, to leave, or help for an account that is watched.
        identity: makes an identity token; None for a visitor.
        chance: decides pace and words.
        pace: seconds between two messages, mean.
    """

    url: str
    kind: Kind
    identity: str | None
    chance: random.Random
    pace: float
    id: str = ""
    token: str = ""
    said: list[Words] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    held: bool = False
    handed_over: bool = False
    reconnects: int = 0
    socket: ClientConnection | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, calm: asyncio.Event) -> None:
        """Writes until it is calm, then once more, and leaves when that was answered."""
        await self._open()
        listening = asyncio.create_task(self._listen())
        try:
            while not calm.is_set():
                await self._say(*self._next())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(calm.wait(), self.chance.expovariate(1 / self.pace))
            await self._end()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            if self.socket is not None:
                await self.socket.close()

    @property
    def last(self) -> int:
        """The last place of the log they have."""
        return int(self.seen[-1]["seq"]) if self.seen else 0

    def _next(self) -> tuple[str, str | None]:
        if self.kind == "watched":
            return HELP, None
        if self.kind in ("wisher", "leaver") and self.said:
            if self.handed_over:
                return THANKS, None
            if self._offered():
                return "Talk to a person", HUMAN
            return (WISH if self.kind == "wisher" else LEAVE), None
        return (self.chance.choice(PLAIN) if self.kind != "leaver" else THANKS), None

    def _offered(self) -> bool:
        answers = [one for one in self.seen if one["sender"] == "bot"]
        return bool(answers) and any(each["id"] == HUMAN for each in answers[-1]["body"].get("choices") or [])

    async def _end(self) -> None:
        """All is well again: who wanted a person gets one, and a last question is answered, not failed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.kind in ("wisher", "leaver") and not self.handed_over:
                await self._say(*self._next())
            while True:
                last = HELP if self.kind == "watched" else THANKS
                words = await self._say(last, None)
                if self.held:
                    return
                back = [one for one in self.seen if words.seq is not None and one["seq"] > words.seq]
                if any(one["sender"] == "bot" and not _failed(one) for one in back):
                    return
                await asyncio.sleep(1)

    async def _open(self) -> None:
        headers = {"Authorization": f"Bearer {self.identity}"} if self.identity else {}
        async with httpx.AsyncClient(base_url=self.url, timeout=15, trust_env=False) as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await http.post("/v1/conversations", json={"lang": "en"}, headers=headers)
                    if answer.status_code == 201:
                        made = answer.json()
                        self.id, self.token, self.seen = made["conversation_id"], made["token"], made["messages"]
                        return
                    if answer.status_code not in (502, 503, 504):
                        self.faults.append(f"opening: status {answer.status_code} {answer.text[:200]}")
                await asyncio.sleep(self.chance.uniform(0.3, 1.0))

    async def _say(self, text: str, choice: str | None) -> Words:
        """Sends until it is acknowledged, then waits for a word back."""
        words = Words(str(uuid.uuid4()), text, now())
        self.said.append(words)
        began = time.monotonic()
        deadline = began + PATIENCE_SECONDS
        while words.seq is None:
            if time.monotonic() > deadline:
                self.faults.append(f"{text!r} was never acknowledged")
                return words
            await self._send({"type": "message", "client_id": words.client_id, "text": text, "choice": choice}, words)
            await self._until(lambda: words.seq is not None, ACK_SECONDS)
        held_then = self.held
        answered = lambda: self.held or any(one["sender"] != "customer" for one in self._after(words))  # noqa: E731
        if not await self._until(answered, max(0.0, deadline - time.monotonic())):
            self.faults.append(f"no word back after seq {words.seq} ({text!r})")
        elif not (held_then or self.held):
            words.seconds = time.monotonic() - began
        return words

    def _after(self, words: Words) -> list[dict[str, Any]]:
        return [one for one in self.seen if words.seq is not None and one["seq"] > words.seq]

    async def _send(self, frame: dict[str, Any], words: Words) -> None:
        words.tries += 1
        if words.tries % (TRIES_BEFORE_A_NEW_SOCKET + 1) == 0 and self.socket is not None:
            await self._drop()
        if self.socket is not None:
            with contextlib.suppress(WebSocketException, OSError):
                await self.socket.send(json.dumps(frame))

    async def _until(self, condition: Any, seconds: float) -> bool:
        """Waits for something that frames bring about."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    self.news.clear()
                    await self.news.wait()
        return bool(condition())

    async def _listen(self) -> None:
        """Keeps a socket open, from the last place of the log."""
        wait = 0.3
        while True:
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                address = f"{self.url.replace('http', 'ws', 1)}/v1/conversations/{self.id}/stream?after={self.last}"
                headers = {"Authorization": f"Bearer {self.token}"}
                async with connect(
                    address,
                    additional_headers=headers,
                    open_timeout=8,
                    ping_interval=PING_SECONDS,
                    ping_timeout=PONG_SECONDS,
                    close_timeout=1,
                    proxy=None,
                ) as self.socket:
                    wait = 0.3
                    async for text in self.socket:
                        self._take(json.loads(text))
                    if self.socket.close_code in (4401, 4404):
                        self.faults.append(f"refused: {self.socket.close_code} {self.socket.close_reason}")
                        return
            self.socket = None
            self.reconnects += 1
            await asyncio.sleep(self.chance.uniform(0.1, wait))
            wait = min(wait * 2, 5.0)

    async def _drop(self) -> None:
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.transport.abort()

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "message":
            if frame["seq"] != self.last + 1:
                self.faults.append(f"the socket sent seq {frame['seq']} after {self.last}")
            if frame["seq"] > self.last:
                self.seen.append(frame)
            self._acknowledge(frame.get("client_id"), frame["seq"])
            self._note(frame["body"])
        elif frame["type"] == "ack":
            self._acknowledge(frame["client_id"], frame["seq"])
        elif frame["type"] == "error" and frame["code"] not in ("unavailable", "too_many"):
            self.faults.append(f"error frame {frame['code']}: {frame['message']}")
        self.news.set()

    def _acknowledge(self, client_id: str | None, seq: int) -> None:
        for words in self.said[-3:]:
            if client_id == words.client_id:
                if words.seq not in (None, seq):
                    self.faults.append(f"acknowledged twice, as {words.seq} and {seq}")
                words.seq = seq

    def _note(self, body: dict[str, Any]) -> None:
        if body["type"] == "handover":
            self.handed_over = True
            self.held = {"claimed": True, "returned": False, "resolved": False}.get(body["status"], self.held)


def _failed(message: dict[str, Any]) -> bool:
    """The bot said that it could not."""
    return str(message["body"].get("text", "")).startswith("Sorry, I could not work that out")
