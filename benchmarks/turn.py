"""A whole turn of Kotae beside a stock Rasa bot, in one run on one machine.

    python -m benchmarks.turn [--rounds 6] [--json]

Compared are: (a) `stock`, what `rasa init` lays down, with one trivial custom action over REST; (b) `sparse`, the same
with character features, a linear classifier and rules; (c) `help` and `account`, Kotae as a customer sees it: a message
sent on the socket until the bot's message came back, kept durably, asked by a verified person of the sample company, whose
help content is that of a real help centre; (d) the parts of (c), each alone. The runs take turns, so that a machine that slows down
slows all alike.

Three rounds took 169 and 232 s on two cores that had other work, the starting of every bot included; six, which are the default, take about five
minutes. The first run also trains the stock bots and builds the index, which takes some minutes more.

No text is sent twice (`asked` has how many were sent, and how many of them differ), so that nothing comes out of a memory of texts: real
customers repeat each other, which would only make it quicker. Words do come again, as those of a help centre's subjects do. The stock
bots, which remember no texts, are asked one question all the time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import frontmatter
import httpx
import psutil
import yaml
from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from websockets.asyncio.client import ClientConnection, connect

from accounts.catalog import load_catalog
from accounts.facts import facts_of_turn
from benchmarks import stock
from benchmarks.quality import EVAL, ROOT
from cli.prepare import progress
from conversations import log, turns
from conversations.bodies import BODY, Body, Text
from conversations.models import Turn
from conversations.turns import Leased
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from tests.support import KOTAE, free_ports, running_stack

CUSTOMERS = (1, 8, 32)
"""How many talk at once."""
CONVERSATION = 10
"""Turns in a conversation of a single customer: a tracker grows with its conversation, in every bot."""
CONVERSATIONS = 3
"""Of a single customer, in each round."""
CROWD_SECONDS = 3.0
"""How long many customers talk in each round."""
ACCOUNT, PERSON = "acme-starter", "acme-amy"

KINDS: tuple[stock.Kind, ...] = ("stock", "sparse")
Made = TypeVar("Made")
Ask = Callable[[], Awaitable[None]]
"""One turn of one customer."""


@dataclass
class Subject:
    """Something that answers turns.

    Attributes:
        name: as in the report.
        pids: processes whose time and memory count, their children included.
        customer: opens one customer's conversation, and closes it again.
    """

    name: str
    pids: list[int]
    customer: Callable[[], AbstractAsyncContextManager[Ask]]
    seconds: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    rates: dict[int, list[float]] = field(default_factory=dict)
    crowd_cpu: dict[int, list[float]] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def processes(self) -> list[psutil.Process]:
        """Every process that works for it."""
        roots = [psutil.Process(pid) for pid in self.pids]
        return list({each.pid: each for root in roots for each in [root, *root.children(recursive=True)]}.values())

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time its processes have had so far, by name."""
        total: dict[str, float] = {}
        for process in self.processes():
            name = _name(process)
            total[name] = total.get(name, 0.0) + _cpu_seconds(process.pid)
        return total

    def megabytes(self) -> float:
        """Memory of its processes; what they share is counted once each."""
        total = 0
        for process in self.processes():
            try:
                total += process.memory_full_info().uss
            except psutil.NoSuchProcess:
                continue
        return total / 2**20

    async def alone(self) -> None:
        """One customer, one turn after the other."""
        async with self.customer() as ask:
            before = Counter(self.cpu_seconds())
            for _ in range(CONVERSATION):
                began = time.perf_counter()
                await ask()
                self.seconds.append(time.perf_counter() - began)
            spent = Counter(self.cpu_seconds())
            spent.subtract(before)
            self.cpu.append({name: seconds / CONVERSATION for name, seconds in spent.items()})

    async def crowd(self, customers: int) -> None:
        """Many customers, each asking again as soon as it is answered."""
        async with AsyncExitStack() as talks:
            asks = [await talks.enter_async_context(self.customer()) for _ in range(customers)]
            before, began = sum(self.cpu_seconds().values()), time.perf_counter()
            done = await asyncio.gather(*(_until(ask, began + CROWD_SECONDS) for ask in asks))
            took = time.perf_counter() - began
            self.rates.setdefault(customers, []).append(sum(done) / took)
            self.crowd_cpu.setdefault(customers, []).append((sum(self.cpu_seconds().values()) - before) / sum(done))

    def forget(self) -> None:
        """What was measured so far does not count."""
        self.seconds.clear()
        self.cpu.clear()
        self.kinds.clear()

    def report(self) -> dict[str, Any]:
        """Its figures by name: milliseconds, turns a second, processor seconds a turn, megabytes."""
        made: dict[str, Any] = {"turns": len(self.seconds), **_times(self.seconds)}
        made["turns_per_second"] = {
            "1": len(self.seconds) / sum(self.seconds),
            **{str(customers): statistics.median(rates) for customers, rates in self.rates.items()},
        }
        made["cpu_seconds_per_turn"] = statistics.median(sum(one.values()) for one in self.cpu)
        made["cpu_seconds_per_turn_by_process"] = {
            name: statistics.median(one.get(name, 0.0) for one in self.cpu) for name in self.cpu[0]
        }
        made["cpu_seconds_per_turn_at"] = {
            str(customers): statistics.median(values) for customers, values in self.crowd_cpu.items()
        }
        made["memory_mb"] = self.megabytes()
        if self.kinds:
            made["answers"] = self.kinds
        if self.asked:
            made["asked"] = {"texts": self.asked.total(), "different": len(self.asked)}
        return made


