"""The queue at scale: many open escalations, many CSMs who take the next one at once, against the bare statement.

    python -m benchmarks.queue [--open 100000] [--csms 50] [--claims 500]

Bare is one `UPDATE … FOR UPDATE SKIP LOCKED` that takes the next of the same order on the same PostgreSQL, by as many connections at
once; the product besides asks who is offered what, silences the bot, tells the customer, and keeps an event and a notification of it.
No conversation may be claimed twice. Everything runs on this machine, client and server together, in a database of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy.dialects import postgresql

from escalations import csms, queue, repository
from escalations.csms import CsmEntry
from escalations.models import Csm
from kit import postgres
from kit.database import Database
from kit.settings import load_settings
from migrations.upgrade import upgrade

_FILL = """
INSERT INTO conversations (id, lang, holder, last_seq, customer_read_seq, csm_read_seq, created_at, last_at)
  SELECT 'cnv_' || n, 'en', 'bot', 0, 0, 0, %(now)s, %(now)s FROM generate_series(1, %(open)s) AS n;
INSERT INTO escalations (id, conversation_id, account_name, mode, state, priority, level, rule, reason, facts, route, lang,
                         value_at_risk, currency, created_at, due_at)
  SELECT 'esc_' || n, 'cnv_' || n, 'Account ' || n, 'takeover', 'queued', 1 + n %% 4, 1, 'wish', '{"en": "x"}', '{}', 'pool',
         'en', (n * 7919) %% 100000, 'USD', %(now)s - (n %% 7200) * interval '1 second', %(now)s + (n %% 3600) * interval '1 second'
  FROM generate_series(1, %(open)s) AS n
"""


async def team(database: Database, number: int, capacity: int, now: datetime) -> list[Csm]:
    """CSMs who are there and have room for all of it."""
    made = []
    async with database.begin() as session:
        for place in range(number):
            entry = CsmEntry(email=f"csm{place}@bench.example", name=f"Csm {place}")
            csm = await csms.add(session, entry, None, now)
            csm.seen_at, csm.capacity = now, capacity
            made.append(csm)
    return made


async def by_product(database: Database, members: list[Csm], claims: int, now: datetime) -> tuple[float, list[str]]:
    """Each CSM takes the next one until so many are taken; seconds, and what was taken."""
    taken: list[str] = []
    left = iter(range(claims))

    async def work(csm: Csm) -> None:
        for _ in left:
            async with database.begin() as session:
                found = await queue.next_for(session, csm, now)
                if found is not None:
                    taken.append(found.id)

    started = time.perf_counter()
    await asyncio.gather(*(work(csm) for csm in members))
    return time.perf_counter() - started, taken


async def bare(url: str, members: list[Csm], claims: int, now: datetime, order: str) -> float:
    """The same by one statement each; seconds."""
    statement = (
        "UPDATE escalations SET state = 'claimed', csm_id = %s, claimed_at = now() WHERE id = ("  # noqa: S608  # constants
        f"SELECT id FROM escalations WHERE state = 'queued' AND mode = 'takeover' ORDER BY {order} LIMIT 1 "
        "FOR UPDATE SKIP LOCKED)"
    ).encode()
    left = iter(range(claims))

    async def work(csm: Csm) -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            for _ in left:
                await connection.execute(statement, (csm.id,))

    started = time.perf_counter()
    await asyncio.gather(*(work(csm) for csm in members))
    return time.perf_counter() - started


def order_of_the_queue(now: datetime) -> str:
    """The product's own order, as SQL."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    parts = repository.order(now)
    return ", ".join(str(part.compile(dialect=dialect, compile_kwargs={"literal_binds": True})) for part in parts)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=100_000)
    parser.add_argument("--csms", type=int, default=50)
    parser.add_argument("--claims", type=int, default=500)
    given = parser.parse_args()
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as home, postgres.running(load_settings(home=Path(home))) as url:
        upgrade(url)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in _FILL.split(";\n"):
                connection.execute(statement.encode(), {"now": now, "open": given.open})
            connection.execute("VACUUM ANALYZE")
        database = Database(url, pool_size=(given.csms + 1) // 2)
        members = await team(database, given.csms, given.claims, now)
        took, taken = await by_product(database, members, given.claims, now)
        await database.close()
        assert len(taken) == len(set(taken)) == given.claims, "claimed twice, or not at all"
        rate = given.claims / took
        print(f"{given.open} open, {given.csms} CSMs at once: {rate:.0f} claims a second, none twice")
        for name, order in (("the same order", order_of_the_queue(now)), ("the order of an index", "due_at")):
            seconds = await bare(url, members, given.claims, now, order)
            print(f"bare, {name}: {given.claims / seconds:.0f} a second; the product takes {took / seconds:.1f}x")


if __name__ == "__main__":
    asyncio.run(main())
