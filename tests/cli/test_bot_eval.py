"""`kotae bot eval` on data that others made."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support import Stack

pytestmark = pytest.mark.stack
TOPICS = {
    "refund": (
        "I want my money back",
        "please refund the order",
        "how do refunds work",
        "refund me",
        "money back please",
    ),
    "delivery": (
        "where is my parcel",
        "when does it arrive",
        "track my delivery",
        "is it shipped yet",
        "parcel is late",
    ),
    "once": ("do you sell gift cards",),
}
STRANGE = ("who won the match", "tell me a joke", "what is the capital of Peru")


def _file(path: Path, rows: list[tuple[str, str]], header: tuple[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_no_stranger_in_training_and_an_intent_of_one_sentence(stack: Stack, tmp_path: Path) -> None:
    """Neither is an obstacle, nor are other names of the columns and rows without words."""
    taught = [(text, topic) for topic, texts in TOPICS.items() for text in texts]
    asked = [("can I have a refund", "refund"), ("when will my parcel come", "delivery"), ("", "refund")]
    train = _file(tmp_path / "train.csv", [*taught, (" ", "refund")], ("text", "Intent"))
    test = _file(tmp_path / "test.csv", [*asked, *((one, "none") for one in STRANGE)], ("sentence", "label"))
    done = stack.kotae("bot", "eval", "--train", str(train), "--test", str(test), "--oos-label", "none", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["n_train"], found["n_in_scope"], found["n_oos"]) == (11, 2, 3)
    assert found["in_scope_accuracy"] == 1
    assert found["oos_auroc"] > 0.8


def test_a_failure_is_one_line(stack: Stack, tmp_path: Path) -> None:
    """What is wrong and what to do, and nothing else."""
    one = _file(tmp_path / "one.csv", [("a", "same"), ("b", "same")], ("sentence", "label"))
    named = _file(tmp_path / "named.csv", [("a", "b")], ("words", "kind"))
    for train, part in ((one, "nothing to tell apart"), (named, "is missing"), (tmp_path / "no.csv", "does not exist")):
        done = stack.kotae("bot", "eval", "--train", str(train), "--test", str(one), "--json")
        assert (done.returncode, done.stdout) == (1, "")
        assert part in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
