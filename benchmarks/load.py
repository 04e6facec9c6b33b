"""How Kotae grows: turns by customers and replicas, sockets that only listen, and turns by what is stored already.

`python -m benchmarks.load` measures small sizes in a few minutes, `--full` those of docs/growth.md. Everything runs on this
one machine, HAProxy, PostgreSQL, Redis and the customers too, so that the ratios count and not the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from benchmarks import accounts
from conversations import log
from deploy import local
from deploy.local import Cluster
from kit.clock import now
from kit.database import Database
from kit.errors import KotaeError
from kit.settings import LOOPBACK, ROOT, load_settings
from tests.support import Customer, Stack, free_ports

QUESTION = "How do I invite a colleague to my workspace?"
TURNS = 40
"""Of one customer alone, for each number of stored conversations."""
_AT_ONCE = 50_000
_TABLES = ("conversations", "messages", "turns", "escalations", "conversation_tokens", "outbox")
_FILL = f"""
INSERT INTO conversations (id, lang, holder, last_seq, customer_read_seq, csm_read_seq, created_at, last_at)
  SELECT 'cnv_old' || n, 'en', 'bot', 2, 0, 0, now() - n * interval '1 second', now() - n * interval '1 second'
  FROM generate_series(%(first)s::int, %(last)s::int) AS n;
INSERT INTO messages (conversation_id, seq, sender, body, client_id, created_at)
  SELECT 'cnv_old' || n, 1, 'customer', jsonb_build_object('type', 'text', 'text', '{QUESTION} ' || n), 'c', now()
  FROM generate_series(%(first)s::int, %(last)s::int) AS n;
INSERT INTO messages (conversation_id, seq, sender, body, turn_id, ordinal, created_at)
  SELECT 'cnv_old' || n, 2, 'bot', '{{"type": "text", "text": "Open the team page and press Invite."}}', 'trn_old' || n, 0, now()
  FROM generate_series(%(first)s::int, %(last)s::int) AS n;
INSERT INTO turns (id, conversation_id, seq, attempts, created_at, settled_at, outcome, intent)
  SELECT 'trn_old' || n, 'cnv_old' || n, 1, 1, now() - n * interval '1 second', now(), 'answered', 'help_question'
  FROM generate_series(%(first)s::int, %(last)s::int) AS n;
INSERT INTO conversation_tokens (hash, conversation_id)
  SELECT 'hash' || n, 'cnv_old' || n FROM generate_series(%(first)s::int, %(last)s::int) AS n;
INSERT INTO rasa.rasa_trackers (sender_id, events, updated_at)
  SELECT 'cnv_old' || n, '[]', now() - interval '2 days' - n * interval '1 second'
  FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""  # noqa: S608  # a constant


@dataclass(frozen=True)
class Sizes:
    """What is measured.

    Attributes:
        customers: at the same time, one run each.
        seconds: of one run.
        sockets: open at the same time in one front door.
        stored: conversations before the turns are timed.
        accounts: stored beside them, with a quarter of use each.
    """

    customers: Sequence[int]
    seconds: int
    sockets: Sequence[int]
    stored: Sequence[int]
    accounts: int


SMALL = Sizes(customers=(1, 10), seconds=8, sockets=(0, 500), stored=(1, 100, 10_000), accounts=500)
FULL = Sizes(
    customers=(1, 5, 20, 50, 100, 200),
    seconds=20,
    sockets=(0, 1000, 5000),
    stored=(1, 100, 10_000, 1_000_000),
    accounts=10_000,
)