def _cpu_seconds(pid: int) -> float:
    """Processor time of one process: from the scheduler in nanoseconds where it tells, as ticks are as long as a turn."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(_nanoseconds(thread / "schedstat") for thread in threads) / 1e9
    except OSError:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return float(times.user + times.system)


def _nanoseconds(statistics_of_thread: Path) -> int:
    try:
        return int(statistics_of_thread.read_text().split()[0])
    except ProcessLookupError:  # it has ended meanwhile
        return 0


_NAMES = {"bot.serve": "rasa", "cli.main": "kotae up"}


def _name(process: psutil.Process) -> str:
    """What a process is, by the module it runs."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return "gone"
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else Path(words[0].split(":")[0]).name if words else ""
    return _NAMES.get(module) or module or process.name()


async def _until(ask: Ask, end: float) -> int:
    done = 0
    while time.perf_counter() < end:
        await ask()
        done += 1
    return done


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


# -- a stock bot


def stock_subject(name: str, url: str, pids: list[int], http: httpx.AsyncClient) -> Subject:
    """A stock bot over its REST channel."""

    @asynccontextmanager
    async def customer() -> AsyncIterator[Ask]:
        message = {"sender": uuid.uuid4().hex, "message": "are you a bot?"}

        async def ask() -> None:
            answer = await http.post(f"{url}/webhooks/rest/webhook", json=message)
            if not answer.json():
                raise RuntimeError(f"{name} answered nothing")

        yield ask

    return Subject(name, pids, customer)


# -- Kotae


@dataclass
class Kotae:
    """A running Kotae that serves the real help centre to the sample company's customers."""

    url: str
    home: Path
    ports: dict[str, int]
    pids: list[int]
    token: str
    http: httpx.AsyncClient

    @property
    def secret(self) -> str:
        """The key of turn tokens."""
        return str(json.loads((self.home / "secrets.json").read_text())["secret_key"])

    @property
    def database_url(self) -> str:
        """Where its processes keep their data."""
        return next(str(url) for pid in self.pids if (url := psutil.Process(pid).environ().get("DATABASE_URL")))

    def subject(self, name: str, questions: Iterator[str], wanted: str) -> Subject:
        """Its turns on one kind of question.

        Args:
            questions: none the same as another.
            wanted: type of body that a third of the answers must have, or the benchmark measures something else.
        """
        kinds: dict[str, int] = {}
        asked: Counter[str] = Counter()

        @asynccontextmanager
        async def customer() -> AsyncIterator[Ask]:
            address, headers = await self._conversation()
            async with connect(address, additional_headers=headers) as socket:

                async def ask() -> None:
                    text = next(questions)
                    asked[text] += 1
                    kind = await _turn(socket, text)
                    kinds[kind] = kinds.get(kind, 0) + 1

                yield ask
            answered = sum(
                kinds.values()
            )  # some titles are no questions: one conversation alone may have several of them
            if answered >= CONVERSATIONS * CONVERSATION and kinds.get(wanted, 0) < answered / 3:
                raise RuntimeError(f"{name}: too few answers are of type {wanted}: {kinds}")

        return Subject(name, self.pids, customer, kinds=kinds, asked=asked)

    async def _conversation(self) -> tuple[str, dict[str, str]]:
        """A new conversation: address of its socket, and the headers that open it."""
        answer = await self.http.post(
            f"{self.url}/v1/conversations", json={"lang": "en"}, headers={"Authorization": f"Bearer {self.token}"}
        )
        answer.raise_for_status()
        made = answer.json()
        address = f"{self.url.replace('http', 'ws', 1)}/v1/conversations/{made['conversation_id']}/stream"
        return f"{address}?after={made['messages'][-1]['seq']}", {"Authorization": f"Bearer {made['token']}"}


