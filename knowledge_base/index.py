"""The index of the help content: built beside the one that serves, then switched to in one step.

A folder of an index holds `current`, which names one of `builds/*`; a build never changes once it is named there. A build
has the articles and passages as JSON lines and a *shelf* for each way of asking: the articles of one language with the
encoder of a language. Articles that exist in one language only stand on a second shelf, for those who ask in the other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
import orjson
from pydantic import BaseModel, ConfigDict

from kit import clock
from kit.errors import UserError
from knowledge_base.articles import Article, Content, Passage
from knowledge_base.decision import FILE as CALIBRATION_FILE
from knowledge_base.decision import Calibration
from knowledge_base.dense import Centred, Dense, build_codes, mapped
from knowledge_base.encoders import Encoder, Encoders, Vectors
from knowledge_base.lexical import Lexical, terms_and_pairs, tokens
from knowledge_base.passages import cut
from knowledge_base.pieces import FITTED_ON, ROWS_UP_TO, Basis, Pieces, Writer
from knowledge_base.progress import Meter, Report, silent
from knowledge_base.text import Language, windows

FORMAT = 7
"""Raised whenever passages are cut, embedded or stored differently: an index of another format is built again."""
_STEPS = re.compile(r"^ {0,3}1[.)] ", re.MULTILINE)
WINDOW = 110
"""Words of a passage that get a vector of their own; a longer passage has several."""
STRIDE = 90
KEPT = 512
"""Articles, and as many passages, kept in memory once they were read: an article takes about 5 KB."""
_EMBED_BATCH = 64
_SPREAD = 8
"""Each so many batches comes first, so that the first texts embedded are of all lengths."""
_POINTER = "current"
_SIZES = "sizes.json"
Integers = npt.NDArray[np.int32]
Item = TypeVar("Item", Article, Passage)


class Meta(BaseModel):
    """What a build says of itself."""

    model_config = ConfigDict(frozen=True)

    format: int
    encoders: dict[str, int]
    content: str
    url: str
    shelves: list[str]
    articles: int
    passages: int
    built_at: str


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        embedded, reused: texts that were embedded, and that the build before had.
        unchanged: nothing had changed, so nothing was built.
        warnings: for the writer.
    """

    articles: int
    passages: int
    embedded: int
    reused: int
    unchanged: bool
    warnings: tuple[str, ...]


class Lines(Sequence[Item], Generic[Item]):
    """Items kept as JSON lines in a file, read one at a time where they are asked for; the last ones asked for are kept."""

    def __init__(self, path: Path, kind: type[Item]) -> None:
        self._kind: type[Item] = kind
        self._data: npt.NDArray[np.uint8] = (
            np.asarray(np.memmap(path, mode="r", dtype=np.uint8)) if path.stat().st_size else np.zeros(0, np.uint8)
        )
        self._ends: npt.NDArray[np.int64] = np.load(path.with_suffix(".ends.npy"))
        self._read: Callable[[int], Item] = lru_cache(KEPT)(self._line)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, position: Any) -> Any:
        return self._read(int(position))

    def _line(self, position: int) -> Item:
        if not 0 <= position < len(self._ends):
            raise IndexError(position)
        start = int(self._ends[position - 1]) if position else 0
        return _thawed(self._kind, orjson.loads(self._data[start : int(self._ends[position])].tobytes()))

    @staticmethod
    def write(path: Path, items: Sequence[Article] | Sequence[Passage]) -> None:
        lines = [orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in items]
        path.write_bytes(b"".join(lines))
        np.save(path.with_suffix(".ends.npy"), np.cumsum([len(line) for line in lines], dtype=np.int64))


def _thawed(kind: type[Item], data: dict[str, Any]) -> Item:
    for name, value in data.items():
        if isinstance(value, list):
            data[name] = tuple(value)
    if data.get("updated"):
        data["updated"] = date.fromisoformat(data["updated"])
    return kind(**data)


