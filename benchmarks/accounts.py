"""Accounts at scale: a nightly run over many accounts, and events in through HTTP against the same rows by COPY.

    python -m benchmarks.accounts [--accounts 100000] [--events 50000]

Everything runs on this machine, client and server together, in a database of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import psycopg
import uvicorn

from accounts.catalog import load_catalog
from accounts.facts import customer_facts, internal_facts
from accounts.scoring import score_accounts
from api import keys
from api.app import create_app
from kit import postgres
from kit.company import load_company
from kit.database import Database
from kit.http import Http
from kit.memory import keep_loaded
from kit.settings import Settings, load_settings
from migrations.upgrade import upgrade

BATCH = 100
"""Messages of one request: what Segment's Python client sends at most."""
CLIENTS = 4
WRITTEN = ("events", "daily_people", "daily_events", "account_events")
"""Where an event leaves a row; accounts and people are there before."""
KNOWN = 3_000
"""The first events, by which all accounts and people are made known before anything is measured."""
_COLUMNS = {"daily_people": " (account_id, day, person_id, events, slots)"}
"""Those that are written, where PostgreSQL works out others."""
ROUNDS = 3
"""How often HTTP and COPY take turns, so that what else the machine does hits both."""

# Each account: three people who come on half of the days of 90, five things they do, a subscription, bills, answers, a ticket.
_FILL = """
INSERT INTO accounts (id, name, created_at, traits_at)
  SELECT 'a' || n, 'Account ' || n, :now - interval '400 days', :now FROM generate_series(1, :accounts) AS n;
INSERT INTO people (id, account_id, created_at, last_seen_at, traits_at, champion)
  SELECT 'a' || n || 'p' || p, 'a' || n, :now - interval '400 days', :now - p * interval '1 day', :now, p = 0
  FROM generate_series(1, :accounts) AS n, generate_series(0, 2) AS p;
INSERT INTO subscriptions (id, account_id, plan, seats, amount, currency, started_at, renews_on, auto_renew, stated_at)
  SELECT id, id, 'pro', 5, 225, 'USD', created_at, :day + 60, true, :now FROM accounts WHERE id ~ '^a[0-9]+$';
INSERT INTO subscription_changes (subscription_id, account_id, at, kind, plan, seats, amount, currency, per_months, term_months,
                                  renews_on, auto_renew)
  SELECT id, account_id, started_at, 'start', plan, seats, amount, currency, 1, 1, renews_on, auto_renew FROM subscriptions WHERE id ~ '^a[0-9]+$';
INSERT INTO invoices (id, account_id, issued_on, due_on, paid_on, amount, currency)
  SELECT id || 'i' || k, id, :day - 30 * k, :day - 30 * k + 20, :day - 30 * k + 10, 225, 'USD'
  FROM accounts, generate_series(1, 3) AS k WHERE id ~ '^a[0-9]+$';
INSERT INTO surveys (id, account_id, person_id, kind, asked_at, answered_at, score)
  SELECT id || 's', id, id || 'p0', 'nps', :now - interval '40 days', :now - interval '40 days', 3 + mod(abs(hashtext(id)), 7)
  FROM accounts WHERE id ~ '^a[0-9]+$';
INSERT INTO tickets (id, account_id, opened_at)
  SELECT id || 't', id, :now - interval '50 days' FROM accounts WHERE id ~ '^a[0-9]+$';
INSERT INTO account_events (account_id, name, first_at)
  SELECT id, done, created_at FROM accounts, unnest(ARRAY['a', 'b', 'c', 'd', 'member_invited']) AS done
  WHERE id ~ '^a[0-9]+$';
INSERT INTO daily_people (account_id, day, person_id, events, slots)
  SELECT 'a' || n, :day - d, 'a' || n || 'p' || p, 6, CAST(repeat('01', 144) AS bit(288))
  FROM generate_series(89, 0, -1) AS d, generate_series(1, :accounts) AS n, generate_series(0, 2) AS p
  WHERE mod(hashtext(n || ' ' || d || ' ' || p), 2) = 0;
INSERT INTO daily_events (account_id, day, name, times, quantity)
  SELECT 'a' || n, :day - d, name, 3, 3
  FROM generate_series(89, 0, -1) AS d, generate_series(1, :accounts) AS n, unnest(ARRAY['a', 'b', 'c', 'd']) AS name
  WHERE mod(hashtext(n || ' ' || d || name), 3) = 0
"""


