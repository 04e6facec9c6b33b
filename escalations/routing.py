"""Who is offered a conversation: its owner first, then whoever of the pool speaks the language and has the skill. Pure.

Anybody may still claim what they see; an offer decides what `queue.next_for` gives a CSM who asks for the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

PRESENT_FOR = timedelta(seconds=90)
"""A CSM whose console gave no sign for longer is not there: it gives one every half a minute."""
OWNERS_SHARE = 0.5
"""The part of its service level in which a conversation waits for its owner alone, while they can take it."""


class Member(Protocol):
    """What an offer asks of a CSM: a row of theirs, or these columns of one."""

    id: Any
    languages: Any
    skills: Any
    capacity: Any
    active: Any
    away: Any
    seen_at: Any


def present(csm: Member, now: datetime) -> bool:
    """Whether a CSM is at their console and takes conversations."""
    return bool(csm.active and not csm.away and csm.seen_at is not None and now - csm.seen_at <= PRESENT_FOR)


class Waiting(Protocol):
    """What an offer depends on: an escalation, or these columns of one."""

    owner_id: Any
    lang: Any
    skill: Any
    created_at: Any
    due_at: Any


class Offers:
    """Whom conversations are offered to at one moment.

    Args:
        csms: all of them.
        load: how many conversations each holds.
    """

    def __init__(self, csms: Sequence[Member], load: Mapping[str, int], now: datetime) -> None:
        self._now = now
        self._free = [csm for csm in csms if present(csm, now) and load.get(csm.id, 0) < csm.capacity]
        self._ids = {csm.id for csm in self._free}
        self._pools: dict[tuple[str, str | None], Collection[str]] = {}

    def to(self, escalation: Waiting) -> Collection[str]:
        """Ids of the CSMs who are offered a conversation.

        Returns:
            the owner alone, for the first part of the service level and while they are there and have room; then those of the pool who are
            there, have room, speak the language and have the skill; where nobody has both, those who speak the language; where nobody does,
            anybody who is there and has room.
        """
        if escalation.owner_id in self._ids:
            until = escalation.created_at + (escalation.due_at - escalation.created_at) * OWNERS_SHARE
            if self._now < until:
                return (escalation.owner_id,)
        kind = (escalation.lang, escalation.skill)
        if kind not in self._pools:  # a long queue has few kinds
            self._pools[kind] = self._pool(*kind)
        return self._pools[kind]

    def _pool(self, lang: str, skill: str | None) -> Collection[str]:
        speaking = [csm for csm in self._free if lang in csm.languages]
        skilled = [csm for csm in speaking if skill is None or skill in csm.skills]
        return {csm.id for csm in skilled or speaking or self._free}