@dataclass(frozen=True)
class Shelf:
    """Articles of one language, findable with one encoder.

    Attributes:
        articles: their positions in the index.
        article_rows, article_passages: where the rows and passages of each begin, with one more at the end.
        passages: positions of the passages in the index, article by article.
        personal: for each passage on it 1 where it is a template.
        main: for each article the passage that its own questions ask for, counted from its first: the one that says step by
            step what to do, or else the first.
        row_passage: for each row the passage it is from, as a position in `passages`; -1 for a question of the article.
        dense, rows: the vectors of the rows, to be searched and to be looked at from their centre.
        neighbours: how alike each two articles are, seen from there; None: they are so many that it is found out where it is asked for.
        titles: the vector of each article's title.
        headings, passage_heading: the vector of each path of headings under its title, and which of them each passage is below.
        pieces: of each row; None: its encoder tells none, or there are too many rows.
        whole, parts: BM25 over articles (words and pairs of words) and over passages.
    """

    name: str
    lang: Language
    encoder: str
    articles: Integers
    article_rows: Integers
    article_passages: Integers
    passages: Integers
    row_passage: Integers
    personal: Integers
    main: Integers
    dense: Dense
    rows: Centred
    neighbours: npt.NDArray[np.float32] | None
    titles: Centred
    headings: Centred
    passage_heading: Integers
    pieces: Pieces | None
    whole: Lexical
    parts: Lexical


class Index:
    """An opened build.

    Args:
        build: its folder.
        meta: what it says of itself.
    """

    def __init__(self, build: Path, meta: Meta, calibration: Calibration) -> None:
        self.build = build
        self.meta = meta
        self.calibration = calibration
        self.articles: Lines[Article] = Lines(build / "articles.jsonl", Article)
        self.passages: Lines[Passage] = Lines(build / "passages.jsonl", Passage)
        self.shelves = {name: _open_shelf(build / name, name) for name in meta.shelves}

    @cached_property
    def position(self) -> dict[str, int]:
        """Where each article is, by its id."""
        return {article.id: number for number, article in enumerate(self.articles)}

    @cached_property
    def links(self) -> dict[str, str]:
        """Address of each article, by its id."""
        return {article.id: article.url for article in self.articles}

    def shelves_for(self, lang: Language, encoders: Encoders) -> list[Shelf]:
        """Where a question in that language is looked for: its own shelf first, then what exists in the other only."""
        named = [self.shelves[name] for name in (lang, f"{lang}-other") if name in self.shelves]
        # Content in one language only: the encoder of Japanese reads questions in the other too.
        return named or [s for s in self.shelves.values() if s.encoder == encoders.japanese.name]


def current_build(index: Path) -> Path | None:
    """The build an index folder points to; None where there is none."""
    try:
        name = (index / _POINTER).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return index / "builds" / name


def fingerprint(index: Path) -> tuple[str, ...] | None:
    """What an index folder serves now: changes with its build and with its calibration. None where there is none."""
    build = current_build(index)
    if build is None:
        return None
    try:
        return (build.name, str((index / CALIBRATION_FILE).stat().st_mtime_ns))
    except OSError:
        return (build.name,)


def open_index(index: Path, encoders: Encoders) -> Index:
    """Opens the current build.

    Args:
        index: the folder.
        encoders: of this installation.
    Raises:
        UserError: there is none, it is damaged, or it was built with other encoders.
    """
    build = current_build(index)
    if build is None:
        raise UserError(f"there is no index in {index}", "build it with `kotae kb build`")
    try:
        meta = Meta.model_validate_json((build / "meta.json").read_bytes())
        _refuse_other(meta, encoders, index)
        _check_sizes(build)
        return Index(build, meta, Calibration.load(index))
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, TypeError, EOFError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"the index in {index} is damaged ({line})", "build it again with `kotae kb build`") from error


