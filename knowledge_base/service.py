"""The one copy of the encoders and the index in a process, and the switch to a new index while it serves."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

import numpy as np
import structlog

from kit.errors import KotaeError, Unavailable
from kit.memory import keep_loaded
from kit.settings import Settings
from knowledge_base.answering import Answerer, question_language
from knowledge_base.batching import QuestionVectors
from knowledge_base.encoders import Encoder, Encoders, Vectors
from knowledge_base.index import fingerprint, open_index
from knowledge_base.pieces import Reading
from knowledge_base.schemas import Ready, Reloaded
from knowledge_base.text import clean_question, has_words

log = structlog.get_logger()


@dataclass(frozen=True)
class Embedded:
    """Vectors in blocks, one row a text, one block an encoder; a text without words is all zeros.

    Attributes:
        build: of the index that is served; empty where none is.
    """

    vectors: Vectors
    model: str
    build: str


class Service:
    """Serves one index folder. Every method may be called from any thread.

    Args:
        settings: which encoders and which index.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.index_dir
        self._settings = settings
        self._encoders: Encoders | None = None
        self._vectors: QuestionVectors | None = None
        self._answerer: Answerer | None = None
        self._served: tuple[str, ...] | None = None
        self._tried: tuple[str, ...] | None = ("nothing yet",)
        self._reason = "the encoder is being loaded"
        self._lock = Lock()

    def start(self) -> None:
        """Loads and warms the encoders, then the index. What is wrong becomes the reason not to be ready."""
        try:
            encoders = Encoders(self._settings)
            encoders.warm()
        except KotaeError as error:
            self._reason = str(error)
            log.error("encoder_failed", reason=str(error))
            return
        self._vectors = QuestionVectors(encoders.all)
        self._encoders = encoders
        log.info("encoder_ready", model=encoders.name, dimension=encoders.dimension)
        self.follow()
        keep_loaded()

    def close(self) -> None:
        """Ends the encoder threads."""
        if self._vectors is not None:
            self._vectors.close()

    def follow(self) -> None:
        """Switches to what the index folder points to now, if that is new. A damaged one is logged once, not served."""
        now = fingerprint(self._folder)
        if now == self._tried:
            return
        try:
            self.reload()
        except KotaeError as error:
            log.warning("index_not_loaded", reason=str(error))
            self._reason = str(error)

    def reload(self) -> Reloaded:
        """Opens the current build and serves it from the next question on; questions under way end on the old one.

        Raises:
            UserError: there is no usable index; the old one goes on serving.
            Unavailable: the encoder is not loaded.
        """
        if self._encoders is None or self._vectors is None:
            raise Unavailable("the knowledge base is not ready", self._reason)
        with self._lock:
            self._tried = now = fingerprint(self._folder)
            index = open_index(self._folder, self._encoders)
            changed = now != self._served
            self._answerer = Answerer(index, self._encoders, self._vectors.of)
            self._served = now
        if changed:
            log.info("index_loaded", build=index.build.name, articles=index.meta.articles, passages=index.meta.passages)
        return Reloaded(build=index.build.name, changed=changed)

    @property
    def answerer(self) -> Answerer:
        """The index as it is served now.

        Raises:
            Unavailable: nothing is loaded yet.
        """
        if self._answerer is None:
            raise Unavailable("the knowledge base is not ready", self._reason)
        return self._answerer

    def ready(self) -> Ready:
        """What is served.

        Raises:
            Unavailable: nothing yet, with the reason.
        """
        index = self.answerer.index
        return Ready(
            build=index.build.name,
            model=self.answerer.encoders.name,
            articles=index.meta.articles,
            passages=index.meta.passages,
        )

    async def embed(self, texts: list[str]) -> Embedded:
        """Vectors in blocks: each text in the block of its language's encoder.

        Raises:
            Unavailable: the encoder is not loaded.
        """
        if self._encoders is None or self._vectors is None:
            raise Unavailable("the knowledge base is not ready", self._reason)
        encoders = self._encoders
        rows = np.zeros((len(texts), encoders.dimension), np.float32)
        started: list[tuple[int, Encoder, Future[Reading]]] = []
        for row, text in enumerate(map(clean_question, texts)):
            if has_words(text):
                encoder = encoders.of(question_language(text, None))
                started.append((row, encoder, self._vectors.start(encoder, text)))
        for row, encoder, future in started:
            rows[row] = encoders.block(encoder, (await asyncio.wrap_future(future)).vector)
        return Embedded(rows, encoders.name, self._answerer.index.build.name if self._answerer else "")
