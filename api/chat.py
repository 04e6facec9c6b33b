"""Chat over REST and WebSocket: the same log, the same rules."""

from __future__ import annotations

import json
from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from accounts import facts
from api import access, aftercare, greeting
from api.schemas import (
    ConversationOut,
    EmailIn,
    FeedbackFrame,
    IdentityIn,
    MessageFrame,
    MessageIn,
    MessageOut,
    MessagesOut,
    NoticeFrame,
    ReadFrame,
    StartIn,
    StartOut,
    SurveyFrame,
    TypingFrame,
)
from api.services import Services, ServicesDep
from conversations import log, repository
from conversations.models import Conversation
from escalations import csms
from kit import tracing
from kit.clock import now
from kit.company import Company
from kit.errors import NotFound
from kit.metrics import MESSAGES


def _welcome(request: Request, services: ServicesDep) -> None:
    access.check_origin(request, services.settings)


router = APIRouter(prefix="/v1/conversations", tags=["chat"], dependencies=[Depends(_welcome)])


@router.post("", status_code=201)
async def start(request: Request, services: ServicesDep, body: StartIn | None = None) -> StartOut:
    """Opens a conversation: anonymous, or a customer's where an identity token is sent."""
    wanted = body or StartIn()
    who = await access.customer(request, services)
    moment = now()
    company = services.company
    services.limits.take("conversations", request, wanted.lang or company.default_language)
    async with services.database.begin() as session:
        conversation, known, before = None, None, None
        if who is not None:
            known = await facts.customer_facts(session, services.catalog, who.account_id, who.person_id, moment)
            before = await log.latest(session, who.account_id, who.person_id)
            if wanted.resume and before is not None and before.last_at >= moment - greeting.RESUME_WITHIN:
                conversation = before
                await greeting.meet_again(session, services, before, known, moment)
        if conversation is None:
            conversation = await log.start(
                session,
                lang=wanted.lang or _spoken(company, known),
                now=moment,
                account_id=who.account_id if who else None,
                person_id=who.person_id if who else None,
                page_url=wanted.page_url,
            )
            await greeting.greet(session, services, conversation, known, moment, first_visit=before is None)
        token = await log.mint_token(session, conversation.id, who.expires_at if who else None)
        messages = await log.history(session, conversation.id)
        return StartOut(
            conversation_id=conversation.id,
            token=token,
            messages=messages,
            lang=conversation.lang,
            holder=conversation.holder,
        )


def _spoken(company: Company, known: facts.CustomerFacts | None) -> str:
    """The person's language where the company speaks it, else its first."""
    lang = known.person_lang if known is not None else None
    return lang if lang in company.languages else company.default_language


@router.get("/{conversation_id}")
async def show(conversation_id: str, request: Request, services: ServicesDep) -> ConversationOut:
    """Where the conversation stands."""
    async with services.database.begin() as session:
        found = (await access.opened(request, services, session, conversation_id)).conversation
        return ConversationOut(
            conversation_id=found.id,
            lang=found.lang,
            holder=found.holder,
            csm=await csm_name(services, found),
            last_seq=found.last_seq,
            known=found.account_id is not None,
        )


@router.post("/{conversation_id}/messages", status_code=202)
async def send(conversation_id: str, body: MessageIn, request: Request, services: ServicesDep) -> MessageOut:
    """Takes a message. From this answer on it cannot be lost; the same `client_id` again is the same message."""
    async with services.database.begin() as session:
        opened = await access.opened(request, services, session, conversation_id)
    accepted = await accept(services, opened.conversation, body, request)
    return MessageOut(seq=accepted.seq)


async def accept(
    services: Services, conversation: Conversation, said: MessageIn | MessageFrame, caller: HTTPConnection
) -> log.Accepted:
    """Takes a message, with its turn where this process has a hand free, and begins to answer it once it is safe.

    Args:
        conversation: the caller's own copy; who is asking is brought up to date in it.
        caller: the connection it came by.
    Raises:
        TooMany: a limit is reached; nothing is taken then. A message that is there already is never refused.
        Unavailable: too much is owed already.
    """
    services.runner.admit()
    with tracing.stage("accept", conversation=conversation.id):
        accepted = await _taken(services, conversation, said, caller)
    if not accepted.duplicate:
        MESSAGES.labels("customer").inc()
        services.hub.tell(accepted.event, accepted.said)
    if accepted.leased is not None:
        services.runner.answer(accepted.leased)
    return accepted


