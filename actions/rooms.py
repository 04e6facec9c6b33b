"""The rooms an action may call; made once when the action server starts."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.catalog import Catalog, load_catalog
from escalations import policy
from escalations.policy import Policy
from kit.company import Company, load_company
from kit.database import Database
from kit.settings import Settings
from knowledge_base.client import KnowledgeBase


@dataclass(frozen=True)
class Rooms:
    """What one turn is answered from."""

    settings: Settings
    company: Company
    catalog: Catalog
    policy: Policy
    database: Database
    knowledge_base: KnowledgeBase


def make(settings: Settings, url: str) -> Rooms:
    """Opens the rooms.

    Args:
        url: of the database.
    Raises:
        UserError: one of the company's files is wrong.
    """
    company = load_company(settings.company)
    return Rooms(
        settings=settings,
        company=company,
        catalog=load_catalog(company),
        policy=policy.load(company.file("escalation.yml", policy.DEFAULT)),
        database=Database(url),
        knowledge_base=KnowledgeBase(settings.knowledge_base_url),
    )
