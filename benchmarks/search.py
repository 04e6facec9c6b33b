"""Time of a search beside the encoder alone on the same questions, by the number of passages.

    python -m benchmarks.search [--sizes 1000 10000 100000 1000000] [--words-up-to 100000]

"search" is all that comes after the encoder: by meaning, by words, the best articles read again word piece by word piece, the
passage chosen, and what the decision rests on. Times are of the processor, which other work disturbs less than those of a clock.

Nothing large is encoded: passages are made from the sample company's real ones. The centre of a made-up article is a mixture
of the centres of three real ones (Dirichlet, .3, so that mostly one prevails), and its ten passages lie about that centre
as the passages of real articles lie about theirs. The questions are the sample company's own. Texts are made of a vocabulary
with Zipf's frequencies; a million of them take minutes to be indexed, so there words are left out ("dense alone") unless `--words-up-to` says
otherwise. Word pieces are those of real passages, one after the other, up to where the product itself leaves them out. Vectors are written to
a file in parts and mapped: memory does not grow with them while they are made.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.quality import ROOT
from kit.settings import load_settings
from knowledge_base.dense import Centred, Dense, build_codes, mapped
from knowledge_base.encoders import Encoder, load_encoder
from knowledge_base.evaluation import load_questions
from knowledge_base.index import Index, Shelf
from knowledge_base.lexical import Lexical
from knowledge_base.loading import load_folder
from knowledge_base.passages import cut
from knowledge_base.pieces import FITTED_ON, ROWS_UP_TO, Basis, Pieces, Reading, Writer
from knowledge_base.ranking import POOL_ROWS, rank
from knowledge_base.text import is_japanese

QUESTIONS = [
    "how do I reset my password", "where are my invoices", "invite a colleague to the workspace", "export all data as CSV",
    "why did the webhook not fire", "change the plan at the end of the month", "single sign-on with Okta",
    "delete an account for good", "how many runs are left", "time zone of the schedule is wrong",
]  # fmt: skip
PART = 10_000
WORDS = 60
ASKED = 100
TURNS = 12
MIXED = 3
"""Real articles that a made-up one lies between, and real passages whose distances from their article's centre it mixes."""
PASSAGES = 10
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


def real_pieces(encoder: Encoder) -> list[Reading]:
    """Passages of the sample company with their pieces, as many as axes are fitted on."""
    content = load_folder(ROOT / "demo" / "help", "")
    passages = (one for article in content.articles if article.lang == "en" for one in cut(article, {}, ""))
    return encoder.read_passages([one.text for one, _ in zip(passages, range(FITTED_ON), strict=False)])


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
    return mapped(path)


