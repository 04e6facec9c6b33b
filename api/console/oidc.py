"""Signing in at the company's OpenID provider."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from fastapi import Request
from fastapi.responses import Response

from kit.errors import Unauthenticated
from kit.settings import Settings


def client(settings: Settings) -> Any | None:
    """Authlib's client of the provider; None where none is set up."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    secret = settings.oidc_client_secret
    return _client(settings.oidc_issuer, settings.oidc_client_id, secret.get_secret_value() if secret else None)


@lru_cache
def _client(issuer: str, client_id: str, secret: str | None) -> Any:
    # Kept, as it keeps what the provider says of itself: its addresses and keys.
    return OAuth().register(
        "kotae",
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_id=client_id,
        client_secret=secret,
        client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
    )


def host(settings: Settings) -> str | None:
    """The provider's name, as people know it."""
    return None if client(settings) is None else urlsplit(settings.oidc_issuer or "").netloc


async def redirect(provider: Any, request: Request, back: str) -> Response:
    """Sends the browser to the provider.

    Args:
        back: where the provider is to send it afterwards.
    Raises:
        Unauthenticated: the provider does not answer.
    """
    try:
        response: Response = await provider.authorize_redirect(request, back)
    except (httpx.HTTPError, AuthlibBaseError) as error:
        raise Unauthenticated("the OpenID provider does not answer", type(error).__name__) from error
    return response


async def email(provider: Any, request: Request) -> str:
    """The address of whoever the provider sent back, checked: state, nonce, signature, issuer, audience and expiry.

    Raises:
        Unauthenticated: it is not proven, or the provider has not verified the address.
    """
    try:
        token = await provider.authorize_access_token(request)
        claims = dict(token.get("userinfo") or {})
        if "email" not in claims:
            claims |= dict(await provider.userinfo(token=token))
    except (httpx.HTTPError, AuthlibBaseError, ValueError, KeyError) as error:
        raise Unauthenticated("the OpenID provider did not prove who it is", type(error).__name__) from error
    if not claims.get("email") or claims.get("email_verified") is False:
        raise Unauthenticated("the OpenID provider gave no verified address", "ask for the scope email")
    return str(claims["email"])
