"""Time of a search beside the encoder alone on the same questions, by the number of passages.

    python -m benchmarks.search [--sizes 1000 10000 100000] [--million]

Texts are made of a vocabulary with Zipf's frequencies; vectors are real ones moved at random, so that nothing has to be
encoded. Vectors are written to a file in parts and mapped: memory does not grow with them while they are made.
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

from kit.settings import load_settings
from knowledge_base.dense import Dense, build_cells
from knowledge_base.encoders import Encoder, load_encoder
from knowledge_base.lexical import Lexical

PART = 10_000
WORDS = 60
QUESTIONS = [
    "how do I reset my password", "where are my invoices", "invite a colleague to the workspace", "export all data as CSV",
    "why did the webhook not fire", "change the plan at the end of the month", "single sign-on with Okta",
    "delete an account for good", "how many runs are left", "time zone of the schedule is wrong",
]  # fmt: skip


def make_vectors(path: Path, size: int, seeds: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A mapped matrix of `size` rows of length 1 around the seeds, in clusters of a hundred."""
    random = np.random.default_rng(0)
    width = seeds.shape[1]
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(size, width))
    for start in range(0, size, PART):
        number = min(PART, size - start)
        base = seeds[random.integers(0, len(seeds), -(-number // 100))]
        base = base + random.normal(0, 1 / np.sqrt(width), base.shape)
        rows = np.repeat(base, 100, axis=0)[:number] + random.normal(0, 0.5 / np.sqrt(width), (number, width))
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


def recall(dense: Dense, asked: npt.NDArray[np.float32]) -> float:
    """Share of the true ten nearest, by brute force in NumPy, that a search finds."""
    found = 0
    for vector in asked:
        scores = np.concatenate([dense.vectors[n : n + PART] @ vector for n in range(0, len(dense.vectors), PART)])
        found += len(set(np.argpartition(-scores, 10)[:10].tolist()) & set(dense.search(vector, 10)[1].tolist()))
    return found / (10 * len(asked))


def measure(size: int, encoder: Encoder, folder: Path) -> list[str]:
    """One line of the table."""
    asked = encoder.questions(QUESTIONS)
    began = time.perf_counter()
    make_vectors(folder / "vectors.npy", size, asked)
    build_cells(folder / "vectors.npy")
    terms = make_words(folder / "words", size)
    built = time.perf_counter() - began
    began = time.perf_counter()
    dense = Dense.open(folder / "vectors.npy")
    words = Lexical.open(folder / "words", size)
    loaded = time.perf_counter() - began
    alone = milliseconds(lambda n: encoder.questions([QUESTIONS[n]]))
    near = milliseconds(lambda n: dense.search(asked[n], 200))
    worded = milliseconds(lambda n: words.scores(terms[n]))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    added = (near + worded) / alone
    figures = (alone, near, worded)
    return [
        f"{size:,}", *(f"{figure:.2f}" for figure in figures), f"{added:+.0%}", f"{recall(dense, asked):.3f}",
        f"{built:.1f}", f"{loaded:.2f}", f"{memory:,.0f}",
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measures each size and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--million", action="store_true", help="a million, too: some minutes and 2 GB of disk")
    given = parser.parse_args(arguments)
    settings = load_settings()
    encoder = load_encoder(settings.encoder, settings.threads)
    table = Table(
        "passages", "encoder ms", "dense ms", "words ms", "added", "recall@10", "made s", "load s", "memory MB"
    )
    for size in [*given.sizes, *([1_000_000] if given.million else [])]:
        with tempfile.TemporaryDirectory() as folder:
            table.add_row(*measure(size, encoder, Path(folder)))
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
