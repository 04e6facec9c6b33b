"""What another policy would have done: stored conversations replayed, and what that would ask of the team.

Every turn on which the policy was asked keeps the facts it was told, so replaying is exact for those turns. What cannot be known: turns
that never came because a CSM had taken the conversation, and what customers would have done under the other policy.

Waiting is worked out hour by hour of the day with Erlang C (`erlang.py`). Whoever comes outside business hours is counted in the
hour in which the team opens: service levels are in business minutes. Priorities are left out, so urgent ones wait less and
others longer than the mean.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import asked
from escalations import erlang, hours, repository
from escalations.policy import PRIORITIES, Facts, Policy, Rule, decide
from escalations.queue import WATCH_IDLE
from kit.company import Support

TARGET = 0.9
"""The share of service levels that staffing is worked out for."""
HANDLE_MINUTES = 15.0
"""Taken for the time from claim to close where fewer than `ENOUGH` were closed."""
ENOUGH = 10


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Staffing(_Frozen):
    """Who answers, and how long one conversation takes.

    Attributes:
        csms: who sign in.
        slots: conversations they hold at once, all together: the servers of Erlang's formula.
        handle_minutes: mean time from claim to close.
        measured: closed conversations that mean is of; 0 where it was given, or is the default.
    """

    csms: int
    slots: int
    handle_minutes: float
    measured: int = 0


class Turn(_Frozen):
    """One turn of the past, as the policy was told of it."""

    conversation: str
    at: datetime
    facts: Facts


class Escalated(_Frozen):
    """One escalation that a policy would have opened.

    Attributes:
        rule: the last that heightened it, as the queue shows it.
        takeover_at: when a person was needed; None where it was only watched.
        within_minutes: service level of the rule that asked for the person, business minutes.
    """

    conversation: str
    at: datetime
    rule: str
    tier: str
    takeover_at: datetime | None
    within_minutes: int


class Hour(_Frozen):
    """One hour of the day, in the company's time zone.

    Attributes:
        takeovers: in the whole period.
        per_hour: on an open day.
        erlangs: offered load.
        wait_minutes: expected mean wait; None where the load is more than the team can take.
        met: expected share of service levels met.
        slots_needed: conversations at once that would meet `TARGET` of them.
    """

    hour: int
    takeovers: int
    per_hour: float
    erlangs: float
    wait_minutes: float | None
    met: float
    slots_needed: int


class Outcome(_Frozen):
    """What one policy would have led to."""

    policy: str
    escalations: int
    watched: int
    takeovers: int
    outside_hours: int = Field(description="take-overs that came while nobody was on duty")
    by_rule: dict[str, int]
    by_tier: dict[str, int]
    hours: list[Hour]
    wait_minutes: float | None = Field(description="expected mean over all take-overs; null where the queue would grow")
    met: float | None = Field(description="expected share of service levels met; null without take-overs")
    busiest_erlangs: float
    slots_needed: int


async def turns(session: AsyncSession, since: datetime, until: datetime) -> list[Turn]:
    """Turns of a period on which the policy was asked, in order within each conversation."""
    found = await asked.between(session, since, until)
    return [Turn(conversation=one, at=at, facts=Facts.model_validate(facts)) for one, at, facts in found]


async def staffing(
    session: AsyncSession, since: datetime, until: datetime, *, csms: int | None = None, minutes: float | None = None
) -> Staffing:
    """The team as it is: active CSMs, their capacities, and how long they took in that period.

    Args:
        csms: another number of CSMs, of the same mean capacity.
        minutes: another handling time.
    """
    there, slots = await repository.capacity(session)
    each = slots / there if there else 5
    closed, mean = await repository.handling(session, since, until)
    measured = closed if closed >= ENOUGH and mean and minutes is None else 0
    taken = minutes or (mean if measured and mean else HANDLE_MINUTES)
    number = there if csms is None else csms
    return Staffing(
        csms=number, slots=slots if csms is None else round(each * csms), handle_minutes=taken, measured=measured
    )


def replay(policy: Policy, turns: Sequence[Turn]) -> list[Escalated]:
    """The escalations a policy would have opened. Pure.

    As in the queue there is one a conversation, which only ever gets more urgent; after a day without a turn a new one is opened.

    Args:
        turns: in order within each conversation.
    """
    found: list[Escalated] = []
    last: dict[str, tuple[int, datetime, Rule]] = {}
    for turn in turns:
        rule = decide(policy, turn.facts)
        before = last.get(turn.conversation)
        if before is not None and turn.at - before[1] > WATCH_IDLE:
            before = None
        if before is None:
            if rule is not None:
                last[turn.conversation] = (len(found), turn.at, rule)
                found.append(_opened(turn, rule))
            continue
        place, _, held = before
        if rule is not None and _heightens(held, rule):
            found[place], held = _heightened(found[place], held, turn, rule), rule
        last[turn.conversation] = (place, turn.at, held)
    return found


def _opened(turn: Turn, rule: Rule) -> Escalated:
    return Escalated(
        conversation=turn.conversation,
        at=turn.at,
        rule=rule.id,
        tier=turn.facts.tier or ("unknown" if turn.facts.known else "visitor"),
        takeover_at=turn.at if rule.mode == "takeover" else None,
        within_minutes=rule.within_minutes,
    )


def _heightens(held: Rule, rule: Rule) -> bool:
    """As `queue.raise_` decides it."""
    more_mode = held.mode == "watch" and rule.mode == "takeover"
    return more_mode or (held.mode == rule.mode and PRIORITIES[rule.priority] < PRIORITIES[held.priority])


def _heightened(found: Escalated, held: Rule, turn: Turn, rule: Rule) -> Escalated:
    first = found.takeover_at or (turn.at if rule.mode == "takeover" else None)
    within = rule.within_minutes if held.mode != rule.mode else min(found.within_minutes, rule.within_minutes)
    return found.model_copy(update={"rule": rule.id, "takeover_at": first, "within_minutes": within})


def weigh(
    name: str, escalated: Sequence[Escalated], support: Support, staff: Staffing, since: datetime, until: datetime
) -> Outcome:
    """What a replay asks of the team. Pure.

    Args:
        name: of the policy, for the report.
        support: business hours.
        since, until: the period that was replayed.
    """
    takeovers = [one for one in escalated if one.takeover_at is not None]
    arrivals: dict[int, list[int]] = defaultdict(list)
    for one in takeovers:
        arrivals[_hour(support, one.takeover_at or one.at)].append(one.within_minutes)
    days = _open_days(support, since, until)
    by_hour = [_weighed(hour, arrivals[hour], max(days[hour], 1), staff) for hour in sorted(arrivals)]
    number = len(takeovers)
    waits = [each.wait_minutes for each in by_hour]
    known = [wait * each.takeovers for wait, each in zip(waits, by_hour, strict=True) if wait is not None]
    return Outcome(
        policy=name,
        escalations=len(escalated),
        watched=len(escalated) - number,
        takeovers=number,
        outside_hours=sum(not hours.on_duty(support, one.takeover_at or one.at) for one in takeovers),
        by_rule=dict(Counter(one.rule for one in escalated).most_common()),
        by_tier=dict(Counter(one.tier for one in escalated).most_common()),
        hours=by_hour,
        wait_minutes=sum(known) / number if number and None not in waits else None,
        met=sum(each.met * each.takeovers for each in by_hour) / number if number else None,
        busiest_erlangs=max((each.erlangs for each in by_hour), default=0.0),
        slots_needed=max((each.slots_needed for each in by_hour), default=0),
    )


def _hour(support: Support, at: datetime) -> int:
    """The hour of the day in which somebody can first attend to it."""
    return (hours.next_opening(support, at) or at).astimezone(ZoneInfo(support.timezone)).hour


def _open_days(support: Support, since: datetime, until: datetime) -> Counter[int]:
    """On how many days of the period each hour of the day was, at least in part, open."""
    days: Counter[int] = Counter()
    zone = ZoneInfo(support.timezone)
    at = since.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    while at < until:
        begin, end = max(at, since), min(at + timedelta(hours=1), until)
        opens = hours.next_opening(support, begin)
        days[at.hour] += opens is not None and opens < end
        at = (at + timedelta(hours=1)).astimezone(zone)
    return days


def _weighed(hour: int, within: Sequence[int], days: int, staff: Staffing) -> Hour:
    per_hour = len(within) / days
    erlangs = erlang.load(per_hour, staff.handle_minutes)
    wait = erlang.mean_wait(staff.slots, erlangs, staff.handle_minutes)
    met = sum(erlang.served_within(staff.slots, erlangs, staff.handle_minutes, each) for each in within) / len(within)
    return Hour(
        hour=hour,
        takeovers=len(within),
        per_hour=round(per_hour, 3),
        erlangs=round(erlangs, 3),
        wait_minutes=None if math.isinf(wait) else round(wait, 2),
        met=round(met, 4),
        # Of the strictest service level of the hour: with fewer, those who are promised the most would be let wait.
        slots_needed=erlang.servers_needed(erlangs, staff.handle_minutes, min(within), TARGET),
    )
