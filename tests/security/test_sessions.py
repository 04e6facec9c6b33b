"""A CSM's session ends where it is ended, and with it every copy of its cookie."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api import retention
from escalations import csms, sessions
from escalations.csms import CsmEntry
from escalations.models import Csm
from kit.clock import now
from kit.database import Database
from kit.ids import hash_token, new_id
from kit.settings import Settings
from tests.security.conftest import Door, bearer

PASSWORD = "a long enough password"
PAGES = ("/console/?view=queue", "/console/settings", "/console/reports.csv?table=csms")
Ends = Callable[[AsyncSession, Csm, Csm], Awaitable[Any]]


async def made(database: Database, role: str) -> Csm:
    async with database.begin() as session:
        entry = CsmEntry(email=f"{new_id('s')}@example.com", name="S", role=role)
        return await csms.add(session, entry, PASSWORD, now())


def signed_in(door: Door, csm: Csm) -> tuple[httpx.Client, httpx.Client]:
    """A browser in which a CSM is signed in, and a thief's with a copy of its cookies."""
    browser, thief = httpx.Client(base_url=door.url), httpx.Client(base_url=door.url)
    told = browser.post("/console/sign-in", data={"email": csm.email, "password": PASSWORD})
    assert told.status_code == 303
    for cookie in browser.cookies.jar:
        thief.cookies.jar.set_cookie(cookie)
    assert thief.get(PAGES[0]).status_code == 200
    return browser, thief


def is_out(browser: httpx.Client) -> bool:
    """Every page sends it to sign in, and shows nothing."""
    answers = [browser.get(page) for page in PAGES]
    return all(one.status_code == 303 and one.headers["location"].endswith("/console/sign-in") for one in answers)


async def test_signing_out_ends_copies_of_the_cookie(door: Door, database: Database) -> None:
    """Also the copy that was made before; another browser of the same CSM stays signed in."""
    csm = await made(database, "csm")
    browser, thief = signed_in(door, csm)
    other, _ = signed_in(door, csm)
    assert browser.post("/console/sign-out").status_code == 303
    assert is_out(thief)
    assert is_out(browser)
    assert other.get(PAGES[0]).status_code == 200


async def test_signing_in_again_ends_the_session_before(door: Door, database: Database) -> None:
    """In the same browser: a secret that was there before signing in is worth nothing after it."""
    csm = await made(database, "csm")
    browser, thief = signed_in(door, csm)
    assert browser.post("/console/sign-in", data={"email": csm.email, "password": PASSWORD}).status_code == 303
    assert is_out(thief)
    assert browser.get(PAGES[0]).status_code == 200


ENDS: dict[str, Ends] = {
    "a new password": lambda session, admin, csm: csms.change(session, admin, csm.id, password="another password"),
    "another role": lambda session, admin, csm: csms.change(session, admin, csm.id, role="csm"),
    "no CSM any more": lambda session, admin, csm: csms.change(session, admin, csm.id, active=False),
    "twelve hours without a request": lambda session, _, csm: session.execute(
        text("UPDATE csm_sessions SET used_at = used_at - interval '12 hours' WHERE csm_id = :id"), {"id": csm.id}
    ),
}


@pytest.mark.parametrize("what", ENDS)
async def test_what_an_admin_changes_ends_sessions_at_once(door: Door, database: Database, what: str) -> None:
    """Every browser of that CSM, and for good: who may sign in again must do so."""
    admin, csm = await made(database, "admin"), await made(database, "lead")
    browser, thief = signed_in(door, csm)
    async with database.begin() as session:
        await ENDS[what](session, admin, csm)
    assert is_out(browser)
    assert is_out(thief)
    async with database.begin() as session:
        await csms.change(session, admin, csm.id, active=True)
    assert is_out(thief)


async def test_changes_that_take_nothing_away_leave_sessions_alone(door: Door, database: Database) -> None:
    """Neither languages nor how many conversations one takes."""
    admin, csm = await made(database, "admin"), await made(database, "lead")
    browser, _ = signed_in(door, csm)
    async with database.begin() as session:
        await csms.change(session, admin, csm.id, role="lead", capacity=9, languages=["ja"], active=True)
    assert browser.get(PAGES[0]).status_code == 200


async def test_the_database_holds_no_secret_that_opens_anything_and_forgets_it(
    door: Door, database: Database, settings: Settings
) -> None:
    """A hash alone; who is idle for too long is removed; who works is not."""
    csm = await made(database, "csm")
    moment = now()
    async with database.begin() as session:
        old, new = await sessions.begin(session, csm, moment), await sessions.begin(session, csm, moment)
        stored = "\n".join((await session.execute(text("SELECT t::text FROM csm_sessions t"))).scalars())
        assert hash_token(old) in stored
        assert old not in stored
        later = moment + sessions.IDLE - timedelta(minutes=1)
        assert await sessions.csm_of(session, new, later) is not None
    await retention.forget(database, settings, moment + sessions.IDLE + timedelta(minutes=1))
    async with database.begin() as session:
        assert await sessions.csm_of(session, new, later + timedelta(hours=11)) is not None
        kept = (
            await session.execute(text("SELECT hash FROM csm_sessions WHERE csm_id = :id"), {"id": csm.id})
        ).scalars()
        assert list(kept) == [hash_token(new)]


async def test_nothing_of_anybody_stays_in_a_cache(door: Door, database: Database, key: str) -> None:
    """Neither in the browser, for who goes back after a sign-out, nor on the way; files that are the same for all may."""
    browser, _ = signed_in(door, await made(database, "lead"))
    mine = door.post("/v1/conversations", json={})
    at, token = f"/v1/conversations/{mine.json()['conversation_id']}", bearer(mine.json()["token"])
    everybodys = re.findall(r'(?:href|src)="(/console/(?:static|_nicegui)/[^"]+)"', browser.get(PAGES[0]).text)
    answers = [mine, door.get(at, headers=token), door.get(f"{at}/messages", headers=token), door.get(at)]
    answers += [door.get("/v1/people/none/export", headers=bearer(key)), *(browser.get(page) for page in PAGES)]
    assert [one.url.path for one in answers if one.headers.get("cache-control") != "no-store"] == []
    assert everybodys
    assert [path for path in everybodys if "no-store" in browser.get(path).headers.get("cache-control", "")] == []
