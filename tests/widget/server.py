"""A small server that keeps the widget's contract, with its log in memory.

It is where the widget is driven through bad networks: `Weather` drops, delays, doubles and reorders what goes over the
socket in either direction. The product's own server is driven by the tests of the whole stack.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from api.widget import SITE, served
from conversations.bodies import BODY, Message, Sender
from tests.widget.samples import ARTICLES, GREETING, PEOPLE, reply

IDENTITY_KEY = "the key that only this test's company and server share"


@dataclass
class Weather:
    """What happens to a frame on its way. Shares are chances from 0 to 1; the generator is seeded, so a storm repeats."""

    drop: float = 0
    double: float = 0
    delay: float = 0
    longest: float = 0.12
    cut: float = 0
    seed: int = 0
    websocket: bool = True
    posts_lost: float = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def happens(self, share: float) -> bool:
        return self.dice.random() < share


@dataclass
class Talk:
    """One conversation."""

    id: str
    token: str
    lang: str
    who: str | None = None
    holder: str = "bot"
    csm: str | None = None
    log: list[Message] = field(default_factory=list)
    by_client: dict[str, int] = field(default_factory=dict)
    sockets: set[Line] = field(default_factory=set)
    told: list[dict[str, Any]] = field(default_factory=list)
    email: str | None = None

    def view(self) -> dict[str, Any]:
        csm = {"name": self.csm} if self.csm else None
        return {
            "conversation_id": self.id,
            "lang": self.lang,
            "holder": self.holder,
            "csm": csm,
            "last_seq": len(self.log),
            "known": self.who is not None,
        }


class Line:
    """One socket, through the weather."""

    def __init__(self, socket: WebSocket, server: Server) -> None:
        self.socket = socket
        self.server = server
        self.late: set[asyncio.Task[None]] = set()

    async def send(self, frame: dict[str, Any]) -> None:
        weather = self.server.weather
        if weather.happens(weather.drop):
            return
        for _ in range(2 if weather.happens(weather.double) else 1):
            if weather.happens(weather.delay):
                task = asyncio.create_task(self._later(frame))
                self.late.add(task)
                task.add_done_callback(self.late.discard)
            else:
                await self._now(frame)

    async def _later(self, frame: dict[str, Any]) -> None:
        await asyncio.sleep(self.server.weather.dice.random() * self.server.weather.longest)
        await self._now(frame)

    async def _now(self, frame: dict[str, Any]) -> None:
        try:
            await self.socket.send_json(frame)
        except (RuntimeError, WebSocketDisconnect):
            return


class Start(BaseModel):
    lang: str = "en"
    page_url: str | None = None


class Said(BaseModel):
    client_id: str
    text: str
    choice: str | None = None


class Server:
    """The conversations and who may see them."""

    def __init__(self) -> None:
        self.weather = Weather()
        self.talks: dict[str, Talk] = {}
        self.answers = True
        self.lines = asyncio.Event()
        """A socket opens once this is set."""
        self.lines.set()
        self.limit_next = 0
        self.refused: set[str] = set()
        """Texts that are refused, however often they are sent."""
        self.signed_out: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop: asyncio.AbstractEventLoop | None = None

    def start(self, lang: str, who: str | None) -> Talk:
        mine = next((one for one in self.talks.values() if who and one.who == who), None)
        if mine:
            return mine
        talk = Talk(f"c_{secrets.token_hex(8)}", secrets.token_urlsafe(32), lang, who)
        self.talks[talk.id] = talk
        if self.answers:
            self.append(talk, "bot", GREETING[lang])
        return talk

    def allowed(self, id: str, token: str | None) -> Talk:
        talk = self.talks.get(id)
        if talk is None or token != talk.token:
            raise HTTPException(404)
        return talk

    def append(self, talk: Talk, sender: Sender, body: dict[str, Any], **more: Any) -> Message:
        made = Message(
            seq=len(talk.log) + 1, sender=sender, body=BODY.validate_python(body), created_at=datetime.now(UTC), **more
        )
        talk.log.append(made)
        return made

    async def publish(self, talk: Talk, frame: dict[str, Any]) -> None:
        for line in list(talk.sockets):
            await line.send(frame)

    async def say(self, talk: Talk, sender: Sender, body: dict[str, Any], **more: Any) -> None:
        made = self.append(talk, sender, body, **more)
        await self.publish(talk, {"type": "message", **made.model_dump(mode="json")})

    async def hear(self, talk: Talk, said: Said) -> int:
        """Stores what the customer said, once for each `client_id`, and answers."""
        if said.client_id in talk.by_client:
            return talk.by_client[said.client_id]
        made = self.append(talk, "customer", {"type": "text", "text": said.text}, client_id=said.client_id)
        talk.by_client[said.client_id] = made.seq
        await self.publish(talk, {"type": "message", **made.model_dump(mode="json")})
        if self.answers:
            task = asyncio.create_task(self.answer(talk, said))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return made.seq

    async def answer(self, talk: Talk, said: Said) -> None:
        await self.publish(talk, {"type": "typing", "who": "bot"})
        await self.publish(talk, {"type": "read", "seq": len(talk.log)})
        await asyncio.sleep(0.05)
        for body, holder in reply(said.choice or said.text, talk.lang):
            if holder:
                talk.holder, talk.csm = ("csm", holder) if holder != "bot" else ("bot", None)
                await self.publish(talk, {"type": "holder", "holder": talk.holder, "csm": talk.view()["csm"]})
            sender: Sender = "csm" if talk.csm and body["type"] == "text" else "bot"
            await self.say(talk, sender, body, name=talk.csm if sender == "csm" else None)

    def do(self, work: Any) -> Any:
        """Runs a coroutine on the server's own loop, from a test."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)


