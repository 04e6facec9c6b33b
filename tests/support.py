"""What several tests need: free ports, a running stack, a browser."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from websockets.asyncio.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[1]
EVAL = Path(os.environ.get("KOTAE_EVAL_DIR", ROOT.parent / "shared" / "eval"))
KOTAE = [sys.executable, "-m", "cli.main"]
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class Stack:
    """A running stack and how it is reached."""

    url: str
    home: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    ports: dict[str, int] = field(default_factory=dict)

    def kotae(self, *words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """A `kotae` command, aimed at this stack."""
        return subprocess.run(
            [*KOTAE, *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def kotae_json(self, *words: str) -> Any:
        """What a `kotae … --json` printed, which must be one document and nothing else."""
        done = self.kotae(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    async def run(self, *words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """`kotae`, without keeping open sockets from being served."""
        return await asyncio.to_thread(self.kotae, *words, seconds=seconds)

    async def json(self, *words: str) -> Any:
        """`kotae_json`, without keeping open sockets from being served."""
        return await asyncio.to_thread(self.kotae_json, *words)

    async def token(self, account: str, person: str) -> str:
        """An identity token of a customer."""
        done = await self.run("token", "--account", account, "--person", person)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def login(self, role: str = "csm") -> dict[str, str]:
        """A console log-in of the sample company."""
        logins: list[dict[str, str]] = json.loads((self.home / "logins.json").read_text())
        return next(login for login in logins if login["role"] == role)

    def pid(self, name: str) -> int:
        """Process id of one process of the stack, by the port it listens on."""
        import psutil

        for found in psutil.Process(self._supervisor()).children(recursive=True):
            ports = {each.laddr.port for each in found.net_connections(kind="tcp") if each.status == "LISTEN"}
            if self.ports[name] in ports:
                return int(found.pid)
        raise AssertionError(f"{name} does not run")

    def _supervisor(self) -> int:
        assert self.process is not None
        return self.process.pid

    def until_ready(self, seconds: float = 120) -> None:
        """Waits until every process can serve."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"kotae up ended:\n{(self.home / 'up.log').read_text()[-3000:]}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=3).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"not ready:\n{(self.home / 'up.log').read_text()[-3000:]}")