async def _turn(socket: ClientConnection, text: str) -> str:
    """Sends a question and waits for the bot's first message after it: one more to the question before is none.

    Returns:
        the type of its body.
    """
    client_id, asked = str(uuid.uuid4()), sys.maxsize
    await socket.send(json.dumps({"type": "message", "client_id": client_id, "text": text}))
    async with asyncio.timeout(60):
        while True:
            frame = json.loads(await socket.recv())
            if frame["type"] == "error":
                raise RuntimeError(frame["message"])
            if frame["type"] == "ack" and frame["client_id"] == client_id:
                asked = frame["seq"]
            if frame["type"] == "message" and frame["sender"] == "bot" and frame["seq"] > asked:
                return str(frame["body"]["type"])


@contextmanager
def kotae(bench: Path, home: Path, http: httpx.AsyncClient) -> Iterator[Kotae]:
    """Starts the whole stack with a home of its own.

    Args:
        bench: where the index of the real help centre is kept between runs.
        home: an empty folder.
        http: to talk with.
    """
    index = bench / "index"
    settings = {"KOTAE_COMPANY": str(_company(bench / "company"))}
    build = [*KOTAE, "kb", "build", "--index", str(index)]
    subprocess.run(build, cwd=ROOT, env={**os.environ, **settings}, check=True, stdout=sys.stderr)
    shutil.copytree(index, home / "index", symlinks=True)
    # One person asks more here than anybody types: their limits would be what is measured.
    settings |= {"KOTAE_MESSAGES_PER_MINUTE": "0", "KOTAE_PERSON_MESSAGES_PER_MINUTE": "0"}
    with running_stack(home, KOTAE_LOG_LEVEL="warning", **settings) as stack:
        assert stack.process is not None
        done = stack.kotae("token", "--account", ACCOUNT, "--person", PERSON)
        postmaster = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
        pids = {postmaster, stack.process.pid, *(child.pid for child in psutil.Process(stack.process.pid).children())}
        yield Kotae(stack.url, home, stack.ports, sorted(pids), done.stdout.strip(), http)