def bearer(authorization: str | None) -> str | None:
    return authorization.removeprefix("Bearer ") if authorization else None


def person(token: str) -> str:
    try:
        claims = jwt.decode(token, IDENTITY_KEY, algorithms=["HS256"], audience="kotae")
    except jwt.PyJWTError:
        raise HTTPException(401) from None
    return f"{claims['account_id']}/{claims['sub']}"


def build(server: Server) -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server.loop = asyncio.get_running_loop()
        yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])

    @app.get("/widget.js")
    async def widget() -> Response:
        return Response(served(), media_type="text/javascript")

    @app.get("/v1/widget-config")
    async def config() -> dict[str, Any]:
        return {"company": "Orimono", "product": "Orimono", "languages": ["en", "ja"], "default_language": "en"}

    @app.post("/v1/conversations", status_code=201)
    async def start(body: Start, authorization: str | None = Header(None)) -> dict[str, Any]:
        token = bearer(authorization)
        talk = server.start(body.lang, person(token) if token else None)
        return {**talk.view(), "token": talk.token, "messages": [one.model_dump(mode="json") for one in talk.log]}

    @app.get("/v1/conversations/{id}")
    async def about(id: str, authorization: str | None = Header(None)) -> dict[str, Any]:
        return server.allowed(id, bearer(authorization)).view()

    @app.get("/v1/conversations/{id}/messages")
    async def messages(id: str, after: int = 0, authorization: str | None = Header(None)) -> dict[str, Any]:
        talk = server.allowed(id, bearer(authorization))
        return {**talk.view(), "messages": [one.model_dump(mode="json") for one in talk.log[after:]]}

    @app.post("/v1/conversations/{id}/messages", status_code=202)
    async def post(id: str, body: Said, authorization: str | None = Header(None)) -> dict[str, int]:
        talk = server.allowed(id, bearer(authorization))
        if server.limit_next:
            server.limit_next -= 1
            raise HTTPException(429, headers={"Retry-After": "1"})
        seq = await server.hear(talk, body)
        if server.weather.happens(server.weather.posts_lost):
            raise HTTPException(502)  # it arrived, and the answer did not
        return {"seq": seq}

    @app.post("/v1/conversations/{id}/frames", status_code=204)
    async def frames(id: str, request: Request, authorization: str | None = Header(None)) -> None:
        server.allowed(id, bearer(authorization)).told.append(await request.json())

    @app.delete("/v1/conversations/{id}/token", status_code=204)
    async def sign_out(id: str, authorization: str | None = Header(None)) -> None:
        server.allowed(id, bearer(authorization))
        server.signed_out.append(id)

    @app.put("/v1/conversations/{id}/identity")
    async def identity(id: str, request: Request, authorization: str | None = Header(None)) -> dict[str, Any]:
        talk = server.allowed(id, bearer(authorization))
        who = person((await request.json())["identity"])
        if talk.who not in (None, who):
            raise HTTPException(409)
        talk.who = who
        return {}

    @app.put("/v1/conversations/{id}/email", status_code=204)
    async def email(id: str, request: Request, authorization: str | None = Header(None)) -> None:
        server.allowed(id, bearer(authorization)).email = (await request.json())["email"]

    @app.get("/v1/articles/{article_id:path}")
    async def article(article_id: str, authorization: str | None = Header(None)) -> dict[str, Any]:
        if article_id not in ARTICLES:
            raise HTTPException(404)
        return ARTICLES[article_id]

    @app.get("/v1/articles")
    async def search(q: str, lang: str = "en") -> dict[str, Any]:
        hits = [{k: v for k, v in one.items() if k != "html"} for one in ARTICLES.values()]
        return {"hits": [one for one in hits if q.lower() in one["title"].lower() and one["lang"] == lang]}

    @app.websocket("/v1/conversations/{id}/stream")
    async def stream(socket: WebSocket, id: str, after: int = 0) -> None:
        if not server.weather.websocket:
            await socket.close()
            return
        await server.lines.wait()
        offered = socket.scope["subprotocols"]
        talk = server.talks.get(id)
        await socket.accept(subprotocol="kotae")
        if talk is None or len(offered) < 2 or offered[1] != talk.token:
            await socket.close(4404 if talk is None else 4401)
            return
        await serve(server, talk, Line(socket, server), after)

    @app.get("/demo/people")
    async def people() -> list[dict[str, Any]]:
        return PEOPLE

    @app.post("/demo/token")
    async def token(request: Request) -> dict[str, str]:
        return {"token": identity_token(**await request.json())}

    app.mount("/demo", StaticFiles(directory=SITE, html=True))
    return app


