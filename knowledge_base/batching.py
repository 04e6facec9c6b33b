"""Question vectors, remembered and made together where several are asked for at the same moment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread

import numpy as np
import numpy.typing as npt

from knowledge_base.encoders import BATCH, Encoder

Vector = npt.NDArray[np.float32]
REMEMBERED = 4_096
"""Vectors kept: 6 MB at 384 dimensions, and a text embedded to be understood is at hand when it is answered."""


class Batcher:
    """One thread that runs one encoder: what waits while it works is its next batch, so nobody waits for a timer.

    Args:
        encoder: to run.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._waiting: SimpleQueue[tuple[str, Future[Vector]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=f"encoder-{encoder.name}", daemon=True)
        self._thread.start()

    def submit(self, text: str) -> Future[Vector]:
        """The vector of a question, in time."""
        future: Future[Vector] = Future()
        self._waiting.put((text, future))
        return future

    def close(self) -> None:
        """Ends the thread after what is waiting."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            ended = False
            while len(batch) < BATCH and not ended:
                try:
                    item = self._waiting.get_nowait()
                except Empty:
                    break
                if item is None:
                    ended = True
                else:
                    batch.append(item)
            self._encode(batch)
            if ended:
                return

    def _encode(self, batch: list[tuple[str, Future[Vector]]]) -> None:
        try:
            vectors = self._encoder.questions([text for text, _ in batch])
        except Exception as error:  # noqa: BLE001  # whoever waits for it gets it; the thread must live on
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), vector in zip(batch, vectors, strict=True):
            future.set_result(vector)


class QuestionVectors:
    """The vectors of questions by all encoders of an installation; may be called from any thread.

    Args:
        encoders: each gets a thread of its own.
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        self._batchers = {encoder.name: Batcher(encoder) for encoder in encoders}
        self._remembered: OrderedDict[tuple[str, str], Future[Vector]] = OrderedDict()
        self._lock = Lock()

    def start(self, encoder: Encoder, text: str) -> Future[Vector]:
        """The vector of one text, in time. A text that is being encoded, or was lately, is not encoded again."""
        key = (encoder.name, text)
        with self._lock:
            found = self._remembered.get(key)
            if found is not None and not (found.done() and found.exception()):
                self._remembered.move_to_end(key)
                return found
            made = self._remembered[key] = self._batchers[encoder.name].submit(text)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return made

    def of(self, encoder: Encoder, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """A row for each text by one encoder; waits for them."""
        started = [self.start(encoder, text) for text in texts]
        return np.stack([future.result() for future in started])

    def close(self) -> None:
        """Ends the threads."""
        for batcher in self._batchers.values():
            batcher.close()