def build_index(
    content: Content, index: Path, encoders: Encoders, url: str = "", *, asked: Collection[Language] | None = None,
    report: Report = silent,
) -> BuildReport:  # fmt: skip
    """Builds the index of some content and switches to it.

    Vectors of texts that the build before had are taken from it. A crash at any moment leaves the old one in place.

    Args:
        content: what to index.
        index: the folder.
        encoders: of this installation.
        url: where the content is published.
        asked: languages in which also the articles that exist in the other only are to be found; None: in both, if both occur.
        report: told of the progress.
    Raises:
        UserError: another build is at work on this index.
    """
    with _alone(index):
        before = _usable(index, encoders)
        written = {article.lang for article in content.articles}
        across = tuple(sorted(written if asked is None and len(written) > 1 else asked or ()))
        digest = _digest(content, url, across, encoders)
        if before is not None and before.meta.content == digest:
            meta = before.meta
            return BuildReport(meta.articles, meta.passages, 0, 0, unchanged=True, warnings=content.warnings)
        return _Builder(content, index, encoders, url, across, before, report).build(digest)


class _Place(NamedTuple):
    """Where a text has been embedded: in the build before, or in this one."""

    vectors: Vectors
    pieces: Pieces | None
    row: int


class _Builder:
    def __init__(
        self,
        content: Content,
        index: Path,
        encoders: Encoders,
        url: str,
        across: Collection[Language],
        before: Index | None,
        report: Report,
    ) -> None:
        self.content, self.index, self.encoders, self.url = content, index, encoders, url
        self.across, self.before, self.report = across, before, report
        self.embedded = 0
        self._taken: set[tuple[str, bytes]] = set()
        self._made: dict[str, dict[bytes, _Place]] = {}
        self.passages: list[Passage] = []
        self.first: list[int] = [0]

    def build(self, digest: str) -> BuildReport:
        self._cut()
        name = secrets.token_hex(6)
        made = self.index / "builds" / f".{name}"
        made.mkdir(parents=True)
        try:
            shelves = self._shelves()
            for shelf, lang, encoder, articles in sorted(shelves, key=self._foremost):
                self._write_shelf(made / shelf, lang, encoder, articles)
            Lines.write(made / "articles.jsonl", self.content.articles)
            Lines.write(made / "passages.jsonl", self.passages)
            self._write_meta(made, digest, [shelf for shelf, *_ in shelves])
            _seal(made)
            made.rename(self.index / "builds" / name)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        _point(self.index, name)
        _sweep(self.index, {name, self.before.build.name if self.before else name})
        return BuildReport(
            len(self.content.articles),
            len(self.passages),
            self.embedded,
            len(self._taken),
            False,
            self.content.warnings,
        )

    def _cut(self) -> None:
        links = {article.id: article.url for article in self.content.articles}
        meter = Meter(self.report, "reading", len(self.content.articles))
        for article in self.content.articles:
            self.passages.extend(cut(article, links, self.url))
            self.first.append(len(self.passages))
            meter.advance(1)

    def _shelves(self) -> list[tuple[str, Language, Encoder, list[int]]]:
        """Name, language, encoder and articles of each shelf."""
        made: list[tuple[str, Language, Encoder, list[int]]] = []
        keys = {lang: {a.key for a in self.content.articles if a.lang == lang} for lang in ("en", "ja")}
        pairs: tuple[tuple[Language, Language], ...] = (("en", "ja"), ("ja", "en"))
        for lang, other in pairs:
            own = [n for n, article in enumerate(self.content.articles) if article.lang == lang]
            if own:
                made.append((lang, lang, self.encoders.of(lang), own))
            lacking = [n for n, a in enumerate(self.content.articles) if a.lang == other and a.key not in keys[lang]]
            if lacking and lang in self.across:
                # Only the encoder of Japanese reads both languages.
                made.append((f"{lang}-other", other, self.encoders.japanese, lacking))
        return made

    def _write_shelf(self, folder: Path, lang: Language, encoder: Encoder, articles: list[int]) -> None:
        folder.mkdir()
        texts: list[str] = []
        speaks_for: list[int] = []
        rows, starts = [0], [0]
        passages: list[int] = []
        for number in articles:
            article = self.content.articles[number]
            own = self._own(number)
            for place, position in enumerate(own, start=len(passages)):
                for text in _texts(article, self.passages[position], encoder):
                    texts.append(text)
                    speaks_for.append(place)
            for question in (*article.questions, *([article.description] if article.description else [])):
                texts.append(question)
                speaks_for.append(-1)
            passages.extend(own)
            rows.append(len(texts))
            starts.append(len(passages))
        with_pieces = encoder.tells_pieces and len(texts) <= ROWS_UP_TO
        with Writer(folder, len(texts), self._bases.get(encoder.name)) if with_pieces else nullcontext() as pieces:
            self._vectors(encoder, texts, folder / "vectors.npy", pieces)
        if pieces is not None and pieces.basis is not None:
            self._bases[encoder.name] = pieces.basis
            self._remember(encoder, folder)
        build_codes(folder / "vectors.npy")
        titles = [self.content.articles[number].title for number in articles]
        self._vectors(encoder, titles, folder / "titles.npy")
        above = [_above(self.content.articles[n], self.passages[at]) for n in articles for at in self._own(n)]
        paths, below = np.unique(np.array(above, dtype=object), return_inverse=True)
        self._vectors(encoder, paths.tolist(), folder / "headings.npy")
        np.save(folder / "row_passage.npy", np.array(speaks_for, np.int32))
        np.savez(
            folder / "places.npz",
            articles=np.array(articles, np.int32),
            article_rows=np.array(rows, np.int32),
            article_passages=np.array(starts, np.int32),
            passages=np.array(passages, np.int32),
            passage_heading=below.astype(np.int32),
            main=np.array([self._main(number) for number in articles], np.int32),
            personal=np.array(
                [self.passages[position].template and "{{" in self.passages[position].quote for position in passages],
                np.int32,
            ),
        )
        (folder / "shelf.json").write_text(json.dumps({"lang": lang, "encoder": encoder.name}), encoding="utf-8")
        self._write_words(folder, articles)

    def _main(self, number: int) -> int:
        steps = (place for place, at in enumerate(self._own(number)) if _STEPS.search(self.passages[at].quote))
        return next(steps, 0)

    def _own(self, number: int) -> range:
        """Positions of an article's passages."""
        return range(self.first[number], self.first[number + 1])

    def _foremost(self, shelf: tuple[str, Language, Encoder, list[int]]) -> tuple[int, bool]:
        """Shelves in this order: the directions of word pieces are found in the first that has an encoder. So one with enough to find them
        in, and of these one in the language they are asked in."""
        name, lang, _, articles = shelf
        return -min(self._passages_of(articles), FITTED_ON // 2), name != lang

    def _passages_of(self, articles: Sequence[int]) -> int:
        return sum(len(self._own(number)) for number in articles)

    def _write_words(self, folder: Path, articles: list[int]) -> None:
        whole: list[list[str]] = []
        parts: list[list[str]] = []
        for number in articles:
            article = self.content.articles[number]
            all_terms = terms_and_pairs(f"{article.title}\n{article.description}\n" + "\n".join(article.questions))
            for passage in (self.passages[position] for position in self._own(number)):
                headings = " ".join(passage.headings)
                all_terms += terms_and_pairs(headings) + terms_and_pairs(passage.text)
                parts.append(tokens(article.title) + tokens(headings) + tokens(passage.text))
            whole.append(all_terms)
        Lexical.build(whole).save(folder / "whole")
        Lexical.build(parts).save(folder / "parts")

    def _vectors(self, encoder: Encoder, texts: list[str], file: Path, pieces: Writer | None = None) -> None:
        """Writes the vectors of these texts, taken from the build before where it had them; kept with the hash of each text.

        Args:
            pieces: gets those of each text; None: none are kept.
        """
        keys = np.array([_key(encoder.name, text) for text in texts], dtype="S20")
        known, made = self._known(encoder.name), self._made.setdefault(encoder.name, {})
        vectors = np.zeros((len(texts), encoder.dimension), np.float32)
        missing: list[int] = []
        for row, key in enumerate(keys):
            place = made.get(bytes(key)) or known.get(bytes(key))
            if place is None or (pieces is not None and place.pieces is None):
                missing.append(row)
                continue
            vectors[row] = place.vectors[place.row]
            if pieces is not None and place.pieces is not None:
                pieces.copy(row, place.pieces.of(place.row))
        meter = Meter(self.report, f"embedding ({encoder.name})", len(missing))
        missing.sort(key=lambda row: len(texts[row]))  # texts of like length waste no padding
        batches = [missing[start : start + _EMBED_BATCH] for start in range(0, len(missing), _EMBED_BATCH)]
        for batch in batches[::_SPREAD] + [batch for n, batch in enumerate(batches) if n % _SPREAD]:
            for row, read in zip(batch, encoder.read_passages([texts[row] for row in batch]), strict=True):
                vectors[row] = read.vector
                if pieces is not None and read.pieces is not None:
                    pieces.add(row, read.pieces)
            meter.advance(len(batch))
        self.embedded += len(missing)
        self._taken |= {(encoder.name, bytes(key)) for key in keys if bytes(key) in known and bytes(key) not in made}
        np.save(file, vectors)
        np.save(file.with_suffix(".keys.npy"), keys)
        Centred.write(file, vectors)
        # Another shelf with the same encoder may have the same texts, and many a heading path is a title.
        for row in missing:
            made.setdefault(bytes(keys[row]), _Place(vectors, None, row))

    def _remember(self, encoder: Encoder, folder: Path) -> None:
        """Another shelf with the same encoder may have the same rows: their pieces are taken from this one."""
        vectors, pieces = mapped(folder / "vectors.npy"), Pieces.open(folder)
        for row, key in enumerate(np.load(folder / "vectors.keys.npy")):
            self._made[encoder.name][bytes(key)] = _Place(vectors, pieces, row)

    @cached_property
    def _bases(self) -> dict[str, Basis]:
        """Of pieces, by encoder: those of the build before, and then those that are fitted."""
        shelves = self.before.shelves.values() if self.before else ()
        most: dict[str, int] = {}
        for _, _, encoder, articles in self._shelves():
            most[encoder.name] = max(most.get(encoder.name, 0), self._passages_of(articles))
        return {
            shelf.encoder: shelf.pieces.basis
            for shelf in shelves
            if shelf.pieces is not None and shelf.pieces.basis.rows >= min(FITTED_ON, most.get(shelf.encoder, 0)) / 2
        }

    @cached_property
    def _before(self) -> dict[str, dict[bytes, _Place]]:
        found: dict[str, dict[bytes, _Place]] = {}
        for shelf in self.before.shelves.values() if self.before else ():
            folder = cast(Index, self.before).build / shelf.name
            kept = shelf.pieces if shelf.pieces and self._bases.get(shelf.encoder) == shelf.pieces.basis else None
            # Rows last: of a text that is a title too, the row has the pieces.
            named = (("titles", shelf.titles.vectors, None), ("headings", shelf.headings.vectors, None))
            for name, vectors, pieces in (*named, ("vectors", shelf.dense.vectors, kept)):
                keys = np.load(folder / f"{name}.keys.npy")
                places = {bytes(key): _Place(vectors, pieces, row) for row, key in enumerate(keys)}
                found.setdefault(shelf.encoder, {}).update(places)
        return found

    def _known(self, encoder: str) -> dict[bytes, _Place]:
        return self._before.get(encoder, {})

    def _write_meta(self, made: Path, digest: str, shelves: list[str]) -> None:
        meta = Meta(
            format=FORMAT,
            encoders={encoder.name: encoder.dimension for encoder in self.encoders.all},
            content=digest,
            url=self.url,
            shelves=shelves,
            articles=len(self.content.articles),
            passages=len(self.passages),
            built_at=clock.now().isoformat(),
        )
        (made / "meta.json").write_text(meta.model_dump_json(indent=1), encoding="utf-8")


def _texts(article: Article, passage: Passage, encoder: Encoder) -> list[str]:
    """What is embedded for a passage: windows of it, each under its article's title and headings."""
    above = _above(article, passage)
    return [
        f"{above}\n{text}" for text in windows(passage.text, min(WINDOW, encoder.window), min(STRIDE, encoder.window))
    ]


def _above(article: Article, passage: Passage) -> str:
    """The title and headings a passage is below."""
    return " > ".join((article.title, *(h for h in passage.headings if h != article.title)))


def _open_shelf(folder: Path, name: str) -> Shelf:
    about = json.loads((folder / "shelf.json").read_text(encoding="utf-8"))
    with np.load(folder / "places.npz") as places:
        arrays = {key: places[key] for key in places.files}
    dense = Dense.open(folder / "vectors.npy")
    vectors = dense.vectors
    row_passage = np.load(folder / "row_passage.npy")
    if len(row_passage) != len(vectors) or arrays["article_rows"][-1] != len(vectors):
        raise ValueError(f"shelf {name} has {len(vectors)} vectors for {len(row_passage)} rows")
    pieces = Pieces.open(folder)
    if pieces is not None and len(pieces) != len(vectors):
        raise ValueError(f"shelf {name} has the word pieces of {len(pieces)} rows for {len(vectors)}")
    rows = Centred.open(folder / "vectors.npy")
    return Shelf(
        name=name,
        lang=about["lang"],
        encoder=about["encoder"],
        row_passage=row_passage,
        dense=dense,
        rows=rows,
        neighbours=rows.between(arrays["article_rows"]),
        titles=Centred.open(folder / "titles.npy"),
        headings=Centred.open(folder / "headings.npy"),
        pieces=pieces,
        whole=Lexical.open(folder / "whole", len(arrays["articles"])),
        parts=Lexical.open(folder / "parts", len(arrays["passages"])),
        **arrays,
    )


def _refuse_other(meta: Meta, encoders: Encoders, index: Path) -> None:
    here = {encoder.name: encoder.dimension for encoder in encoders.all}
    if meta.format != FORMAT:
        raise UserError(f"the index in {index} is of format {meta.format}, not {FORMAT}", "build it again")
    if meta.encoders != here:
        raise UserError(
            f"the index in {index} was built with {'+'.join(meta.encoders)}, the settings say {'+'.join(here)}",
            "build it again with `kotae kb build`, or set KOTAE_ENCODER (and KOTAE_ENCODER_JA) back",
        )


def _usable(index: Path, encoders: Encoders) -> Index | None:
    """The build before, where its vectors can be used again."""
    try:
        return open_index(index, encoders)
    except UserError:
        return None


def _digest(content: Content, url: str, across: Collection[Language], encoders: Encoders) -> str:
    pieces = [encoder.name for encoder in encoders.all if encoder.tells_pieces]
    made = hashlib.sha256(f"{FORMAT}\0{url}\0{' '.join(across)}\0{' '.join(pieces)}".encode())
    for article in content.articles:
        made.update(orjson.dumps({f.name: getattr(article, f.name) for f in fields(article) if f.name != "path"}))
    return made.hexdigest()


def _key(encoder: str, text: str) -> bytes:
    # Hexadecimal, since NumPy's byte strings lose zero bytes at their end.
    return hashlib.sha256(f"{encoder}\0{text}".encode()).hexdigest()[:20].encode()


@contextmanager
def _alone(index: Path) -> Iterator[None]:
    try:
        index.mkdir(parents=True, exist_ok=True)
        lock = (index / ".lock").open("w")
    except OSError as error:
        raise UserError(f"the index folder {index} cannot be written ({error.strerror})", "name another") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another build is at work on {index}", "wait for it to end") from None
        yield


def _point(index: Path, name: str) -> None:
    fresh = index / f".{_POINTER}"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(name)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(index / _POINTER)


def _seal(folder: Path) -> None:
    """Notes the size of every file, and waits until all are on the disk: the pointer must not outlive what it points to."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    (folder / _SIZES).write_text(json.dumps(sizes), encoding="utf-8")
    for path in (*files, folder / _SIZES):
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _check_sizes(folder: Path) -> None:
    for name, size in json.loads((folder / _SIZES).read_text(encoding="utf-8")).items():
        if (folder / name).stat().st_size != size:
            raise ValueError(f"{name} is not as it was written")


def _sweep(index: Path, keep: set[str]) -> None:
    """Removes old builds. The one before stays: a process may be opening it right now."""
    for build in (index / "builds").iterdir():
        if build.name not in keep:
            shutil.rmtree(build, ignore_errors=True)
