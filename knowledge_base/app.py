"""The knowledge base over HTTP, on loopback: it trusts its callers, who are our own processes."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from contextvars import copy_context
from dataclasses import asdict
from typing import Any, TypeVar

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kit import asgi, logging, tracing
from kit.errors import KotaeError
from kit.settings import Settings
from knowledge_base.gaps import Asked, find_gaps
from knowledge_base.schemas import (
    AnswerRequest,
    ArticleReply,
    EmbedRequest,
    GapReply,
    GapsReply,
    GapsRequest,
    Ready,
    Reloaded,
    SearchReply,
    SearchRequest,
)
from knowledge_base.service import Service
from knowledge_base.text import Language

logger = structlog.get_logger()
FOLLOW_SECONDS = 1.0
"""How often the index folder is looked at for a new build."""
THREADS = 16
"""Questions under way at once; they mostly wait for their vector, which the encoder makes for all of them together."""
Made = TypeVar("Made")


def create_app(settings: Settings) -> ASGIApp:
    """The application.

    Args:
        settings: which encoders and which index.
    """
    service = Service(settings)
    threads = ThreadPoolExecutor(THREADS, "knowledge-base")

    async def run(work: Callable[[], Made]) -> Made:
        return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, work)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(_follow(service, run))
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await run(service.close)
        tracing.close()
        threads.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(title="Kotae knowledge base", lifespan=lifespan)
    if settings.trace_url:
        app.middleware("http")(_traced)

    @app.exception_handler(KotaeError)
    async def expected(_: Request, error: KotaeError) -> JSONResponse:
        return JSONResponse(_rendered(error), error.status)

    async def embed(body: bytes) -> bytes:
        asked = EmbedRequest.model_validate_json(body)
        made = await service.embed(asked.texts)
        said: dict[str, Any] = {"dimension": made.vectors.shape[1], "model": made.model, "build": made.build}
        if asked.packed:
            said["packed"] = b64encode(made.vectors.astype("<f4").tobytes()).decode()
        else:
            said["vectors"] = made.vectors
        return orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)

    async def answer(body: bytes) -> bytes:
        asked = AnswerRequest.model_validate_json(body)
        return (await run(lambda: service.answerer.answer(asked))).model_dump_json().encode()

    @app.post("/search")
    async def search(body: SearchRequest) -> SearchReply:
        return SearchReply(hits=await run(lambda: service.answerer.search(body.text, body.lang, body.asker, body.k)))

    @app.post("/gaps")
    async def gaps(body: GapsRequest) -> GapsReply:
        asked = [Asked(**question.model_dump()) for question in body.questions]
        found = await run(lambda: find_gaps(service.answerer, asked))
        return GapsReply(gaps=[GapReply(**asdict(gap)) for gap in found])

    @app.get("/articles/{lang}/{slug:path}")
    async def article(lang: Language, slug: str) -> ArticleReply:
        return await run(lambda: service.answerer.article(lang, slug))

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/readyz")
    async def readyz() -> Ready:
        return service.ready()

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.post("/reload")
    async def reload() -> Reloaded:
        return await run(service.reload)

    return Quick(app, {"/embed": embed, "/answer": answer})


class Quick:
    """Answers what every turn asks without the framework's machinery, which takes longer than the answer; hands on the rest.

    Args:
        app: what is behind it.
        handlers: by path; each takes the body of a POST and gives that of its answer.
    """

    def __init__(self, app: ASGIApp, handlers: Mapping[str, Callable[[bytes], Awaitable[bytes]]]) -> None:
        self._app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        handler = self._handlers.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        logging.join(headers.get(logging.HEADER))
        body = await asgi.body_of(receive)
        try:
            with _span(scope["path"], headers.get(tracing.HEADER)):
                status, said = 200, await handler(body)
        except ValidationError as error:
            message = error.errors(include_url=False, include_context=False, include_input=False)
            status, said = 422, orjson.dumps({"code": "invalid", "message": message[0]["msg"], "hint": ""})
        except KotaeError as error:
            status, said = error.status, orjson.dumps(_rendered(error))
        except Exception:  # the boundary: whatever it was, the caller hears that it failed
            logger.exception("question_failed", path=scope["path"])
            status, said = 500, orjson.dumps({"code": "internal", "message": "the question failed", "hint": ""})
        await asgi.answer(send, status, said)


async def _traced(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    with _span(request.url.path, request.headers.get(tracing.HEADER)):
        return await go_on(request)


def _span(path: str, parent: str | None) -> AbstractContextManager[object]:
    """Of the trace a request belongs to; what belongs to none is none."""
    return nullcontext() if parent is None else tracing.span(f"knowledge_base {path}", parent=parent)


def _rendered(error: KotaeError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "hint": error.hint}


async def _follow(service: Service, run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
    """Loads what there is, then keeps up with the index folder."""
    await run(service.start)
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        await run(service.follow)
