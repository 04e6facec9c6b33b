"""What a CSM does with a conversation besides answering: take the next, put one aside, look at it again, change its place, stop watching it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from api.console import paths
from api.console.desk import Desk
from api.console.dialogs import choose
from escalations import queue
from escalations.models import Csm, Escalation
from escalations.policy import PRIORITIES
from kit.database import Database

ASIDE = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1), "7d": timedelta(days=7)}
"""How long a conversation can be put aside; `aside_…` among the texts."""
AGAIN = {"1d": 1, "3d": 3, "7d": 7, "30d": 30}
"""In how many days it can be looked at again; `again_…` among the texts."""


async def take_next(desk: Desk) -> None:
    """Claims what the CSM should help with next, and opens it."""

    async def work(database: Database, csm: Csm, moment: datetime) -> str:
        found = await queue.next_for(database, csm, moment)
        return found.conversation_id if found is not None else ""

    conversation_id = await desk.act_at_once(work)
    if conversation_id:
        desk.go(paths.conversation(conversation_id))
    elif conversation_id is not None:
        desk.notice(desk.say("nothing_next"))


async def put_aside(desk: Desk, conversation_id: str) -> None:
    """Asks until when, and puts the conversation aside."""
    chosen = await choose(desk, desk.say("aside_title"), {key: desk.say(f"aside_{key}") for key in ASIDE}, "aside_do")
    if chosen is None:
        return

    async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Escalation:
        return await queue.snooze(database, conversation_id, csm, moment + ASIDE[chosen[0]], moment)

    if await desk.act(work) is not None:
        desk.notice(desk.say("done_aside"))


async def look_again(desk: Desk, conversation_id: str) -> None:
    """Asks when, and notes that the conversation is to be looked at again."""
    chosen = await choose(desk, desk.say("again_title"), {key: desk.say(f"again_{key}") for key in AGAIN}, "again_do")
    if chosen is None:
        return

    async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Escalation:
        day = moment.date() + timedelta(days=AGAIN[chosen[0]])
        return await queue.follow_up(database, conversation_id, csm, day, moment)

    if await desk.act(work) is not None:
        desk.notice(desk.say("done_again"))


async def prioritise(desk: Desk, conversation_id: str) -> None:
    """Asks for a priority and the reason, and sets it."""
    choices = {name: desk.say(f"level_{name}") for name in PRIORITIES}
    chosen = await choose(desk, desk.say("level_title"), choices, "level_do", more=desk.say("level_reason"))
    if chosen is None:
        return

    async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Escalation:
        return await queue.prioritise(database, conversation_id, csm, chosen[0], chosen[1], moment)

    if await desk.act(work) is not None:
        desk.notice(desk.say("done_level"))


async def mute(desk: Desk, conversation_id: str) -> None:
    """Stops watching the conversation until it needs somebody to take over."""

    async def work(database: AsyncSession, csm: Csm, moment: datetime) -> Escalation:
        return await queue.mute(database, conversation_id, csm, moment)

    if await desk.act(work) is not None:
        desk.notice(desk.say("done_mute"))
