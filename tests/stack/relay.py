"""A line between the company's client and the front door that is as bad as lines are."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fate = Literal["passed", "lost", "answer lost", "503", "429"]
"""What becomes of a request: passed on; cut before the front door hears of it, or after it has answered; refused on the way."""


@dataclass
class Relay:
    """The line, where it is reached and what became of each request."""

    url: str
    seen: list[tuple[Fate, str | None]] = field(default_factory=list)
    """Of each request, with how often the client says that it tried before."""


@contextmanager
def relay(url: str, fates: Sequence[Fate]) -> Iterator[Relay]:
    """Listens on loopback; the first requests fare as told, all later ones are passed on."""
    to = urlsplit(url)
    waiting = list(fates)

    class Line(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fate: Fate = waiting.pop(0) if waiting else "passed"
            line.seen.append((fate, self.headers.get("X-Retry-Count")))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.close_connection = fate != "passed"
            if fate in ("503", "429"):
                self._answer(int(fate), b"not now", {"Retry-After": "1"} if fate == "429" else {})
            elif fate != "lost":
                answer = http.client.HTTPConnection(str(to.hostname), to.port, timeout=30)
                answer.request("POST", self.path, body, dict(self.headers))
                got = answer.getresponse()
                said = got.read()
                if fate == "passed":
                    self._answer(got.status, said, {"Content-Type": got.headers["Content-Type"]})
                answer.close()

        def _answer(self, status: int, said: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(said))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Line) as server:
        line = Relay(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield line
        finally:
            server.shutdown()
            thread.join()
