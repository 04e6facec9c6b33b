"""Tokens of our own making, written and read plainly: PyJWT, which weighs every kind of token and key, takes longer for one than the database
for a turn, and a turn's is read three times. Rasa's Python runs this, too: it needs nothing but the standard library.
"""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

_HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
"""`{"alg":"HS256","typ":"JWT"}`, as every token begins."""
_NOT_OURS = ("nbf", "sub", "jti", "iss")


def write(claims: dict[str, Any], key: str) -> str:
    """A JWT with an HS256 signature.

    Args:
        claims: JSON.
        key: 32 bytes or more.
    """
    body = _encoded(json.dumps(claims, separators=(",", ":")).encode())
    signed = f"{_HEADER}.{body}"
    return f"{signed}.{_mark(signed, key)}"


def read(token: str, key: str, audience: str) -> dict[str, Any] | None:
    """What a token says that is plainly as `write` makes them, is for this audience and holds now; None where there is anything to say
    against it, which PyJWT then says."""
    signed, _, mark = token.rpartition(".")
    header, _, body = signed.partition(".")
    if header != _HEADER or not hmac.compare_digest(_mark(signed, key).encode(), mark.encode()):
        return None
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    now, issued, ends = time.time(), claims.get("iat"), claims.get("exp")
    if claims.get("aud") != audience or not isinstance(issued, int) or not isinstance(ends, int):
        return None
    return claims if claims.keys().isdisjoint(_NOT_OURS) and issued <= now < ends else None


def _mark(signed: str, key: str) -> str:
    return _encoded(hmac.digest(key.encode(), signed.encode(), "sha256"))


def _encoded(said: bytes) -> str:
    return urlsafe_b64encode(said).rstrip(b"=").decode()