@asynccontextmanager
async def cluster(replicas: int) -> AsyncIterator[Cluster]:
    """An installation of its own: so many of each process, with the bot and the index that are there already."""
    with tempfile.TemporaryDirectory(prefix="kotae-load-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # noqa: ASYNC240  # PostgreSQL runs as a user of its own
        for name in ("models", "index"):
            shutil.copytree(ROOT / ".kotae" / name, home / name, symlinks=True)
        names = ("api_port", "rasa_port", "actions_port", "knowledge_base_port")
        settings = load_settings(home=home, **dict(zip(names, free_ports(4), strict=True)))
        async with local.running(settings, dict.fromkeys(local.SERVICES, replicas)) as made:
            yield made


# -- turns by customers


async def crowds(url: str, sizes: Sizes) -> list[dict[str, Any]]:
    """Turns a second and their times, for each number of customers."""
    return [await crowd(url, customers, sizes.seconds) for customers in sizes.customers]


async def crowd(url: str, customers: int, seconds: int) -> dict[str, Any]:
    """One run of locust; times in milliseconds."""
    words = ["-m", "locust", "-f", str(Path(__file__).with_name("load_customers.py")), "--headless", "--json"]
    words += ["--host", url, "-u", str(customers), "-r", str(max(1, customers // 3)), "-t", f"{seconds}s"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, "--exit-code-on-error", "0", stdout=-1, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT
    )
    out, _ = await process.communicate()
    (turn,) = [one for one in json.loads(out) if one["name"] == "turn"] or [{}]
    count = turn.get("num_requests", 0)
    times = sorted((float(at), many) for at, many in turn.get("response_times", {}).items())
    span = max(turn.get("last_request_timestamp", 1) - turn.get("start_time", 0), 0.001)
    return {
        "customers": customers,
        "turns_per_second": count / span,
        "p50_ms": _quantile(times, 0.5),
        "p95_ms": _quantile(times, 0.95),
        "failed": turn.get("num_failures", 0),
    }


def _quantile(times: list[tuple[float, int]], share: float) -> float:
    left = share * sum(many for _, many in times)
    for at, many in times:
        left -= many
        if left <= 0:
            return at
    return 0.0


# -- sockets that only listen


async def idle(made: Cluster, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Memory of one front door by sockets that are open and silent, and how soon a turn is answered beside them."""
    port, pid = made.processes["api-1"].port, made.pids("api-1")[0]
    sockets: list[ClientConnection] = []
    found = []
    try:
        opened = await _conversations(made, max(counts))
        for count in counts:
            for start in range(len(sockets), count, 50):
                several = [_listening(port, *opened[at]) for at in range(start, min(start + 50, count))]
                sockets += await asyncio.gather(*several)
            await asyncio.sleep(2)  # until what opening took is free again
            memory = psutil.Process(pid).memory_info().rss
            times = await turn_times(made, 10)
            found.append({"sockets": count, "memory_mb": memory / 1e6, "p50_ms": statistics.median(times)})
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets), return_exceptions=True)
    return found


async def _conversations(made: Cluster, count: int) -> list[tuple[str, str]]:
    database = Database(made.url)
    opened = []
    try:
        async with database.begin() as session:
            for _ in range(count):
                conversation = await log.start(session, lang="en", now=now())
                token = await log.mint_token(session, conversation.id, now() + timedelta(days=1))
                opened.append((conversation.id, token))
    finally:
        await database.close()
    return opened


async def _listening(port: int, conversation: str, token: str) -> ClientConnection:
    address = f"ws://{LOOPBACK}:{port}/v1/conversations/{conversation}/stream"
    headers = {"Authorization": f"Bearer {token}"}
    return await connect(address, additional_headers=headers, ping_interval=None, open_timeout=60, proxy=None)


# -- turns by what is stored


async def stored(made: Cluster, sizes: Sizes) -> list[dict[str, Any]]:
    """Time of one customer's turns by stored conversations, and rows of large tables they read without an index."""
    accounts.fill(made.url, sizes.accounts, now())
    found, have = [], 0
    await turn_times(made, 5)  # nobody starts cold
    for count in sizes.stored:
        await asyncio.to_thread(fill, made.url, have + 1, count)
        have = count
        before, worked = _read_without_index(made.url), _cpu_seconds(made)
        times = await turn_times(made, TURNS)
        spent = _cpu_seconds(made) - worked
        found.append(
            {
                "conversations": count,
                "p50_ms": statistics.median(times),
                "p95_ms": statistics.quantiles(times, n=20)[-1],
                "cpu_ms_per_turn": 1000 * spent / TURNS,
                "rows_scanned_per_turn": (_read_without_index(made.url) - before) / TURNS,
            }
        )
    return found


def _cpu_seconds(made: Cluster) -> float:
    """Processor time of all processes so far, PostgreSQL's with it: less noisy than time on a machine that others use."""
    spent = 0.0
    for pid in {pid for name in made.processes for pid in made.pids(name)}:
        with contextlib.suppress(psutil.NoSuchProcess):
            used = psutil.Process(pid).cpu_times()
            spent += used.user + used.system
    return spent


def fill(url: str, first: int, last: int) -> None:
    """Stores conversations of the past, a question and an answer each, and what Rasa keeps of them.

    Args:
        first, last: their numbers.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SET session_replication_role = replica"
        )  # rows that fit each other need no foreign key looked up
        for start in range(first, last + 1, _AT_ONCE):
            given = {"first": start, "last": min(start + _AT_ONCE - 1, last)}
            with connection.transaction():
                for statement in _FILL.split(";\n"):
                    connection.execute(statement, given)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")  # what was filled in is written now, and not beside what is timed


def _read_without_index(url: str) -> int:
    query = "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname = ANY(%s)"
    with psycopg.connect(url, autocommit=True) as connection:
        time.sleep(1.2)  # servers report what they did once a second
        row = connection.execute(query, [list(_TABLES)]).fetchone()
    return int(row[0]) if row is not None else 0


async def turn_times(made: Cluster, count: int) -> list[float]:
    """Milliseconds from sending to the answer, of one customer alone, a new conversation every ten."""
    times: list[float] = []
    stack = Stack(made.settings.site_url, made.settings.home, {})
    while len(times) < count:
        async with Customer(stack) as customer:
            for _ in range(min(10, count - len(times))):
                began = time.perf_counter()
                client_id = await customer.send(QUESTION)
                await customer.frame(type="message", client_id=client_id)
                answer = await customer.message("bot")
                times.append(1000 * (time.perf_counter() - began))
                if answer["body"]["type"] != "answer":
                    raise RuntimeError(f"the bot did not answer: {answer['body']}")
    return times


# -- all of it


async def measure(sizes: Sizes, only: str | None, replicas: int) -> dict[str, Any]:
    """The report.

    Args:
        only: `crowds`, `idle` or `stored`; everything where None.
        replicas: of each process at most, one or two.
    """
    report: dict[str, Any] = {"sizes": asdict(sizes)}
    async with cluster(1) as made:
        if only in (None, "crowds"):
            report["crowds_1"] = await crowds(made.settings.site_url, sizes)
        if only in (None, "idle"):
            report["idle"] = await idle(made, sizes.sockets)
        if only in (None, "stored"):
            report["stored"] = await stored(made, sizes)
    if only in (None, "crowds") and replicas == 2:
        async with cluster(2) as made:
            report["crowds_2"] = await crowds(made.settings.site_url, sizes)
    return report


def show(report: dict[str, Any]) -> None:
    """Tables for people."""
    titles = {
        "crowds_1": "one of each process",
        "crowds_2": "two of each process",
        "idle": "sockets that only listen, one front door",
        "stored": "one customer, by what is stored",
    }
    for name, title in titles.items():
        rows: list[dict[str, Any]] = report.get(name, [])
        if rows:
            table = Table(*rows[0], title=title)
            for row in rows:
                table.add_row(
                    *(f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" for value in row.values())
                )
            Console(width=110).print(table)


def main() -> int:
    """Entry point.

    Returns:
        0, for the figures are for readers and depend on the machine; 1 where it could not be measured.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the sizes of docs/growth.md: about half an hour")
    parser.add_argument("--only", choices=("crowds", "idle", "stored"), help="one part alone")
    parser.add_argument("--replicas", type=int, choices=(1, 2), default=2, help="of each process at most (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is stopped then, too
    try:
        report = asyncio.run(measure(FULL if chosen.full else SMALL, chosen.only, chosen.replicas))
    except KotaeError as problem:
        print(problem, file=sys.stderr)
        return 1
    if chosen.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
