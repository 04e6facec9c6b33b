"""Tokens that Kotae signs for itself."""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any

import jwt
import orjson

from kit.errors import Unauthenticated

ALGORITHM = "HS256"
_CLOCKS = timedelta(seconds=30)
"""How far the clock of the machine that verifies may be behind: issued in its future, a token would not hold yet."""

_HEADER = jwt.encode({}, "-" * 32, algorithm=ALGORITHM).partition(".")[0]
"""How every token of `sign` begins."""


def sign(claims: dict[str, Any], key: str, *, audience: str, now: datetime, lifetime: timedelta) -> str:
    """Signs claims.

    Args:
        claims: what the token says.
        key: HS256 key, 32 bytes or more.
        audience: what it is for; `verify` asks for the same.
        now: when it is issued.
        lifetime: how long it holds.
    """
    return jwt.encode(
        {**claims, "aud": audience, "iat": now - _CLOCKS, "exp": now + lifetime}, key, algorithm=ALGORITHM
    )


def verify(token: str, key: str, *, audience: str) -> dict[str, Any]:
    """What a token of `sign` says.

    Raises:
        Unauthenticated: it is not ours, not for this audience, or too old.
    """
    ours = _ours(token, key, audience)
    if ours is not None:
        return ours
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[ALGORITHM], audience=audience, options={"require": ["exp", "iat", "aud"]}
        )
    except jwt.PyJWTError as error:
        raise Unauthenticated(f"the {audience} token is not valid", str(error).lower()) from None
    return claims


def _ours(token: str, key: str, audience: str) -> dict[str, Any] | None:
    """What a token says that is plainly as `sign` makes them and holds now; None where there is anything to say against it.

    A turn is proved twice, and PyJWT, which weighs every kind of token and key, takes longer for it than the database for the turn.
    """
    signed, _, mark = token.rpartition(".")
    header, _, body = signed.partition(".")
    if header != _HEADER:
        return None
    expected = urlsafe_b64encode(hmac.digest(key.encode(), signed.encode(), "sha256")).rstrip(b"=")
    if not hmac.compare_digest(expected, mark.encode()):
        return None
    claims: dict[str, Any] = orjson.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    now, issued, ends = time.time(), claims.get("iat"), claims.get("exp")
    if claims.get("aud") != audience or not isinstance(issued, int) or not isinstance(ends, int):
        return None
    usual = claims.keys().isdisjoint(("nbf", "sub", "jti", "iss"))
    return claims if usual and issued <= now < ends else None
