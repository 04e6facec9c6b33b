"""Notifications leave through an outbox: written with the change they tell of, sent at least once."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from html import escape
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import aiosmtplib
import httpx
import orjson
import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from conversations import log
from escalations import repository, webhooks
from escalations.models import Escalation, EscalationEvent, OutboxItem
from kit import outgoing
from kit.catalogue import Catalogue
from kit.clock import now as clock_now
from kit.company import Company
from kit.database import Database
from kit.errors import Conflict, NotFound, UserError
from kit.ids import new_id
from kit.metrics import OUTBOX
from kit.settings import Settings

logger = structlog.get_logger()
TEXTS = Catalogue(Path(__file__).with_name("texts.yml"))
State = Literal["waiting", "sent", "dead"]
Sender = Callable[[OutboxItem], Awaitable[None]]
LOOK_SECONDS = 2.0
"""How often it is looked for what is due."""
SECONDS = 10.0
"""How long one receiver may take for one notification."""
MAX_ATTEMPTS = 12
LINK_HOLDS = timedelta(days=7)
"""How long the link of an e-mail opens the conversation."""
MIN_SECRET = 24
_ADDRESS = re.compile(r"[^\x00-\x20\x7f@<>()\[\],;:\\\"?]{1,64}@[^\x00-\x20\x7f@<>()\[\],;:\\\"?]{1,255}")
"""One address, without what has a meaning of its own in a header."""
BACK_OFF = timedelta(seconds=10)
"""First wait after a failure; it doubles each time, so twelve attempts span about eleven hours."""


async def announce(session: AsyncSession, escalation: Escalation, company: Company, now: datetime) -> None:
    """Tells the team that a conversation needs a person: once for each level it reaches."""
    who = _one_line(escalation.account_name or "A visitor")
    owner = await repository.csm(session, escalation.owner_id) if escalation.owner_id is not None else None
    subject = f"[{company.name}] {who}: {escalation.reason['en']}"
    text = f"{who}: {escalation.reason['en']}. Answer by {escalation.due_at:%Y-%m-%d %H:%M} UTC."
    for kind, said in (("slack", escape(text, quote=False)), ("email", text)):
        await _put(
            session,
            kind,
            {
                "subject": subject,
                "text": said,  # to Slack <!channel> is a call to everybody, and <https://…|words> a link
                "conversation": escalation.conversation_id,
                "from": company.support.email,
                # The owner first; from the second level on the whole team.
                "to": owner.email if owner is not None and escalation.level == 1 else company.support.email,
            },
            f"{kind}:{escalation.id}:{escalation.mode}:{escalation.level}",
            now,
        )


async def publish(session: AsyncSession, event: EscalationEvent) -> None:
    """Keeps a change of the queue and tells the company's other systems of it. No customer's words, and nothing a CSM wrote."""
    await repository.add_event(session, event, new_id("out"))


async def tell_customer(
    session: AsyncSession,
    company: Company,
    *,
    conversation_id: str,
    to: str,
    lang: str,
    csm: str,
    words: str,
    after: int,
    now: datetime,
) -> None:
    """Sends a CSM's words to a customer who has left: once, until the customer has been back.

    Args:
        csm: name of the CSM.
        words: what they wrote.
        after: the last message the customer has seen.
    """
    await _put(
        session,
        "customer_email",
        {
            "subject": TEXTS.say("mail_subject", lang, name=csm, company=company.name),
            "text": TEXTS.say("mail_text", lang, name=csm, words=words),
            "conversation": conversation_id,
            "from": company.support.email,
            "to": to,
        },
        f"customer_email:{conversation_id}:{after}",
        now,
    )


async def listing(session: AsyncSession, state: State | None = None, limit: int = 200) -> Sequence[OutboxItem]:
    """Notifications, the newest first; the dead ones are those that were given up.

    Args:
        state: only these.
    """
    return await repository.notifications(session, state, limit)


async def retry(session: AsyncSession, id_: str, now: datetime) -> OutboxItem:
    """Tries a dead notification again, from the beginning.

    Raises:
        NotFound: there is none.
        Conflict: it is not dead.
    """
    found = await repository.lock_notification(session, id_)
    if found is None:
        raise NotFound(f"no notification {id_}", "see kotae queue outbox")
    if found.state != "dead":
        raise Conflict(f"{id_} is {found.state}", "only what was given up can be tried again by hand")
    found.state, found.attempts, found.next_at = "waiting", 0, now
    await session.flush()
    return found


async def _put(session: AsyncSession, kind: str, payload: dict[str, Any], dedupe: str, now: datetime) -> None:
    values = {
        "id": new_id("out"),
        "kind": kind,
        "payload": payload,
        "dedupe": dedupe,
        "next_at": now,
        "created_at": now,
    }
    await repository.enqueue(session, {**values, "state": "waiting", "attempts": 0})


async def run(database: Database, settings: Settings) -> None:
    """Sends notifications until cancelled. Each kind by itself: a receiver that is slow or hangs holds up its own alone."""
    async with outgoing.client(private_networks=settings.webhook_private_networks) as client:
        made = senders(settings, client, database)
        async with asyncio.TaskGroup() as group:
            for kind in ways(settings):
                group.create_task(_run(database, kind, made.get(kind)))


async def _run(database: Database, kind: str, sender: Sender | None) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await deliver(database, kind, sender, clock_now())
        except (SQLAlchemyError, psycopg.Error) as error:
            logger.warning("outbox_failed", kind=kind, reason=type(error).__name__)


async def deliver(database: Database, kind: str, sender: Sender | None, now: datetime, limit: int = 20) -> int:
    """Sends what is due of a kind.

    Each item is sent inside the transaction that marks it: a crash in between sends it again, never loses it.

    Args:
        sender: None: it is not set up here, and what is due counts as sent to nobody.
    Returns:
        how many were looked at.
    """
    due = repository.Due(kind, now, BACK_OFF)
    if not await repository.any_notification_due(database, due):
        return 0
    async with database.begin() as session:
        items = await repository.due_notifications(session, due, limit)
        await asyncio.gather(*(_send(item, sender) for item in items))  # one that hangs holds up no other
    return len(items)


async def _send(item: OutboxItem, sender: Sender | None) -> None:
    item.attempts += 1
    try:
        if sender is not None:
            await sender(item)
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001  # an address no letter can be made for must not stop the others
        item.last_error = f"{type(error).__name__}: {error}"[:500]
        item.next_at = clock_now() + BACK_OFF * 2 ** (item.attempts - 1)
        item.state = "dead" if item.attempts >= MAX_ATTEMPTS else "waiting"
        OUTBOX.labels(item.kind, "dead" if item.state == "dead" else "failed").inc()
    else:
        item.state, item.sent_at = "sent", clock_now()
        OUTBOX.labels(item.kind, "sent").inc()


def ways(settings: Settings) -> dict[str, bool]:
    """The kinds of notification, and whether this installation can send them."""
    mail = settings.smtp_url is not None
    return {
        "slack": settings.slack_webhook_url is not None,
        "webhook": settings.webhook_url is not None,
        "email": mail,
        "customer_email": mail,
    }


def senders(settings: Settings, client: httpx.AsyncClient, database: Database) -> dict[str, Sender]:
    """What this installation can send with: the channels its settings name.

    Args:
        client: decides where webhooks may go; see `kit.outgoing`.
    """
    made: dict[str, Sender] = {}
    if settings.slack_webhook_url is not None:
        made["slack"] = _slack(settings.slack_webhook_url.get_secret_value(), settings, client)
    if settings.webhook_url is not None:
        made["webhook"] = _webhook(settings.webhook_url, _webhook_secret(settings), client)
    if settings.smtp_url is not None:
        url = settings.smtp_url.get_secret_value()
        made["email"] = _email(url, settings)
        made["customer_email"] = _customer_email(url, settings, database)
    return made


def _slack(url: str, settings: Settings, client: httpx.AsyncClient) -> Sender:
    async def send(item: OutboxItem) -> None:
        payload = item.payload
        link = f"{settings.site_url}/console/conversation/{payload['conversation']}"
        body = orjson.dumps({"text": f"{payload['text']}\n{link}"})
        await _post(client, url, body, {"content-type": "application/json"})

    return send


def _webhook_secret(settings: Settings) -> str:
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret is not None else ""
    if len(secret) < MIN_SECRET:
        raise UserError(
            "KOTAE_WEBHOOK_URL is set without a secret", f"set KOTAE_WEBHOOK_SECRET, {MIN_SECRET} characters or more"
        )
    return secret


def _webhook(url: str, secret: str, client: httpx.AsyncClient) -> Sender:
    async def send(item: OutboxItem) -> None:
        body = orjson.dumps(item.payload)
        headers = {"content-type": "application/json", **webhooks.signed(secret, item.id, body, clock_now())}
        await _post(client, url, body, headers)

    return send


async def _post(client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Posts. The status is all that is looked at of the answer; the whole takes no longer than `SECONDS`, however slowly it comes."""
    async with asyncio.timeout(SECONDS), client.stream("POST", url, content=body, headers=headers) as answer:
        answer.raise_for_status()


