"""Script, formulas and headers in every field that a customer, an account, an article or a CSM's name can reach."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from unicodedata import normalize

import httpx
import orjson
import psycopg
import pytest
from playwright.async_api import BrowserContext, Page, async_playwright
from psycopg import sql
from sqlalchemy import make_url

from accounts import timeline
from accounts.ingestion import ingest
from accounts.records import add_note, put_account, put_person
from accounts.schemas import PutAccount, PutPerson
from conversations import log
from conversations.bodies import (
    Account,
    Answer,
    Body,
    Checklist,
    Choice,
    Choices,
    Citation,
    Fact,
    Handover,
    Step,
    Survey,
    Text,
)
from escalations import csms, outbox, queue
from escalations.csms import CsmEntry
from escalations.policy import Facts, Rule
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from migrations.upgrade import upgrade
from tests.accounts.scores import keep_score
from tests.escalations.test_outbox import Mailbox, Receiver, configured, delivered, mailbox, receiver
from tests.security.conftest import Door
from tests.support import BROWSER_FLAGS, ROOT, chromium

__all__ = ["mailbox", "receiver"]  # the fixtures
pytestmark = pytest.mark.browser
PASSWORD = "a long enough password"
EVIL = (
    "\"'><img src=x onerror=\"window.pwned=1\"><svg onload=window.pwned=1></svg><script>window.pwned=1</script><iframe srcdoc='<script>top.pwned=1</script>'></iframe>"
    '<a href="javascript:window.pwned=1" class=planted>a</a> [b](javascript:window.pwned=1) ![c](x "onerror=window.pwned=1") <b class=planted>d</b> {{7*7}} ${7*7} `e` **f**'
)
BAD_URL = "javascript:window.pwned=1"
PLANTED = 'img[src="x"], .planted, iframe[srcdoc], a[href^="javascript"], script:text("pwned"), svg[onload]'


@pytest.fixture
async def context() -> AsyncIterator[BrowserContext]:
    """A browser that notices whatever runs."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=BROWSER_FLAGS)
        made = await browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
        made.set_default_timeout(15_000)
        yield made
        await browser.close()


async def harmless(page: Page, where: str) -> None:
    """Nothing of what was planted runs, or became a part of the page."""
    assert await page.evaluate("window.pwned") is None, where
    assert await page.locator(PLANTED).count() == 0, where


def bodies() -> list[Body]:
    """One of each type, with the worst in each field."""
    cited = Citation(article_id=EVIL, title=EVIL, url=BAD_URL, heading=EVIL)
    return [
        Text(text=EVIL),
        Answer(quote=EVIL, citations=[cited], confidence=0.9, note=EVIL, alternatives=[cited]),
        Choices(text=EVIL, choices=[Choice(id="x", label=EVIL)]),
        Account(text=EVIL, facts=[Fact(label=EVIL, value=EVIL, used=0.5)]),
        Checklist(text=EVIL, steps=[Step(id="s", title=EVIL, done=False, current=True, article=cited)], percent=10),
        Handover(status="queued", text=EVIL, csm=EVIL, expected_at=now()),
        Survey(survey="csat", text=EVIL, low=1, high=5),
    ]


@pytest.fixture
async def planted(database: Database, door: Door) -> tuple[str, str, str]:
    """A conversation full of it: its id, its token, and the address of a CSM with such a name."""
    company = load_company(ROOT / "demo")
    email, account = f"{new_id('evil')}@example.com", f"<img src=x onerror=pwned=1>{new_id('e')}"
    rule = Rule.model_validate(
        {"id": "evil", "mode": "takeover", "priority": "urgent", "within_minutes": 5, "reason": EVIL}
    )
    async with database.begin() as session:
        csm = await csms.add(session, CsmEntry(email=email, name=EVIL, role="admin", skills=[EVIL]), PASSWORD, now())
        await put_account(
            session,
            account,
            PutAccount(name=EVIL, plan=EVIL, seats=3, owner=EVIL[:255], attributes={EVIL: EVIL}),
            now(),
        )
        person = PutPerson(account_id=account, name=EVIL, email=EVIL, role=EVIL, attributes={EVIL: EVIL})
        await put_person(session, f"{account}-p", person, now())
        await ingest(
            session,
            [{"type": "track", "userId": f"{account}-p", "event": EVIL[:200], "properties": {"x": EVIL}}],
            now(),
        )
        await add_note(session, account, EVIL, EVIL, now())
        made = await log.start(
            session, lang="en", now=now(), account_id=account, person_id=f"{account}-p", page_url=f"{BAD_URL}//{EVIL}"
        )
        for body in bodies():
            await log.append(session, made.id, "bot", body, now())
        await log.append(session, made.id, "customer", Text(text=EVIL), now(), client_id="c")
        await log.append(session, made.id, "csm", Text(text=EVIL), now(), name=EVIL)
        await log.append(session, made.id, "system", Text(text=EVIL), now())
        await log.add_note(session, made.id, csm.id, EVIL, now())
        await log.give_feedback(session, made.id, 2, now(), helpful=False, comment=EVIL)
        await queue.raise_(session, company, conversation_id=made.id, rule=rule, facts=Facts(intent=EVIL),
                           asker=queue.Asker(account_id=account, account_name=EVIL), lang="en", now=now())  # fmt: skip
        token = await log.mint_token(session, made.id, now() + timedelta(hours=1))
    return made.id, token, email


