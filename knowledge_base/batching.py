"""Questions read by the encoders, remembered and made together where several are asked for at the same moment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from knowledge_base.encoders import BATCH, Encoder
from knowledge_base.pieces import ASKED, Reading

REMEMBERED = 1_024
"""Texts kept: a text embedded to be understood is at hand when it is answered. A usual question takes 20 kB, the longest 100."""


class Batcher:
    """One thread that runs one encoder: what waits while it works is its next batch, so nobody waits for a timer.

    Args:
        encoder: to run.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._waiting: SimpleQueue[tuple[str, Future[Reading]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=f"encoder-{encoder.name}", daemon=True)
        self._thread.start()

    def submit(self, text: str) -> Future[Reading]:
        """A question, read in time."""
        future: Future[Reading] = Future()
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

    def _encode(self, batch: list[tuple[str, Future[Reading]]]) -> None:
        try:
            read = self._encoder.read_questions([text for text, _ in batch])
        except Exception as error:  # noqa: BLE001  # whoever waits for it gets it; the thread must live on
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), one in zip(batch, read, strict=True):
            future.set_result(replace(one, pieces=None if one.pieces is None else one.pieces[:ASKED].copy()))


class QuestionVectors:
    """Questions as all encoders read them of an installation; may be called from any thread.

    Args:
        encoders: each gets a thread of its own.
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        self._batchers = {encoder.name: Batcher(encoder) for encoder in encoders}
        self._remembered: OrderedDict[tuple[str, str], Future[Reading]] = OrderedDict()
        self._lock = Lock()

    def start(self, encoder: Encoder, text: str) -> Future[Reading]:
        """One text, read in time. A text that is being encoded, or was lately, is not encoded again; nor is one that the encoder
        does not tell from it: Rasa embeds questions in small letters."""
        key = (encoder.name, encoder.seen(text))
        with self._lock:
            found = self._remembered.get(key)
            if found is not None and not (found.done() and found.exception()):
                self._remembered.move_to_end(key)
                return found
            made = self._remembered[key] = self._batchers[encoder.name].submit(text)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return made

    def of(self, encoder: Encoder, texts: Sequence[str]) -> list[Reading]:
        """Each text read by one encoder; waits for them."""
        started = [self.start(encoder, text) for text in texts]
        return [future.result() for future in started]

    def close(self) -> None:
        """Ends the threads."""
        for batcher in self._batchers.values():
            batcher.close()
