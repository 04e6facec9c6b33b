"""`kotae up`: prepares, starts, watches and stops the whole stack."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from rich.panel import Panel
from rich.progress import Progress
from rich.table import Table

from cli import logs, prepare, processes
from cli.output import notes, screen
from cli.prepare import Login
from cli.processes import Process
from kit import postgres, production
from kit.company import Company, load_company
from kit.errors import Unavailable
from kit.settings import Settings

_LOOK_SECONDS = 1.0
"""How often it is looked whether the database runs."""


def up(settings: Settings) -> None:
    """Runs the stack until it is told to stop.

    Raises:
        KotaeError: it could not be started; what had been started is stopped again.
    """
    production.check(settings)
    company = load_company(settings.company)
    processes.check_ports(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with postgres.running(settings) as url:
        asyncio.run(_run(settings, company, url, began))


def only_prepare(settings: Settings) -> None:
    """Does everything that `up` does before starting, and stops there."""
    production.check(settings)
    company = load_company(settings.company)
    settings.home.mkdir(parents=True, exist_ok=True)
    with postgres.running(settings) as url:
        asyncio.run(_prepare_only(settings, company, url))


async def _prepare_only(settings: Settings, company: Company, url: str) -> None:
    with prepare.progress() as show:
        prepare.database(url, show)
        await prepare.people(settings, company, url, show)
        made = processes.stack(settings, url, Path())["knowledge_base"]
        await prepare.index_apart(made.environment, show)
        if prepare.model(settings).exists():
            return
        try:
            await _start([made], settings.logs_dir, show)
            await prepare.trained(settings, show)
        finally:
            await made.stop()


async def _run(settings: Settings, company: Company, url: str, began: float) -> None:
    stop = _stop_signals()
    stack = processes.stack(settings, url, prepare.model(settings))
    starting = asyncio.create_task(_prepare_and_start(settings, company, url, stack))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        logins = starting.result()
        _announce(settings, company, logins, time.monotonic() - began)
        watchers = [asyncio.create_task(processes.watch(process, settings.logs_dir)) for process in stack.values()]
        watchers.append(asyncio.create_task(_watch_database(settings)))
        watchers.append(asyncio.create_task(logs.keep(settings)))
        await stopping
        for watcher in watchers:
            watcher.cancel()
    finally:
        stopping.cancel()
        notes.print("Stopping …")
        for name in ("api", "rasa", "actions", "knowledge_base"):
            await stack[name].stop()


async def _watch_database(settings: Settings) -> None:
    """Starts the embedded PostgreSQL again whenever it ends."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            if await asyncio.to_thread(postgres.revive, settings):
                notes.print("PostgreSQL had ended and runs again.")
        except Unavailable as error:
            notes.print(str(error), markup=False)


async def _prepare_and_start(settings: Settings, company: Company, url: str, stack: dict[str, Process]) -> list[Login]:
    with prepare.progress() as show:
        prepare.database(url, show)
        logins = await prepare.people(settings, company, url, show)
        indexing = asyncio.create_task(prepare.index_apart(stack["knowledge_base"].environment, show))
        try:
            await _start_all(settings, stack, indexing, show)
        finally:
            indexing.cancel()
            await asyncio.gather(indexing, return_exceptions=True)
    return logins


async def _start_all(
    settings: Settings, stack: dict[str, Process], indexing: asyncio.Task[None], show: Progress
) -> None:
    """Starts the processes beside the building of the index; where the bot must be trained, that and what it needs come first."""
    first = [] if prepare.model(settings).exists() else ["knowledge_base"]
    if first:
        await indexing
        await _start([stack["knowledge_base"]], settings.logs_dir, show)
        await prepare.trained(settings, show)
    await _start([stack[name] for name in stack if name not in first], settings.logs_dir, show, indexing)


async def _start(made: list[Process], logs: Path, show: Progress, indexing: asyncio.Task[None] | None = None) -> None:
    """Starts processes at once and waits for all: loading overlaps, and each retries what is not there yet.

    Args:
        indexing: the building of the index, without which the knowledge base is not ready.
    """

    async def one(process: Process) -> None:
        task = show.add_task(f"Process {process.name}", total=None, detail="starting")
        await process.start(logs)
        if process.name == "knowledge_base" and indexing is not None:
            await indexing
        await process.until_ready(logs)
        show.update(task, total=1, completed=1, detail=f"ready on port {process.port}")

    results = await asyncio.gather(*(one(process) for process in made), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _announce(settings: Settings, company: Company, logins: list[Login], seconds: float) -> None:
    table = Table.grid(padding=(0, 2))
    site = settings.site_url
    if settings.mode == "development":
        table.add_row("Website with the chat", f"[link={site}/demo/]{site}/demo/[/link]")
    table.add_row("CSM console", f"[link={site}/console]{site}/console[/link]")
    table.add_row("Interface", f"{site}/openapi.json")
    for login in logins:
        table.add_row(f"Console log-in ({login.role})", f"{login.email}   {login.password}")
    table.add_row("Logs", str(settings.logs_dir))
    screen.print(Panel(table, title=f"Kotae for {company.name}: running after {seconds:.0f} s", expand=False))
    if settings.mode == "development" and (company.folder / "accounts.yml").exists():
        screen.print(
            "Three things to try:\n"
            "  1. On the website, ask “How many runs do I have left?”, sign in as somebody, and ask again.\n"
            "  2. Sign in as somebody of an at-risk account and write “Cancel my subscription”.\n"
            "  3. In the console, claim that conversation and answer; the website shows it at once.\n"
        )
    screen.print("Ctrl-C stops everything.")
