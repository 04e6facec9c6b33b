"""Another policy on the past: hand-made conversations, counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log, repository
from escalations import policy, simulation
from escalations.policy import Facts, Policy
from escalations.simulation import Staffing, Turn
from kit.company import Support

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
OFFICE = Support(email="help@acme.example", hours={day: (time(9), time(17)) for day in ("mon", "tue")})
DEFAULT = policy.load(policy.DEFAULT)


def at(hour: int, minute: int = 0, days: int = 0) -> datetime:
    return MONDAY + timedelta(days=days, hours=hour, minutes=minute)


def turn(conversation: str, when: datetime, **facts: Any) -> Turn:
    return Turn(conversation=conversation, at=when, facts=Facts(known=True, **facts))


def test_one_escalation_a_conversation_that_only_rises() -> None:
    """Watched, then taken over, then still taken over: one, by the rule that asked for the person."""
    found = simulation.replay(
        DEFAULT,
        [
            turn("a", at(10), band="at_risk"),
            turn("a", at(10, 5), band="at_risk", intent="cancel"),
            turn("a", at(10, 6), band="at_risk"),
            turn("b", at(11), band="healthy"),
        ],
    )
    (only,) = found
    assert (only.rule, only.at, only.takeover_at) == ("cancel_at_risk", at(10), at(10, 5))
    assert only.within_minutes == 15


def test_after_a_silent_day_a_new_one_is_opened() -> None:
    """At a day it is still the same, after it another."""
    same = [turn("a", at(10), band="at_risk"), turn("a", at(10, days=1), band="at_risk")]
    later = [turn("a", at(10), band="at_risk"), turn("a", at(10, 1, days=1), band="at_risk")]
    assert len(simulation.replay(DEFAULT, same)) == 1
    assert len(simulation.replay(DEFAULT, later)) == 2


def test_load_and_waits_by_hand() -> None:
    """Two open days; 4 take-overs between 10 and 11: 2 an hour, 30 minutes each: 1 erlang on 2 slots."""
    escalated = simulation.replay(
        DEFAULT, [turn(str(n), at(10, n, days=n % 2), wish=True, tier="tech") for n in range(4)]
    )
    staff = Staffing(csms=1, slots=2, handle_minutes=30)
    outcome = simulation.weigh("p", escalated, OFFICE, staff, at(0), at(0, days=7))
    (hour,) = outcome.hours
    assert (hour.hour, hour.takeovers, hour.per_hour, hour.erlangs) == (10, 4, 2, 1)
    assert hour.wait_minutes == pytest.approx(10)  # C = 1/3, of 30 minutes
    assert hour.met == pytest.approx(1 - 1 / 3 / 2.718281828, abs=1e-4)  # within 30 minutes: 1 - C e^-1
    assert (outcome.by_rule, outcome.by_tier) == ({"wish": 4}, {"tech": 4})
    assert (outcome.wait_minutes, outcome.takeovers, outcome.outside_hours) == (hour.wait_minutes, 4, 0)


def test_who_comes_at_night_is_attended_to_when_the_team_opens() -> None:
    """Monday at three counts at nine; after closing on Tuesday at nine of the next Monday."""
    escalated = simulation.replay(DEFAULT, [turn("a", at(3), wish=True), turn("b", at(20, days=1), wish=True)])
    outcome = simulation.weigh(
        "p", escalated, OFFICE, Staffing(csms=1, slots=5, handle_minutes=15), at(0), at(0, days=7)
    )
    assert [(hour.hour, hour.takeovers) for hour in outcome.hours] == [(9, 2)]
    assert outcome.outside_hours == 2


def test_a_team_that_is_too_small_is_said_to_be() -> None:
    """No number stands for a wait without end, and the need is named."""
    escalated = simulation.replay(DEFAULT, [turn(str(n), at(10, n), wish=True) for n in range(8)])
    outcome = simulation.weigh(
        "p", escalated, OFFICE, Staffing(csms=1, slots=2, handle_minutes=60), at(0), at(0, days=7)
    )
    assert (outcome.wait_minutes, outcome.met) == (None, 0)
    assert outcome.busiest_erlangs == 4
    assert outcome.slots_needed > 4


def test_without_escalations_there_is_nothing_to_wait_for() -> None:
    """Zero, not a division by it."""
    outcome = simulation.weigh("p", [], OFFICE, Staffing(csms=0, slots=0, handle_minutes=15), at(0), at(0, days=7))
    assert (outcome.escalations, outcome.met, outcome.wait_minutes, outcome.slots_needed) == (0, None, None, 0)


async def test_what_the_policy_was_told_comes_back_from_the_log(session: AsyncSession) -> None:
    """The same facts decide the same; turns it was not asked about are left out."""
    early = datetime(2001, 1, 1, tzinfo=UTC)
    conversation = (await log.start(session, lang="en", now=early)).id
    told = Facts(known=True, tier="high", intent="cancel", anger=0.25)
    for number, facts in enumerate((told, None)):
        at_once = timedelta(minutes=1)
        accepted = await log.accept(session, conversation, f"c{number}", "words", early, lease=at_once)
        assert accepted.leased is not None
        owed = await repository.turn(session, accepted.leased.id)
        assert owed is not None
        owed.facts = facts.model_dump(mode="json") if facts else None
        owed.settled_at, owed.outcome = early + timedelta(minutes=5), "answered"
        await session.flush()
    (only,) = await simulation.turns(session, early, early + timedelta(days=1))
    assert only.facts == told
    assert simulation.replay(DEFAULT, [only])[0].rule == "cancel_high_value"


async def test_the_team_is_as_it_is_unless_another_is_given(session: AsyncSession) -> None:
    """Without closed conversations the default time is taken, and said to be."""
    early = datetime(2001, 1, 1, tzinfo=UTC)
    given = await simulation.staffing(session, early, early + timedelta(days=1), csms=3, minutes=20)
    assert (given.csms, given.handle_minutes, given.measured) == (3, 20, 0)
    taken = await simulation.staffing(session, early, early + timedelta(days=1))
    assert (taken.handle_minutes, taken.measured) == (simulation.HANDLE_MINUTES, 0)


def test_a_policy_without_rules_brings_nobody_in() -> None:
    """The other end of the comparison."""
    assert simulation.replay(Policy(rules=[]), [turn("a", at(10), band="at_risk", wish=True)]) == []
