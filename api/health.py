"""Is it alive, can it serve, what does it count."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable

import httpx
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from api.access import bearer
from api.services import Services, ServicesDep
from kit.errors import KotaeError, NotFound

router = APIRouter(tags=["operations"])
_SECONDS = 2.0
"""A neighbour that takes longer to say that it is there is not."""


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives. It says nothing of its neighbours: starting it again would not bring them back."""
    return {"status": "ok"}


class ReadyOut(BaseModel):
    """Whether a message would be answered, and which neighbours answer."""

    ready: bool
    checks: dict[str, bool]


@router.get("/readyz", response_model=ReadyOut, responses={503: {"model": ReadyOut}})
async def readyz(services: ServicesDep) -> JSONResponse:
    """Every neighbour answers, so that a message would be answered: 200, or 503 with what is missing."""
    settings = services.settings
    found = {
        "database": services.database.answers(),
        "listening": _listening(services),
        "rasa": _answers(services, f"{settings.rasa_url}/webhooks/kotae/readyz"),
        "actions": _answers(services, f"{settings.actions_url}/readyz"),
        "knowledge_base": _knowledge(services),
    }
    checks = dict(zip(found, await asyncio.gather(*map(_in_time, found.values())), strict=True))
    ready = all(checks.values())
    return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, services: ServicesDep) -> Response:
    """Prometheus metrics of this process, for who has the token of `KOTAE_METRICS_TOKEN`. Others find nothing here."""
    if not _may_read(services, bearer(request)):
        raise NotFound("not found")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _may_read(services: Services, token: str | None) -> bool:
    wanted = services.settings.metrics_token
    if wanted is None:
        return services.settings.mode == "development"
    return token is not None and hmac.compare_digest(token.encode(), wanted.get_secret_value().encode())


async def _in_time(check: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            return await check
    except TimeoutError:
        return False


async def _listening(services: Services) -> bool:
    return services.hub.listening.is_set()


async def _answers(services: Services, url: str) -> bool:
    try:
        answer = await services.http.get(url, timeout=_SECONDS)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


async def _knowledge(services: Services) -> bool:
    try:
        await services.knowledge_base.ready()
    except KotaeError:
        return False
    return True
