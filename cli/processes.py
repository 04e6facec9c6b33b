"""Kotae's processes: started in order, watched, stopped together.

Own code, because the process managers at hand either start everything at once (honcho) or bring a daemon with a
configuration language of its own (supervisor, circus); see docs/decisions/process-supervisor.md.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn

import httpx

from kit import postgres
from kit.company import load_company
from kit.errors import Unavailable, UserError
from kit.settings import LOOPBACK, ROOT, Settings
from migrations import upgrade

_ON_TABLES = ("api", "actions")
"""Those that read and write our tables."""
_STOP_SECONDS = 15.0
"""For finishing what is under way: a front door may hold turns for their budget and write them down after it."""
_LOCK_SECONDS = 10
"""How long a conversation's lock in Redis holds: as long as a turn's lease, so that a Rasa that died holds nobody up for longer."""
_QUICK_DEATH_SECONDS = 5.0
_MAX_BACK_OFF_SECONDS = 30.0
LOOK_SECONDS, MISSES = 5.0, 6
"""A process that has answered and then, asked so often, leaves each question unanswered for so long never will: after a minute. Questions are
counted and not time, which also passes while this process is stopped itself."""


@dataclass
class Process:
    """One process of the stack.

    Attributes:
        name: as in docs/architecture.md.
        command: what is run, from the checkout.
        port: it listens on.
        ready_path: answers 200 when it can serve.
        environment: beside this process's own.
        seconds: it may take to be ready.
        user: it runs as; this process's own where None.
        alive_path: answers something, whatever it is, as long as the process is not stuck; None: that cannot be asked.
    """

    name: str
    command: list[str]
    port: int
    ready_path: str
    environment: Mapping[str, str]
    seconds: float = 90
    user: str | None = None
    alive_path: str | None = None
    handle: asyncio.subprocess.Process | None = field(default=None, repr=False)
    restarts: int = 0

    async def start(self, logs: Path) -> None:
        """Starts it, with its output appended to a file of its name."""
        with self._open_log(logs) as log:
            self.handle = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                user=self.user,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the others in order
            )

    async def until_ready(self, logs: Path) -> None:
        """Waits until it serves.

        Raises:
            Unavailable: it ended, or took too long.
        """
        deadline = asyncio.get_running_loop().time() + self.seconds
        async with httpx.AsyncClient(trust_env=False) as client:
            while asyncio.get_running_loop().time() < deadline:
                if self.handle is not None and self.handle.returncode is not None:
                    raise Unavailable(f"{self.name} ended while starting ({self._last_line(logs)})", self._where(logs))
                try:
                    answer = await client.get(f"http://{LOOPBACK}:{self.port}{self.ready_path}", timeout=2)
                    if answer.status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)
        raise Unavailable(f"{self.name} was not ready within {self.seconds:.0f} s", self._where(logs))

    async def stop(self) -> None:
        """Asks it to end; after a while, makes it. Its own children go with it."""
        if self.handle is None or self.handle.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.handle.wait(), _STOP_SECONDS)
        except TimeoutError:
            self.kill()
            await self.handle.wait()

    def kill(self) -> None:
        """Ends it with its children, whatever it is at."""
        self._signal(signal.SIGKILL)

    async def until_it_hangs(self) -> None:
        """Waits until it has answered once and then `MISSES` times not."""
        misses: int | None = None
        async with httpx.AsyncClient(trust_env=False) as client:
            while misses is None or misses < MISSES:
                try:
                    await client.get(f"http://{LOOPBACK}:{self.port}{self.alive_path}", timeout=LOOK_SECONDS)
                    misses = 0
                except httpx.HTTPError:
                    misses = None if misses is None else misses + 1
                await asyncio.sleep(LOOK_SECONDS)

    def _open_log(self, logs: Path) -> BinaryIO:
        logs.mkdir(parents=True, exist_ok=True)
        return self.log(logs).open("ab")

    def _signal(self, number: signal.Signals) -> None:
        if self.handle is not None:
            try:
                os.killpg(self.handle.pid, number)
            except ProcessLookupError:
                return

    def log(self, logs: Path) -> Path:
        """The file its output goes to."""
        return logs / f"{self.name}.log"

    def _where(self, logs: Path) -> str:
        return f"read {self.log(logs)}"

    def _last_line(self, logs: Path) -> str:
        lines = self.log(logs).read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"


def stack(settings: Settings, url: str, model: Path) -> dict[str, Process]:
    """The processes of one machine, by name.

    Args:
        url: of the database.
        model: the trained Rasa model.
    """
    common = {
        "DATABASE_URL": url,
        "KOTAE_MODE": settings.mode,
        "KOTAE_HOME": str(settings.home),
        "KOTAE_COMPANY": str(settings.company),
        "KOTAE_API_HOST": settings.api_host,
        "KOTAE_API_PORT": str(settings.api_port),
        "KOTAE_RASA_PORT": str(settings.rasa_port),
        "KOTAE_ACTIONS_PORT": str(settings.actions_port),
        "KOTAE_KNOWLEDGE_BASE_PORT": str(settings.knowledge_base_port),
        "KOTAE_SECRET_KEY": settings.signing_key,
        **({"KOTAE_IDENTITY_SECRET": settings.identity_key} if settings.identity_key else {}),
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(settings.threads),
    }
    if settings.index is not None:
        common["KOTAE_INDEX"] = str(settings.index)
    python = sys.executable
    made = [
        knowledge_base(settings, common),
        Process("actions", [python, "-m", "actions"], settings.actions_port, "/readyz", common, alive_path="/health"),
        Process(
            "rasa",
            rasa_command(settings, model),
            settings.rasa_port,
            "/webhooks/kotae/readyz",
            {**rasa_env(settings, url), "KOTAE_CONTENT": str(load_company(settings.company).content_dir)},
            alive_path="/",
        ),
        Process("api", [python, "-m", "api"], settings.api_port, "/healthz", common, alive_path="/healthz"),
    ]
    return {process.name: process for process in made}


def knowledge_base(settings: Settings, environment: Mapping[str, str]) -> Process:
    """The process with the encoder and the index."""
    command = [sys.executable, "-m", "knowledge_base"]
    port = settings.knowledge_base_port
    return Process("knowledge_base", command, port, "/readyz", environment, alive_path="/healthz")


def bot_python() -> Path:
    """The Python of Rasa's environment.

    Raises:
        Unavailable: the environment is not there.
    """
    python = ROOT / ".venv-bot" / "bin" / "python"
    if not python.exists():
        raise Unavailable("Rasa's environment .venv-bot is missing", "run make setup")
    return python


def rasa_command(settings: Settings, model: Path) -> list[str]:
    """How Rasa is served."""
    endpoints = "bot/endpoints.yml" if settings.redis_host is None else "deploy/endpoints.yml"
    words = ["-m", "bot.serve", "run", "--model", str(model), "--endpoints", endpoints]
    words += [
        "--credentials",
        "bot/credentials.yml",
        "--interface",
        settings.internal_host,
        "--port",
        str(settings.rasa_port),
    ]
    return [str(bot_python()), *words]


def rasa_env(settings: Settings, url: str | None = None) -> dict[str, str]:
    """What Rasa's process is told."""
    made = {
        "PYTHONPATH": str(ROOT),
        "RASA_TELEMETRY_ENABLED": "false",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "OMP_NUM_THREADS": str(settings.threads),
        "SANIC_ACCESS_LOG": "false",
        "KOTAE_ACTIONS_URL": f"{settings.actions_url}/webhook",
        "KOTAE_KNOWLEDGE_BASE_URL": settings.knowledge_base_url,
        "KOTAE_SECRET_KEY": settings.signing_key,
        "KOTAE_LOG_FORMAT": settings.log_format,
    }
    if settings.redis_host is not None:
        made |= {"KOTAE_REDIS_HOST": settings.redis_host, "KOTAE_REDIS_PORT": str(settings.redis_port)}
        made["TICKET_LOCK_LIFETIME"] = str(_LOCK_SECONDS)
    return made if url is None else {**made, "KOTAE_TRACKER_URL": url}


