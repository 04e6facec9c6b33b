"""The facts of one account and one message, as the policy would see them."""

from __future__ import annotations

from accounts import facts as account_facts
from accounts.catalog import load_catalog
from accounts.facts import CustomerFacts, InternalFacts
from cli.output import with_database
from escalations.policy import Facts
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.errors import UserError
from kit.settings import Settings


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
    name = intent or _understood(settings, text)
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


def _understood(settings: Settings, text: str) -> str:
    """The intent of a text, by the running bot; nothing is stored.

    Raises:
        Unavailable: the bot does not run.
    """
    import httpx

    from kit.errors import Unavailable

    try:
        answer = httpx.post(
            f"{settings.rasa_url}/webhooks/kotae/parse", json={"text": text}, timeout=5, trust_env=False
        )
        return str(answer.raise_for_status().json()["intent"]["name"])
    except (httpx.HTTPError, KeyError, ValueError):
        raise Unavailable("the bot does not run", "start it with kotae up, or give --intent") from None
