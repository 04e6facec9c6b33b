"""What production refuses to start with: secrets made for development, and the sample company."""

from __future__ import annotations

import json
from pathlib import Path

from kit.errors import UserError
from kit.settings import ROOT, Settings

_MIN_DISTINCT = 8
"""Different characters in a secret. The fewest among 300,000 secrets of 32 random hexadecimal digits were 9."""
_TELLING = ("change", "secret", "example", "password", "kotae")
DEMO = ROOT / "demo"


def check(settings: Settings) -> None:
    """Makes sure that an installation in production has secrets of its own and nothing of the sample company.

    Raises:
        UserError: names what is not fit, and the way out.
    """
    if settings.mode != "production":
        return
    _check_secrets(settings)
    if settings.company.resolve() == DEMO:
        raise UserError("production was started with the sample company", "set KOTAE_COMPANY to your company's folder")
    if (settings.home / "logins.json").exists():
        raise UserError(
            f"{settings.home} has the sample company's log-ins, whose accounts may still be in its database",
            "use a fresh KOTAE_HOME and database",
        )
    for name in ("identity_jwks_url", "webhook_url", "public_url", "oidc_issuer"):
        address = getattr(settings, name)
        if address is not None and not address.startswith("https://") and not _internal(settings, name):
            raise UserError(
                f"KOTAE_{name.upper()} does not begin with https://", "production sends nothing in the open"
            )


def _internal(settings: Settings, name: str) -> bool:
    return name == "webhook_url" and settings.webhook_private_networks


def _check_secrets(settings: Settings) -> None:
    given = {"KOTAE_SECRET_KEY": settings.signing_key}
    if settings.identity_key is not None:
        given["KOTAE_IDENTITY_SECRET"] = settings.identity_key
    if len(set(given.values())) < len(given):
        raise UserError(
            "KOTAE_SECRET_KEY and KOTAE_IDENTITY_SECRET are the same",
            "set two: whoever has one must not have the other",
        )
    made = _generated(settings.home / "secrets.json")
    for name, value in given.items():
        if value in made:
            raise UserError(f"{name} is the one that was made for development", "set a new random value")
        if len(set(value)) < _MIN_DISTINCT or any(word in value.lower() for word in _TELLING):
            raise UserError(f"{name} is a placeholder or easily guessed", "set 32 random characters or more")


def _generated(path: Path) -> set[str]:
    try:
        return set(json.loads(path.read_text(encoding="utf-8")).values())
    except (FileNotFoundError, json.JSONDecodeError, AttributeError):
        return set()
