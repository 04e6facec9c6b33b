"""A turn token proves one turn, for one minute, while it is owed."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log, turns
from conversations.bodies import Text
from kit.clock import now
from kit.errors import Unauthenticated

KEY = "k" * 40


@pytest.fixture
async def leased(session: AsyncSession) -> turns.Leased:
    made = await log.start(session, lang="ja", now=now() - timedelta(days=400), account_id="acme", person_id="ann")
    accepted = await log.accept(session, made.id, "a", "こんにちは", now(), lease=timedelta(minutes=1))
    assert accepted.leased is not None
    return accepted.leased


async def test_it_says_whose_turn_it_is(leased: turns.Leased) -> None:
    """Conversation, turn, account, person and language come back as they went in."""
    claims = turns.verify(turns.sign(leased, KEY, now()), KEY)
    assert claims == turns.TurnClaims(leased.conversation_id, leased.id, "acme", "ann", "ja")


@pytest.mark.parametrize("change", ["key", "old", "audience", "none", "claims", "garbage"])
async def test_forgeries_are_refused(leased: turns.Leased, change: str) -> None:
    """Wrong key, too old, for something else, unsigned, incomplete, not a token at all."""
    good = jwt.decode(turns.sign(leased, KEY, now()), KEY, algorithms=["HS256"], audience="turn")
    token = {
        "key": lambda: turns.sign(leased, "x" * 40, now()),
        "old": lambda: turns.sign(leased, KEY, now() - timedelta(minutes=2)),
        "audience": lambda: jwt.encode({**good, "aud": "session"}, KEY, "HS256"),
        "none": lambda: jwt.encode(good, None, "none"),
        "claims": lambda: jwt.encode({k: v for k, v in good.items() if k != "account"}, KEY, "HS256"),
        "garbage": lambda: "not.a.token",
    }[change]()
    with pytest.raises(Unauthenticated):
        turns.verify(token, KEY)


async def test_a_token_replayed_after_its_turn_opens_nothing(session: AsyncSession, leased: turns.Leased) -> None:
    """Once settled, the turn is over for everybody."""
    claims = turns.verify(turns.sign(leased, KEY, now()), KEY)
    assert await turns.owed(session, claims) == 0
    await log.settle(session, leased.id, [Text(text="hi")], "answered", now())
    with pytest.raises(Unauthenticated, match="over"):
        await turns.owed(session, claims)