async def serve(server: Server, talk: Talk, line: Line, after: int) -> None:
    """One socket's life."""
    talk.sockets.add(line)
    try:
        for one in talk.log[after:]:
            await line.send({"type": "message", **one.model_dump(mode="json")})
        while True:
            frame = await line.socket.receive_json()
            weather = server.weather
            if weather.happens(weather.cut):
                await line.socket.close(1011)
                return
            if frame["type"] == "ping":
                await line.send({"type": "pong", "seq": len(talk.log)})
            elif weather.happens(weather.drop):
                continue
            elif frame["type"] == "message":
                said = Said.model_validate(frame)
                if server.limit_next:
                    server.limit_next -= 1
                    told = {"code": "too_many", "message": "wait", "client_id": said.client_id, "retry_after": 1}
                    await line.send({"type": "error", **told})
                    continue
                if said.text in server.refused:
                    told = {"code": "invalid", "message": "this is too long", "client_id": said.client_id}
                    await line.send({"type": "error", **told})
                    continue
                await line.send({"type": "ack", "client_id": said.client_id, "seq": await server.hear(talk, said)})
            else:
                talk.told.append(frame)
    except WebSocketDisconnect:
        pass
    finally:
        talk.sockets.discard(line)


def identity_token(account_id: str, person_id: str) -> str:
    """What a company's backend signs."""
    return jwt.encode({"sub": person_id, "account_id": account_id, "aud": "kotae"}, IDENTITY_KEY, algorithm="HS256")


@contextmanager
def running(port: int = 0, site: Path | None = None) -> Iterator[tuple[str, Server]]:
    """The server on a free port of this machine, in a thread of its own.

    Args:
        port: 0 takes a free one.
        site: a folder of pages to serve under `/site`.
    """
    server = Server()
    app = build(server)
    if site:
        app.mount("/site", StaticFiles(directory=site, html=True))

    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="websockets-sansio")
    running = uvicorn.Server(config)
    thread = Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        thread.join(0.02)
        if not thread.is_alive():
            raise RuntimeError("the test server did not start")
    bound = running.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{bound}", server
    finally:
        running.should_exit = True
        thread.join(10)
