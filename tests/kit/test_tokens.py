"""Tokens that Kotae signs for itself: the quick way to verify them accepts nothing that PyJWT would not."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from kit import signed as plain
from kit import tokens
from kit.clock import now
from kit.errors import Unauthenticated

KEY = "k" * 32
GOOD: dict[str, Any] = {"conversation": "cnv_1", "account": None, "lang": "ja"}


def signed(**claims: Any) -> str:
    """A token with these claims in place of those that `sign` gives."""
    base = {**GOOD, "aud": "turn", "iat": now() - timedelta(seconds=30), "exp": now() + timedelta(minutes=1)}
    given = {**base, **claims}.items()
    # A duration is one from now, and not from when the tests were collected.
    made = {n: now() + value if isinstance(value, timedelta) else value for n, value in given if value is not ...}
    return jwt.encode(made, KEY, "HS256")


def test_what_was_signed_is_read_the_quick_way() -> None:
    """And says what PyJWT reads in it."""
    token = tokens.sign(GOOD, KEY, audience="turn", now=now(), lifetime=timedelta(minutes=1))
    found = plain.read(token, KEY, "turn")
    assert found == jwt.decode(token, KEY, ["HS256"], audience="turn")
    assert tokens.verify(token, KEY, audience="turn") == found


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": timedelta(seconds=-1)},
        {"iat": timedelta(minutes=1)},
        {"nbf": timedelta(minutes=1)},
        {"aud": "parse"},
        {"aud": ["parse"]},
        {"aud": ...},
        {"exp": ...},
        {"iat": ...},
        {"exp": "soon"},
    ],
)
def test_what_does_not_hold_is_refused(claims: dict[str, Any]) -> None:
    """Too old, of the future, for something else, or not saying so."""
    token = signed(**claims) if claims != {"exp": "soon"} else _unchecked({**GOOD, "aud": "turn", "iat": 1, **claims})
    assert plain.read(token, KEY, "turn") is None
    with pytest.raises(Unauthenticated):
        tokens.verify(token, KEY, audience="turn")


def test_no_part_of_a_token_can_be_changed() -> None:
    """Not one character: header, claims or signature; nor can it be signed by another key or in another way."""
    token = signed()
    for place, letter in enumerate(token):
        other = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        assert plain.read(other, KEY, "turn") is None, place
    for other in (
        token + "A",
        token[:-1],
        token + "=",
        token.replace(".", ""),
        "",
        ".",
        "..",
        "é" + token,
        token + "é",
    ):
        assert plain.read(other, KEY, "turn") is None
    for other in (
        jwt.encode(GOOD, None, "none"),
        jwt.encode({**GOOD, "aud": "turn"}, "x" * 64, "HS512"),
        signed()[:-3] + "abc",
    ):
        assert plain.read(other, KEY, "turn") is None
    assert plain.read(token, "x" * 32, "turn") is None


def test_what_is_usual_elsewhere_is_left_to_pyjwt() -> None:
    """A subject or several audiences: valid, by the slow way."""
    for claims in ({"sub": "ann"}, {"aud": ["turn", "parse"]}):
        token = signed(**claims)
        assert plain.read(token, KEY, "turn") is None
        assert tokens.verify(token, KEY, audience="turn")["conversation"] == "cnv_1"


def _unchecked(claims: dict[str, Any]) -> str:
    """Claims that PyJWT would not sign."""
    return jwt.api_jws.encode(jwt.utils.force_bytes(json.dumps(claims)), KEY, "HS256")
