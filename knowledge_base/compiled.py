"""A sentence-transformers model compiled for this processor by OpenVINO: the same vectors in a third of the time.

The model is translated once, whole, with its pooling and normalisation, and kept in a folder; the vectors of word pieces, of
which it makes the one of a text, are a second output. From then on neither torch
nor sentence-transformers is loaded to serve it. A translation counts only where its vectors are those of the original.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from pydantic import BaseModel, ValidationError

from knowledge_base.pieces import Reading, unit

Vectors = npt.NDArray[np.float32]
log = structlog.get_logger()

SAME = 0.999
"""Least cosine between a vector of the translation and the original's."""
LENGTH_STEP = 8
"""Word pieces to a multiple of which texts are filled up: code is generated for each length, which takes longer than the length."""
WARM_LENGTH = 64
"""Word pieces up to which all lengths are made ready at start: few questions are longer."""
WARM_BATCHES = (1, 2, 4, 8)
ALONE = 24
"""Word pieces of one question up to which it is read by a graph of just that shape, once it is made (`Compiled.warm`), for 75 MB. One
for all shapes gets ready anew whenever the shape is another than before, which takes as long as half of the reading."""
BATCH = 32
_FORMAT = 3
SAMPLES = (
    "How?",
    "How do I begin? はじめ方は？",
    "My invoice of last month is wrong, and the card that we changed two weeks ago was charged again.",
    " ".join(f"number {number} of a longer text" for number in range(40)),
    " ".join(f"part {number} of what is longer than any model reads" for number in range(120)),
)


class Untranslatable(Exception):
    """The model must be run as it is. Its text says why."""


class Described(BaseModel):
    """What is kept beside the translated model.

    Attributes:
        inputs: names in the order of the graph.
        dimension: of the vectors.
        longest: word pieces read of a text.
        question_prompt, passage_prompt: put before each text.
        pad_id, pad_token: what texts are filled up with.
    """

    inputs: list[str]
    dimension: int
    longest: int
    question_prompt: str
    passage_prompt: str
    pad_id: int
    pad_token: str


def place(cache: Path, model: Path) -> Path:
    """The folder in which the translation of a model is kept, or would be.

    Args:
        cache: of all translations.
        model: the folder of a sentence-transformers model, or the file of another.
    """
    digest = hashlib.sha256(f"{_FORMAT} {version('openvino')} {version('sentence-transformers')}".encode())
    for file in [model] if model.is_file() else sorted(path for path in model.rglob("*") if path.is_file()):
        found = file.stat()
        digest.update(f"{file.relative_to(model)}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    return cache / digest.hexdigest()[:24]


class Compiled:
    """A translated model, compiled for this processor. May be called from any thread; calls are one at a time.

    Args:
        folder: of a translation.
        threads: for one batch.
    Raises:
        Untranslatable: there is none, or it cannot be read.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        try:
            described = Described.model_validate_json((folder / "model.json").read_bytes())
            self._tokenizer = _tokenizer(folder, described)
            self._normalizer = self._tokenizer.normalizer
            self._marks = tuple(token.content for token in self._tokenizer.get_added_tokens_decoder().values())
            self._request = _compile(folder, threads)
            self._folder, self._threads = folder, threads
        except (OSError, RuntimeError, ValidationError) as error:
            raise Untranslatable(_line(error)) from error
        self.described = described
        self.dimension = described.dimension
        self.longest = described.longest
        self._short = min(ALONE, described.longest)
        self._alone: Any = None
        self._lock = Lock()

    def questions(self, texts: Sequence[str]) -> list[Reading]:
        """What people ask, read."""
        return self._read([self.described.question_prompt + text for text in texts])

    def passages(self, texts: Sequence[str]) -> list[Reading]:
        """What is to be found, read."""
        return self._read([self.described.passage_prompt + text for text in texts])

    def seen(self, text: str) -> str:
        """A text as the tokenizer cuts it: in small letters, for instance, where the model knows no others."""
        if self._normalizer is None or any(mark in text for mark in self._marks):
            return text  # marks are looked for in the text as it is
        made: str = self._normalizer.normalize_str(text)
        return made

    def warm(self) -> None:
        """Generates the code for the usual lengths and batches: the first of each kind is the slow one.

        Raises:
            Untranslatable: the translation cannot be read any more.
        """
        try:
            self._alone = _compile(self._folder, self._threads, (1, self._short))
        except RuntimeError as error:
            raise Untranslatable(_line(error)) from error
        for batch in WARM_BATCHES:
            for length in range(LENGTH_STEP, WARM_LENGTH + 1, LENGTH_STEP):
                ids = np.full((batch, length), self.described.pad_id, np.int64)
                self._infer(ids, np.ones_like(ids), np.zeros_like(ids))
        self.questions(SAMPLES[:1])

    def _read(self, texts: Sequence[str]) -> list[Reading]:
        made: dict[int, Reading] = {}
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        order = sorted(
            range(len(texts)), key=lambda row: len(encoded[row].ids)
        )  # like lengths together: less to fill up
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            made |= zip(rows, self._batch([encoded[row] for row in rows]), strict=True)
        return [made[row] for row in range(len(texts))]

    def _batch(self, encoded: Sequence[Any]) -> list[Reading]:
        longest = max(len(one.ids) for one in encoded)
        shape = (1 << (len(encoded) - 1).bit_length(), min(-(-longest // LENGTH_STEP) * LENGTH_STEP, self.longest))
        if self._alone is not None and len(encoded) == 1 and longest <= self._short:
            shape = (1, self._short)
        ids = np.full(shape, self.described.pad_id, np.int64)
        mask, types = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row in range(shape[0]):
            one = encoded[min(row, len(encoded) - 1)]  # filled up with the last one: a row of nothing has no mean
            ids[row, : len(one.ids)] = one.ids
            mask[row, : len(one.ids)] = 1
            types[row, : len(one.ids)] = one.type_ids
        vectors, pieces = self._infer(ids, mask, types)
        own = [np.flatnonzero(np.array(one.special_tokens_mask) == 0) for one in encoded]
        return [Reading(vectors[row], unit(pieces[row, places])) for row, places in enumerate(own)]

    def _infer(
        self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64], types: npt.NDArray[np.int64]
    ) -> tuple[Vectors, Vectors]:
        """Vectors of the texts, and of their word pieces."""
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        request = self._alone if self._alone is not None and ids.shape == (1, self._short) else self._request
        with self._lock:
            done = request.infer([given[name] for name in self.described.inputs], share_inputs=True)
            return np.array(done[0], np.float32), np.array(done[1], np.float32)


def translate(model: Any, folder: Path) -> None:
    """Translates a model and keeps it, if its vectors are the same.

    Args:
        model: a `SentenceTransformer`.
        folder: of `place`.
    Raises:
        Untranslatable: it cannot be translated or kept.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            _translate(model, Path(made))
            _check(model, Compiled(Path(made), 1))
            put(Path(made), folder)
    except Untranslatable:
        raise
    except Exception as error:  # whatever a foreign model does to the translator: it is run as it is
        raise Untranslatable(_line(error)) from error


def _translate(model: Any, folder: Path) -> None:
    import torch

    ov = openvino()
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise Untranslatable("its tokenizer is of an old kind")
    example = model.tokenizer(["one", "one that is longer"], padding=True, return_tensors="pt")
    inputs = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in example]

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *given: Any) -> Any:
            made = self.model(dict(zip(inputs, given, strict=True)))
            return made["sentence_embedding"], made["token_embeddings"]

    for part in model.modules():
        if hasattr(type(part), "loss_function"):
            part.loss_function = (
                None  # tracing asks for every property, and transformers would warn that it has to guess this one
            )
    model.eval()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what tracing may get wrong: `_check` looks whether it did
        graph = ov.convert_model(Whole(), example_input=tuple(example[name] for name in inputs))
    ov.save_model(graph, folder / "model.xml", compress_to_fp16=True)
    backend.save(str(folder / "tokenizer.json"))
    prompts = model.prompts
    passage = next((name for name in ("document", "passage", "corpus") if name in prompts), "")
    described = Described(
        inputs=inputs,
        dimension=int(model.get_embedding_dimension()),
        longest=int(model.max_seq_length or 512),
        question_prompt=prompts.get("query") or "",
        passage_prompt=prompts.get(passage) or "",
        pad_id=int(model.tokenizer.pad_token_id),
        pad_token=str(model.tokenizer.pad_token),
    )
    (folder / "model.json").write_text(described.model_dump_json())


