"""What follows a conversation beyond the conversation itself: asking how it was, and what a greeting led to.

The rooms know nothing of each other: a survey is a message in the log and a line of the account's history, and resolving an escalation ends
a conversation that a greeting may have begun. Here the two sides are done together, in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from accounts import greetings, surveys
from accounts import repository as known
from accounts.catalog import Catalog
from accounts.facts import customer_facts
from accounts.onboarding import StepState
from accounts.surveys import SCALES, Kind, SurveyRules
from api.texts import TEXTS
from conversations import log
from conversations.bodies import Checklist, Survey
from conversations.log import Accepted
from escalations import inbox, outbox, queue
from escalations.models import Csm, Escalation
from kit.company import Company

QUIET = timedelta(minutes=3)
"""A conversation that the bot answered and in which nothing is said for this long is over for now: a moment to ask."""
FORGOTTEN = timedelta(minutes=30)
"""After this the person has surely gone, and would find the question out of place."""
AT_ONCE = 100
"""Conversations looked at in one transaction, which keeps them locked."""
UNSEEN = timedelta(minutes=2)
"""A CSM's reply that the customer has not seen for this long goes to them by e-mail."""
TOO_OLD = timedelta(days=1)
"""After which an e-mail would surprise more than it helps: the process was down meanwhile."""
FIRST_REPLY = 2
"""Place of the first message after a greeting."""


async def resolve(
    session: AsyncSession, id_: str, csm: Csm, now: datetime, rules: SurveyRules, *, reason: str = ""
) -> Escalation:
    """A CSM has settled the matter: the customer is told, asked how it was where they are due, and a greeting that began it has led to something.

    Raises:
        Conflict: this CSM does not hold it.
    """
    found = await queue.existing(session, id_)
    conversation = await log.existing(session, found.conversation_id)
    asked = await surveys.ask(
        session,
        "csat",
        now,
        account_id=conversation.account_id,
        person_id=conversation.person_id,
        conversation_id=conversation.id,
        rules=rules,
    )
    done = await queue.resolve(session, id_, csm, now, reason=reason, ask=asked is not None)
    await greetings.resolved(session, conversation.id, now)
    return done


async def accepted(
    session: AsyncSession, company: Company, conversation_id: str, message: Accepted, choice: str | None, now: datetime
) -> None:
    """A customer's message came in: where a person holds the conversation, it is put aside no longer and an answer is due.

    A button that is the first thing a customer does in a conversation counts as a click on its greeting.
    """
    if not message.owed and not message.duplicate:
        await queue.heard(session, company, conversation_id, now)
    if choice is None or message.duplicate or message.seq != FIRST_REPLY:
        return
    shown = await known.greeting_in(session, conversation_id)
    if shown is not None:
        await greetings.clicked(session, shown.id, now)


async def helped(session: AsyncSession, conversation_id: str, seq: int, helpful: bool, now: datetime) -> None:
    """Keeps a thumb up or down; up, the greeting that began the conversation has led to something."""
    await log.give_feedback(session, conversation_id, seq, now, helpful=helpful)
    if helpful:
        await greetings.resolved(session, conversation_id, now)


async def answered(
    session: AsyncSession, conversation_id: str, seq: int, score: int, comment: str | None, now: datetime
) -> str | None:
    """Keeps the answer to a survey beside the message that asked, and in the account's history, which health reads.

    Returns:
        the account whose facts changed.
    Raises:
        NotFound: no such message.
        UserError: a score off the scale.
        Conflict: it was answered otherwise before.
    """
    comment = None if comment is None else comment.replace("\x00", "").encode("utf-8", "replace").decode()
    await log.give_feedback(session, conversation_id, seq, now, score=score, comment=comment)
    kind: str = await log.survey_kind(session, conversation_id, seq)
    survey = await known.survey_of(session, conversation_id, kind)
    if survey is not None:
        await surveys.answer(session, survey.id, score, now, comment=comment)
    return survey.account_id if survey is not None else None


async def ask_nps(
    session: AsyncSession, now: datetime, rules: SurveyRules, since: datetime | None = None
) -> tuple[int, datetime]:
    """Asks people whether they would recommend the product, once a conversation with the bot has come to rest and they are due.

    Args:
        since: what came to rest before has been looked at.
    Returns:
        how many were asked, and until when everything has been looked at: who was not due then is not asked in this conversation.
    """
    number = 0
    kind: Kind = "nps"
    resting = await inbox.at_rest(session, max(since or now - FORGOTTEN, now - FORGOTTEN), now - QUIET, AT_ONCE)
    last = resting[-1].last_at if resting else now
    for conversation in resting:
        asked = await surveys.ask(
            session,
            kind,
            now,
            account_id=conversation.account_id,
            person_id=conversation.person_id,
            conversation_id=conversation.id,
            rules=rules,
        )
        if asked is not None:
            low, high = SCALES[kind]
            body = Survey(survey=kind, text=TEXTS.say("nps", conversation.lang), low=low, high=high)
            await log.append(session, conversation.id, "system", body, now)
            number += 1
    return number, now - QUIET if len(resting) < AT_ONCE else last


async def tell_of_steps(session: AsyncSession, catalog: Catalog, account_ids: Collection[str], now: datetime) -> int:
    """Tells people who are being led through onboarding that a step of theirs is done, and which is next.

    Args:
        account_ids: accounts whose facts have changed.
    Returns:
        how many were told.
    """
    number = 0
    for conversation, shown in await log.walks(session, account_ids, now - FORGOTTEN):
        if conversation.account_id is None:
            continue
        facts = await customer_facts(session, catalog, conversation.account_id, conversation.person_id, now)
        states = {step.id: step for step in facts.steps}
        new = [step for step in shown.steps if not step.done and step.id in states and states[step.id].done]
        if not new:
            continue
        # The steps as they were drawn before, with the article each has for this person.
        steps = [step.model_copy(update=_state(states[step.id])) for step in shown.steps if step.id in states]
        current = next((step.title for step in steps if step.current), None)
        said = {"step": new[-1].title, "percent": facts.onboarding_percent, "next": current}
        text = TEXTS.say("step_done" if current else "steps_done", conversation.lang, **said)
        body = Checklist(text=text, steps=steps, percent=facts.onboarding_percent)
        await log.append(session, conversation.id, "bot", body, now)
        number += 1
    return number


def _state(step: StepState) -> dict[str, bool]:
    return {"done": step.done, "current": step.current, "overdue": step.overdue}


async def write_to_who_left(session: AsyncSession, company: Company, now: datetime) -> int:
    """Sends a CSM's reply by e-mail where the customer has left the page, and left an address or is known with one.

    Returns:
        how many are to be told; each is told once, until they have been back.
    """
    number = 0
    for conversation, reply in await inbox.unread_replies(session, now - TOO_OLD, now - UNSEEN):
        to = conversation.email
        if to is None and conversation.person_id is not None:
            person = await known.person(session, conversation.person_id)
            to = person.email if person is not None else None
        if to is not None:
            await outbox.tell_customer(
                session,
                company,
                conversation_id=conversation.id,
                to=to,
                lang=conversation.lang,
                csm=reply.name or company.name,
                words=str(reply.body.get("text", "")),
                after=conversation.customer_read_seq,
                now=now,
            )
            number += 1
    return number
