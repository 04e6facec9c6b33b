"""Notifications leave through an outbox: written with the change they tell of, sent at least once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib
import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from escalations import repository
from escalations.models import Escalation
from kit.clock import now as clock_now
from kit.company import Company
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings

Sender = Callable[[Mapping[str, Any]], Awaitable[None]]
MAX_ATTEMPTS = 12
BACK_OFF = timedelta(seconds=10)
"""First wait after a failure; it doubles each time, so twelve attempts span about eleven hours."""


async def announce(session: AsyncSession, escalation: Escalation, company: Company, now: datetime) -> None:
    """Tells the team that a conversation needs a person: once for each level it reaches."""
    who = escalation.account_name or "A visitor"
    subject = f"[{company.name}] {who}: {escalation.reason['en']}"
    for kind in ("slack", "email"):
        await _put(
            session,
            kind,
            {
                "subject": subject,
                "text": f"{who}: {escalation.reason['en']}. Answer by {escalation.due_at:%Y-%m-%d %H:%M} UTC.",
                "conversation": escalation.conversation_id,
                "to": company.support.email,
            },
            f"{kind}:{escalation.id}:{escalation.mode}:{escalation.level}",
            now,
        )


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


async def deliver(database: Database, senders: Mapping[str, Sender], now: datetime, limit: int = 20) -> int:
    """Sends what is due. A kind without a sender is not set up here and counts as sent to nobody.

    Each item is sent inside the transaction that marks it: a crash in between sends it again, never loses it.

    Returns:
        how many were looked at.
    """
    async with database.begin() as session:
        items = await repository.due_notifications(session, now, limit)
        for item in items:
            item.attempts += 1
            try:
                if item.kind in senders:
                    await senders[item.kind](item.payload)
            except (httpx.HTTPError, aiosmtplib.SMTPException, OSError) as error:
                item.last_error = f"{type(error).__name__}: {error}"[:500]
                item.next_at = clock_now() + BACK_OFF * 2 ** (item.attempts - 1)
                item.state = "dead" if item.attempts >= MAX_ATTEMPTS else "waiting"
            else:
                item.state, item.sent_at = "sent", clock_now()
    return len(items)


def senders(settings: Settings, client: httpx.AsyncClient) -> dict[str, Sender]:
    """What this installation can send with: the channels its settings name."""
    made: dict[str, Sender] = {}
    if settings.slack_webhook_url is not None:
        made["slack"] = _slack(settings.slack_webhook_url.get_secret_value(), settings, client)
    if settings.smtp_url is not None:
        made["email"] = _email(settings.smtp_url.get_secret_value(), settings)
    return made


def _slack(url: str, settings: Settings, client: httpx.AsyncClient) -> Sender:
    async def send(payload: Mapping[str, Any]) -> None:
        link = f"{settings.site_url}/console/conversation/{payload['conversation']}"
        answer = await client.post(url, json={"text": f"{payload['text']}\n{link}"}, timeout=10)
        answer.raise_for_status()

    return send


def _email(url: str, settings: Settings) -> Sender:
    server = urlsplit(url)

    async def send(payload: Mapping[str, Any]) -> None:
        message = EmailMessage()
        message["Subject"] = " ".join(str(payload["subject"]).split())
        message["From"] = payload["to"]
        message["To"] = payload["to"]
        message.set_content(f"{payload['text']}\n{settings.site_url}/console/conversation/{payload['conversation']}")
        await aiosmtplib.send(
            message,
            hostname=server.hostname or "localhost",
            port=server.port or 25,
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=server.scheme == "smtps",
            timeout=10,
        )

    return send
