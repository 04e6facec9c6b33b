"""Static things and what the widget needs to know before it starts."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from api import widget
from api.services import ServicesDep

router = APIRouter(tags=["widget"])


@router.get("/widget.js")
async def widget_js() -> Response:
    """The chat widget: one module, no dependency."""
    return Response(_widget(), media_type="text/javascript", headers={"Cache-Control": "public, max-age=300"})


@cache
def _widget() -> bytes:
    return widget.served()


@router.get("/v1/widget-config")
async def widget_config(services: ServicesDep) -> dict[str, object]:
    """Names and languages."""
    company = services.company
    return {
        "company": company.name,
        "product": company.product,
        "languages": company.languages,
        "default_language": company.default_language,
    }


@router.get("/", include_in_schema=False)
async def home(services: ServicesDep) -> RedirectResponse:
    """In development the sample site, otherwise the console."""
    return RedirectResponse("/demo/" if services.settings.mode == "development" else "/console")
