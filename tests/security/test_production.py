"""Production refuses what development makes up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import talk
from kit import production
from kit.errors import UserError
from kit.settings import ROOT, Settings, load_settings
from tests.security.conftest import SECRETS


def settings(folder: Path, **more: Any) -> Settings:
    """With which production starts, but for what is changed."""
    given = {
        "mode": "production",
        "home": folder / "home",
        "company": folder / "company",
        "secret_key": SECRETS["KOTAE_SECRET_KEY"],
        "identity_secret": SECRETS["KOTAE_IDENTITY_SECRET"],
        "public_url": "https://help.example.com",
    }
    return load_settings(**(given | more))


def test_it_starts_with_secrets_of_its_own(tmp_path: Path) -> None:
    production.check(settings(tmp_path))


REFUSED: dict[str, dict[str, Any]] = {
    "one letter": {"secret_key": "s" * 40},
    "a placeholder": {"identity_secret": "please-change-me-to-something-long-7Qx"},
    "few letters": {"secret_key": "abab" * 10},
    "twice the same": {"identity_secret": SECRETS["KOTAE_SECRET_KEY"]},
    "too short": {"secret_key": "a7Qm2Xw9"},
    "the sample company": {"company": ROOT / "demo"},
    "an open address": {"public_url": "http://help.example.com"},
    "open keys": {"identity_jwks_url": "http://keys.example.com/jwks"},
    "an open webhook": {"webhook_url": "http://hooks.example.com/"},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_it_does_not_start_with(tmp_path: Path, kind: str) -> None:
    """One line that names the setting and the way out, and no secret."""
    wrong = settings(tmp_path, **REFUSED[kind])
    with pytest.raises(UserError) as refused:
        production.check(wrong)
    assert refused.value.hint
    assert not any(secret in str(refused.value) for secret in SECRETS.values())


@pytest.mark.parametrize("missing", ["secret_key", "identity_secret"])
def test_it_does_not_make_secrets_up(tmp_path: Path, missing: str) -> None:
    given = {"mode": "production", "home": tmp_path, "company": tmp_path / "c"} | {
        name: "Zu8Re4Wq7Ty1Ui5Op9As3Df6Gh2Jk0L_" for name in ("secret_key", "identity_secret") if name != missing
    }
    with pytest.raises(UserError, match=f"KOTAE_{missing.upper()} is not set"):
        production.check(load_settings(**given))


def test_it_does_not_go_on_with_what_development_made(tmp_path: Path) -> None:
    """Neither the generated secrets, copied into the environment, nor the home with the sample's log-ins."""
    made = load_settings(home=tmp_path / "home")
    with pytest.raises(UserError, match="made for development"):
        production.check(settings(tmp_path, secret_key=made.signing_key))
    (tmp_path / "home" / "logins.json").write_text(json.dumps([]))
    with pytest.raises(UserError, match="log-ins"):
        production.check(settings(tmp_path))


def test_it_signs_no_customer_in(tmp_path: Path) -> None:
    """`kotae token`, `ask --account` and the sample website's tokens are for development."""
    with pytest.raises(UserError, match="not signed in production"):
        talk.token(settings(tmp_path), "acme", "ann")


def test_development_is_not_bothered(tmp_path: Path) -> None:
    production.check(load_settings(home=tmp_path))