def _company(folder: Path) -> Path:
    """The sample company, with the real help centre in place of its own articles: what is asked about is what its bot knows the words of.

    Args:
        folder: it is put there anew.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "demo", folder, ignore=shutil.ignore_patterns("help"))
    shutil.copytree(EVAL / "plausible-docs" / "docs", folder / "help")
    described = folder / "company.yml"
    said = yaml.safe_load(described.read_text())
    said |= {
        "languages": ["en"],
        "help": {"content": "help"},
    }  # a second encoder over all of it would take minutes to build
    described.write_text(yaml.safe_dump(said, allow_unicode=True))
    return folder


def titles() -> list[str]:
    """What the articles of the real help centre are called."""
    files = sorted((EVAL / "plausible-docs" / "docs").rglob("*.md"))
    found = [frontmatter.load(str(file)).get("title") for file in files]
    return [str(title) for title in found if title]


_OPENINGS = (
    "",
    "hello, ",
    "quick question: ",
    "good morning, ",
    "excuse me, ",
    "just wondering, ",
    "dear team, ",
    "hi there, ",
)
_ASKS = (
    "what does the documentation say about {0}?",
    "I would like to know about {0}",
    "can you explain {0} to me",
    "where do I find {0}?",
    "how does {0} work?",
    "tell me more about {0}",
)
_HELP = tuple(opening + ask for opening in _OPENINGS for ask in _ASKS)
_ACCOUNT = (
    "how many runs have I used this month? ({0})",
    "how much of our limits have we used, case {0}?",
    "how many seats do we use? ref {0}",
)


def different(forms: Sequence[str], things: Sequence[object]) -> Iterator[str]:
    """Questions without end, none twice; each about another thing than the one before, in another form."""
    for number in itertools.count():
        for shift in range(len(forms)):
            for place, thing in enumerate(things):
                yield forms[(place + shift) % len(forms)].format(thing) + (f" [{number}]" if number else "")


# -- the parts of Kotae's turn, each alone


class Parts:
    """What a turn of Kotae is made of, measured at the same processes.

    Args:
        stack: whose processes.
        database: the stack's.
        questions: never the same twice.
    """

    def __init__(self, stack: Kotae, database: Database, questions: Iterator[str]) -> None:
        self._stack, self._database, self._questions = stack, database, questions
        self._catalog = load_catalog(load_company(ROOT / "demo"))
        self._key = stack.secret
        self.seconds: dict[str, list[float]] = {}

    async def once(self) -> None:
        """Each part a few times."""
        for _ in range(CONVERSATION):
            question = next(self._questions)
            knowledge_base = f"http://127.0.0.1:{self._stack.ports['knowledge_base']}"
            await self._time("encode", self._post(f"{knowledge_base}/embed", {"texts": [question]}))
            await self._time("search", self._post(f"{knowledge_base}/answer", {"text": question, "lang": "en"}))
            await self._time("look_up", self._look_up())
            await self._log_and_rasa()

    async def _time(self, name: str, work: Awaitable[Made]) -> Made:
        began = time.perf_counter()
        made = await work
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)
        return made

    async def _post(self, url: str, body: dict[str, Any], **headers: str) -> Any:
        answer = await self._stack.http.post(url, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    async def _look_up(self) -> None:
        async with self._database.begin() as session:
            await facts_of_turn(session, self._catalog, ACCOUNT, PERSON, now())

    async def _log_and_rasa(self) -> None:
        """A greeting, which Rasa answers without an action: written down, understood and decided, and settled."""
        conversation, accepted = await self._begun()
        answer = await self._time("rasa", self._greeted(accepted))
        bodies = [BODY.validate_python(one) for one in answer["messages"]]
        settled = await self._time("log", self._logged(conversation, accepted, bodies))
        if not settled:
            raise RuntimeError("a turn of the benchmark was settled by somebody else")

    async def _begun(self) -> tuple[str, Leased]:
        """A conversation with a turn that is leased already, so that the stack's own runner leaves it alone."""
        async with self._database.begin() as session:
            made = await log.start(session, lang="en", now=now(), account_id=ACCOUNT, person_id=PERSON)
            await log.accept(session, made.id, "first", "hello", now())
            turn = (await session.execute(select(Turn).where(Turn.conversation_id == made.id))).scalar_one()
            turn.leased_until = now() + timedelta(seconds=10)  # a longer one would be taken for that of a wrong clock
        leased = Leased(turn.id, made.id, turn.seq, ACCOUNT, PERSON, "en", "hello", None, 1, turn.created_at)
        return made.id, leased

    async def _greeted(self, turn: Leased) -> Any:
        token = turns.sign(turn, self._key, now())
        url = f"http://127.0.0.1:{self._stack.ports['rasa']}/webhooks/kotae/turn"
        body = {"conversation": turn.conversation_id, "text": turn.text, "choice": None}
        return await self._post(url, body, Authorization=f"Bearer {token}")

    async def _logged(self, conversation: str, turn: Leased, bodies: list[Body]) -> bool:
        """The two durable commits of a turn: the message taken, the answer kept."""
        async with self._database.begin() as session:
            await log.append(session, conversation, "customer", Text(text=turn.text), now())
        async with self._database.begin() as session:
            return await log.settle(session, turn.id, bodies, "answered", now(), intent="greet") is not None


# -- the whole


async def measure(rounds: int, bench: Path, home: Path) -> dict[str, Any]:
    """Runs everything.

    Args:
        rounds: how often the subjects take turns.
        bench: where trained stock bots and the index are kept between runs.
        home: an empty folder for Kotae's state.
    Returns:
        the report: `subjects` by name, `parts_ms`, and the ratios.
    """
    projects = {kind: stock.project(bench, kind) for kind in KINDS}
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as http:
        with ExitStack() as running:
            subjects = []
            for kind, made in projects.items():
                port, actions_port = free_ports(2)
                pids = running.enter_context(stock.running(made, port, actions_port))
                subjects.append(stock_subject(kind, f"http://127.0.0.1:{port}", pids, http))
            stack = running.enter_context(kotae(bench, home, http))
            questions = different(_HELP, titles())
            subjects.append(stack.subject("help", questions, "answer"))
            subjects.append(stack.subject("account", different(_ACCOUNT, range(10_000)), "account"))
            database = Database(stack.database_url)
            parts = Parts(stack, database, questions)
            await _rounds(rounds, subjects, parts)
            await database.close()
            return _report(subjects, parts)


