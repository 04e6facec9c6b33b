"""The console on a real server, and real browsers in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from accounts.sample import load_sample
from api.app import create_app
from conversations import log
from conversations.bodies import Answer, Citation, Text
from escalations import csms, queue
from escalations.csms import CsmEntry
from escalations.models import Csm, Escalation
from escalations.policy import Facts, Rule
from kit.clock import now
from kit.company import Company, load_company
from kit.database import Database
from kit.errors import Unavailable
from kit.settings import Settings, load_settings
from knowledge_base import index
from knowledge_base.app import create_app as knowledge_base_app
from knowledge_base.client import KnowledgeBase
from knowledge_base.encoders import Encoders
from knowledge_base.loading import load_folder
from tests.accounts.scores import keep_score
from tests.support import BROWSER_FLAGS, chromium, free_ports

PASSWORD = "a long enough password"
REPLY = ".composer .box"
SignIn = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="package")
def company(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The sample company, in a folder of its own: drafts are written into it."""
    folder = tmp_path_factory.mktemp("company") / "demo"
    shutil.copytree(root / "demo", folder)
    return load_company(folder)


@pytest.fixture(scope="package")
def desk_settings(settings: Settings, company: Company) -> Settings:
    """The session's home and database, the sample company, and ports of our own."""
    knowledge_base, rasa = free_ports(2)
    return load_settings(
        home=settings.home,
        company=company.folder,
        knowledge_base_port=knowledge_base,
        rasa_port=rasa,
        encoder="minilm",
    )


@pytest.fixture(scope="package")
async def site(desk_settings: Settings, database: Database, database_url: str) -> AsyncIterator[str]:
    """The address of the front door, while it is served, with the sample accounts."""
    async with database.begin() as session:
        await load_sample(session, desk_settings.company / "accounts.yml", now())
        for days in range(0, 90, 3):
            for number, account in enumerate(("borealis-business", "cedar-enterprise")):
                score = Decimal(38 + days / 3 + 30 * number)
                await keep_score(session, account, now() - timedelta(days=days), score)
    async with serving(create_app(desk_settings, database_url), free_ports(1)[0]) as address:
        yield address