def fill(url: str, accounts: int, now: datetime) -> dict[str, int]:
    """Writes the accounts with 90 days of use; returns the rows of the large tables."""
    sizes: dict[str, int] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _FILL.split(";\n"):
            query = statement.replace(":accounts", "%(accounts)s").replace(":now", "%(now)s").replace(":day", "%(day)s")
            connection.execute(query.encode(), {"accounts": accounts, "now": now, "day": now.date()})
        for table in ("daily_people", "daily_events"):
            count = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608
            sizes[table] = count[0] if count else 0
        connection.execute("VACUUM ANALYZE")
    return sizes


async def nightly(url: str, settings: Settings, now: datetime) -> None:
    """The run over all accounts, and what one turn asks of one account."""
    database, catalog = Database(url), load_catalog(load_company(settings.company))
    for run in ("first", "second"):
        started = time.perf_counter()
        async with database.begin() as session:
            scored = await score_accounts(session, catalog, now)
        took = time.perf_counter() - started
        print(f"nightly run, {run}: {scored} accounts in {took:.1f} s, {scored / took:.0f} a second")
    for ask in ("customer", "internal"):
        times: list[float] = []
        for number in range(1, 101):
            started = time.perf_counter()
            async with database.begin() as session:
                if ask == "customer":
                    await customer_facts(session, catalog, f"a{number}", f"a{number}p0", now)
                else:
                    await internal_facts(session, catalog, f"a{number}", now)
            times.append(1000 * (time.perf_counter() - started))
        print(f"{ask} facts of one account: p50 {sorted(times)[50]:.1f} ms, p95 {sorted(times)[95]:.1f} ms")
    await database.close()


def messages(count: int, now: datetime) -> list[dict[str, Any]]:
    """Events as Segment's client sends them, of a thousand accounts over a week."""
    return [
        {
            "type": "track",
            "event": f"thing_{n % 7}",
            "userId": f"b{n % 1000}-{n % 3}",
            "messageId": f"bench-{n}",
            "timestamp": (now - timedelta(seconds=n * 7 % 600_000)).isoformat(),
            "context": {"groupId": f"b{n % 1000}", "library": {"name": "analytics-python", "version": "2.3"}},
            "properties": {"place": n % 50, "note": "a property of some length"},
            "integrations": {},
        }
        for n in range(count)
    ]


def _serve(home: str, url: str, port: int) -> None:
    app = create_app(load_settings(home=Path(home)), url)
    keep_loaded()  # as the front door does when it has started
    uvicorn.run(app, port=port, lifespan="off", log_level="error", access_log=False)


@contextmanager
def serving(home: str, url: str, port: int) -> Iterator[str]:
    """The front door on loopback as a process of its own, without the turn runners."""
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(home, url, port), daemon=True)
    process.start()
    base = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(f"{base}/healthz")
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield base
    process.terminate()
    process.join()


def bodies(events: list[dict[str, Any]]) -> list[bytes]:
    """The requests that carry the events."""
    return [
        orjson.dumps({"batch": events[first : first + BATCH], "sentAt": datetime.now(UTC)})
        for first in range(0, len(events), BATCH)
    ]


async def through_http(base: str, key: str, requests: list[bytes]) -> float:
    """Sends all requests by several clients; seconds. By the leanest client there is, as it is the server that is measured."""
    async with Http(base) as client:
        who = {"Authorization": f"Bearer {key}"}

        async def send(mine: list[bytes]) -> None:
            for request in mine:
                answer = await client.request("POST", "/v1/batch", request, seconds=60, headers=who)
                assert answer.status == 200, answer.body

        started = time.perf_counter()
        await asyncio.gather(*(send(requests[number::CLIENTS]) for number in range(CLIENTS)))
        return time.perf_counter() - started


