"""The front door's application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import structlog
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.catalog import load_catalog
from accounts.greetings import load_greetings
from accounts.scoring import score_accounts
from accounts.surveys import load_rules
from api import access, aftercare, articles, chat, errors, health, ingestion, retention, site, stream
from api.console import mount as mount_console
from api.guard import Guard
from api.hub import Hub
from api.identity import Identities
from api.intake import Intake
from api.limits import Limits
from api.rescoring import Rescoring
from api.runner import TurnRunner
from api.schemas import ProblemOut
from api.services import Services
from conversations import erasing
from escalations import outbox, queue
from kit import tracing
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.http import Http
from kit.memory import keep_loaded
from kit.metrics import FORGOTTEN
from kit.settings import Settings
from knowledge_base.client import KnowledgeBase

logger = structlog.get_logger()
_AGAIN_SECONDS = 1.0
"""Before a loop that ended begins again."""
_SWEEP_SECONDS = 15.0
_TURNS_OUTLIVE = timedelta(minutes=10)
"""More than a turn can outlive a conversation that is erased meanwhile."""
_FORGET_SECONDS = 3600.0
_SCORE_SECONDS = 300.0
"""How often the day is looked at; the accounts are scored once on each."""


def create_app(settings: Settings, url: str) -> FastAPI:
    """The front door.

    Args:
        settings: of this installation.
        url: of the database.
    Raises:
        UserError: the company's files are wrong, or production lacks a secret.
    """
    company = load_company(settings.company)
    catalog = load_catalog(company)
    database = Database(url)
    hub = Hub(database)
    rasa = Http(settings.rasa_url)
    made = Services(
        settings=settings,
        company=company,
        catalog=catalog,
        greetings=load_greetings(company),
        surveys=load_rules(company),
        database=database,
        hub=hub,
        identities=Identities(settings),
        limits=Limits(settings),
        knowledge_base=KnowledgeBase(settings.knowledge_base_url),
        http=httpx.AsyncClient(),
        rasa=rasa,
        runner=TurnRunner(database, settings, rasa, hub),
        rescoring=Rescoring(database, catalog),
        intake=Intake(database),
    )
    problems: dict[int | str, dict[str, Any]] = {"4XX": {"model": ProblemOut}, "5XX": {"model": ProblemOut}}
    app = FastAPI(title="Kotae", version="1", lifespan=_lifespan, docs_url=None, redoc_url=None, responses=problems)
    app.state.services = made
    errors.install(app)
    _cors(app, settings)
    app.add_middleware(GZipMiddleware, minimum_size=1024)
    app.add_middleware(Guard, settings=settings, limits=made.limits)
    for router in (chat.router, stream.router, articles.router, ingestion.router, health.router, site.router):
        app.include_router(router)
    if settings.mode == "development":
        from api import demo

        app.include_router(demo.router)
    mount_console(app, made)
    return app


def _cors(app: FastAPI, settings: Settings) -> None:
    """Websites that may embed the widget. Tokens travel in headers, never in cookies, so no credentials are allowed."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"] if access.open_to_all(settings) else settings.allowed_origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["authorization", "content-type"],
        expose_headers=["Retry-After"],
        max_age=3600,
    )


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    loops: list[Callable[[], Coroutine[Any, Any, None]]] = [
        services.database.watch,
        services.hub.run,
        services.runner.run,
        lambda: _sweeping(services),
        lambda: outbox.run(services.database, services.settings),
        lambda: _scoring(services),
        services.rescoring.run,
        lambda: _forgetting(services),
    ]
    tasks = [asyncio.create_task(kept(loop)) for loop in loops]
    keep_loaded()
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await services.http.aclose()
    await services.rasa.close()
    await services.knowledge_base.close()
    await services.database.close()
    tracing.close()


async def kept(loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a loop until cancelled; begins it again when something nobody thought of ends it.

    A front door that no longer hears of messages, or answers none, would look healthy and be deaf.
    """
    while True:
        try:
            await loop()
        except Exception as error:  # whatever it was: it is told, and the loop goes on
            logger.critical("loop_ended", exc_info=error)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _sweeping(services: Services) -> None:
    """Moves what nobody attends to, for as long as the process lives."""
    sweeps: list[Callable[[AsyncSession], Awaitable[object]]] = [
        lambda session: queue.sweep(session, services.company, now()),
        lambda session: erasing.sweep(session, _TURNS_OUTLIVE),
        lambda session: aftercare.write_to_who_left(session, services.company, now()),
    ]
    rested: datetime | None = None
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            for sweep in sweeps:  # each by itself: what it has locked, customers wait for
                async with services.database.begin() as session:
                    await sweep(session)
            async with services.database.begin() as session:
                _, looked = await aftercare.ask_nps(session, now(), services.surveys, rested)
            rested = looked
        except SQLAlchemyError as error:
            logger.warning("sweep_failed", reason=type(error).__name__)


async def _scoring(services: Services) -> None:
    """Keeps each day's health of every account. Scoring twice on a day changes nothing, so every replica may."""
    scored: date | None = None
    while True:
        today = now().date()
        if scored != today:
            try:
                async with services.database.begin() as session:
                    await score_accounts(session, services.catalog, now())
                scored = today
            except SQLAlchemyError as error:
                logger.warning("scoring_failed", reason=type(error).__name__)
        await asyncio.sleep(_SCORE_SECONDS)


async def _forgetting(services: Services) -> None:
    """Removes what has had its time. Every replica may: each takes what no other is at."""
    while True:
        try:
            gone = await retention.forget(services.database, services.settings, now())
            if gone.total():
                logger.info("forgotten", **gone)
            for kind, number in gone.items():
                FORGOTTEN.labels(kind).inc(number)
        except SQLAlchemyError as error:
            logger.warning("forgetting_failed", reason=type(error).__name__)
        await asyncio.sleep(_FORGET_SECONDS)
