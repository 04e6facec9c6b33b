"""The rooms an action may call; made once when the action server starts."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.catalog import Catalog, load_catalog
from escalations import policy
from escalations.policy import Policy
from kit.company import Company, Language, load_company
from kit.database import NOT_WAITING_FOR_DISK, Database
from kit.settings import Settings
from knowledge_base.client import KnowledgeBase

ACCOUNT_WAIT_MS = 1000
"""How long one look into the accounts may take before the turn goes on without; a turn as a whole has five seconds."""


@dataclass(frozen=True)
class Rooms:
    """What one turn is answered from.

    Attributes:
        database: what a turn leaves behind. It is committed without waiting for the disk: the turn is settled durably after it,
            which makes all that was committed before durable too, and a turn that was not is run again.
        accounts: what is known of who asks. No statement there takes long: the turn then goes on without.
    """

    settings: Settings
    company: Company
    catalog: Catalog
    policy: Policy
    database: Database
    accounts: Database
    knowledge_base: KnowledgeBase

    def article(self, path: str | None, lang: Language) -> str | None:
        """The id of an article that a company's file names by its path in the help folder, in the asker's language where the content is laid out by
        language; None where there is none.
        """
        if path is None:
            return None
        own = (f"{lang}/{path}", f"{self.company.default_language}/{path}", path)
        return next((one for one in own if (self.company.content_dir / f"{one}.md").exists()), None)


def make(settings: Settings, url: str) -> Rooms:
    """Opens the rooms.

    Args:
        url: of the database.
    Raises:
        UserError: one of the company's files is wrong.
    """
    company = load_company(settings.company)
    wait = str(ACCOUNT_WAIT_MS)
    return Rooms(
        settings=settings,
        company=company,
        catalog=load_catalog(company),
        policy=policy.load(company.file("escalation.yml", policy.DEFAULT)),
        database=Database(url, options=NOT_WAITING_FOR_DISK),
        accounts=Database(url, options={"lock_timeout": wait, "statement_timeout": wait}),
        knowledge_base=KnowledgeBase(settings.knowledge_base_url),
    )
