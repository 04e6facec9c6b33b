"""The service over HTTP, with its own client."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import structlog
import uvicorn
from starlette.types import Receive, Scope, Send

from kit import logging
from kit.errors import NotFound, Unavailable, UserError
from kit.settings import Settings
from knowledge_base import index as indexes
from knowledge_base.answering import Answerer
from knowledge_base.app import Quick, create_app
from knowledge_base.client import KnowledgeBase
from knowledge_base.encoders import Encoders
from knowledge_base.loading import load_folder

POLLS = 1_200
"""Looks at a service that starts, 50 ms apart: a minute, for a machine with much else to do."""


async def serve(settings: Settings) -> AsyncIterator[KnowledgeBase]:
    """The real application behind a real server in this process, asked through the real client."""
    config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_config=None)
    server = Server(config)
    running = asyncio.create_task(server.serve())
    await server.ready.wait()
    async with KnowledgeBase(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}") as client:
        yield client
    server.should_exit = True
    await running


class Server(uvicorn.Server):
    """A server that says when it serves, and leaves signals to the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def until_ready(client: KnowledgeBase) -> None:
    for _ in range(POLLS):
        try:
            await client.ready()
        except Unavailable:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("never ready")


@pytest.fixture(scope="module")
async def kb(plain_settings: Settings, small: Answerer) -> AsyncIterator[KnowledgeBase]:
    async for client in serve(plain_settings):
        await until_ready(client)
        yield client


async def test_it_answers_with_a_citation(kb: KnowledgeBase) -> None:
    made = await kb.answer("what is my run limit")
    assert made.citation is not None
    assert made.citation.article_id == "en/run-limits"
    assert str(made.citation.updated) == "2026-03-01"
    assert [hit.article_id for hit in await kb.search("run limit", k=1)] == ["en/run-limits"]
    assert (await kb.article("en", "run-limits")).title == "How many runs you have"


async def test_vectors_are_packed_where_that_is_wanted(kb: KnowledgeBase) -> None:
    """The same vectors, in a fraction of the bytes: Rasa asks so with every message."""
    texts = ["hello", "こんにちは"]
    plain = (await kb.embed(texts)).vectors
    asked = json.dumps({"texts": texts, "packed": True}).encode()
    packed = (await kb._http.request("POST", "/embed", asked, seconds=2)).json()
    assert packed.keys() == {"packed", "dimension", "model", "build"}
    assert packed["build"] == (await kb.ready()).build
    vectors = np.frombuffer(base64.b64decode(packed["packed"]), "<f4").reshape(-1, packed["dimension"])
    assert vectors == pytest.approx(np.array(plain, np.float32), abs=1e-7)


async def test_vectors_stand_in_the_block_of_their_language(kb: KnowledgeBase) -> None:
    made = await kb.embed(["hello", "こんにちは", "", "🙂"])
    vectors = np.array(made.vectors)
    assert (made.model, made.dimension, vectors.shape) == ("minilm+multilingual", 768, (4, 768))
    assert np.linalg.norm(vectors[0, :384]) == pytest.approx(1, abs=1e-3)
    assert not vectors[0, 384:].any()
    assert np.linalg.norm(vectors[1, 384:]) == pytest.approx(1, abs=1e-3)
    assert not vectors[1, :384].any()
    assert not vectors[2:].any()


async def test_questions_asked_together_get_the_vectors_they_get_alone(kb: KnowledgeBase) -> None:
    texts = [f"how many {word} do I have" for word in ("runs", "seats", "flows", "keys", "cards")]
    together = await asyncio.gather(*(kb.embed([text]) for text in texts))
    for text, made in zip(texts, together, strict=True):
        alone = await kb.embed([text + "?", text])
        assert np.allclose(alone.vectors[1], made.vectors[0], atol=1e-5)


async def test_errors_keep_their_kind(kb: KnowledgeBase) -> None:
    with pytest.raises(UserError):
        await kb.answer(" ")
    with pytest.raises(UserError):
        await kb.answer("x" * 100_000)
    with pytest.raises(NotFound):
        await kb.article("en", "none")
    for path, body in (("/answer", b"{not json"), ("/embed", b"{}"), ("/search", b"{not json")):
        assert (await kb._http.request("POST", path, body, seconds=2)).status == 422


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    async with KnowledgeBase("http://127.0.0.1:9") as client:
        with pytest.raises(Unavailable, match="does not answer"):
            await client.answer("hello")


