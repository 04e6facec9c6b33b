"""The facts of one account and one message, as the policy would see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from accounts import facts as account_facts
from accounts.catalog import load_catalog
from accounts.facts import CustomerFacts, InternalFacts
from actions import arbitration
from cli.output import with_database
from escalations import hearing
from escalations.policy import Facts
from kit import tokens
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.errors import UserError
from kit.settings import Settings

MOODS = ("anger", "urgency", "worry", "blocked", "outage", "deadline")
SMALL_TALK = ("greet", "thanks", "goodbye", "apology", "affirm", "deny", "ask_capabilities", "switch_language")
"""Intents the bot answers by itself: about these the policy is not asked in a conversation."""


def facts_of(settings: Settings, account_id: str | None, text: str, intent: str) -> Facts:
    """What the policy may ask of an account and a message.

    Args:
        text: understood by the running bot.
        intent: instead of the text.
    Raises:
        UserError: neither text nor intent.
    """
    if not text and not intent:
        raise UserError("nothing to explain", "give --text or --intent")
    known, internal = _account(settings, account_id) if account_id else (None, None)
    name, mood = (intent, {}) if intent else _understood(settings, text)
    return Facts(
        known=known is not None,
        band=internal.band if internal else None,
        tier=internal.tier if internal else None,
        health=internal.health_score if internal else None,
        lifetime_value=internal.lifetime_value if internal else None,
        days_to_renewal=internal.days_to_renewal if internal else None,
        complaints_90d=internal.complaints_90d if internal else 0,
        stage=known.stage if known else None,
        intent=name,
        wish=name == "ask_human",
        substantive=name not in SMALL_TALK,
        leaving=arbitration.leaving(name, text),
        payment_trouble=hearing.payment_trouble(text),
        **{key: float(mood.get(key, 0)) for key in MOODS},
    )


def _account(settings: Settings, account_id: str) -> tuple[CustomerFacts, InternalFacts]:
    catalog = load_catalog(load_company(settings.company))

    async def look(database: Database) -> tuple[CustomerFacts, InternalFacts]:
        async with database.begin() as session:
            return (
                await account_facts.customer_facts(session, catalog, account_id, None, now()),
                await account_facts.internal_facts(session, catalog, account_id, now()),
            )

    return with_database(settings, look)


def _understood(settings: Settings, text: str) -> tuple[str, dict[str, Any]]:
    """The intent of a text and the mood heard in it, by the running bot; nothing is stored.

    Raises:
        Unavailable: the bot does not run.
    """
    import httpx

    from kit.errors import Unavailable

    proof = tokens.sign({}, settings.signing_key, audience="parse", now=now(), lifetime=timedelta(minutes=1))
    try:
        answer = httpx.post(
            f"{settings.rasa_url}/webhooks/kotae/parse",
            json={"text": text},
            headers={"Authorization": f"Bearer {proof}"},
            timeout=5,
            trust_env=False,
        )
        understood: dict[str, Any] = answer.raise_for_status().json()
        return str(understood["intent"]["name"]), understood["mood"]
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise Unavailable(
            f"the bot on port {settings.rasa_port} refused ({status})", "is it of this home folder? See kotae up"
        ) from None
    except (httpx.HTTPError, KeyError, ValueError):
        raise Unavailable(
            f"the bot does not run on port {settings.rasa_port}", "start it with kotae up, or give --intent"
        ) from None
