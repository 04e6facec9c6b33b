"""Puts each turn to the escalation policy."""

from __future__ import annotations

from actions import arbitration
from actions.turn import Turn
from escalations import hearing, policy, queue
from escalations.policy import Facts
from escalations.queue import Asker, Raised


async def consult(turn: Turn) -> Raised | None:
    """Raises an escalation where the policy says so.

    Returns:
        what it led to; None where nobody need come in, or a person who was promised before is only to see this turn as well.
    """
    facts = turn.asked = gather(turn)
    rule = policy.decide(turn.rooms.policy, facts)
    if rule is None:
        return None
    internal, customer = turn.internal, turn.customer
    asker = Asker(
        account_id=turn.claims.account_id,
        account_name=customer.account_name if customer else None,
        owner=internal.owner if internal else None,
        value=internal.lifetime_value if internal else None,
        currency=internal.currency if internal else None,
    )
    raised = await queue.raise_(
        await turn.session(),
        turn.rooms.company,
        conversation_id=turn.claims.conversation_id,
        rule=rule,
        facts=facts,
        asker=asker,
        lang=turn.lang,
        now=turn.now,
    )
    return None if raised.told and rule.mode == "watch" and not turn.wish else raised


async def waiting(turn: Turn) -> Raised | None:
    """What the customer was told before: a person is to take this conversation over. None where none is."""
    found = await queue.open_of(await turn.session(), turn.claims.conversation_id)
    if found is None or found.mode != "takeover":
        return None
    return Raised(found, created=False, expected_at=found.due_at, opens_at=None, csm=None, told=True)


def gather(turn: Turn) -> Facts:
    """What the policy may know of this turn."""
    internal = turn.internal
    return Facts(
        known=turn.customer is not None,
        band=internal.band if internal else None,
        tier=internal.tier if internal else None,
        health=internal.health_score if internal else None,
        lifetime_value=internal.lifetime_value if internal else None,
        days_to_renewal=internal.days_to_renewal if internal else None,
        complaints_90d=internal.complaints_90d if internal else 0,
        stage=turn.customer.stage if turn.customer else None,
        intent=turn.intent,
        decision=turn.decision,
        anger=_score(turn, "anger"),
        urgency=_score(turn, "urgency"),
        worry=_score(turn, "worry"),
        blocked=_score(turn, "blocked"),
        outage=_score(turn, "outage"),
        deadline=_score(turn, "deadline"),
        leaving=arbitration.leaving(turn.intent, turn.text),
        payment_trouble=hearing.payment_trouble(turn.text),
        failures=turn.failures + 1 if turn.decision == "abstain" else 0,
        wish=turn.wish,
        substantive=turn.substantive,
    )


def _score(turn: Turn, name: str) -> float:
    """A mood the bot heard in the message, 0 where it hears none."""
    value = (turn.understood.get("mood") or {}).get(name, 0.0)
    return min(1.0, max(0.0, float(value)))
