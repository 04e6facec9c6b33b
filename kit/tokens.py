"""Tokens that Kotae signs for itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import jwt

from kit import signed
from kit.errors import Unauthenticated

ALGORITHM = "HS256"
_CLOCKS = timedelta(seconds=30)
"""How far the clock of the machine that verifies may be behind: issued in its future, a token would not hold yet."""


def sign(claims: dict[str, Any], key: str, *, audience: str, now: datetime, lifetime: timedelta) -> str:
    """Signs claims.

    Args:
        claims: what the token says.
        key: HS256 key, 32 bytes or more.
        audience: what it is for; `verify` asks for the same.
        now: when it is issued.
        lifetime: how long it holds.
    """
    times = {"iat": int((now - _CLOCKS).timestamp()), "exp": int((now + lifetime).timestamp())}
    return signed.write({**claims, "aud": audience, **times}, key)


def verify(token: str, key: str, *, audience: str) -> dict[str, Any]:
    """What a token of `sign` says.

    Raises:
        Unauthenticated: it is not ours, not for this audience, or too old.
    """
    ours = signed.read(token, key, audience)
    if ours is not None:
        return ours
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[ALGORITHM], audience=audience, options={"require": ["exp", "iat", "aud"]}
        )
    except jwt.PyJWTError as error:
        raise Unauthenticated(f"the {audience} token is not valid", str(error).lower()) from None
    return claims
