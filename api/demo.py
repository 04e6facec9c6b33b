"""The sample company's website, in development only: signing in as any of its people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel

from accounts import facts, sample
from api.identity import sign
from api.services import ServicesDep
from api.widget import SITE
from kit.clock import now
from kit.errors import NotFound

router = APIRouter(prefix="/demo", include_in_schema=False)
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".html": "text/html"}


class TokenIn(BaseModel):
    """Who signs in."""

    account_id: str
    person_id: str


@router.get("/people")
async def people(services: ServicesDep) -> list[dict[str, Any]]:
    """Everybody one may sign in as."""
    path = services.company.folder / "accounts.yml"
    return sample.people(path, services.catalog) if path.exists() else []


@router.post("/token")
async def token(body: TokenIn, services: ServicesDep) -> dict[str, str]:
    """An identity token, as the company's backend would sign it after its own log-in."""
    async with services.database.begin() as session:
        await facts.customer_facts(session, services.catalog, body.account_id, body.person_id, now())
    return {"token": sign(services.settings, body.account_id, body.person_id, now(), timedelta(hours=12))}


@router.get("/")
async def home() -> FileResponse:
    """The website."""
    return FileResponse(SITE / "index.html")


@router.get("/{name}")
async def part(name: str) -> FileResponse:
    """A part of the website."""
    path = (SITE / name.replace("\x00", "")).resolve()
    if path.parent != SITE.resolve() or path.suffix not in _TYPES or not path.is_file():
        raise NotFound("no such page")
    return FileResponse(path, media_type=_TYPES[path.suffix])
