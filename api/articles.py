"""Help articles for the widget: read in the panel, found without chatting."""

from __future__ import annotations

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from api.services import ServicesDep
from conversations.bodies import Citation
from kit.company import Language
from knowledge_base.schemas import ArticleReply

router = APIRouter(prefix="/v1/articles", tags=["help"])


class FoundOut(BaseModel):
    """Articles that fit some words."""

    hits: list[Citation]


@router.get("")
async def find(
    request: Request, services: ServicesDep, q: str = Query(min_length=1, max_length=500), lang: Language = "en"
) -> FoundOut:
    """Articles that fit the words, best first."""
    services.limits.take("searches", request, lang)
    hits = await services.knowledge_base.search(q, lang=lang, k=10)
    cited: dict[str, Citation] = {}
    for hit in hits:
        given = hit.model_dump(include={"article_id", "title", "url", "lang", "source"})
        cited.setdefault(hit.article_id, Citation(**given))
    return FoundOut(hits=list(cited.values())[:5])


@router.get("/{article_id:path}")
async def read(article_id: str, request: Request, services: ServicesDep, lang: Language = "en") -> ArticleReply:
    """One article as safe HTML, in a visitor's words."""
    services.limits.take("searches", request, lang)
    return await services.knowledge_base.article(lang, article_id)
