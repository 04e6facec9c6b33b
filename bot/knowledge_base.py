"""The encoder of the knowledge base, over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import time
from typing import List, Optional
from urllib.parse import urlsplit

import numpy as np

URL_VARIABLE = "KOTAE_KNOWLEDGE_BASE_URL"
DEFAULT_URL = "http://127.0.0.1:8100"
REST_SECONDS = 2.0
"""After a failure nothing is asked for so long: waiting for one that hangs would hold up all that Rasa does, message after message."""


class EncoderUnavailable(Exception):
    """The knowledge base did not give vectors."""


class Encoder:
    """Sentence vectors from the knowledge base; one connection kept open.

    By the standard library: for a few bytes over loopback it takes a quarter of the time of `requests`.
    """

    def __init__(self, url: str = "") -> None:
        """Args:
        url: address of the knowledge base; by default that of `KOTAE_KNOWLEDGE_BASE_URL`.
        """
        self.url = (url or os.environ.get(URL_VARIABLE, DEFAULT_URL)).rstrip("/")
        self._connection: Optional[http.client.HTTPConnection] = None
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
            vectors = np.asarray(json.loads(self._ask(texts, timeout))["vectors"], dtype=np.float32)
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            self._close()
            self._rests_until = time.monotonic() + REST_SECONDS
            raise EncoderUnavailable(f"{self.url}/embed: {type(error).__name__}") from error
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise EncoderUnavailable(f"{self.url}/embed: {len(texts)} texts, but vectors of shape {vectors.shape}")
        return vectors

    def _ask(self, texts: List[str], timeout: float) -> bytes:
        body = json.dumps({"texts": texts}).encode()
        if self._connection is not None:
            try:
                return self._post(self._connection, body, timeout)
            except (ConnectionError, http.client.BadStatusLine):
                self._close()  # it had lain idle and the other end has closed it: once more on a new one
        place = urlsplit(self.url)
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(place.hostname or "", place.port, timeout=timeout)
        return self._post(self._connection, body, timeout)

    def _post(self, connection: http.client.HTTPConnection, body: bytes, timeout: float) -> bytes:
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request("POST", f"{urlsplit(self.url).path}/embed", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        return said

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