@pytest.fixture(scope="package")
async def knowledge_base(
    desk_settings: Settings, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[None]:
    """The knowledge base the front door asks, with a few articles of the sample company and the real encoder."""
    content = tmp_path_factory.mktemp("articles")
    for name in ("run-limits", "cancel-subscription", "invoices"):
        (content / "en").mkdir(exist_ok=True)
        shutil.copy(root / "demo" / "help" / "en" / f"{name}.md", content / "en")
    url = "https://help.orimono.example/"
    index.build_index(load_folder(content, url), desk_settings.index_dir, Encoders(desk_settings), url)
    async with serving(knowledge_base_app(desk_settings), desk_settings.knowledge_base_port):
        async with KnowledgeBase(desk_settings.knowledge_base_url) as client:
            for _ in range(600):
                with contextlib.suppress(Unavailable):
                    await client.ready()
                    break
                await asyncio.sleep(0.1)
        yield


@contextlib.asynccontextmanager
async def serving(app: FastAPI, port: int) -> AsyncIterator[str]:
    """Serves an application on this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
        if task.done():
            task.result()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium; what is expected may take as long as a busy machine needs."""
    expect.set_options(timeout=20_000)
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=chromium(), args=BROWSER_FLAGS)
        yield made
        await made.close()


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser nobody is signed in to."""
    async with await browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB") as made:
        made.set_default_timeout(20_000)
        yield made


@pytest.fixture
async def sign_in(browser: Browser, site: str, empty: None) -> AsyncIterator[SignIn]:
    """Opens a browser of their own for a CSM, signed in. What its page throws fails the test; what it logs is told with a failure."""
    opened: list[BrowserContext] = []
    thrown: list[str] = []
    usual: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB"}

    async def signed_in(csm: Csm, **options: Any) -> Page:
        context = await browser.new_context(**(usual | options))
        context.set_default_timeout(20_000)
        opened.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: thrown.append(f"{error}\n{error.stack}"))
        page.on("console", lambda said: print(f"{csm.name}'s browser, {said.type}: {said.text}"))
        await page.goto(f"{site}/console/sign-in")
        await page.fill("#email", csm.email)
        await page.fill("#password", PASSWORD)
        await page.click("form[action$=sign-in] button")
        await page.wait_for_selector(".nav-link")
        return page

    yield signed_in
    for context in opened:
        await context.close()
    assert thrown == []


@pytest.fixture
async def empty(database: Database) -> None:
    """Nothing in the queue, no keys, and nobody's numbers but one's own.

    Pages of the test before may still be closing: what they read and what is emptied can wait for each other, which
    PostgreSQL ends as a deadlock; emptying is then tried again.
    """
    for _ in range(20):
        try:
            async with database.begin() as session:
                await session.execute(text("TRUNCATE conversations, csms, api_keys CASCADE"))
        except OperationalError:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("the tables could not be emptied: some page holds on to them")


@pytest.fixture
async def ana(empty: None, database: Database) -> Csm:
    """A CSM."""
    return await add_csm(database, "ana@example.com", "Ana Sato")


@pytest.fixture
async def ben(empty: None, database: Database) -> Csm:
    """Another CSM."""
    return await add_csm(database, "ben@example.com", "Ben Okafor")


async def add_csm(database: Database, email: str, name: str, role: str = "csm") -> Csm:
    """Adds a CSM with the tests' password."""
    async with database.begin() as session:
        return await csms.add(session, CsmEntry(email=email, name=name, role=role), PASSWORD, now())


async def escalated(
    database: Database,
    company: Company,
    words: str = "I want to cancel **everything** <b>now</b>",
    *,
    mode: str = "takeover",
    priority: str = "urgent",
    minutes: int = 15,
    asker: queue.Asker | None = None,
    lang: str = "en",
    person: tuple[str, str] | None = None,
) -> Escalation:
    """A conversation with a question, an answer of the bot and an open escalation, made through the rooms' services.

    Args:
        person: ids of account and person; None for a visitor.
    """
    rule = Rule.model_validate(
        {
            "id": "test_rule",
            "mode": mode,
            "priority": priority,
            "within_minutes": minutes,
            "reason": {"en": "An at-risk account wants to cancel", "ja": "健全性の低い顧客が解約を希望"},
        }
    )
    async with database.begin() as session:
        conversation = await log.start(
            session, lang=lang, now=now(), account_id=person and person[0], person_id=person and person[1]
        )
        await log.append(session, conversation.id, "bot", Text(text="Hello! Ask me **anything**."), now())
        await log.append(session, conversation.id, "customer", Text(text=words), now())
        cited = Citation(
            article_id="en/cancel", title="Cancel a subscription", url="https://help.example/cancel", heading="Steps"
        )
        said = Answer(
            quote="1. Open *Billing*\n2. Choose **Cancel**", citations=[cited], confidence=0.87, alternatives=[cited]
        )
        await log.append(session, conversation.id, "bot", said, now())
        raised = await queue.raise_(
            session,
            company,
            conversation_id=conversation.id,
            rule=rule,
            facts=Facts(),
            asker=asker or queue.Asker(account_name="Kita Logistics", value=12400, currency="USD"),
            lang=lang,
            now=now(),
        )
    return raised.escalation


async def held_by(
    database: Database,
    company: Company,
    csm: Csm,
    words: str = "I want to cancel our subscription",
    asker: queue.Asker | None = None,
) -> Escalation:
    """The same, claimed by a CSM."""
    raised = await escalated(database, company, words, asker=asker)
    async with database.begin() as session:
        return await queue.claim(session, raised.id, csm, now())