@asynccontextmanager
async def copying(url: str, tables: Sequence[str], transactions: int) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Makes ready to write every row that these tables hold by COPY into tables of the same form; what is yielded does it, and returns the seconds.

    As many clients, each with its connection, and as many transactions with the same durability. What the rows refer to is
    there before; texts are made before, as are the bodies of the requests.
    """
    parts: dict[str, list[bytes]] = {}
    async with AsyncExitStack() as opened:
        clients = [
            await opened.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
            for _ in range(CLIENTS)
        ]
        for table in tables:
            columns = _COLUMNS.get(table, "")
            async with clients[0].cursor().copy(f"COPY {table}{columns} TO STDOUT".encode()) as copy:
                lines = [bytes(line) async for line in copy]
            each = -(-len(lines) // transactions)
            parts[table] = [b"".join(lines[first : first + each]) for first in range(0, each * transactions, each)]
            await clients[0].execute(f"DROP TABLE IF EXISTS copied_{table}".encode())
            await clients[0].execute(f"CREATE TABLE copied_{table} (LIKE {table} INCLUDING ALL)".encode())
            key = f"ALTER TABLE copied_{table} ADD FOREIGN KEY (account_id) REFERENCES accounts (id)"
            await clients[0].execute(key.encode())

        async def send(client: psycopg.AsyncConnection, numbers: range) -> None:
            for number in numbers:
                async with client.transaction():
                    for table in tables:
                        words = f"COPY copied_{table}{_COLUMNS.get(table, '')} FROM STDIN".encode()
                        async with client.cursor().copy(words) as copy:
                            await copy.write(parts[table][number])

        async def write() -> float:
            started = time.perf_counter()
            shares = (range(place, transactions, CLIENTS) for place in range(CLIENTS))
            await asyncio.gather(*(send(client, share) for client, share in zip(clients, shares, strict=True)))
            return time.perf_counter() - started

        yield write


def spent(home: str) -> dict[str, float]:
    """Seconds of processor time so far: of this process, of the front door, and of PostgreSQL with those of its processes that have ended."""
    mine = psutil.Process()
    postmaster = int((Path(home) / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    doors = [child for child in mine.children() if "python" in child.name() and child.pid != postmaster]
    server = psutil.Process(postmaster)
    times = {"client": [mine.cpu_times()], "front door": [door.cpu_times() for door in doors]}
    seconds = {who: sum(each.user + each.system for each in some) for who, some in times.items()}
    whole = [server.cpu_times(), *(child.cpu_times() for child in server.children())]
    ended = whole[0].children_user + whole[0].children_system
    return seconds | {"PostgreSQL": sum(each.user + each.system for each in whole) + ended}


async def _told(what: str, home: str, requests: int, work: Callable[[], Awaitable[float]]) -> float:
    """The seconds of a piece of work, which is printed with the processor time it took."""
    before = spent(home)
    seconds = await work()
    used = {who: 1000 * (after - before[who]) / requests for who, after in spent(home).items()}
    said = ", ".join(f"{who} {used[who]:.2f}" for who in used)
    said += f", together {sum(used.values()):.2f}"
    print(
        f"{what}: {requests * BATCH / seconds:.0f} events a second; ms of a processor for {BATCH}: {said}", flush=True
    )
    return seconds


async def ingestion(home: str, url: str, port: int, count: int, now: datetime) -> None:
    """Events through HTTP, and the rows they left by COPY, in turns."""
    database = Database(url)
    async with database.begin() as session:
        key = await keys.add(session, "bench", ["events"], now)
    await database.close()
    requests = bodies(messages(KNOWN + count, now))
    known, rest = requests[: KNOWN // BATCH], requests[KNOWN // BATCH :]
    share = len(rest) // ROUNDS
    took: dict[str, list[float]] = {"HTTP": [], "the same rows by COPY": [], "the raw events by COPY": []}
    with serving(home, url, port) as base:
        await through_http(base, key, known)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")  # as PostgreSQL does by itself within a minute
        for turn in range(ROUNDS):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"TRUNCATE {', '.join(WRITTEN)}".encode())
            lot = rest[turn * share : (turn + 1) * share]
            took["HTTP"].append(await _told("HTTP", home, share, partial(through_http, base, key, lot)))
            for what, tables in {"the same rows by COPY": WRITTEN, "the raw events by COPY": WRITTEN[:1]}.items():
                async with copying(url, tables, share) as write:
                    took[what].append(await _told(what, home, share, write))
        again = await through_http(base, key, lot)
        print(f"the same events again by HTTP, all known: {share * BATCH / again:.0f} a second")
    best = {what: min(seconds) for what, seconds in took.items()}
    for what in [*took][1:]:
        print(f"HTTP takes {best['HTTP'] / best[what]:.1f} times as long as {what}, the best of {ROUNDS} turns each")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000, help="of the nightly run; 0 leaves it out")
    parser.add_argument("--events", type=int, default=50_000, help="through HTTP; 0 leaves it out")
    parser.add_argument("--port", type=int, default=8765)
    given = parser.parse_args()
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(home=Path(home))
        with postgres.running(settings) as url:
            upgrade(url)
            if given.events:
                await ingestion(home, url, given.port, given.events, now)
            if given.accounts:
                started = time.perf_counter()
                sizes, took = fill(url, given.accounts, now), time.perf_counter() - started
                print(f"{given.accounts} accounts with 90 days of use: {sizes}, written in {took:.0f} s")
                await nightly(url, settings, now)


if __name__ == "__main__":
    asyncio.run(main())
