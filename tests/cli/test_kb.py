"""`kotae kb` as a person at a terminal meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=ROOT, env=environment(home), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
