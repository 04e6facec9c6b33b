"""`python -m deploy.local`: two of each process behind HAProxy, with PostgreSQL and Redis as servers, on this machine.

The shape of compose.yml and kubernetes.yml, where it can be tried: the same HAProxy configuration, the same endpoints of
Rasa, each replica a process of its own that is started again when it ends. The processes find each other through
HAProxy, which listens on the ports of the settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from cli import prepare, processes
from cli.output import screen
from cli.processes import Process
from kit import postgres
from kit.company import load_company
from kit.errors import KotaeError, Unavailable
from kit.settings import LOOPBACK, Settings, load_settings

FOLDER = Path(__file__).parent
SERVICES = ("knowledge_base", "actions", "rasa", "api")
_SERVER_SECONDS = 30.0
_PACKAGES = {"haproxy": "haproxy", "redis-server": "redis-server"}


@dataclass
class Cluster:
    """Running replicas.

    Attributes:
        settings: with the ports HAProxy listens on.
        url: of the database.
        processes: by name, `api-1` and so on, and `postgres`, `redis`, `haproxy`.
    """

    settings: Settings
    url: str
    processes: dict[str, Process] = field(default_factory=dict)
    watchers: list[asyncio.Task[None]] = field(default_factory=list)

    def pids(self, name: str) -> list[int]:
        """Process ids of one of them with its children, itself first; none while it does not run."""
        handle = self.processes[name].handle
        if handle is None or handle.returncode is not None:
            return []
        try:
            return [handle.pid, *(child.pid for child in psutil.Process(handle.pid).children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Sends a signal to one of them and all its children.

        Returns:
            whether it ran.
        """
        found = self.pids(name)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(found)


@asynccontextmanager
async def running(
    settings: Settings, replicas: Mapping[str, int] | None = None, extra: Mapping[str, str] | None = None
) -> AsyncIterator[Cluster]:
    """The replicas, ready, watched while the block lasts, and stopped after it.

    Args:
        settings: of the installation; HAProxy takes its ports.
        replicas: how many of a service, one or two; two where it is not named.
        extra: environment of every process.
    Raises:
        KotaeError: something did not start.
    """
    counts = dict.fromkeys(SERVICES, 2) | dict(replicas or {})
    cluster = Cluster(settings, "")
    try:
        await _servers(cluster)
        await _prepared(settings, cluster.url)
        await _started(cluster, counts, dict(extra or {}))
        cluster.watchers = [
            asyncio.create_task(processes.watch(process, settings.logs_dir)) for process in cluster.processes.values()
        ]
        yield cluster
    finally:
        for watcher in cluster.watchers:
            watcher.cancel()
        await asyncio.gather(*cluster.watchers, return_exceptions=True)
        await _stopped(cluster)


async def _stopped(cluster: Cluster) -> None:
    """Stops all in the order in which nothing is missed: the front door first, the database last."""
    order = sorted(cluster.processes, key=lambda name: ("postgres" in name, "redis" in name, "api" not in name))
    for name in order:
        cluster.signal(name, signal.SIGCONT)
        await cluster.processes[name].stop()


async def _servers(cluster: Cluster) -> None:
    """PostgreSQL and Redis, each on a port of its own."""
    settings = cluster.settings
    settings.home.mkdir(parents=True, exist_ok=True)
    with postgres.running(settings):  # makes the cluster's folder and the database, and stops again
        pass
    postgres_port, redis_port = _free_ports(2)
    data = settings.home / "postgres"
    cluster.processes["postgres"] = Process(
        "postgres", postgres.command(data, LOOPBACK, postgres_port), postgres_port, "", {}, user=postgres.user()
    )
    words = [
        need("redis-server"),
        "--bind",
        LOOPBACK,
        "--port",
        str(redis_port),
        "--save",
        "",
        "--dir",
        str(settings.home),
    ]
    cluster.processes["redis"] = Process("redis", words, redis_port, "", {})
    for name in ("postgres", "redis"):
        await cluster.processes[name].start(settings.logs_dir)
        await _listens(cluster.processes[name], settings.logs_dir)
    cluster.url = f"postgresql://postgres@{LOOPBACK}:{postgres_port}/{postgres.NAME}"
    await _answers(cluster.url)