@contextmanager
def running_stack(home: Path, **settings: str) -> Iterator[Stack]:
    """`kotae up` with a home and ports of its own; trained model and index of `make test` are used again, unless it has others."""
    made = ROOT / ".kotae"
    for name in ("models", "index"):
        if (made / name).exists() and not (home / name).exists():
            shutil.copytree(made / name, home / name, symlinks=True)
    names = ("api", "rasa", "actions", "knowledge_base")
    ports = dict(zip(names, free_ports(4), strict=True))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KOTAE_")}
    environment |= {f"KOTAE_{name.upper()}_PORT": str(port) for name, port in ports.items()}
    environment |= {"KOTAE_HOME": str(home), "PYTHONPATH": str(ROOT), **settings}
    stack = Stack(f"http://127.0.0.1:{ports['api']}", home, environment, ports=ports)
    with (home / "up.log").open("wb") as log:
        stack.process = subprocess.Popen(
            [*KOTAE, "up"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            stack.until_ready(300)
            yield stack
        finally:
            stack.process.send_signal(signal.SIGINT)
            try:
                stack.process.wait(60)
            except subprocess.TimeoutExpired:
                stack.process.kill()
                raise


class Collector:
    """An OpenTelemetry collector on loopback: keeps the spans that arrive over OTLP/HTTP."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def take(self, body: bytes) -> None:
        """Keeps the spans of one export."""
        for batch in ExportTraceServiceRequest.FromString(body).resource_spans:
            (service,) = [one.value.string_value for one in batch.resource.attributes if one.key == "service.name"]
            for span in (each for scope in batch.scope_spans for each in scope.spans):
                said = {one.key: one.value.string_value for one in span.attributes}
                ids = {"trace": span.trace_id.hex(), "id": span.span_id.hex(), "parent": span.parent_span_id.hex()}
                times = {"start": span.start_time_unix_nano, "end": span.end_time_unix_nano}
                self.spans.append({"service": service, "name": span.name, "said": said, **ids, **times})

    async def trace(self, conversation: str, wanted: set[str], seconds: float = 20) -> list[dict[str, Any]]:
        """The spans of the trace of a conversation's turn, once those that are wanted have come."""
        deadline = time.monotonic() + seconds
        while True:
            roots = [
                one
                for one in self.spans
                if one["name"] == "turn" and one["said"].get("kotae.conversation") == conversation
            ]
            found = [one for one in self.spans if roots and one["trace"] == roots[-1]["trace"]]
            if wanted <= {one["name"] for one in found}:
                return found
            assert time.monotonic() < deadline, f"came: {sorted(one['name'] for one in found)}"
            await asyncio.sleep(0.1)


class Customer:
    """A customer's or a visitor's end of one conversation, over the public interface.

    Args:
        stack: to talk with.
        identity: an identity token; None for a visitor.
    """

    def __init__(self, stack: Stack, identity: str | None = None, lang: str = "en") -> None:
        self._http = httpx.AsyncClient(base_url=stack.url, timeout=30)
        self._stack = stack
        self._identity = identity
        self._lang = lang
        self.id = ""
        self.token = ""
        self.frames: list[dict[str, Any]] = []
        self._heard = 0
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Customer:
        headers = {"Authorization": f"Bearer {self._identity}"} if self._identity else {}
        answer = await self._http.post("/v1/conversations", json={"lang": self._lang}, headers=headers)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        self.id, self.token = made["conversation_id"], made["token"]
        self.greeting = made["messages"]
        await self.connect(after=self.greeting[-1]["seq"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()
        await self._http.aclose()

    async def connect(self, after: int = 0) -> None:
        """Opens the socket, to what comes after a place in the log."""
        address = f"{self._stack.url.replace('http', 'ws', 1)}/v1/conversations/{self.id}/stream?after={after}"
        self._socket = await connect(address, additional_headers={"Authorization": f"Bearer {self.token}"})
        self._heard = after

    async def disconnect(self) -> None:
        """Closes the socket."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def send(self, text: str, choice: str | None = None, client_id: str | None = None) -> str:
        """Sends a message, without waiting for anything."""
        client_id = client_id or str(uuid.uuid4())
        await self.raw({"type": "message", "client_id": client_id, "text": text, "choice": choice})
        return client_id

    async def raw(self, frame: dict[str, Any]) -> None:
        """Sends any frame."""
        assert self._socket is not None
        await self._socket.send(json.dumps(frame))

    async def frame(self, seconds: float = 15, **wanted: Any) -> dict[str, Any]:
        """The next frame with these values; the others are kept in `frames`."""
        assert self._socket is not None
        async with asyncio.timeout(seconds):
            while True:
                got: dict[str, Any] = json.loads(await self._socket.recv())
                self.frames.append(got)
                if all(got.get(key) == value for key, value in wanted.items()):
                    return got

    async def message(self, sender: str, kind: str | None = None, seconds: float = 15) -> dict[str, Any]:
        """The next message of that sender, and of that body type where one is named; what `ask` has given is past."""
        while True:
            got = await self.frame(seconds, type="message", sender=sender)
            if got["seq"] > self._heard and kind in (None, got["body"]["type"]):
                return got

    async def ask(self, text: str, choice: str | None = None, seconds: float = 15) -> list[dict[str, Any]]:
        """Sends a message and waits for the bot; gives the bodies of everything it answered."""
        client_id = await self.send(text, choice)
        seq = (await self.frame(seconds, type="ack", client_id=client_id))["seq"]
        async with asyncio.timeout(seconds):
            while True:
                log = await self.log(after=seq)
                bodies = [message["body"] for message in log if message["sender"] == "bot"]
                if bodies:
                    self._heard = log[-1]["seq"]  # the log may be ahead of the socket
                    return bodies
                await self.frame(seconds, type="message")

    async def log(self, after: int = 0) -> list[dict[str, Any]]:
        """The log as REST gives it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self._http.get(f"/v1/conversations/{self.id}/messages", params={"after": after}, headers=headers)
        assert answer.status_code == 200, answer.text
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return messages


def installed(command: str, *packages: str) -> str:
    """Path of a command; installed from Debian's packages where there is none and that can be done.

    Raises:
        AssertionError: there is none and it cannot be installed: a test that needs it is never skipped.
    """
    if shutil.which(command) is None:
        _install(packages)
    found = shutil.which(command)
    if found is None:
        raise AssertionError(f"no {command}: install Debian's {' '.join(packages)}")
    return found


def chromium() -> str:
    """Path of a Chromium; installed from Debian's package where there is none and that can be done.

    Raises:
        AssertionError: there is none and it cannot be installed: browser tests are never skipped.
    """
    if _chromium() is None:
        _install(["chromium", "fonts-noto-cjk"])
    found = _chromium()
    if found is None:
        raise AssertionError("no Chromium: install Debian's package chromium, or set KOTAE_CHROMIUM to its path")
    return found


def _install(packages: Sequence[str]) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", *words], check=False, capture_output=True, timeout=900, env=environment)


def _chromium() -> str | None:
    named = os.environ.get("KOTAE_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return named or next((path for path in map(shutil.which, names) if path), None)