async def _rounds(rounds: int, subjects: list[Subject], parts: Parts) -> None:
    for subject in subjects:  # connections, prepared statements, lazy imports: nobody starts cold
        await subject.alone()
        subject.forget()
    with progress() as show:
        task = show.add_task("measuring", total=rounds)
        for number in range(rounds):
            order = subjects if number % 2 == 0 else subjects[::-1]
            for _ in range(CONVERSATIONS):
                for subject in order:
                    await subject.alone()
            await parts.once()
            for customers in CUSTOMERS[1:]:
                for subject in order:
                    await subject.crowd(customers)
            show.advance(task)


def _report(subjects: list[Subject], parts: Parts) -> dict[str, Any]:
    figures = {subject.name: subject.report() for subject in subjects}
    rival, ours = figures["stock"], figures["help"]
    for each in figures.values():
        each["to_stock"] = _ratios(each, rival)
    return {
        "subjects": figures,
        "parts": {name: _times(values) for name, values in parts.seconds.items()},
        "ratio_p50": ours["to_stock"]["p50"],
        "ratio_p50_account": figures["account"]["to_stock"]["p50"],
        "ratio_p99_to_p50": ours["p99_ms"] / ours["p50_ms"],
        "ratio_turns_per_cpu_second": ours["to_stock"]["turns_per_cpu_second"],
    }


def _times(seconds: Sequence[float]) -> dict[str, float]:
    p50, p95, p99 = (1000 * quantile(seconds, share) for share in (0.5, 0.95, 0.99))
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def _ratios(ours: dict[str, Any], rival: dict[str, Any]) -> dict[str, Any]:
    """A bot's figures divided by another's; of what a turn costs the processor, the turns that a second of it is enough for."""
    made = {name: ours[f"{name}_ms"] / rival[f"{name}_ms"] for name in ("p50", "p95", "p99")}
    rates = {at: rate / rival["turns_per_second"][at] for at, rate in ours["turns_per_second"].items()}
    many = {at: rival["cpu_seconds_per_turn_at"][at] / each for at, each in ours["cpu_seconds_per_turn_at"].items()}
    return {
        **made,
        "turns_per_second": rates,
        "turns_per_cpu_second": rival["cpu_seconds_per_turn"] / ours["cpu_seconds_per_turn"],
        "turns_per_cpu_second_at": many,
        "memory": ours["memory_mb"] / rival["memory_mb"],
    }


def _print(report: dict[str, Any]) -> None:
    heads = ("p50 ms", "p95 ms", "p99 ms", *(f"turns/s at {n}" for n in CUSTOMERS), "CPU ms/turn", "MB")
    table, ratios = Table("turn", *heads), Table("to stock", *heads[:-2], "turns/CPU s", "MB")
    for name, figures in report["subjects"].items():
        rates = [f"{figures['turns_per_second'][str(n)]:.0f}" for n in CUSTOMERS]
        cpu, memory = f"{1000 * figures['cpu_seconds_per_turn']:.1f}", f"{figures['memory_mb']:.0f}"
        table.add_row(name, *_three(figures), *rates, cpu, memory)
        to = figures["to_stock"]
        columns = [to[key] for key in ("p50", "p95", "p99")] + [to["turns_per_second"][str(n)] for n in CUSTOMERS]
        ratios.add_row(name, *(f"{each:.2f}" for each in (*columns, to["turns_per_cpu_second"], to["memory"])))
    parts = Table("part, alone", *heads[:3])
    for name, times in report["parts"].items():
        parts.add_row(name, *_three(times))
    console = Console(width=120)
    for each in (table, ratios, parts):
        console.print(each)
    for name in ("help", "account"):
        by_process = report["subjects"][name]["cpu_seconds_per_turn_by_process"]
        console.print(f"{name}, CPU ms: " + ", ".join(f"{one} {1000 * cost:.1f}" for one, cost in by_process.items()))
    for name in ("ratio_p50", "ratio_p50_account", "ratio_p99_to_p50", "ratio_turns_per_cpu_second"):
        console.print(f"{name} {report[name]:.2f}")


def _three(times: dict[str, Any]) -> list[str]:
    return [f"{times[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms")]


def main() -> int:
    """Entry point.

    Returns:
        0; the figures are for readers, floors of speed depend on the machine.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.turn", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=6, help="how often the subjects take turns (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    if not EVAL.exists():
        print(f"the real help centre is not there ({EVAL}): nothing measured", file=sys.stderr)
        return 1
    bench = ROOT / ".kotae" / "bench"
    bench.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        report = asyncio.run(measure(arguments.rounds, bench, Path(home)))
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        _print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
