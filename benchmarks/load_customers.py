"""Locust's customers: each opens a conversation, asks over its socket, reads the answer, thinks for a moment, and asks again.

Run by benchmarks/load.py in a process of its own, for locust replaces the blocking parts of Python.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from typing import Any

from locust import HttpUser, between, task
from locust.exception import StopUser
from websocket import WebSocket, WebSocketException, create_connection

QUESTIONS = (
    "How do I invite a colleague to my workspace?",
    "How do I change my plan?",
    "Where are my invoices?",
    "thanks",
    "Which plan am I on?",
)
PATIENCE_SECONDS = 30.0


class Customer(HttpUser):
    """One customer of the chat."""

    wait_time = between(0.5, 1.5)
    socket: WebSocket
    last = 0

    def on_start(self) -> None:
        """Opens a conversation and its socket."""
        answer = self.client.post("/v1/conversations", json={"lang": "en"}, name="open a conversation")
        if answer.status_code != 201:
            raise StopUser
        made = answer.json()
        self.last = made["messages"][-1]["seq"]
        address = f"{str(self.host).replace('http', 'ws', 1)}/v1/conversations/{made['conversation_id']}/stream"
        header = [f"Authorization: Bearer {made['token']}"]
        self.socket = create_connection(f"{address}?after={self.last}", header=header, timeout=PATIENCE_SECONDS)

    def on_stop(self) -> None:
        """Leaves."""
        if getattr(self, "socket", None) is not None:
            self.socket.close()

    @task
    def ask(self) -> None:
        """One turn: from pressing send to reading the first word back."""
        began = time.perf_counter()
        problem: Exception | None = None
        frame = {"type": "message", "client_id": str(uuid.uuid4()), "text": random.choice(QUESTIONS)}
        try:
            self.socket.send(json.dumps(frame))
            reply = self._reply(frame["client_id"])
            if str(reply["body"].get("text", "")).startswith("Sorry, I could not work that out"):
                problem = RuntimeError("the bot could not answer")
        except (WebSocketException, OSError) as error:
            problem = error
        self.environment.events.request.fire(
            request_type="turn",
            name="turn",
            response_time=1000 * (time.perf_counter() - began),
            response_length=0,
            exception=problem,
            context={},
        )

    def _reply(self, client_id: str) -> dict[str, Any]:
        """The first word after the customer's own message; what the last answer still had to say comes before it."""
        own = False
        while True:
            frame: dict[str, Any] = json.loads(self.socket.recv())
            if frame["type"] == "error":
                raise WebSocketException(frame["code"])
            if frame["type"] == "message" and frame["sender"] == "bot" and own:
                return frame
            own = own or (frame["type"] == "message" and frame["client_id"] == client_id)
