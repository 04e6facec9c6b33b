"""A compiled encoder gives the vectors of its original, and where it cannot, the original is used."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kit.settings import ROOT, Settings
from knowledge_base import compiled
from knowledge_base.encoders import CompiledEncoder, SentenceTransformersEncoder, load_encoder

TEXTS = [
    " ".join(f"word{number}" for number in range(count)) for count in (1, 2, 7, 8, 9, 11, 12, 30, 64, 65, 200, 400)
]


@pytest.fixture(scope="module")
def original() -> SentenceTransformersEncoder:
    """The model as its makers run it."""
    made = load_encoder("minilm")
    assert isinstance(made, SentenceTransformersEncoder)
    return made


@pytest.fixture(scope="module")
def cache(plain_settings: Settings) -> Path:
    """Where the compiled encoder is, once one was made."""
    assert plain_settings.encoder_cache is not None
    load_encoder("minilm", cache=plain_settings.encoder_cache)
    return plain_settings.encoder_cache


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Row by row."""
    found: np.ndarray = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    return found


def test_vectors_are_those_of_the_original_at_every_length(cache: Path, original: SentenceTransformersEncoder) -> None:
    ours = load_encoder("minilm", cache=cache)
    assert isinstance(ours, CompiledEncoder)
    assert (ours.name, ours.dimension, ours.window) == (original.name, original.dimension, original.window)
    wanted = original.questions(TEXTS)
    assert cosines(ours.questions(TEXTS), wanted).min() >= compiled.SAME
    assert cosines(ours.passages(TEXTS), original.passages(TEXTS)).min() >= compiled.SAME
    for _ in range(2):  # before there is a graph for a short question alone, and with it
        alone = np.concatenate([ours.questions([text]) for text in TEXTS])
        assert cosines(alone, wanted).min() >= compiled.SAME
        ours.warm()


def test_more_texts_than_a_batch_keep_their_order(cache: Path) -> None:
    ours = load_encoder("minilm", cache=cache)
    texts = [f"text {number} " + "and more " * (number % 11) for number in range(compiled.BATCH + 5)]
    together = ours.passages(texts)
    alone = np.concatenate([ours.passages([text]) for text in texts])
    assert cosines(together, alone).min() >= compiled.SAME
    assert ours.questions([]).shape == (0, ours.dimension)


def test_once_compiled_it_is_served_without_torch(cache: Path) -> None:
    words = (
        "import sys, pathlib; from knowledge_base.encoders import load_encoder; "
        f"load_encoder('minilm', cache=pathlib.Path({str(cache)!r})).warm(); "
        "print(sorted({'torch', 'sentence_transformers', 'openvino_telemetry'} & set(n for n, m in sys.modules.items() if m)))"
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_translation_says_nothing_about_how_the_model_was_trained(
    original: SentenceTransformersEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    transformers = logging.getLogger("transformers.modeling_utils")
    vars(type(transformers))["warning_once"].cache_clear()  # it is said once a process
    transformers.addHandler(caplog.handler)  # what transformers says goes no further
    try:
        compiled.translate(original.model, tmp_path / "made")
    finally:
        transformers.removeHandler(caplog.handler)
    assert (tmp_path / "made").is_dir()
    assert caplog.messages == []


def test_a_damaged_one_is_not_used(cache: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "encoders"
    shutil.copytree(cache, damaged)
    for file in damaged.glob("*/model.xml"):
        file.write_text("<net")
    assert isinstance(load_encoder("minilm", cache=damaged), SentenceTransformersEncoder)


def test_one_whose_vectors_are_others_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "SAME", 1.1)
    assert isinstance(load_encoder("minilm", cache=tmp_path / "encoders"), SentenceTransformersEncoder)
    assert list((tmp_path / "encoders").iterdir()) == []
