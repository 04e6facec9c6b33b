"""Builds are incremental, atomic and bound to their encoders."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kit.errors import UserError
from kit.settings import Settings
from knowledge_base.articles import Content
from knowledge_base.encoders import Encoders
from knowledge_base.index import BuildReport, build_index, current_build, open_index
from knowledge_base.loading import load_folder
from knowledge_base.progress import Progress


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "index"


def build(content: Path, place: Path, encoders: Encoders) -> BuildReport:
    return build_index(load_folder(content), place, encoders)


def test_articles_come_back_as_they_were(content: Path, place: Path, encoders: Encoders) -> None:
    loaded = load_folder(content, "https://h.example")
    build_index(loaded, place, encoders, "https://h.example")
    index = open_index(place, encoders)
    assert [article.id for article in index.articles] == [article.id for article in loaded.articles]
    assert index.articles[1] == loaded.articles[1]
    assert list(index.shelves) == ["en", "en-other", "ja", "ja-other"]
    own = {index.articles[int(n)].id for n in index.shelves["ja-other"].articles}
    assert own == {"en/billing", "en/single-sign-on", "en/vacuum"}


def test_only_what_changed_is_embedded(content: Path, place: Path, encoders: Encoders) -> None:
    first = build(content, place, encoders)
    assert first.reused == 0
    assert build(content, place, encoders).unchanged
    path = content / "en" / "vacuum.md"
    path.write_text(path.read_text().replace("small brush", "large brush"))
    second = build(content, place, encoders)
    assert (second.embedded, second.unchanged) == (2, False)  # once for each language it is asked in
    assert second.reused == first.embedded - 2


def test_a_build_that_fails_leaves_the_old_one(content: Path, place: Path, encoders: Encoders) -> None:
    build(content, place, encoders)
    before = current_build(place)
    (content / "en" / "new.md").write_text("A new article about looms.")

    def stop(progress: Progress) -> None:
        if progress.stage.startswith("embedding") and progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(load_folder(content), place, encoders, report=stop)
    assert current_build(place) == before
    assert [path.name for path in (place / "builds").iterdir()] == [before.name] if before else False
    open_index(place, encoders)


KILLED = """
import os, signal, sys
from pathlib import Path
from kit.settings import load_settings
from knowledge_base.offline import build_index

def kill(progress):
    if progress.stage.startswith("embedding") and progress.done:
        os.kill(os.getpid(), signal.SIGKILL)

build_index(load_settings(encoder="minilm", encoder_ja=None), Path(sys.argv[1]), Path(sys.argv[2]), report=kill)
"""


def test_a_build_that_is_killed_leaves_the_old_one_and_the_next_clears_away(
    content: Path, place: Path, plain_settings: Settings
) -> None:
    encoders = Encoders(plain_settings.model_copy(update={"encoder_ja": None}))
    build(content, place, encoders)
    before = current_build(place)
    (content / "en" / "new.md").write_text("A new article about looms.")
    words = [sys.executable, "-c", KILLED, str(content), str(place)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list((place / "builds").iterdir())) == 2  # what was begun lies there
    assert current_build(place) == before
    open_index(place, encoders)
    report = build(content, place, encoders)
    assert report.embedded > 0
    assert not any(path.name.startswith(".") for path in (place / "builds").iterdir())


def test_an_index_refuses_another_encoder(
    content: Path, place: Path, encoders: Encoders, plain_settings: Settings
) -> None:
    build(content, place, encoders)
    other = Encoders(plain_settings.model_copy(update={"encoder": "multilingual"}))
    with pytest.raises(UserError, match=r"built with minilm\+multilingual, the settings say multilingual"):
        open_index(place, other)


@pytest.mark.parametrize("name", ["meta.json", "articles.jsonl", "en/vectors.npy", "en/places.npz", "ja/shelf.json"])
def test_a_broken_file_is_said(content: Path, place: Path, encoders: Encoders, name: str) -> None:
    build(content, place, encoders)
    built = current_build(place)
    assert built is not None
    data = (built / name).read_bytes()
    (built / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="is damaged"):
        list(open_index(place, encoders).articles)


def test_an_index_that_is_not_there_is_said(place: Path, encoders: Encoders) -> None:
    with pytest.raises(UserError, match="there is no index"):
        open_index(place, encoders)


def test_the_progress_says_how_fast_and_how_long(content: Path, place: Path, encoders: Encoders) -> None:
    seen: list[Progress] = []
    build_index(load_folder(content), place, encoders, report=seen.append)
    last = [progress for progress in seen if progress.stage == "embedding (minilm)"][-1]
    assert last.done == last.total > 0
    assert last.rate > 0
    assert last.seconds_left == 0


def test_a_question_of_the_front_matter_is_a_row_of_its_article(content: Path, place: Path, encoders: Encoders) -> None:
    build(content, place, encoders)
    index = open_index(place, encoders)
    shelf = index.shelves["en"]
    runs = next(n for n, article in enumerate(shelf.articles) if index.articles[int(article)].id == "en/run-limits")
    rows = shelf.row_passage[shelf.article_rows[runs] : shelf.article_rows[runs + 1]]
    assert (rows < 0).tolist() == [False] * (len(rows) - 1) + [True]


def test_content_without_words_can_be_built(tmp_path: Path, place: Path, encoders: Encoders) -> None:
    (tmp_path / "a.md").write_text("…\n")
    build_index(Content(load_folder(tmp_path).articles), place, encoders)
    index = open_index(place, encoders)
    assert len(index.passages) == 0
    assert json.loads((index.build / "meta.json").read_text())["articles"] == 1
    assert np.asarray(index.shelves["en"].dense.vectors).shape == (0, 384)
