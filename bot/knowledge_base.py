"""The encoder of the knowledge base, over HTTP."""

from __future__ import annotations

import os
from typing import List

import numpy as np
import requests

URL_VARIABLE = "KOTAE_KNOWLEDGE_BASE_URL"
DEFAULT_URL = "http://127.0.0.1:8100"


class EncoderUnavailable(Exception):
    """The knowledge base did not give vectors."""


class Encoder:
    """Sentence vectors from the knowledge base; one connection kept open."""

    def __init__(self, url: str = "") -> None:
        """Args:
        url: address of the knowledge base; by default that of `KOTAE_KNOWLEDGE_BASE_URL`.
        """
        self.url = (url or os.environ.get(URL_VARIABLE, DEFAULT_URL)).rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # loopback: a proxy of the environment is not for it

    def encode(self, texts: List[str], timeout: float) -> np.ndarray:
        """Vectors of unit length, one row a text.

        Args:
            texts: any language, at least one.
            timeout: seconds to wait for the connection, and again for the answer.
        Raises:
            EncoderUnavailable: it cannot be reached, is too slow, or answers something else.
        """
        try:
            response = self._session.post(f"{self.url}/embed", json={"texts": texts}, timeout=timeout)
            response.raise_for_status()
            vectors = np.asarray(response.json()["vectors"], dtype=np.float32)
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise EncoderUnavailable(f"{self.url}/embed: {type(error).__name__}") from error
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise EncoderUnavailable(f"{self.url}/embed: {len(texts)} texts, but vectors of shape {vectors.shape}")
        return vectors
