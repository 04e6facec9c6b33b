"""`kotae kb` as a person at a terminal meets it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import delete, select

from accounts.models import Account
from accounts.records import put_account
from accounts.schemas import PutAccount
from cli import prepare
from conversations import log
from conversations.bodies import Text
from conversations.models import Conversation, Turn
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 240.0
"""Seconds for a build, encoders loaded, on a machine with much else to do."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", "kb", *words]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "KOTAE_HOME": str(home), "KOTAE_ENCODER_JA": "", "PYTHONPATH": str(ROOT)}


def until(process: subprocess.Popen[str], path: Path, before: str) -> str:
    """Waits for a build other than `before`."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        now = path.read_text() if path.exists() else ""
        if now not in ("", before):
            return now
        time.sleep(0.05)
    raise AssertionError(f"no new build; exit status {process.poll()}")


def test_watch_builds_again_when_an_article_is_saved(tmp_path: Path) -> None:
    content, index = tmp_path / "help", tmp_path / "index"
    content.mkdir()
    article = content / "looms.md"
    article.write_text("# Looms\n\nA loom weaves cloth.")
    words = command("watch", "--content", str(content), "--index", str(index))
    with subprocess.Popen(words, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        try:
            first = until(process, index / "current", "")
            article.write_text("---\ntitle: [\n---\nnot yet right")
            article.write_text("# Looms\n\nA loom weaves cloth from warp and weft.")
            second = until(process, index / "current", first)
            assert "warp and weft" in (index / "builds" / second / "articles.jsonl").read_text()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["watch", "--content", "nowhere"], "nowhere is not there"),
        (["build", "--content", "nowhere"], "nowhere is not there"),
        (["calibrate"], "nothing to calibrate on"),
        (["eval", "nowhere"], "nowhere is not a folder"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    done = subprocess.run(
        command(*words), cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_whatever_is_typed_is_answered_or_refused_in_one_line(tmp_path: Path) -> None:
    """A hundred thousand characters, signs alone, and nothing."""
    content, index = tmp_path / "help", tmp_path / "index"
    content.mkdir()
    (content / "looms.md").write_text("# Looms\n\nA loom weaves cloth.")
    where = ("--index", str(index))
    run(tmp_path, "build", "--content", str(content), *where)
    assert "Looms" in run(tmp_path, "search", "what weaves cloth " * 6_000, *where).stdout
    assert run(tmp_path, "search", "🎉🎉", *where).stdout.startswith("abstain")
    empty = run(tmp_path, "search", "", *where)
    assert (empty.returncode, empty.stderr) == (1, "kotae: the question is empty: ask something\n")


def test_eval_prints_one_document_or_a_line_each(tmp_path: Path) -> None:
    """The names others read, with `--json`; figures for people, and the curve as a picture, without."""
    folder, picture = tmp_path / "beir", tmp_path / "curve.png"
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": "1", "text": "A loom weaves cloth from threads."},
        {"_id": "2", "text": "Invoices are sent monthly."},
    ]
    asked = [{"_id": "a", "text": "what weaves cloth"}, {"_id": "b", "text": "do you sell shoes"}]
    for name, rows in (("corpus", corpus), ("queries", asked)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\na\t1\t1\n")
    made = json.loads(run(tmp_path, "eval", str(folder), "--json").stdout)
    names = {"n", "hit@1", "hit@3", "hit@10", "mrr@10", "ndcg@10", "answerable_auroc", "selective", "ms_per_query"}
    assert names <= made.keys()
    assert (made["n"], made["hit@1"]) == (2, 1)
    shown = run(tmp_path, "eval", str(folder), "--plot", str(picture)).stdout
    assert "hit@1              1\n" in shown
    assert "\n  coverage         " in shown
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_build_in_a_log_is_some_lines_with_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stages may have as many items each: what ended is the stage, not the build."""
    written = io.StringIO()
    monkeypatch.setattr(prepare, "notes", Console(file=written, width=200))
    monkeypatch.setattr(prepare._Lines, "_QUICK_SECONDS", 0.0)
    for number in range(200):
        (tmp_path / f"{number}.md").write_text(f"# Loom {number}\n\nLoom number {number} weaves cloth {number}.")
    settings = load_settings(home=tmp_path / "home", encoder_ja=None)
    with prepare.progress() as show:
        prepare.index(settings, load_company(settings.company), show, content=tmp_path)
        monkeypatch.setattr(prepare._Lines, "_EVERY_SECONDS", 0.0)
        shutil.rmtree(settings.index_dir)
        seldom = written.getvalue().splitlines()
        prepare.index(settings, load_company(settings.company), show, content=tmp_path)
    often = written.getvalue().splitlines()[len(seldom) :]
    assert len(seldom) <= 8
    assert seldom[-1] == "Index of the help content: 200 articles, 200 passages"
    assert any(re.fullmatch(r".*embedding \(minilm\): \d+/200, \d+/s, \d+ s left", line) for line in often)


async def test_gaps_are_grouped_by_meaning_with_the_value_behind_them(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    """Two customers ask for one thing in other words, a visitor for another: the first is worth writing about."""
    content, index = tmp_path / "help", tmp_path / "index"
    content.mkdir()
    (content / "looms.md").write_text("# Looms\n\nA loom weaves cloth.")
    asked = (
        ("gaps-a", "is there a mobile app for my phone"),
        ("gaps-b", "do you have a mobile app for phones"),
        (None, "can zebras be leased"),
    )
    moment, talks = now(), []
    async with database.begin() as session:
        for payer in ("gaps-a", "gaps-b"):
            paid = PutAccount(price=Decimal(100), currency="USD", per_months=1, started_at=moment - timedelta(days=400))
            await put_account(session, payer, paid, moment)
        for account, text in asked:
            talk = await log.start(
                session, lang="en", now=moment, account_id=account, person_id=account and "gaps-person"
            )
            talks.append(talk.id)
            await log.accept(session, talk.id, talk.id, text, moment, None)
            (turn,) = await session.scalars(select(Turn).where(Turn.conversation_id == talk.id))
            turn.decision = "abstain"
            await log.settle(session, turn.id, [Text(text="I do not know.")], "answered", moment)
    run(tmp_path, "build", "--content", str(content), "--index", str(index))
    words = ("gaps", "--index", str(index), "--limit", "1000")
    made = json.loads(run(tmp_path, *words, "--json", DATABASE_URL=database_url).stdout)
    mobile = next(gap for gap in made["gaps"] if "mobile" in gap["question"])
    zebras = next(gap for gap in made["gaps"] if "zebras" in gap["question"])
    assert {mobile["question"], *mobile["examples"]} == {text for account, text in asked if account}
    assert (mobile["count"], sorted(mobile["accounts"])) == (2, ["gaps-a", "gaps-b"])
    assert Decimal(mobile["value"]) > 0 == Decimal(zebras["value"])
    assert made["gaps"].index(mobile) < made["gaps"].index(zebras)
    assert "mobile app" in run(tmp_path, *words, DATABASE_URL=database_url).stdout
    async with database.begin() as session:  # other tests look at all there is
        await session.execute(delete(Conversation).where(Conversation.id.in_(talks)))
        await session.execute(delete(Account).where(Account.id.in_(["gaps-a", "gaps-b"])))


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        cwd=ROOT,
        env=environment(home) | more,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
