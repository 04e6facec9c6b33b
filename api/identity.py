"""Who is asking: identity tokens that the company's backend signs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from kit.errors import Unauthenticated, UserError
from kit.ids import MAX_ID
from kit.settings import Settings

MAX_LIFETIME = timedelta(hours=24)
"""An identity token may not promise more: whoever finds one should not have it for long."""
LEEWAY = timedelta(seconds=30)
"""How far the backend's clock may be off."""
_HINT = "sign a fresh one, as docs/identity.md says"


@dataclass(frozen=True)
class Customer:
    """A person of an account, proven.

    Attributes:
        expires_at: until when the proof holds.
    """

    account_id: str
    person_id: str
    expires_at: datetime


class Identities:
    """Verifies identity tokens: HS256 by the shared secret, RS256 and ES256 by the company's JWKS.

    Which algorithms are taken follows from the settings alone, never from the token: a public key is never used as a
    secret.
    """

    def __init__(self, settings: Settings) -> None:
        self._audience = settings.identity_audience
        self._key = settings.identity_key
        self._jwks = (
            jwt.PyJWKClient(settings.identity_jwks_url, cache_keys=True, timeout=5)
            if settings.identity_jwks_url
            else None
        )

    async def verify(self, token: str, now: datetime) -> Customer:
        """The customer an identity token proves.

        Raises:
            Unauthenticated: not signed by the company, too old, too long-lived, or without a needed claim.
        """
        try:
            claims = await self._claims(token)
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the identity token is not valid ({str(error).lower()})", _HINT) from None
        if not isinstance(claims["exp"], int | float):  # PyJWT takes "1764140400" as well, which RFC 7519 does not
            raise Unauthenticated("the identity token's exp must be a number", _HINT)
        if claims["exp"] > (now + MAX_LIFETIME + LEEWAY).timestamp():
            raise Unauthenticated("the identity token lives longer than 24 hours", "give it a nearer exp")
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        subject, account = claims["sub"], claims["account_id"]
        if not all(isinstance(word, str) and word and word.isprintable() for word in (subject, account)):
            raise Unauthenticated("the identity token's sub and account_id must be words", _HINT)
        if len(subject) > MAX_ID or len(account) > MAX_ID:
            raise Unauthenticated(f"the identity token's sub and account_id may have {MAX_ID} characters", _HINT)
        return Customer(account, subject, expires_at)

    async def _claims(self, token: str) -> dict[str, Any]:
        if self._jwks is None or jwt.get_unverified_header(token).get("alg") == "HS256":
            key: Any = self._key
            algorithms = ["HS256"] if key is not None else []
        else:
            key = (await asyncio.to_thread(self._jwks.get_signing_key_from_jwt, token)).key
            algorithms = ["RS256", "ES256"]
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=self._audience,
            leeway=LEEWAY,
            options={"require": ["exp", "sub", "aud", "account_id"]},
        )
        return claims


def sign(settings: Settings, account_id: str, person_id: str, now: datetime, lifetime: timedelta) -> str:
    """An identity token as the company's backend would sign it, for development and the demo.

    Raises:
        UserError: in production, where only the company signs.
    """
    key = settings.identity_key
    if key is None:
        raise UserError("identity tokens are signed by the company's own keys", "leave KOTAE_IDENTITY_JWKS_URL out")
    claims = {
        "sub": person_id,
        "account_id": account_id,
        "aud": settings.identity_audience,
        "iat": now,
        "exp": now + min(lifetime, MAX_LIFETIME),
    }
    return jwt.encode(claims, key, algorithm="HS256")
