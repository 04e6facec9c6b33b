"""What breaks, when: drawn from a seed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import httpx
import psycopg

from deploy.local import Cluster
from kit.clock import now
from kit.settings import LOOPBACK

SERVICES = ("api", "rasa", "actions", "knowledge_base", "postgres")


@dataclass(frozen=True)
class Fault:
    """One process is killed, or stopped for some seconds.

    Attributes:
        after: seconds since the fault before it.
    """

    after: float
    service: str
    how: Literal["kill", "stop"]
    seconds: float

    def __str__(self) -> str:
        return f"{self.how} {self.service}" + (f" for {self.seconds:.0f} s" if self.how == "stop" else "")


@dataclass
class Struck:
    """What was broken, and for how long.

    Attributes:
        name: of the replica.
        back: when it served again; None where it did not before the end.
    """

    fault: Fault
    name: str
    at: datetime
    back: datetime | None = None

    @property
    def seconds(self) -> float:
        """From the fault until it served again."""
        return (self.back - self.at).total_seconds() if self.back is not None else float("inf")


def plan(chance: random.Random, count: int, gap: float, longest: float) -> list[Fault]:
    """Faults in order; each service gets its share. A third are processes that hang and come back, the others are killed.

    Args:
        gap: seconds between two, mean.
        longest: seconds that a process is stopped.
    """
    services = [
        service for _ in range(-(-count // len(SERVICES))) for service in chance.sample(SERVICES, len(SERVICES))
    ]
    stopped = set(chance.sample(range(count), -(-count // 3)))
    return [
        Fault(
            chance.uniform(0.5, 1.5) * gap,
            service,
            "stop" if number in stopped else "kill",
            chance.uniform(longest / 6, longest),
        )
        for number, service in enumerate(services[:count])
    ]


async def strike(
    cluster: Cluster, faults: Sequence[Fault], chance: random.Random, tell: Callable[[str], None]
) -> list[Struck]:
    """Breaks things as planned; whoever was stopped goes on in the end.

    Args:
        tell: takes a line for each.
    Returns:
        what was broken when, once all of it serves again.
    """
    began = time.monotonic()
    struck: list[Struck] = []
    coming: list[asyncio.Task[None]] = []
    for fault in faults:
        await asyncio.sleep(fault.after)
        name = await _victim(cluster, fault.service, chance)
        struck.append(Struck(fault, name, now()))
        cluster.signal(name, signal.SIGKILL if fault.how == "kill" else signal.SIGSTOP)
        coming.append(asyncio.create_task(_until_back(cluster, struck[-1])))
        tell(f"{time.monotonic() - began:5.0f} s  {fault} ({name})")
    await asyncio.gather(*coming)
    return struck


async def _until_back(cluster: Cluster, struck: Struck) -> None:
    """Waits until the replica serves again; wakes it where it was stopped."""
    if struck.fault.how == "stop":
        await asyncio.sleep(struck.fault.seconds)
        cluster.signal(struck.name, signal.SIGCONT)
    while struck.back is None:
        if await _serves(cluster, struck.name):
            struck.back = now()
        await asyncio.sleep(0.1)


async def _serves(cluster: Cluster, name: str) -> bool:
    process = cluster.processes[name]
    if not process.ready_path:
        with contextlib.suppress(psycopg.OperationalError):
            async with await psycopg.AsyncConnection.connect(cluster.url, connect_timeout=2):
                return True
        return False
    with contextlib.suppress(httpx.HTTPError):
        async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
            return (await http.get(f"http://{LOOPBACK}:{process.port}{process.ready_path}")).status_code == 200
    return False


async def _victim(cluster: Cluster, service: str, chance: random.Random) -> str:
    """A replica that runs now; waits where none does."""
    while True:
        running = [name for name in _replicas(cluster, service) if cluster.pids(name)]
        if running:
            return chance.choice(running)
        await asyncio.sleep(0.2)


def _replicas(cluster: Cluster, service: str) -> Iterable[str]:
    return (name for name in cluster.processes if name == service or name.startswith(f"{service}-"))