def check_ports(settings: Settings) -> None:
    """Makes sure that nobody listens where Kotae will.

    Raises:
        UserError: names the port and the setting that changes it.
    """
    ports = ("api_port", "rasa_port", "actions_port", "knowledge_base_port")
    for name in ports:
        port = getattr(settings, name)
        host = settings.api_host if name == "api_port" else LOOPBACK
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise UserError(
                    f"port {port} of {host} cannot be used ({(error.strerror or 'no reason given').lower()})",
                    f"end what listens there, or set KOTAE_{name.upper()}",
                ) from None


def serve(settings: Settings, name: str) -> NoReturn:
    """Becomes one process of the stack, in the foreground: for containers and supervisors other than `kotae up`.

    Args:
        name: as in docs/architecture.md.
    Raises:
        Unavailable: the database is not named, not there or of an older version, or there is no trained bot.
    """
    if settings.database_url is None:
        raise Unavailable("DATABASE_URL is not set", "processes that run by themselves need a PostgreSQL server")
    if name in _ON_TABLES:
        with postgres.running(settings) as url:
            upgrade.check(url)
    model = next(iter(sorted(settings.models_dir.glob("kotae-*.tar.gz"))), None)
    if name == "rasa" and model is None:
        raise Unavailable(f"there is no trained bot in {settings.models_dir}", "run `kotae prepare` first")
    process = stack(settings, settings.database_url.get_secret_value(), model or Path())[name]
    os.chdir(ROOT)
    os.execve(process.command[0], process.command, {**os.environ, **process.environment})  # noqa: S606  # no shell is wanted


async def watch(process: Process, logs: Path) -> None:
    """Starts a process again whenever it ends or hangs, waiting longer each time it ends at once."""
    wait = 0.5
    while True:
        if process.handle is None:
            return
        began = asyncio.get_running_loop().time()
        await _over(process, process.handle)
        lived = asyncio.get_running_loop().time() - began
        wait = 0.5 if lived > _QUICK_DEATH_SECONDS else min(wait * 2, _MAX_BACK_OFF_SECONDS)
        await asyncio.sleep(wait)
        process.restarts += 1
        await process.start(logs)


async def _over(process: Process, handle: asyncio.subprocess.Process) -> None:
    """Waits until a process has ended; one that hangs is ended."""
    ended = asyncio.create_task(handle.wait())
    hanging = asyncio.create_task(
        process.until_it_hangs() if process.alive_path is not None else asyncio.Event().wait()
    )
    try:
        await asyncio.wait([ended, hanging], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            process.kill()
        await ended
    finally:
        for task in (ended, hanging):
            task.cancel()
