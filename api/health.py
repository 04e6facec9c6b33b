"""Is it alive, can it serve, what does it count."""

from __future__ import annotations

import asyncio

import httpx
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.services import Services, ServicesDep
from kit.errors import KotaeError

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(services: ServicesDep) -> JSONResponse:
    """Every neighbour answers: 200, or 503 with what is missing."""
    names = ("database", "listening", "rasa", "knowledge_base")
    found = await asyncio.gather(_database(services), _listening(services), _rasa(services), _knowledge(services))
    checks = dict(zip(names, found, strict=True))
    return JSONResponse({"ready": all(found), "checks": checks}, 200 if all(found) else 503)


@router.get("/metrics")
async def metrics() -> Response:
    """Prometheus metrics of this process."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _database(services: Services) -> bool:
    try:
        async with services.database.begin() as session:
            await session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


async def _listening(services: Services) -> bool:
    return services.hub.listening.is_set()


async def _rasa(services: Services) -> bool:
    try:
        answer = await services.http.get(f"{services.settings.rasa_url}/webhooks/kotae/readyz", timeout=2)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


async def _knowledge(services: Services) -> bool:
    try:
        await services.knowledge_base.ready()
    except KotaeError:
        return False
    return True
