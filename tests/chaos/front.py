"""A front door that is a process of its own, on a database server of its own whose disk is small."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from cli.processes import Process
from kit import postgres
from kit.settings import ROOT, load_settings
from migrations.upgrade import upgrade
from tests.support import free_ports

DISK_MB = 160
GUEST = "kotae_guest"
"""The role the front door signs in as: not the owner of the server, so that limits hold for it."""
SMALL = ["--max_wal_size=48MB", "--min_wal_size=32MB", "--max_connections=40"]


@dataclass
class Server:
    """PostgreSQL on a file system of its own.

    Attributes:
        disk: where it is mounted.
        admin: URL of its owner.
        url: URL of the guest.
    """

    disk: Path
    admin: str
    url: str
    process: Process
    logs: Path

    def run(self, statement: str) -> None:
        """A statement of the owner."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(statement)  # no values of others are in it

    def freeze(self) -> None:
        """Stops it where it is, with all its processes: it closes nothing and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it as a crash of the machine would, but for what the system has still to write to the disk."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process.handle is not None
        parent = psutil.Process(self.process.handle.pid)
        for each in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    async def becomes_standby(self) -> None:
        """It is started again as a standby, which is in recovery until it is promoted."""
        await self.process.stop()
        mark = self.disk / "postgres" / "standby.signal"
        mark.touch()
        shutil.chown(mark, postgres.user())
        await self.until_up()

    def disconnect(self) -> None:
        """Ends every connection of the guest."""
        self.run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{GUEST}'")  # noqa: S608  # a constant

    async def until_up(self) -> None:
        """Waits until it takes connections; starts it again where it ended."""
        async with asyncio.timeout(60):
            while True:
                handle = self.process.handle
                if handle is None or handle.returncode is not None:
                    await self.process.start(self.logs)
                with contextlib.suppress(psycopg.OperationalError):
                    async with await psycopg.AsyncConnection.connect(self.admin, connect_timeout=2):
                        return
                await asyncio.sleep(0.2)


@asynccontextmanager
async def small_server(folder: Path) -> AsyncIterator[Server]:
    """The server, on a disk of `DISK_MB`. Needs root, as mounting does."""
    disk = folder / "disk"
    disk.mkdir()
    assert os.geteuid() == 0, "mounting a small file system needs root: run the tests in a container as root"
    await asyncio.to_thread(_run, "mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk))
    try:
        with postgres.running(load_settings(home=disk)):
            pass
        (port,) = free_ports(1)
        command = [*postgres.command(disk / "postgres", "127.0.0.1", port), *SMALL]
        process = Process("postgres", command, port, "", {}, user=postgres.user())
        admin = f"postgresql://postgres@127.0.0.1:{port}/{postgres.NAME}"
        server = Server(disk, admin, admin.replace("postgres@", f"{GUEST}@"), process, folder / "logs")
        await server.until_up()
        try:
            server.run(f"CREATE ROLE {GUEST} LOGIN")
            server.run(f"GRANT ALL ON DATABASE {postgres.NAME} TO {GUEST}")
            server.run(f"GRANT ALL ON SCHEMA public TO {GUEST}")
            await asyncio.to_thread(upgrade, server.url)
            yield server
        finally:
            await process.stop()
    finally:
        await asyncio.to_thread(_run, "umount", str(disk))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Waits for something to become so."""
    async with asyncio.timeout(seconds):
        while True:
            if await true():
                return
            await asyncio.sleep(0.05)


@dataclass
class Front:
    """A running front door, and one conversation to talk in."""

    url: str
    process: subprocess.Popen[bytes]
    http: httpx.AsyncClient
    log: Path
    conversations: dict[str, str] = field(default_factory=dict)

    async def open(self) -> str:
        """A conversation of a visitor; its id."""
        answer = await self.http.post("/v1/conversations", json={"lang": "en"})
        answer.raise_for_status()
        made = answer.json()
        self.conversations[made["conversation_id"]] = made["token"]
        return str(made["conversation_id"])

    async def say(self, conversation: str, client_id: str, text: str = "hello") -> httpx.Response:
        """One message, whatever is answered."""
        path = f"/v1/conversations/{conversation}/messages"
        return await self.http.post(path, json={"client_id": client_id, "text": text}, headers=self.proof(conversation))

    async def read(self, conversation: str) -> list[dict[str, Any]]:
        """The log; asked for again where the service says that it is away, as its clients do."""
        path = f"/v1/conversations/{conversation}/messages"
        async with asyncio.timeout(30):
            while True:
                answer = await self.http.get(path, headers=self.proof(conversation))
                if answer.status_code != 503:
                    answer.raise_for_status()
                    return list(answer.json()["messages"])
                await asyncio.sleep(0.1)

    def proof(self, conversation: str) -> dict[str, str]:
        """Headers of the conversation's owner."""
        return {"Authorization": f"Bearer {self.conversations[conversation]}"}

    def stop(self) -> int:
        """Asks it to end; gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@asynccontextmanager
async def front(url: str, folder: Path, **settings: str) -> AsyncIterator[Front]:
    """`python -m api` on a database.

    Args:
        url: of the database, in its newest form.
        settings: environment beside the defaults.
    """
    (port,) = free_ports(1)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KOTAE_")}
    environment |= {"DATABASE_URL": url, "KOTAE_HOME": str(folder), "KOTAE_API_PORT": str(port), **settings}
    log = folder / f"api-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220  # forks at once; waited for below
            [sys.executable, "-m", "api"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            async with asyncio.timeout(60):
                while process.poll() is None:
                    with contextlib.suppress(httpx.HTTPError):
                        if (await http.get("/healthz")).status_code == 200:
                            break
                    await asyncio.sleep(0.1)
            assert process.poll() is None, log.read_text()[-2000:]
            yield Front(f"http://127.0.0.1:{port}", process, http, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
