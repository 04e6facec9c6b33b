"""Addresses of the console's pages."""

from __future__ import annotations

from urllib.parse import quote

ROOT = "/console"
SIGN_IN = f"{ROOT}/sign-in"
OIDC = f"{ROOT}/oidc"
OIDC_CALLBACK = f"{OIDC}/callback"
ACCOUNTS = f"{ROOT}/accounts"
REPORTS = f"{ROOT}/reports"
SETTINGS = f"{ROOT}/settings"


def view(name: str) -> str:
    """The inbox, showing one of its lists."""
    return f"{ROOT}/?view={name}"


def conversation(conversation_id: str) -> str:
    """The page of a conversation."""
    return f"{ROOT}/conversation/{conversation_id}"


def account(account_id: str) -> str:
    """The page of an account."""
    return f"{ACCOUNTS}/{quote(account_id, safe='')}"
