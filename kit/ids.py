"""Opaque identifiers."""

from __future__ import annotations

import hashlib
import secrets

MAX_ID = 255
"""Characters of an id that others gave to something, such as the company's backend to an account: an index holds 2,704 bytes."""


def new_id(prefix: str) -> str:
    """An identifier nobody can guess, such as `cnv_1f0c…` (128 random bits, hex)."""
    return f"{prefix}_{secrets.token_hex(16)}"


def new_token() -> str:
    """A bearer secret of 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """SHA-256 in hex. Enough for a secret with 256 random bits, where slow hashing would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
