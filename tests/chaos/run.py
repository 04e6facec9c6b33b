"""The kill test: steady traffic, processes that die and hang at random moments, and then the question what was kept."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
from sqlalchemy import text

from deploy import local
from deploy.local import Cluster
from kit.database import Database
from kit.settings import ROOT, Settings, load_settings
from tests.chaos import faults, reasons, verdict
from tests.chaos.colleagues import Colleague
from tests.chaos.customers import Customer, Kind
from tests.chaos.receiver import Receiver
from tests.chaos.verdict import Verdict
from tests.support import free_ports

WHO: tuple[tuple[Kind, str | None, str | None], ...] = (
    ("asker", None, None),
    ("asker", "acme-starter", "acme-amy"),
    ("wisher", None, None),
    ("asker", "acme-starter", "acme-ben"),
    ("leaver", "borealis-business", "borealis-bea"),
    ("wisher", "acme-starter", "acme-amy"),
    ("asker", None, None),
    ("watched", "cedar-enterprise", "cedar-frank"),
)
CSMS = ("hana@orimono.example", "daniel@orimono.example")
READY_SECONDS, DELIVERED_SECONDS, LEAVE_SECONDS = 180.0, 90.0, 300.0


@dataclass(frozen=True)
class Size:
    """How hard it is tried.

    Attributes:
        conversations: at the same time.
        strikes: processes killed or stopped.
        gap: seconds between two of them, mean.
        longest: seconds that a process is stopped at most.
        pace: seconds between two messages of a customer, mean.
        replicas: of a service, where not two.
    """

    conversations: int
    strikes: int
    gap: float
    longest: float
    pace: float
    replicas: dict[str, int]


async def run(size: Size, seed: int, home: Path, tell: Callable[[str], None]) -> Verdict:
    """Starts everything, breaks it, and judges.

    Args:
        seed: of every random choice.
        home: an empty folder.
        tell: takes lines for people.
    """
    chance = random.Random(seed)
    async with Receiver() as receiver:
        settings = _settings(home)
        extra = {
            "KOTAE_WEBHOOK_URL": f"{receiver.url}/hook",
            "KOTAE_WEBHOOK_SECRET": "a secret of the kill test, long enough",
            "KOTAE_SLACK_WEBHOOK_URL": f"{receiver.url}/slack",
            "KOTAE_WEBHOOK_PRIVATE_NETWORKS": "true",  # the receiver is on loopback
            "KOTAE_LOG_FORMAT": "json",  # the verdict reads in it why a turn failed
        }
        began = time.monotonic()
        async with local.running(settings, size.replicas, extra) as cluster:
            tell(f"running after {time.monotonic() - began:.0f} s: {', '.join(cluster.processes)}")
            database = Database(cluster.url)
            try:
                return await _through(cluster, database, receiver, size, chance, tell)
            finally:
                await database.close()


async def _through(
    cluster: Cluster,
    database: Database,
    receiver: Receiver,
    size: Size,
    chance: random.Random,
    tell: Callable[[str], None],
) -> Verdict:
    calm = asyncio.Event()
    customers = [_customer(cluster.settings, number, size.pace, chance) for number in range(size.conversations)]
    colleagues = [Colleague(database, email, random.Random(chance.random())) for email in CSMS]
    at_work = [asyncio.create_task(one.run(calm)) for one in customers]
    helping = [asyncio.create_task(one.run(calm)) for one in colleagues]
    try:
        struck = await faults.strike(cluster, faults.plan(chance, size.strikes, size.gap, size.longest), chance, tell)
        began = time.monotonic()
        await _ready(cluster.settings)
        tell(f"everything is ready again {time.monotonic() - began:.0f} s later")
        calm.set()
        async with asyncio.timeout(LEAVE_SECONDS):
            await asyncio.gather(*helping)
            ended = await asyncio.gather(*at_work, return_exceptions=True)
        for customer, outcome in zip(customers, ended, strict=True):
            if outcome is not None:
                customer.faults.append(f"stuck: {outcome!r}")
        await _delivered(database)
        found = await verdict.judge(database, customers, colleagues, receiver)
        found.worst = reasons.of_the_longest_silence(struck, customers)
        found.back = reasons.times_to_return(struck)
        found.failures = await reasons.of_failures(
            database, cluster.settings.logs_dir, struck, [c.id for c in customers]
        )
        return found
    finally:
        for task in (*at_work, *helping):
            task.cancel()
        await asyncio.gather(*at_work, *helping, return_exceptions=True)


def _settings(home: Path) -> Settings:
    """An installation of its own, with the bot and the index that are there already."""
    for name in ("models", "index"):
        shutil.copytree(ROOT / ".kotae" / name, home / name, symlinks=True)
    names = ("api_port", "rasa_port", "actions_port", "knowledge_base_port")
    return load_settings(home=home, **dict(zip(names, free_ports(4), strict=True)))


def _customer(settings: Settings, number: int, pace: float, chance: random.Random) -> Customer:
    kind, account, person = WHO[number % len(WHO)]
    identity = None
    if account is not None:
        until = datetime.now(UTC) + timedelta(hours=2)
        claims = {"sub": person, "account_id": account, "aud": settings.identity_audience, "exp": until}
        identity = jwt.encode(claims, settings.identity_key, "HS256")
    return Customer(settings.site_url, kind, identity, random.Random(chance.random()), pace)


async def _ready(settings: Settings) -> None:
    """Waits until every neighbour answers."""
    async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient(trust_env=False, timeout=5) as http:
        while True:
            try:
                if (await http.get(f"{settings.site_url}/readyz")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.5)


async def _delivered(database: Database) -> None:
    """Waits until no notification is waiting; the verdict tells of those that still do."""
    query = text("SELECT count(*) FROM outbox WHERE state = 'waiting'")
    deadline = time.monotonic() + DELIVERED_SECONDS
    while time.monotonic() < deadline:
        async with database.begin() as session:
            if (await session.execute(query)).scalar_one() == 0:
                return
        await asyncio.sleep(0.5)