async def test_it_says_why_it_is_not_ready_and_picks_up_an_index_that_appears(
    tmp_path: Path, content: Path, plain_settings: Settings, encoders: Encoders
) -> None:
    settings = plain_settings.model_copy(update={"index": tmp_path / "index"})
    async for client in serve(settings):
        for _ in range(POLLS):
            with pytest.raises(Unavailable) as caught:
                await client.ready()
            if "there is no index" in str(caught.value):
                break
            await asyncio.sleep(0.05)
        assert "there is no index" in str(caught.value)
        indexes.build_index(load_folder(content), settings.index_dir, encoders)
        await until_ready(client)
        first = await client.ready()
        path = content / "en" / "looms.md"
        path.write_text("# Looms\n\nA loom weaves cloth from warp and weft threads.")
        indexes.build_index(load_folder(content), settings.index_dir, encoders)
        answers = [client.answer("what is my run limit") for _ in range(8)]
        reloaded, made = await asyncio.gather(client.reload(), asyncio.gather(*answers))
        # Whether this call switched or the service had noticed by itself: that is done, and there is nothing more to switch to.
        assert not (await client.reload()).changed
        assert reloaded.build != first.build
        assert all(answer.citation and answer.citation.article_id == "en/run-limits" for answer in made)
        assert (await client.search("weave cloth on a loom", k=1))[0].article_id == "en/looms"


async def test_no_question_fails_while_indexes_are_built_and_switched_to(
    tmp_path: Path, content: Path, plain_settings: Settings, encoders: Encoders
) -> None:
    """Writers build again and again while customers ask without a pause: more builds than are kept."""
    settings = plain_settings.model_copy(update={"index": tmp_path / "index"})
    indexes.build_index(load_folder(content), settings.index_dir, encoders)
    async for client in serve(settings):
        await until_ready(client)
        built = asyncio.Event()
        served: set[str] = set()

        async def ask(client: KnowledgeBase = client, built: asyncio.Event = built) -> int:
            asked = 0
            while not built.is_set():
                made = await client.answer(f"what is my run limit {asked % 7}")
                assert made.citation is not None
                asked += 1
            return asked

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for number in range(3):
            (content / "en" / "looms.md").write_text(f"# Looms\n\nLoom number {number} weaves cloth from threads.")
            await asyncio.to_thread(indexes.build_index, load_folder(content), settings.index_dir, encoders)
            served.add((await client.reload()).build)
        built.set()
        assert all(asked > 0 for asked in await asyncio.gather(*asking))
        assert len(served) == 3
        assert "number 2" in (await client.search("weave cloth on a loom", k=1))[0].quote


async def test_a_damaged_new_index_leaves_the_old_one_serving(
    tmp_path: Path, content: Path, plain_settings: Settings, encoders: Encoders
) -> None:
    settings = plain_settings.model_copy(update={"index": tmp_path / "index"})
    indexes.build_index(load_folder(content), settings.index_dir, encoders)
    async for client in serve(settings):
        await until_ready(client)
        (settings.index_dir / "current").write_text("nothing")
        with pytest.raises(UserError):
            await client.reload()
        assert (await client.answer("what is my run limit")).citation is not None


async def test_what_fails_is_logged_with_its_turn() -> None:
    """The caller hears that it failed, and nothing of what."""

    async def fails(_: bytes) -> bytes:
        raise RuntimeError("broken")

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("handed on")

    transport = httpx.ASGITransport(Quick(nothing, {"/answer": fails}))
    async with httpx.AsyncClient(transport=transport, base_url="http://kb") as client:
        with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
            done = await client.post("/answer", headers={logging.HEADER: "cnv_1 trn_2"})
    assert (done.status_code, done.json()["message"]) == (500, "the question failed")
    assert [(line["event"], line["conversation"], line["turn"]) for line in lines] == [
        ("question_failed", "cnv_1", "trn_2")
    ]
