"""The queue at scale: many open escalations, many CSMs who take the next one at once, against the bare statement.

    python -m benchmarks.queue [--open 100000] [--csms 50] [--claims 500]

Bare is one `UPDATE … FOR UPDATE SKIP LOCKED` in the order of the queue, from the same index of the same rows of the same PostgreSQL, by as many
connections at once: alone, and with the rows a claim has to leave besides in the same statement (the event, the notification, who holds the
conversation, the line the customer reads). That second one is what a claim costs the database whatever the program around it does. The
product besides checks who is offered what and who has room, and wakes the open windows. No conversation may be claimed twice. Everything
runs on this machine, client and server together, in a database of its own, on the event loop that `kotae up` runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import uvloop

from conversations.bodies import Handover
from escalations import csms, queue
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
                         value_at_risk, currency, created_at, due_at, owner_id, skill, breaking)
  SELECT 'esc_' || n, 'cnv_' || n, 'Account ' || n, 'takeover', 'queued', 1 + n %% 4, 1, 'wish', '{"en": "x"}', '{}', 'pool',
         CASE n %% 10 WHEN 0 THEN 'ja' ELSE 'en' END, (n * 7919) %% 100000, 'USD', %(now)s - (n %% 7200) * interval '1 second',
         %(now)s + (n %% 3600) * interval '1 second', CASE n %% 5 WHEN 0 THEN (SELECT id FROM csms ORDER BY id OFFSET n %% 50 LIMIT 1) END,
         CASE n %% 7 WHEN 0 THEN 'billing' END, n %% 3600 <= 300
  FROM generate_series(1, %(open)s) AS n
"""
WARM = 6
"""Claims of each CSM before it is measured: statements are prepared once a connection has run them five times."""


async def team(database: Database, number: int, capacity: int, now: datetime) -> list[Csm]:
    """CSMs who are there and have room for all of it."""
    made = []
    async with database.begin() as session:
        for place in range(number):
            languages, skills = ["en", "ja"][: 1 + place % 2], ["billing"][: place % 3]
            email = f"csm{place}@bench.example"
            entry = CsmEntry(email=email, name=f"Csm {place}", languages=languages, skills=skills)
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
            found = await queue.next_for(database, csm, now)
            if found is not None:
                taken.append(found.id)

    started = time.perf_counter()
    await asyncio.gather(*(work(csm) for csm in members))
    return time.perf_counter() - started, taken


_UPDATE = """UPDATE escalations SET state = 'claimed', csm_id = %(csm)s, claimed_at = now() WHERE id = (
  SELECT id FROM escalations WHERE state = 'queued' AND mode = 'takeover' ORDER BY breaking DESC, place LIMIT 1 FOR UPDATE SKIP LOCKED)"""
_ROWS = """WITH taken AS ({update} RETURNING id, conversation_id),
  event AS (INSERT INTO escalation_events (escalation_id, at, kind, actor, detail)
            SELECT id, now(), 'claimed', %(csm)s, jsonb_build_object('csm', %(csm)s::text) FROM taken RETURNING id, escalation_id),
  held AS (UPDATE conversations c SET holder = 'csm', csm_id = %(csm)s, last_seq = last_seq + 1, last_at = now()
           FROM taken WHERE c.id = taken.conversation_id RETURNING c.id, c.last_seq),
  told AS (INSERT INTO messages (conversation_id, seq, sender, body, created_at)
           SELECT id, last_seq, 'system', %(said)s, now() FROM held)
INSERT INTO outbox (id, kind, payload, dedupe, state, attempts, next_at, created_at)
  SELECT 'out_' || id, 'webhook', %(told)s, 'bare:' || id, 'waiting', 0, now(), now() FROM event"""


async def bare(url: str, members: list[Csm], claims: int, statement: str) -> float:
    """The same by one statement each; seconds."""
    said = Handover(status="claimed", text="Csm 12 has joined the conversation.", csm="Csm 12").model_dump_json()
    data = {
        "id": "esc_1",
        "conversation": "cnv_1",
        "mode": "takeover",
        "state": "claimed",
        "rule": "wish",
        "csm": "csm",
    }
    words = {"said": said, "told": json.dumps({"type": "escalation.claimed", "data": data})}
    async with contextlib.AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
            for _ in members
        ]

        async def work(place: int, left: Iterator[int]) -> None:
            for _ in left:
                await opened[place].execute(statement.encode(), {"csm": members[place].id, **words})

        async def all_of_it(number: int) -> float:
            left, started = iter(range(number)), time.perf_counter()
            await asyncio.gather(*(work(place, left) for place in range(len(members))))
            return time.perf_counter() - started

        await all_of_it(WARM * len(members))
        return await all_of_it(claims)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=100_000)
    parser.add_argument("--csms", type=int, default=50)
    parser.add_argument("--claims", type=int, default=2000)
    given = parser.parse_args()
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as home, postgres.running(load_settings(home=Path(home))) as url:
        upgrade(url)
        database = Database(url, pool_size=given.csms)
        members = await team(database, given.csms, WARM + given.claims, now)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in _FILL.split(";\n"):
                connection.execute(statement.encode(), {"now": now, "open": given.open})
            connection.execute("VACUUM ANALYZE")
        await by_product(database, members, WARM * given.csms, now)
        took, taken = await by_product(database, members, given.claims, now)
        await database.close()
        assert len(taken) == len(set(taken)) == given.claims, "claimed twice, or not at all"
        rate = given.claims / took
        print(f"{given.open} open, {given.csms} CSMs at once: {rate:.0f} claims a second, none twice")
        for name, statement in (("and the same rows", _ROWS.format(update=_UPDATE)), ("alone", _UPDATE)):
            bare_rate = given.claims / await bare(url, members, given.claims, statement)
            print(f"bare UPDATE {name}: {bare_rate:.0f} a second; the product takes {bare_rate / rate:.1f}x")


if __name__ == "__main__":
    uvloop.run(main())
