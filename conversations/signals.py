"""What is told to whoever is looking now and is stored nowhere: somebody writes, somebody looks."""

from __future__ import annotations

import json
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from conversations import repository


async def typing(
    session: AsyncSession, conversation_id: str, who: Literal["customer", "csm"], name: str | None = None
) -> None:
    """Somebody is writing in a conversation.

    Args:
        name: of the CSM, as the customer is to read it.
    """
    event = {"c": conversation_id, "typing": who}
    await repository.notify(session, json.dumps(event | ({"name": name} if name else {})))


async def looking(
    session: AsyncSession,
    conversation_id: str,
    csm_id: str,
    name: str,
    window: str,
    what: Literal["came", "there", "left"],
) -> None:
    """A CSM has a conversation open.

    Args:
        window: an id of the open page; one CSM may have several.
        what: `came` asks the others to say that they are `there`.
    """
    event = {"here": conversation_id, "csm": csm_id, "name": name, "window": window, "what": what}
    await repository.notify(session, json.dumps(event))