def _check(model: Any, compiled: Compiled) -> None:
    pairs: list[tuple[Callable[..., Any], Callable[[Sequence[str]], list[Reading]]]] = [
        (model.encode_query, compiled.questions),
        (model.encode_document, compiled.passages),
    ]
    for original, ours in pairs:
        wanted = np.asarray(original(list(SAMPLES), show_progress_bar=False), np.float32)
        found = np.stack([one.vector for one in (*ours(SAMPLES[:-1]), *ours(SAMPLES[-1:]))])
        refuse_others(wanted, found)


def refuse_others(wanted: Vectors, found: Vectors) -> None:
    """Compares vectors of a translation with those of the original.

    Raises:
        Untranslatable: they are not the same.
    """
    norms = np.linalg.norm(wanted, axis=1) * np.linalg.norm(found, axis=1)
    cosine = float(((wanted * found).sum(axis=1) / norms).min())
    longer = np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    if not cosine >= SAME or not np.allclose(longer, 1, atol=0.01):
        raise Untranslatable(f"its vectors would be others (cosine {cosine:.4f})")


def put(made: Path, folder: Path) -> None:
    """Into its place at once and whole; another process may have been first."""
    kept = Path(tempfile.mkdtemp(dir=folder.parent))
    shutil.copytree(made, kept, dirs_exist_ok=True)
    try:
        kept.rename(folder)
    except OSError:
        shutil.rmtree(kept)
        if not folder.is_dir():
            raise


def _tokenizer(folder: Path, described: Described) -> Any:
    from tokenizers import Tokenizer

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    made: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.no_padding()
    made.enable_truncation(described.longest)
    return made


def _compile(folder: Path, threads: int, shape: tuple[int, int] | None = None) -> Any:
    """A graph ready to run: for texts and word pieces of that number alone, or for any."""
    model = openvino().Core().read_model(folder / "model.xml")
    if shape is not None:
        model.reshape({given.any_name: list(shape) for given in model.inputs})
    return ready(model, threads)


def ready(model: Any, threads: int) -> Any:
    """A graph of OpenVINO, ready to run on this processor for one question at a time.

    Args:
        threads: for one batch.
    """
    core = openvino().Core()
    native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if native else "f32",
    }
    return core.compile_model(model, "CPU", settings).create_infer_request()


def openvino() -> Any:
    """OpenVINO, whose translator would report its use to its makers: what it reports with is kept from it."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # Python's own way to forbid an import
    import openvino as made

    return made


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
