"""Who is signed in: the session cookie holds a secret that `escalations/sessions.py` knows, and nothing else that counts.

The cookie is signed, HttpOnly and SameSite=Lax, so another site's form or script brings none along; whose the secret is, is
looked up on each page and before each action, so that a copy of the cookie ends with the session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import structlog
from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit
from api.console import oidc, paths
from api.console.assets import address
from api.console.rendering import render
from api.console.texts import TEXTS
from api.origins import host, split
from escalations import csms, sessions
from escalations.models import Csm
from kit.clock import now
from kit.errors import NotFound, TooMany, Unauthenticated

if TYPE_CHECKING:
    from api.services import Services

logger = structlog.get_logger()
COOKIE = "kotae_console"
SECONDS = int(sessions.IDLE.total_seconds())
LANGUAGES = ("en", "ja")
_PREFERENCES: tuple[str, ...] = ("lang", "theme")
THEMES = ("auto", "light", "dark")

router = APIRouter(include_in_schema=False)


def install(gui: FastAPI) -> None:
    """Adds signing in and out to the console's application, once."""
    if not any(getattr(route, "path", "") == "/sign-in" for route in gui.routes):
        gui.include_router(router)


def services(request: Request) -> Services:
    """The services of the front door the console belongs to."""
    return cast("Services", request.app.state.services)


async def current(request: Request) -> Csm | None:
    """The CSM who is signed in and still may be."""
    async with services(request).database.begin() as database:
        return await sessions.csm_of(database, secret(request), now())


def secret(request: Request) -> str:
    """What the browser holds; empty where nobody is signed in."""
    return str(request.session.get("session", ""))


def language(request: Request) -> str:
    """The language chosen in this browser; else what the browser asks for, else the company's."""
    chosen = request.scope.get("session", {}).get("lang")
    if chosen in LANGUAGES:
        return str(chosen)
    wanted = [part.split(";")[0].strip()[:2] for part in request.headers.get("accept-language", "").split(",")]
    return next((lang for lang in wanted if lang in LANGUAGES), services(request).company.default_language)


def theme(request: Request) -> str:
    """The theme chosen in this browser."""
    chosen = request.scope.get("session", {}).get("theme")
    return str(chosen) if chosen in THEMES else "auto"


def to_sign_in(request: Request) -> Response:
    """Sends the browser to sign in, and afterwards back to where it wanted to go."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    request.session["next"] = path[:500]
    return RedirectResponse(paths.SIGN_IN, 303)


@router.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """The form, or the inbox for who is signed in."""
    if await current(request) is not None:
        return RedirectResponse(paths.view("queue"), 303)
    return _form(request)


@router.post("/sign-in")
async def sign_in(
    request: Request, email: Annotated[str, Form()] = "", password: Annotated[str, Form()] = ""
) -> Response:
    """Signs in by password, where no OpenID provider does it."""
    if not same_origin(request) or oidc.client(services(request).settings) is not None:
        return _form(request, "sign_in_elsewhere", status=403)
    email, csm = email.replace("\x00", "").strip().lower()[:320], None
    try:
        services(request).limits.take("sign_ins", request)
        async with services(request).database.begin() as database:
            csm = await csms.sign_in(database, email, password[:1000], now())
            who = csm or await _who(database, email, services(request).settings.signing_key)
            if isinstance(who, str) and await _locked_out(database, who):
                raise Unauthenticated("too many wrong passwords")
            await audit.record(database, "sign_in" if csm else "sign_in_refused", who, now(), way="password")
            begun = await sessions.begin(database, csm, now()) if csm is not None else ""
    except (Unauthenticated, TooMany):
        return _form(request, "sign_in_locked", email, status=429)
    if csm is None:
        return _form(request, "sign_in_wrong", email, status=401)
    return await _begin(request, begun)


async def _who(database: AsyncSession, email: str, key: str) -> str:
    """How the audit log calls who could not be signed in: a CSM by their address."""
    try:
        return (await csms.by_email(database, email)).email
    except NotFound:
        return audit.nobody(email, key)


async def _locked_out(database: AsyncSession, who: str) -> bool:
    """Whether an address nobody has is locked, as it would be if a CSM had it: the form must not tell who is one."""
    if "@" in who:
        return False  # a CSM's own lock has been looked at
    number, last = await audit.refusals(database, who)
    full = number > 0 and number % csms.MAX_FAILURES == 0
    return full and last is not None and last > now() - csms.LOCKED_FOR


@router.get("/oidc")
async def to_provider(request: Request) -> Response:
    """Sends the browser to the company's OpenID provider."""
    provider = oidc.client(services(request).settings)
    if provider is None:
        return RedirectResponse(paths.SIGN_IN, 303)
    try:
        return await oidc.redirect(provider, request, f"{services(request).settings.site_url}{paths.OIDC_CALLBACK}")
    except Unauthenticated as error:
        logger.warning("oidc_failed", reason=str(error))
        return _form(request, "sign_in_oidc", status=502)