async def _taken(
    services: Services, conversation: Conversation, said: MessageIn | MessageFrame, caller: HTTPConnection
) -> log.Accepted:
    """The message, committed: in one statement where nothing but an answer of the bot follows from it, which is nearly always."""
    if said.choice is None and services.limits.allow(caller, conversation):
        accepted = await log.accept_for_bot(
            services.database, conversation.id, said.client_id, said.text, now(), services.runner.lease
        )
        if accepted is not None:
            if accepted.leased is not None:
                conversation.account_id, conversation.person_id = accepted.leased.account_id, accepted.leased.person_id
            if not accepted.duplicate:
                services.limits.count(caller, conversation)
            return accepted
    async with services.database.begin() as session:
        accepted = await log.accept(
            session, conversation.id, said.client_id, said.text, now(), said.choice, services.runner.lease
        )
        if not accepted.duplicate:
            services.limits.message(caller, await log.existing(session, conversation.id))
        await aftercare.accepted(session, services.company, conversation.id, accepted, said.choice, now())
    return accepted


@router.post("/{conversation_id}/frames", status_code=204)
async def notice(conversation_id: str, body: NoticeFrame, request: Request, services: ServicesDep) -> Response:
    """Typing, read marks, thumbs and ratings, for clients without a socket."""
    async with services.database.begin() as session:
        await access.opened(request, services, session, conversation_id)
        services.limits.sign(request, conversation_id)
        changed = await take(session, conversation_id, body)
    services.rescoring.changed(changed)
    return Response(status_code=204)


async def take(session: AsyncSession, conversation_id: str, frame: NoticeFrame) -> Sequence[str | None]:
    """Notes what a client tells beside its messages.

    Returns:
        accounts whose facts changed, to be scored again once this is committed.
    """
    if isinstance(frame, TypingFrame):
        await repository.notify(session, json.dumps({"c": conversation_id, "typing": "customer"}))
    elif isinstance(frame, ReadFrame):
        await log.mark_read(session, conversation_id, frame.seq, "customer")
    elif isinstance(frame, FeedbackFrame):
        await aftercare.helped(session, conversation_id, frame.seq, frame.helpful, now())
    elif isinstance(frame, SurveyFrame):
        return [await aftercare.answered(session, conversation_id, frame.seq, frame.score, frame.comment, now())]
    return []


@router.get("/{conversation_id}/messages")
async def read(conversation_id: str, request: Request, services: ServicesDep, after: int = 0) -> MessagesOut:
    """The log after a place, at most 500 messages at once."""
    async with services.database.begin() as session:
        found = (await access.opened(request, services, session, conversation_id)).conversation
        messages = await log.history(session, found.id, max(after, 0))
        return MessagesOut(messages=messages, holder=found.holder, more=len(messages) == repository.PAGE)


@router.put("/{conversation_id}/identity", status_code=204)
async def identify(conversation_id: str, body: IdentityIn, request: Request, services: ServicesDep) -> Response:
    """Makes an anonymous conversation the customer's whose identity token is sent; the thread goes on."""
    async with services.database.begin() as session:
        await access.opened(request, services, session, conversation_id)
        who = await services.identities.verify(body.identity, now())
        await facts.customer_facts(session, services.catalog, who.account_id, who.person_id, now())
        await log.bind(session, conversation_id, who.account_id, who.person_id, who.expires_at)
    return Response(status_code=204)


@router.delete("/{conversation_id}/token", status_code=204)
async def sign_out(conversation_id: str, request: Request, services: ServicesDep) -> Response:
    """Ends the conversation token that is sent: whoever kept a copy opens nothing with it."""
    async with services.database.begin() as session:
        await access.opened(request, services, session, conversation_id)
        await log.revoke_token(session, conversation_id, access.bearer(request) or "")
    return Response(status_code=204)


@router.put("/{conversation_id}/email", status_code=204)
async def leave_email(conversation_id: str, body: EmailIn, request: Request, services: ServicesDep) -> Response:
    """Notes where a visitor can be reached."""
    async with services.database.begin() as session:
        await access.opened(request, services, session, conversation_id)
        await log.leave_email(session, conversation_id, body.email)
    return Response(status_code=204)


async def csm_name(services: Services, conversation: Conversation) -> str | None:
    """Name of the CSM who holds the conversation."""
    if conversation.csm_id is None:
        return None
    async with services.database.begin() as session:
        try:
            return (await csms.one(session, conversation.csm_id)).name
        except NotFound:
            return None
