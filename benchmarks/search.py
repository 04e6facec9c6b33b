"""Time of a search beside the encoder alone on the same questions, by the number of passages.

    python -m benchmarks.search [--sizes 1000 10000 100000 1000000]

Nothing large is encoded: passages are made from the sample company's real ones. The centre of a made-up article is a mixture
of the centres of three real ones (Dirichlet, .3, so that mostly one prevails), and its ten passages lie about that centre
as the passages of real articles lie about theirs. The questions are the sample company's own. Texts are made of a vocabulary
with Zipf's frequencies; a million of them would take minutes and gigabytes, so there only vectors are measured. Vectors are
written to a file in parts and mapped: memory does not grow with them while they are made.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.quality import ROOT
from kit.settings import load_settings
from knowledge_base.dense import Dense, build_codes
from knowledge_base.encoders import Encoder, load_encoder
from knowledge_base.evaluation import load_questions
from knowledge_base.lexical import Lexical
from knowledge_base.loading import load_folder
from knowledge_base.passages import cut
from knowledge_base.text import is_japanese

QUESTIONS = [
    "how do I reset my password", "where are my invoices", "invite a colleague to the workspace", "export all data as CSV",
    "why did the webhook not fire", "change the plan at the end of the month", "single sign-on with Okta",
    "delete an account for good", "how many runs are left", "time zone of the schedule is wrong",
]  # fmt: skip
PART = 10_000
WORDS = 60
ASKED = 100
MIXED = 3
"""Real articles that a made-up one lies between, and real passages whose distances from their article's centre it mixes."""
PASSAGES = 10
WORDED_UP_TO = 100_000
Vectors = npt.NDArray[np.float32]


def real(encoder: Encoder) -> tuple[Vectors, Vectors, Vectors]:
    """The centres of the sample company's articles, how its passages lie about them, and its questions."""
    content = load_folder(ROOT / "demo" / "help", "")
    texts, owners = [], []
    for number, article in enumerate(article for article in content.articles if article.lang == "en"):
        for passage in cut(article, {}, ""):
            texts.append(f"{article.title}\n{passage.text}")
            owners.append(number)
    rows, owner = encoder.passages(texts), np.array(owners)
    centres = np.array([rows[owner == number].mean(axis=0) for number in np.unique(owner)], np.float32)
    questions = [one.text for one in load_questions(ROOT / "demo" / "questions") if not is_japanese(one.text)]
    return centres, rows - centres[owner], encoder.questions(questions[:: len(questions) // ASKED][:ASKED])


def make_vectors(path: Path, size: int, centres: Vectors, scatter: Vectors) -> Vectors:
    """A mapped matrix of `size` rows of length 1, ten to an article."""
    random = np.random.default_rng(0)
    width = centres.shape[1]
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(size, width))
    for start in range(0, size, PART):
        number = min(PART, size - start)
        articles = -(-number // PASSAGES)
        shares = random.dirichlet([0.3] * MIXED, articles).astype(np.float32)
        base = np.einsum("am,amw->aw", shares, centres[random.integers(0, len(centres), (articles, MIXED))])
        parts = random.normal(0, 1 / np.sqrt(MIXED), (number, MIXED)).astype(np.float32)
        about = np.einsum("nm,nmw->nw", parts, scatter[random.integers(0, len(scatter), (number, MIXED))])
        rows = np.repeat(base, PASSAGES, axis=0)[:number] + about
        made[start : start + number] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    made.flush()
    return np.load(path, mmap_mode="r")


def make_words(folder: Path, size: int) -> list[list[str]]:
    """Stores a lexical index of made-up texts; gives ten questions of its words."""
    random = np.random.default_rng(1)
    vocabulary = np.array([f"w{n}" for n in range(50_000)])
    ranks = np.minimum(random.zipf(1.2, (size, WORDS)), len(vocabulary)) - 1
    Lexical.build([vocabulary[row].tolist() for row in ranks]).save(folder)
    return [vocabulary[ranks[n * size // 10, :6]].tolist() for n in range(10)]


def milliseconds(work: Callable[[int], object], times: int = 30) -> float:
    """The median of some runs, after one that does not count."""
    work(0)
    taken = []
    for n in range(times):
        began = time.perf_counter()
        work(n % 10)
        taken.append(1000 * (time.perf_counter() - began))
    return float(np.median(taken))


def recall(dense: Dense, asked: Vectors) -> float:
    """Share of the true ten nearest, by brute force in NumPy, that a search finds."""
    best = np.full((len(asked), 0), -1.0, np.float32)
    rows = np.zeros((len(asked), 0), np.int64)
    for start in range(0, len(dense.vectors), PART):
        scores = asked @ dense.vectors[start : start + PART].T
        best = np.hstack([best, scores])
        rows = np.hstack([rows, np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)])
        kept = np.argpartition(-best, 9, axis=1)[:, :10]
        best, rows = np.take_along_axis(best, kept, 1), np.take_along_axis(rows, kept, 1)
    found = [
        len(set(true.tolist()) & set(dense.search(vector, 10)[1].tolist()))
        for true, vector in zip(rows, asked, strict=True)
    ]
    return sum(found) / (10 * len(asked))


def measure(size: int, encoder: Encoder, folder: Path, kinds: tuple[Vectors, Vectors, Vectors]) -> list[str]:
    """One line of the table."""
    centres, scatter, asked = kinds
    worded = size <= WORDED_UP_TO
    make_vectors(folder / "vectors.npy", size, centres, scatter)
    began = time.perf_counter()
    build_codes(folder / "vectors.npy")
    built = time.perf_counter() - began
    terms = make_words(folder / "words", size) if worded else []
    began = time.perf_counter()
    dense = Dense.open(folder / "vectors.npy")
    words = Lexical.open(folder / "words", size) if worded else None
    loaded = time.perf_counter() - began
    alone = milliseconds(lambda n: encoder.questions([QUESTIONS[n]]))
    near = milliseconds(lambda n: dense.search(asked[n], 200))
    by_words = milliseconds(lambda n: words.scores(terms[n])) if words else None
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        f"{size:,}", f"{alone:.2f}", f"{near:.2f}", f"{by_words:.2f}" if by_words is not None else "",
        f"{(near + (by_words or 0.0)) / alone:+.0%}", f"{recall(dense, asked):.3f}", f"{built:.1f}", f"{loaded:.2f}",
        f"{memory:,.0f}",
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measures each size and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    given = parser.parse_args(arguments)
    settings = load_settings()
    encoder = load_encoder(settings.encoder, settings.threads)
    kinds = real(encoder)
    table = Table(
        "passages", "encoder ms", "dense ms", "words ms", "added", "recall@10", "codes s", "load s", "memory MB"
    )
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            table.add_row(*measure(size, encoder, Path(folder), kinds))
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
