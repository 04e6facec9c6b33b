"""How accounts have been doing: days, standings, bands and movers."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import timeline
from accounts.models import DailyPerson
from accounts.records import put_account
from accounts.schemas import PutAccount
from tests.accounts.scores import keep_score


async def test_an_account_day_by_day(session: AsyncSession, now: datetime) -> None:
    """Ninety days until today; a day without use is zero, a day without a score is left out."""
    await put_account(session, "tl-a", PutAccount(name="Alpha"), now)
    for ago, score in ((0, "71"), (10, "64.5"), (95, "12")):
        await keep_score(session, "tl-a", now - timedelta(days=ago), Decimal(score))
    day = now.date() - timedelta(days=3)
    for person in ("a", "b", "c", "d", ""):
        session.add(DailyPerson(account_id="tl-a", day=day, person_id=person, events=8, slots="1" + "0" * 287))
    await session.flush()
    found = await timeline.timeline(session, "tl-a", now)
    assert [(one.day, one.score) for one in found.health] == [
        (now.date() - timedelta(days=10), 64.5),
        (now.date(), 71.0),
    ]
    assert len(found.usage) == 90
    assert (found.usage[-1].day, found.usage[-4].events, found.usage[-4].people) == (now.date(), 40, 4)
    assert sum(one.events for one in found.usage) == 40


async def test_standings(session: AsyncSession, now: datetime) -> None:
    """The worst first, unknown ones last; found by name, band and owner; movers by how far they moved."""
    await session.execute(text("DELETE FROM accounts"))
    for name, score, before in (("Alpha", 80, 78), ("Bravo", 20, 60), ("Charlie", 50, None)):
        key = f"tl-{name.lower()}"
        await put_account(session, key, PutAccount(name=name, owner="ana@example.com"), now)
        await keep_score(session, key, now, Decimal(score))
        if before is not None:
            await keep_score(session, key, now - timedelta(days=31), Decimal(before))
    await put_account(session, "tl-delta", PutAccount(name="Delta", plan="pro"), now)
    found = await timeline.standings(session, now)
    assert [(one.name, one.score, one.change) for one in found] == [
        ("Bravo", 20, -40),
        ("Charlie", 50, None),
        ("Alpha", 80, 2),
        ("Delta", None, None),
    ]
    assert found[3].plan == "pro"
    assert [one.name for one in await timeline.standings(session, now, words="RAV")] == ["Bravo"]
    assert [one.name for one in await timeline.standings(session, now, band="at_risk")] == ["Bravo"]
    assert len(await timeline.standings(session, now, owner="ANA@example.com")) == 3
    assert await timeline.bands(session, now) == {"healthy": 1, "neutral": 1, "at_risk": 1, None: 1}
    assert [one.name for one in await timeline.movers(session, now)] == ["Bravo", "Alpha"]