async def test_the_widget_shows_words(context: BrowserContext, door: Door, planted: tuple[str, str, str]) -> None:
    """Every type of body, and what was written, as text."""
    id_, token, _ = planted
    page = await context.new_page()
    await page.goto(f"{door.url}/conversation#{id_}:{token}")
    await page.get_by_text("window.pwned=1").first.wait_for()
    await page.locator(".row").nth(9).wait_for()
    await harmless(page, "widget")


async def test_the_console_shows_words(context: BrowserContext, door: Door, planted: tuple[str, str, str]) -> None:
    """Every page of it, with a CSM of such a name, and the search for such words."""
    id_, _, email = planted
    page = await context.new_page()
    await page.goto(f"{door.url}/console/sign-in")
    await page.fill("#email", email)
    await page.fill("#password", PASSWORD)
    await page.click("form[action$=sign-in] button")
    await page.wait_for_selector(".nav-link")
    async with httpx.AsyncClient(base_url=door.url) as plain:
        account = (
            await plain.get(f"/v1/conversations/{id_}", headers={"Authorization": f"Bearer {planted[1]}"})
        ).json()
    assert account["known"]
    evil = httpx.QueryParams(
        {
            "q": EVIL,
            "words": EVIL,
            "view": "all",
            "lang": EVIL,
            "state": EVIL,
            "from": EVIL,
            "to": EVIL,
            "sort": EVIL,
            "band": EVIL,
        }
    )
    for path in ("/?view=queue", "/?view=all", f"/conversation/{id_}", f"/?{evil}", "/accounts", f"/accounts?{evil}", "/reports", f"/reports?{evil}",
                 "/settings", f"/conversation/{httpx.URL(path=EVIL).path}"):  # fmt: skip
        await page.goto(f"{door.url}/console{path}")
        await page.wait_for_load_state("load")
        await page.locator("body").wait_for()
        await page.wait_for_function("document.readyState === 'complete'")
        await harmless(page, path)
    await page.goto(f"{door.url}/console/accounts")
    link = page.locator('a[href*="onerror"], a[href*="%3Cimg"]').first
    await link.wait_for()
    await page.goto(door.url + str(await link.get_attribute("href")))
    await page.get_by_text("window.pwned=1").first.wait_for()
    await harmless(page, "account")


FORMULAS = ('=HYPERLINK("http://evil.example","x")', "+1+1", "-2+3", "@SUM(1)", "\t=1+1", " =1+2", "＝1+1", "＠SUM(2)", "\r\n=1+3", "Acme;=1+4")  # fmt: skip


async def test_csv_has_no_formulas(door: Door, database: Database) -> None:
    """A CSM or an account that is named like one is text to a spreadsheet, whichever sign parts its cells."""
    company, email, moment = load_company(ROOT / "demo"), f"{new_id('csv')}@example.com", now()
    rule = Rule.model_validate(
        {"id": "x", "mode": "takeover", "priority": "urgent", "within_minutes": 5, "reason": "x"}
    )
    async with database.begin() as session:
        await csms.add(session, CsmEntry(email=email, name="Csv", role="admin"), PASSWORD, moment)
        for formula in FORMULAS:
            csm = await csms.add(session, CsmEntry(email=f"{new_id('csv')}@example.com", name=formula), None, moment)
            account = new_id("csv")
            await put_account(session, account, PutAccount(name=formula, plan="pro"), moment)
            for days, score in ((33, 0), (0, 100)):
                await keep_score(session, account, moment - timedelta(days=days), Decimal(score))
            made = await log.start(session, lang="en", now=moment)
            raised = await queue.raise_(session, company, conversation_id=made.id, rule=rule, facts=Facts(),
                                        asker=queue.Asker(), lang="en", now=moment)  # fmt: skip
            await queue.claim(session, raised.escalation.id, csm, moment)
    tables: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=door.url) as browser:
        await browser.post("/console/sign-in", data={"email": email, "password": PASSWORD})
        for table in (
            "volume",
            "decisions",
            "service",
            "speed",
            "rules",
            "csms",
            "csat",
            "bands",
            "kpis",
            "movements",
            "movers",
        ):
            answer = await browser.get("/console/reports.csv", params={"table": table})
            assert answer.status_code == 200
            tables[table] = answer.text.removeprefix("\ufeff")
    cells = {
        name: [cell for row in csv.reader(io.StringIO(whole, newline="")) for cell in row]
        for name, whole in tables.items()
    }
    for formula in FORMULAS:
        shown = formula if formula.startswith("Acme") else f"'{formula}"
        assert shown in cells["movers"]
        assert shown.replace(formula, formula.strip()) in cells["csms"]
    numbers = re.compile(r"-?[0-9.]+")
    risky = [
        cell for each in cells.values() for cell in each if normalize("NFKC", cell).strip()[:1] in ("=", "+", "-", "@")
    ]
    assert [cell for cell in risky if not numbers.fullmatch(cell)] == []
    assert '"Acme;=1+4"' in tables["movers"]  # within quotes a semicolon parts nothing


