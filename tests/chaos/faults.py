"""What breaks, when: drawn from a seed."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.local import Cluster

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


async def strike(cluster: Cluster, faults: Sequence[Fault], chance: random.Random, tell: Callable[[str], None]) -> None:
    """Breaks things as planned; whoever was stopped goes on in the end.

    Args:
        tell: takes a line for each.
    """
    began = time.monotonic()
    waking: list[asyncio.Task[None]] = []
    for fault in faults:
        await asyncio.sleep(fault.after)
        name = await _victim(cluster, fault.service, chance)
        if fault.how == "kill":
            cluster.signal(name, signal.SIGKILL)
        else:
            cluster.signal(name, signal.SIGSTOP)
            waking.append(asyncio.create_task(_wake(cluster, name, fault.seconds)))
        tell(f"{time.monotonic() - began:5.0f} s  {fault} ({name})")
    await asyncio.gather(*waking)


async def _victim(cluster: Cluster, service: str, chance: random.Random) -> str:
    """A replica that runs now; waits where none does."""
    while True:
        running = [name for name in _replicas(cluster, service) if cluster.pids(name)]
        if running:
            return chance.choice(running)
        await asyncio.sleep(0.2)


def _replicas(cluster: Cluster, service: str) -> Iterable[str]:
    return (name for name in cluster.processes if name == service or name.startswith(f"{service}-"))


async def _wake(cluster: Cluster, name: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    cluster.signal(name, signal.SIGCONT)
