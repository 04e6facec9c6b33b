"""Static things and what the widget needs to know before it starts."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter
from fastapi.responses import FileResponse, RedirectResponse, Response

from api import widget
from api.services import ServicesDep

router = APIRouter(tags=["widget"])


@router.get("/widget.js", include_in_schema=False)
async def widget_js() -> Response:
    """The chat widget: one module, no dependency."""
    return Response(widget.served(), media_type="text/javascript", headers={"Cache-Control": "public, max-age=300"})


@router.get("/conversation", include_in_schema=False)
async def conversation(services: ServicesDep) -> Response:
    """The page a link in an e-mail opens: a conversation and nothing else. Which one stands behind the `#` and never comes here."""
    page = (widget.HERE / "conversation.html").read_text(encoding="utf-8")
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
    return Response(page.replace("{company}", escape(services.company.name)), media_type="text/html", headers=headers)


@router.get("/conversation.js", include_in_schema=False)
async def conversation_js() -> FileResponse:
    """What opens it."""
    return FileResponse(widget.HERE / "conversation.js", media_type="text/javascript")


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
