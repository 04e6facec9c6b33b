"""The knowledge base over HTTP, on loopback: it trusts its callers, who are our own processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from kit.errors import KotaeError
from kit.settings import Settings
from knowledge_base.gaps import Asked, find_gaps
from knowledge_base.schemas import (
    AnswerReply,
    AnswerRequest,
    ArticleReply,
    EmbedReply,
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

FOLLOW_SECONDS = 1.0
"""How often the index folder is looked at for a new build."""
THREADS = 16
"""Questions under way at once; they mostly wait for their vector, which the encoder makes for all of them together."""
Made = TypeVar("Made")


def create_app(settings: Settings) -> FastAPI:
    """The application.

    Args:
        settings: which encoders and which index.
    """
    service = Service(settings)
    threads = ThreadPoolExecutor(THREADS, "knowledge-base")

    async def run(work: Callable[[], Made]) -> Made:
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(_follow(service, run))
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await run(service.close)
        threads.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(title="Kotae knowledge base", lifespan=lifespan)
    app.state.service = service

    @app.exception_handler(KotaeError)
    async def expected(_: Request, error: KotaeError) -> JSONResponse:
        return JSONResponse({"code": error.code, "message": error.message, "hint": error.hint}, error.status)

    @app.post("/embed")
    async def embed(body: EmbedRequest) -> EmbedReply:
        return await run(lambda: service.embed(body.texts))

    @app.post("/search")
    async def search(body: SearchRequest) -> SearchReply:
        return SearchReply(hits=await run(lambda: service.answerer.search(body.text, body.lang, body.asker, body.k)))

    @app.post("/answer")
    async def answer(body: AnswerRequest) -> AnswerReply:
        return await run(lambda: service.answerer.answer(body))

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

    @app.post("/reload")
    async def reload() -> Reloaded:
        return await run(service.reload)

    return app


async def _follow(service: Service, run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
    """Loads what there is, then keeps up with the index folder."""
    await run(service.start)
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        await run(service.follow)