def make_words(folder: Path, size: int) -> list[str]:
    """Stores lexical indexes of made-up texts, of passages and of articles; gives ten questions of their words."""
    random = np.random.default_rng(1)
    vocabulary = np.array([f"w{n}" for n in range(50_000)], dtype=object)
    ranks = (np.minimum(random.zipf(1.2, (size, WORDS)), len(vocabulary)) - 1).astype(np.int32)
    Lexical.build([vocabulary[row].tolist() for row in ranks]).save(folder / "parts")
    whole = ranks.reshape(-1, WORDS * PASSAGES)
    Lexical.build([vocabulary[row].tolist() for row in whole]).save(folder / "whole")
    return [" ".join(vocabulary[ranks[n * size // 10, :6]]) for n in range(10)]


def make_pieces(folder: Path, size: int, read: Sequence[Reading]) -> None:
    """Stores the pieces of real passages over and over again."""
    own = [one.pieces for one in read if one.pieces is not None]
    with Writer(folder, size, Basis.fit(own)) as writer:
        for row in range(size):
            writer.add(row, own[row % len(own)])


def make_shelf(folder: Path, size: int, terms: bool) -> tuple[Shelf, float]:
    """Opens what was made as the product opens a shelf of its own; and how many seconds that took."""
    count = size // PASSAGES
    nothing = None if terms else Lexical.build([[]])
    began = time.perf_counter()
    places, starts = np.arange(size, dtype=np.int32), np.arange(0, size + 1, PASSAGES, dtype=np.int32)
    rows = Centred.open(folder / "vectors.npy")
    shelf = Shelf(
        name="en", lang="en", encoder="minilm", articles=places[:count], article_rows=starts, article_passages=starts,
        passages=places, row_passage=places, personal=np.zeros(size, np.int32), main=np.zeros(count, np.int32), dense=Dense.open(folder / "vectors.npy"),
        rows=rows, neighbours=rows.between(starts), titles=rows, headings=rows, passage_heading=places, pieces=Pieces.open(folder),
        whole=nothing or Lexical.open(folder / "whole", count), parts=nothing or Lexical.open(folder / "parts", size),
    )  # fmt: skip
    return shelf, time.perf_counter() - began


def side_by_side(*works: Callable[[int], object]) -> list[float]:
    """The median processor time of each, in milliseconds: in turns of ten questions, since what else the machine does would
    disturb one more than another."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(TURNS):
        for work, times in zip(works, taken, strict=True):
            work(0)  # does not count: what was done before had the caches
            for n in range(10):
                began = time.process_time()
                work(n)
                times.append(1000 * (time.process_time() - began))
    return [float(np.median(times)) for times in taken]


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


def measure(
    size: int, worded: bool, encoder: Encoder, folder: Path, kinds: tuple[Vectors, Vectors, Vectors], read: Sequence[Reading]
) -> list[str]:  # fmt: skip
    """One line of the table.

    Args:
        size: passages.
        worded: whether they have words.
        kinds: of `real`.
        read: of `real_pieces`.
    """
    centres, scatter, asked = kinds
    made = make_vectors(folder / "vectors.npy", size, centres, scatter)
    Centred.write(folder / "vectors.npy", made)
    began = time.perf_counter()
    build_codes(folder / "vectors.npy")
    built = time.perf_counter() - began
    texts = make_words(folder, size) if worded else QUESTIONS
    if size <= ROWS_UP_TO:
        make_pieces(folder, size, read)
    shelf, loaded = make_shelf(folder, size, worded)
    questions = encoder.read_questions(QUESTIONS)
    index = cast(Index, None)  # only asked for what an asker's plan prefers
    alone, dense, words, search = side_by_side(
        lambda n: encoder.questions([QUESTIONS[n]]),
        lambda n: shelf.dense.search(asked[n], POOL_ROWS),
        lambda n: shelf.whole.scores(texts[n].split()) if worded else None,
        lambda n: (
            rank(index, shelf, texts[n], [questions[n]], 10) if worded else shelf.dense.search(asked[n], POOL_ROWS)
        ),
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        f"{size:,}", f"{alone:.2f}", f"{dense:.2f}", f"{words:.2f}" if worded else "", f"{search:.2f}" if worded else "",
        f"{search / alone:+.0%}" + ("" if worded else " (dense alone)"), f"{recall(shelf.dense, asked):.3f}",
        f"{built:.1f}", f"{loaded:.2f}", f"{memory:,.0f}",
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measures each size and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--words-up-to", type=int, default=100_000, help="passages up to which they have words")
    given = parser.parse_args(arguments)
    settings = load_settings()
    encoder = load_encoder(settings.encoder, settings.threads, settings.encoder_cache)
    encoder.warm()  # as the service does
    threadpool_limits(settings.threads, user_api="blas")  # as `Encoders` does
    kinds, read = real(encoder), real_pieces(encoder)
    table = Table(
        "passages", "encoder ms", "dense ms", "words ms", "search ms", "added", "recall@10", "codes s", "load s", "memory MB"
    )  # fmt: skip
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            table.add_row(*measure(size, size <= given.words_up_to, encoder, Path(folder), kinds, read))
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
