"""Who is asking, beside their conversation: everything a CSM may know, internal facts among it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nicegui import ui
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import timeline
from accounts.catalog import Catalog
from accounts.facts import CustomerFacts, InternalFacts, customer_facts, internal_facts
from accounts.timeline import Timeline
from api.console import charts
from api.console.desk import Desk
from api.console.rendering import render
from api.console.views import Row, row
from conversations.models import Conversation
from escalations import csms, inbox
from escalations.inbox import Wanted
from escalations.models import Csm
from kit.company import Language, in_language
from kit.errors import NotFound

REASONS = 4
"""Reasons for the health score that are shown beside a conversation: the worst."""
EARLIER = 3
"""Conversations of the account that are listed there: the newest others."""


@dataclass(frozen=True)
class Known:
    """Both kinds of fact about an account. For CSMs alone.

    Attributes:
        owner: name of the CSM who looks after it, or the address that is kept where nobody here has it.
    """

    customer: CustomerFacts
    internal: InternalFacts
    owner: str | None = None


async def known(
    database: AsyncSession, catalog: Catalog, account_id: str, person_id: str | None, now: datetime
) -> Known:
    """Everything that is known of an account.

    Raises:
        NotFound: there is no such account.
    """
    internal = await internal_facts(database, catalog, account_id, now)
    names = {each.email: each.name for each in await csms.everyone(database)}
    return Known(
        await customer_facts(database, catalog, account_id, person_id, now),
        internal,
        names.get(internal.owner, internal.owner) if internal.owner else None,
    )


def words(desk: Desk) -> dict[str, Callable[..., Any]]:
    """How the company's own names are said to this CSM, for templates."""
    lang: Language = "ja" if desk.lang == "ja" else "en"
    plans = desk.services.catalog.plans
    return {
        "local": lambda texts: in_language(texts, lang),
        "limit_name": lambda name: plans.limit_name(name, lang),
        "plan_name": lambda plan: plans.named(plan).name if plan else "–",
        "signal_name": lambda signal: _signal(desk, signal, lang),
    }


def _signal(desk: Desk, name: str, lang: Language) -> str:
    """A risk in words; one that health.yml no longer has by its name."""
    known = desk.services.catalog.health.signals.get(name)
    return in_language(known.label, lang) if known is not None else name.replace("_", " ").capitalize()


class AccountPanel:
    """Health with its reasons, plan, use, renewal, value, onboarding and risks of the account that asks."""

    def __init__(self, desk: Desk, conversation: Conversation) -> None:
        self._desk = desk
        self._conversation = conversation
        self.customer: CustomerFacts | None = None
        self._box = ui.html("", sanitize=False).classes("account")

    async def fill(self) -> None:
        """Looks everything up and shows it."""
        looked = await self._look_up()
        if looked is None:
            html = render("visitor.html", self._desk.lang, conversation=self._conversation)
        else:
            found, history, earlier = looked
            self.customer = found.customer
            reasons = [reason for reason in found.internal.reasons if reason.lost >= 1][:REASONS]
            given = {"customer": found.customer, "internal": found.internal, "owner": found.owner, "reasons": reasons}
            more = {"earlier": earlier, "spark": charts.spark([each.events for each in history.usage])}
            html = render("account.html", self._desk.lang, **given, **more, **words(self._desk))
        self._box.set_content(html)

    async def _look_up(self) -> tuple[Known, Timeline, list[Row]] | None:
        account_id, person_id = self._conversation.account_id, self._conversation.person_id
        if account_id is None:
            return None

        async def look(database: AsyncSession, csm: Csm, moment: datetime) -> tuple[Known, Timeline, list[Row]]:
            found = await known(database, self._desk.services.catalog, account_id, person_id, moment)
            history = await timeline.timeline(database, account_id, moment)
            others = await inbox.look(database, csm, Wanted(account_id=account_id), EARLIER + 1)
            rows = [row(each, {}, self._desk.lang) for each in others if each.conversation.id != self._conversation.id]
            return found, history, rows[:EARLIER]

        try:
            return await self._desk.read(look)
        except NotFound:
            return None
