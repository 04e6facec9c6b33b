"""Answers for a CSM to send, from the help content and from what colleagues answered well: for the customer's last words, at a click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accounts.facts import CustomerFacts
from conversations.good_replies import Answered
from kit.company import Language
from knowledge_base.schemas import Asker, Values

if TYPE_CHECKING:
    from knowledge_base.client import KnowledgeBase

MOST = 3
ALIKE = {"en": 0.5, "ja": 0.9}
"""Cosine from which an earlier question counts as the same: questions on one matter have .72 and more in English and .90 in Japanese with
the packaged encoders, others at most .37 and .88 (nine and six questions of the sample company, by hand)."""


@dataclass(frozen=True)
class Suggestion:
    """An article that may answer, with the passage that fits."""

    article_id: str
    title: str
    heading: str | None
    url: str
    quote: str


async def find(
    knowledge_base: KnowledgeBase, words: str, lang: Language, customer: CustomerFacts | None
) -> list[Suggestion]:
    """The articles that fit some words best.

    Raises:
        Unavailable: the knowledge base does not answer.
    """
    hits = await knowledge_base.search(words, lang=lang, asker=_asker(customer), k=MOST)
    return [Suggestion(hit.article_id, hit.title, hit.heading, hit.url, hit.quote) for hit in hits[:MOST]]


async def before(
    knowledge_base: KnowledgeBase, words: str, lang: Language, answered: Sequence[Answered]
) -> list[Answered]:
    """What colleagues answered well when something alike was asked, the most alike first.

    Raises:
        Unavailable: the knowledge base does not answer.
    """
    if not answered:
        return []
    made = await knowledge_base.embed([words, *(each.question for each in answered)])
    vectors = np.asarray(made.vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    alike = vectors[1:] @ vectors[0] / np.maximum(lengths[1:] * lengths[0], 1e-9)
    order = [int(place) for place in np.argsort(-alike) if alike[place] >= ALIKE[lang]]
    return [answered[place] for place in order[:MOST]]


async def words_of(
    knowledge_base: KnowledgeBase, article_id: str, words: str, lang: Language, customer: CustomerFacts | None
) -> str:
    """What to send: the passage with the account's own values, and where it is from.

    Raises:
        Unavailable: the knowledge base does not answer.
    """
    values = Values.model_validate(customer.values()) if customer is not None else None
    found = await knowledge_base.answer(words, lang=lang, asker=_asker(customer), values=values, article_id=article_id)
    if found.citation is None:
        return ""
    source = f"[{found.citation.title}]({found.citation.url})" if found.citation.url else found.citation.title
    return f"{found.quote or ''}\n\n{source}".strip()


def _asker(customer: CustomerFacts | None) -> Asker | None:
    return None if customer is None else Asker(plan=customer.plan.id, role=customer.person_role, stage=customer.stage)
