"""Errors, rendered in one place."""

from __future__ import annotations

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from starlette.exceptions import HTTPException

from kit.database import AWAY
from kit.errors import KotaeError, TooMany, Unavailable

logger = structlog.get_logger()
_CODES = {404: "not_found", 405: "not_allowed", 408: "too_slow", 413: "too_large"}
AWAY_TEXT = "the service is away for a moment"
RETRY_AFTER = 2
"""Seconds after which a database that was away is worth another try."""


def install(app: FastAPI) -> None:
    """Makes the app answer every expected error as `{"error": {"code", "message", "hint"}}`."""

    @app.exception_handler(KotaeError)
    async def expected(_: Request, error: KotaeError) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooMany | Unavailable) else None
        return _render(error.status, error.code, error.message, error.hint, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return _render(422, "invalid", f"{where or 'body'}: {first['msg'].lower()}", "see /openapi.json")

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "invalid")
        return _render(
            error.status_code, code, str(error.detail).lower(), "see /openapi.json", dict(error.headers or {})
        )

    @app.exception_handler(DataError)
    @app.exception_handler(IntegrityError)
    async def cannot_be_kept(request: Request, error: DBAPIError) -> JSONResponse:
        # Checked where it matters; this catches what a text or a number can hold and PostgreSQL cannot, or will not by its own rules.
        logger.warning("cannot_be_kept", path=request.url.path, reason=reason(error))
        return _render(
            422,
            "invalid",
            "a value cannot be kept",
            "leave out control characters, huge numbers, very long names and what contradicts itself",
        )

    async def database_away(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, DBAPIError) and isinstance(error.orig, psycopg.errors.ProgramLimitExceeded):
            return await cannot_be_kept(request, error)  # too long for an index: another try would change nothing
        logger.warning("database_away", path=request.url.path, reason=reason(error))
        return _render(503, "unavailable", AWAY_TEXT, "try again", {"Retry-After": str(RETRY_AFTER)})

    for kind in AWAY:
        app.add_exception_handler(kind, database_away)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.error("unexpected", path=request.url.path, exc_info=error)
        return _render(500, "internal", "something went wrong on our side", "try again")


def reason(error: BaseException) -> str:
    """What went wrong with the database, without the statement and its values."""
    return type(getattr(error, "orig", None) or error).__name__


def _render(status: int, code: str, message: str, hint: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status, headers)
