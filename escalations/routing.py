"""Who is offered a conversation: its owner first, then whoever of the pool speaks the language and has the skill. Pure.

Anybody may still claim what they see; an offer decides what `queue.next_for` gives a CSM who asks for the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from escalations.models import Csm

PRESENT_FOR = timedelta(seconds=90)
"""A CSM whose console gave no sign for longer is not there: it gives one every half a minute."""
OWNERS_SHARE = 0.5
"""The part of its service level in which a conversation waits for its owner alone, while they can take it."""


def present(csm: Csm, now: datetime) -> bool:
    """Whether a CSM is at their console and takes conversations."""
    return csm.active and not csm.away and csm.seen_at is not None and now - csm.seen_at <= PRESENT_FOR


class Waiting(Protocol):
    """What an offer depends on: an escalation, or these columns of one."""

    owner_id: Any
    lang: Any
    skill: Any
    created_at: Any
    due_at: Any


def offered(escalation: Waiting, csms: Sequence[Csm], load: Mapping[str, int], now: datetime) -> Collection[str]:
    """Ids of the CSMs who are offered a conversation.

    Args:
        csms: all of them.
        load: how many conversations each holds.
    Returns:
        the owner alone, for the first part of the service level and while they are there and have room; then those of the pool who are there,
        have room, speak the language and have the skill; where nobody has both, those who speak the language; where nobody does, anybody
        who is there and has room.
    """
    free = [csm for csm in csms if present(csm, now) and load.get(csm.id, 0) < csm.capacity]
    until = escalation.created_at + (escalation.due_at - escalation.created_at) * OWNERS_SHARE
    owner = [csm.id for csm in free if csm.id == escalation.owner_id]
    if owner and now < until:
        return owner
    speaking = [csm for csm in free if escalation.lang in csm.languages]
    skilled = [csm for csm in speaking if escalation.skill is None or escalation.skill in csm.skills]
    return {csm.id for csm in skilled or speaking or free}