async def _prepared(settings: Settings, url: str) -> None:
    """Tables, sample data, index; the model must be there, for training needs the stack."""
    company = load_company(settings.company)
    if not prepare.model(settings).exists():
        raise Unavailable(f"there is no trained bot in {settings.models_dir}", "run `kotae prepare` first")
    with prepare.progress() as show:
        await asyncio.to_thread(prepare.database, url, show)
        await prepare.people(settings, company, url, show)
        await asyncio.to_thread(prepare.index, settings, company, show)


async def _started(cluster: Cluster, counts: Mapping[str, int], extra: dict[str, str]) -> None:
    settings = cluster.settings
    extra |= {
        "KOTAE_PUBLIC_URL": settings.site_url,
    }
    front: dict[str, str] = {}
    for service in SERVICES:
        ports = _free_ports(counts[service])
        for number, port in enumerate(ports, 1):
            made = _replica(cluster, service, number, port, extra)
            cluster.processes[made.name] = made
            front[f"KOTAE_{service.upper()}_{number}"] = f"{LOOPBACK}:{port}"
        front[f"KOTAE_{service.upper()}_2"] = f"{LOOPBACK}:{ports[-1]}"
        front[f"KOTAE_FRONT_{service.upper()}"] = f"{LOOPBACK}:{getattr(settings, f'{service}_port')}"
    command = [need("haproxy"), "-db", "-f", str(FOLDER / "haproxy.cfg")]
    cluster.processes["haproxy"] = Process("haproxy", command, settings.api_port, "/healthz", front)
    fresh = [process for name, process in cluster.processes.items() if name not in ("postgres", "redis")]
    for process in fresh:
        await process.start(settings.logs_dir)
    await asyncio.gather(*(process.until_ready(settings.logs_dir) for process in fresh))


def _replica(cluster: Cluster, service: str, number: int, port: int, extra: Mapping[str, str]) -> Process:
    """One replica on its own port, which finds the others where the settings say: at HAProxy."""
    redis = {"redis_host": LOOPBACK, "redis_port": cluster.processes["redis"].port}
    own = cluster.settings.model_copy(update={f"{service}_port": port, **redis})
    made = processes.stack(own, cluster.url, prepare.model(own))[service]
    made.name = f"{service}-{number}"
    made.environment = {**made.environment, **extra}
    return made


async def _listens(process: Process, logs: Path) -> None:
    """Waits until something listens on the port."""
    deadline = asyncio.get_running_loop().time() + _SERVER_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, process.port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise Unavailable(f"{process.name} does not listen on port {process.port}", f"read {process.log(logs)}")


async def _answers(url: str) -> None:
    """Waits until PostgreSQL takes connections."""
    deadline = asyncio.get_running_loop().time() + _SERVER_SECONDS
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=2):
                return
        except psycopg.OperationalError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((LOOPBACK, 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def need(program: str) -> str:
    """The path of a server's program; installed from Debian's package where it is missing and that can be done.

    Raises:
        Unavailable: it is not there and cannot be installed.
    """
    package = _PACKAGES[program]
    if _found(program) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", package]):
            subprocess.run(["apt-get", *words], check=False, capture_output=True, timeout=600, env=environment)
    found = _found(program)
    if found is None:
        raise Unavailable(f"there is no {program}", f"install Debian's package {package}")
    return found


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


async def _main() -> None:
    settings = load_settings()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings) as cluster:
        screen.print(f"{settings.site_url}: {', '.join(cluster.processes)}. Ctrl-C stops everything.")
        await stop.wait()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except KotaeError as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)