@pytest.fixture(scope="module")
async def apart(database_url: str) -> AsyncIterator[Database]:
    """A database that no front door works at: it would send what is due in a test's place."""
    name = new_id("apart")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = make_url(database_url).set(database=name).render_as_string(hide_password=False)
    await asyncio.to_thread(upgrade, url)
    made = Database(url)
    yield made
    await made.close()


@pytest.mark.parametrize(
    "name",
    [
        "Ana\r\nBcc: victim@example.com",
        "Ana\nContent-Type: text/html\n\n<script>",
        "=?utf-8?q?=0d=0aBcc:_victim?=",
        "Ana\x1b",
    ],
)
async def test_no_name_becomes_a_header_of_a_letter(
    apart: Database, settings: Settings, mailbox: tuple[Mailbox, str], name: str
) -> None:
    """One subject, one addressee, plain text."""
    box, address = mailbox
    to = f"{new_id('to')}@example.com"
    async with apart.begin() as session:
        made = await log.start(session, lang="en", now=now())
        await outbox.tell_customer(session, load_company(ROOT / "demo"), conversation_id=made.id, to=to, lang="en", csm=name, words=EVIL, after=0, now=now())  # fmt: skip
    await delivered(apart, configured(settings, smtp_url=address), now())
    (letter,) = box.to(to)
    assert letter["Bcc"] is None
    assert letter.get_content_type() == "text/plain"
    assert len(letter.get_all("Subject") or []) == 1


async def test_no_name_of_an_account_speaks_for_us(
    apart: Database, settings: Settings, mailbox: tuple[Mailbox, str], receiver: Receiver
) -> None:
    """In Slack it calls nobody and is no link, in a letter it is one line; it turns no direction."""
    box, address = mailbox
    turned, name = "Acme\u202egnp.exe\u2066", "<!channel> <https://evil.example|Acme>\r\n\r\nSolved. & &lt;"
    account = new_id("acc")
    async with apart.begin() as session:
        await put_account(session, account, PutAccount(name=turned), now())
        stored = (await timeline.names(session, [account]))[account]
        made = await log.start(session, lang="en", now=now())
        rule = Rule.model_validate(
            {"id": "x", "mode": "takeover", "priority": "urgent", "within_minutes": 5, "reason": "cancels"}
        )
        await queue.raise_(session, load_company(ROOT / "demo"), conversation_id=made.id, rule=rule, facts=Facts(),
                           asker=queue.Asker(account_id=account, account_name=name), lang="en", now=now())  # fmt: skip
    assert stored == "Acmegnp.exe"
    await delivered(apart, configured(settings, smtp_url=address, slack_webhook_url=receiver.url), now())
    (told,) = [orjson.loads(body)["text"] for _, body in receiver.got if made.id.encode() in body]
    assert told.startswith(
        "&lt;!channel&gt; &lt;https://evil.example|Acme&gt; Solved. &amp; &amp;lt;: cancels. Answer by"
    )
    (letter,) = [one for one in box.messages if made.id in one.get_content()]
    assert letter.get_content().startswith("<!channel> <https://evil.example|Acme> Solved. & &lt;: cancels. Answer by")


async def test_an_address_no_letter_can_be_made_for_stops_no_other(
    apart: Database, settings: Settings, mailbox: tuple[Mailbox, str]
) -> None:
    """What the company's backend calls an e-mail address may be anything."""
    box, address = mailbox
    good = f"{new_id('to')}@example.com"
    async with apart.begin() as session:
        for to in (
            "a\r\nBcc: victim@example.com",
            "<<<>>>",
            "=?utf-8?q?=0d=0aBcc:_victim?=@example.com",
            "a@example.com,victim@example.com",
            good,
        ):
            made = await log.start(session, lang="en", now=now())
            await outbox.tell_customer(session, load_company(ROOT / "demo"), conversation_id=made.id, to=to, lang="en", csm="Ana", words="hi", after=0, now=now())  # fmt: skip
    await delivered(apart, configured(settings, smtp_url=address), now())
    assert len(box.to(good)) == 1
    assert [one for one in box.messages if one["Bcc"]] == []