def _email(url: str, settings: Settings) -> Sender:
    async def send(item: OutboxItem) -> None:
        payload = item.payload
        link = f"{settings.site_url}/console/conversation/{payload['conversation']}"
        await _mail(url, payload, f"{payload['text']}\n{link}")

    return send


def _customer_email(url: str, settings: Settings, database: Database) -> Sender:
    """A CSM's answer to a customer who has left the page, with a link that opens the conversation again.

    The link's token is made when the message is sent and never stored as it is; it stands behind the `#`, which browsers tell no server.
    """

    async def send(item: OutboxItem) -> None:
        payload = item.payload
        conversation, moment = str(payload["conversation"]), clock_now()
        async with database.begin() as session:
            await log.existing(session, conversation)
            token = await log.mint_token(session, conversation, moment + LINK_HOLDS)
        link = f"{settings.site_url}/conversation#{conversation}:{token}"
        await _mail(url, payload, f"{payload['text']}\n\n{link}\n")

    return send


def _one_line(text: str) -> str:
    """Words as the value of a header. `=?…?=` would be decoded by Python's e-mail package, line breaks and all (CVE-2024-6923)."""
    return " ".join(text.replace("=?", "= ?").split())


def _address(text: str) -> str:
    """One plain address.

    Raises:
        UserError: it is none, or more than one.
    """
    if not _ADDRESS.fullmatch(text):
        raise UserError("no letter can be sent to such an address", "correct the person's e-mail address")
    return text


async def _mail(url: str, payload: Mapping[str, Any], text: str) -> None:
    server = urlsplit(url)
    message = EmailMessage()
    message["Subject"] = _one_line(str(payload["subject"]))
    message["From"] = _address(str(payload["from"]))
    message["To"] = _address(str(payload["to"]))
    message.set_content(text)
    client = aiosmtplib.SMTP(
        hostname=server.hostname or "localhost",
        port=server.port or 25,
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
        use_tls=server.scheme == "smtps",
        timeout=SECONDS,
    )
    try:
        async with asyncio.timeout(SECONDS):  # its own is for each command by itself
            await client.connect()
            await client.send_message(message)
        with contextlib.suppress(aiosmtplib.SMTPException):  # it is sent, however the server says good-bye
            await client.quit()
    finally:
        client.close()