@router.get("/oidc/callback")
async def from_provider(request: Request) -> Response:
    """Signs in whoever the provider says it is, if they are a CSM."""
    provider = oidc.client(services(request).settings)
    if provider is None:
        return RedirectResponse(paths.SIGN_IN, 303)
    try:
        email = await oidc.email(provider, request)
    except Unauthenticated as error:
        logger.warning("oidc_failed", reason=str(error))
        return _form(request, "sign_in_oidc", status=401)
    async with services(request).database.begin() as database:
        try:
            csm = await csms.by_email(database, email)
        except NotFound:
            await audit.record(database, "sign_in_refused", email, now(), way="oidc")
            return _form(request, "sign_in_unknown", status=403)
        await audit.record(database, "sign_in", csm, now(), way="oidc")
        begun = await sessions.begin(database, csm, now())
    return await _begin(request, begun)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Ends the session, in this browser and wherever its cookie was copied to."""
    if same_origin(request):
        await _end(request)
        _forget(request)
    return RedirectResponse(paths.SIGN_IN, 303)


@router.post("/preferences")
async def preferences(
    request: Request, lang: Annotated[str, Form()] = "", theme: Annotated[str, Form()] = ""
) -> Response:
    """Chooses language and theme for this browser."""
    if same_origin(request):
        if lang in LANGUAGES:
            request.session["lang"] = lang
        if theme in THEMES:
            request.session["theme"] = theme
    back = split(request.headers.get("referer", "")).path
    return RedirectResponse(back if back.startswith(f"{paths.ROOT}/") else paths.view("queue"), 303)


async def _begin(request: Request, begun: str) -> Response:
    """A new session in this browser, with nothing of the one before it but what the browser prefers to see.

    Args:
        begun: its secret.
    """
    wanted = str(request.session.get("next", ""))
    await _end(request)
    _forget(request)
    request.session["session"] = begun
    return RedirectResponse(wanted if wanted.startswith(f"{paths.ROOT}/") else paths.view("queue"), 303)


async def _end(request: Request) -> None:
    """Ends the session that this browser holds, where there is one."""
    async with services(request).database.begin() as database:
        csm = await sessions.csm_of(database, secret(request), now())
        if csm is not None:
            await audit.record(database, "sign_out", csm, now())
            await sessions.end(database, secret(request))


def _forget(request: Request) -> None:
    """Empties the session but for what the browser prefers to see."""
    kept: dict[str, str] = {key: request.session[key] for key in _PREFERENCES if key in request.session}
    request.session.clear()
    request.session.update(kept)


def same_origin(request: Request) -> bool:
    """Whether a form was sent from one of our own pages. Signing somebody in from another site would be a trap too."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or host(origin) == request.headers.get("host")


def _form(request: Request, problem: str | None = None, email: str = "", status: int = 200) -> HTMLResponse:
    lang = language(request)
    html = render(
        "sign_in.html",
        lang,
        style=address("console.css"),
        icon=address("favicon.svg"),
        company=services(request).company.name,
        problem=TEXTS.say(problem, lang) if problem else None,
        email=email,
        theme=theme(request),
        provider=oidc.host(services(request).settings),
    )
    return HTMLResponse(html, status)
