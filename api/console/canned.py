"""Replies that are written once and used often, with values of the account that asks: `replies.yml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.facts import CustomerFacts
from escalations import kept
from escalations.models import Csm
from kit.company import Company, Localised, in_language
from kit.files import read_yaml

DEFAULT = Path(__file__).with_name("replies.yml")
_PLACE = re.compile(r"\{\{\s*([a-z.]+)\s*\}\}")
NAMES = (
    "account.name",
    "company.name",
    "company.email",
    "csm.name",
    "person.name",
    "plan.name",
    "product.name",
    "renewal.date",
)
"""What a reply may name in double braces."""


class Reply(BaseModel):
    """One canned reply."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Localised
    text: Localised

    @field_validator("text")
    @classmethod
    def _known(cls, text: Mapping[str, str]) -> Mapping[str, str]:
        for one in text.values():
            for name in _PLACE.findall(one):
                if name not in NAMES:
                    raise ValueError(f"nothing is called {name!r}; there are: {', '.join(NAMES)}")
        return text


class ReplyFile(BaseModel):
    """`replies.yml` of a company's folder."""

    model_config = ConfigDict(extra="forbid")

    replies: list[Reply] = Field(default_factory=list)


async def load(session: AsyncSession, company: Company, *, lock: bool = False) -> list[Reply]:
    """The replies as an admin changed them; else the company's, else the product's own.

    Args:
        lock: nobody else may change them until this transaction ends.

    Raises:
        UserError: the file is wrong; names the line.
    """
    changed = await kept.value(session, kept.REPLIES, ReplyFile, lock=lock)
    return (changed or read_yaml(company.file("replies.yml", DEFAULT), ReplyFile)).replies


def values(company: Company, csm: Csm, customer: CustomerFacts | None) -> dict[str, str]:
    """What replies may name; what is not known of the asker is missing."""
    known = {
        "company.name": company.name,
        "company.email": company.support.email,
        "product.name": company.product,
        "csm.name": csm.name,
    }
    if customer is not None:
        known |= {"account.name": customer.account_name, "plan.name": customer.plan.name}
        known |= {"person.name": customer.person_name} if customer.person_name else {}
        known |= {"renewal.date": customer.renews_on.isoformat()} if customer.renews_on else {}
    return known


def fill(reply: Reply, lang: str, known: Mapping[str, str]) -> str | None:
    """The reply's words in a language; None where it names something that is not known here."""
    text = in_language(reply.text, "ja" if lang == "ja" else "en")
    if any(name not in known for name in _PLACE.findall(text)):
        return None
    return _PLACE.sub(lambda match: known[match[1]], text).strip()
