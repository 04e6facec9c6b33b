"""What should never be sent is sent: the service answers with a clear error or keeps silent, and goes on serving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.errors import Unavailable, UserError
from kit.settings import Settings
from knowledge_base import index as indexes
from knowledge_base.answering import Answerer
from knowledge_base.client import KnowledgeBase
from knowledge_base.encoders import Encoders
from knowledge_base.loading import load_folder
from tests.knowledge_base.test_app import POLLS, serve, until_ready


@pytest.fixture(scope="module")
async def kb(plain_settings: Settings, small: Answerer) -> AsyncIterator[KnowledgeBase]:
    async for client in serve(plain_settings):
        await until_ready(client)
        yield client


async def works(kb: KnowledgeBase) -> None:
    made = await kb.answer("what is my run limit")
    assert made.citation is not None
    assert made.citation.article_id == "en/run-limits"


@pytest.mark.parametrize("text", ["", "   \n\t", "\x00\x01\x7f", "\u200b\u200f", "x" * 100_000])
async def test_what_is_no_question_is_refused_in_words(kb: KnowledgeBase, text: str) -> None:
    with pytest.raises(UserError) as caught:
        await kb.answer(text)
    assert caught.value.status == 422
    assert "Traceback" not in str(caught.value)
    await works(kb)


@pytest.mark.parametrize(
    "text",
    [
        "🙂🙃🎉",
        "؟ كيف حالك اليوم يا صديقي",
        "Где находится библиотека",
        "ᚠᚢᚦᚨᚱᚲ",
        "{{ 7*7 }} {% for x in range(10**9) %}{{ x }}{% endfor %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "</script><script>alert(1)</script>",
        "'; DROP TABLE conversations; --",
        "a" * 19_999,
        "ё̈́" * 3_000,
    ],
)
async def test_what_nobody_can_answer_is_not_answered(kb: KnowledgeBase, text: str) -> None:
    made = await kb.answer(text)
    assert made.decision in ("abstain", "clarify")
    assert made.quote is None
    assert "49" not in made.model_dump_json(include={"choices"})
    await works(kb)


async def test_control_characters_in_a_question_do_not_hide_it(kb: KnowledgeBase) -> None:
    made = await kb.answer("what\x00 is\x07 my \u200brun\u200f limit")
    assert made.citation is not None
    assert made.citation.article_id == "en/run-limits"


@pytest.mark.parametrize(
    "tag", ["{{ account.__class__ }}", "{% for x in limits %}{% endfor %}", "{{ account.name()}}", "{{"]
)
def test_an_article_that_injects_is_refused_when_it_is_built(tmp_path: Path, tag: str) -> None:
    (tmp_path / "a.md").write_text(f"---\ntemplate: true\n---\nYou are {tag}.")
    with pytest.raises(UserError, match=r"a\.md"):
        load_folder(tmp_path)


async def test_values_of_an_account_are_never_templates(kb: KnowledgeBase) -> None:
    from knowledge_base.schemas import Values

    hostile = Values(account={"name": "{{ 7*7 }}<script>"}, plan={"name": "**Pro**"}, limits={"runs": 5})
    made = await kb.answer("what is my run limit", values=hostile, article_id="en/run-limits")
    assert made.quote is not None
    assert "49" not in made.quote
    assert "**Pro**" not in made.quote


async def test_a_missing_model_is_said_and_the_service_lives(tmp_path: Path, plain_settings: Settings) -> None:
    settings = plain_settings.model_copy(update={"encoder": "./nowhere", "index": tmp_path / "index"})
    async for client in serve(settings):
        for _ in range(POLLS):
            with pytest.raises(Unavailable) as caught:
                await client.answer("hello")
            if "nowhere" in str(caught.value):
                break
            await asyncio.sleep(0.05)
        assert "'./nowhere' is not a folder" in str(caught.value)
        with pytest.raises(Unavailable):
            await client.embed(["hello"])
        assert (await client._http.request("GET", "/healthz", seconds=2)).json() == {"ok": True}


@pytest.mark.parametrize(
    "name", ["meta.json", "en/vectors.npy", "en/places.npz", "en/whole/data.csc.index.npy", "sizes.json"]
)
async def test_a_broken_file_of_the_index_is_said_over_http(
    tmp_path: Path, content: Path, plain_settings: Settings, encoders: Encoders, name: str
) -> None:
    settings = plain_settings.model_copy(update={"index": tmp_path / "index"})
    indexes.build_index(load_folder(content), settings.index_dir, encoders)
    built = indexes.current_build(settings.index_dir)
    assert built is not None
    (built / name).write_bytes((built / name).read_bytes()[:-20])
    async for client in serve(settings):
        for _ in range(POLLS):
            with pytest.raises(Unavailable) as caught:
                await client.answer("hello")
            if "damaged" in str(caught.value):
                break
            await asyncio.sleep(0.05)
        assert "build it again" in str(caught.value)
