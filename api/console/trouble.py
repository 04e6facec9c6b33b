"""What a browser gets in place of a page that is not there or cannot be made: a sentence and a way on."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from api.console import session
from api.console.assets import address
from api.console.rendering import render

logger = structlog.get_logger()


def install(gui: FastAPI) -> None:
    """In place of NiceGUI's own pages, which are in English alone and show the error itself."""
    gui.add_exception_handler(404, _missing)
    gui.add_exception_handler(Exception, _failed)


async def _missing(request: Request, error: Exception) -> HTMLResponse:
    return _page(request, "no_page", error.status_code if isinstance(error, HTTPException) else 404)


async def _failed(request: Request, error: Exception) -> HTMLResponse:
    logger.error("console_page_failed", path=request.url.path, exc_info=error)
    return _page(request, "page_failed", 500)


def _page(request: Request, what: str, status: int) -> HTMLResponse:
    # An error outside the session's middleware finds no session: such a page is in the browser's language.
    html = render(
        "trouble.html",
        session.language(request),
        what=what,
        style=address("console.css"),
        icon=address("favicon.svg"),
        theme=session.theme(request),
    )
    return HTMLResponse(html, status)
