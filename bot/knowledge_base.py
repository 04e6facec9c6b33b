"""The encoder of the knowledge base, over HTTP."""

from __future__ import annotations

import json
import os
import time
from base64 import b64decode
from typing import List

import numpy as np
import ujson

from bot import logs
from kit.calls import BlockingLine, Place

URL_VARIABLE = "KOTAE_KNOWLEDGE_BASE_URL"
DEFAULT_URL = "http://127.0.0.1:8100"
REST_SECONDS = 2.0
"""After a failure nothing is asked for so long: waiting for one that hangs would hold up all that Rasa does, message after message."""


class EncoderUnavailable(Exception):
    """The knowledge base did not give vectors."""


class Served:
    """Which build of the help content the knowledge base serves, as it said last with some vectors; empty before it said anything."""

    build = ""


served = Served()


class Encoder:
    """Sentence vectors from the knowledge base; one connection kept open."""

    def __init__(self, url: str = "") -> None:
        """Args:
        url: address of the knowledge base; by default that of `KOTAE_KNOWLEDGE_BASE_URL`.
        """
        self.url = (url or os.environ.get(URL_VARIABLE, DEFAULT_URL)).rstrip("/")
        self._line = BlockingLine(Place(f"{self.url}/embed"))
        self._rests_until = 0.0

    def encode(self, texts: List[str], timeout: float) -> np.ndarray:
        """Vectors of unit length, one row a text.

        Args:
            texts: any language, at least one.
            timeout: seconds to wait for the connection, and again for the answer.
        Raises:
            EncoderUnavailable: it cannot be reached, is too slow, or answers something else; or it was so a moment ago.
        """
        if time.monotonic() < self._rests_until:
            raise EncoderUnavailable(f"{self.url}/embed: did not answer a moment ago")
        try:
            said = ujson.loads(self._ask(texts, timeout))
            vectors = np.frombuffer(b64decode(said["packed"]), "<f4").astype(np.float32).reshape(-1, said["dimension"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._line.close()
            self._rests_until = time.monotonic() + REST_SECONDS
            raise EncoderUnavailable(f"{self.url}/embed: {type(error).__name__}") from error
        served.build = said.get("build") or served.build
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise EncoderUnavailable(f"{self.url}/embed: {len(texts)} texts, but vectors of shape {vectors.shape}")
        return vectors

    def _ask(self, texts: List[str], timeout: float) -> bytes:
        asked = json.dumps({"texts": texts, "packed": True}).encode()
        status, said = self._line.post(asked, timeout, logs.headers())
        if status != 200:
            raise ConnectionError(f"status {status}")
        return said
