"""Identity tokens: what proves a customer, and what does not."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from api import identity
from api.identity import Identities, sign
from kit.clock import now
from kit.errors import Unauthenticated, Unavailable, UserError
from kit.settings import Settings, load_settings
from tests.chaos import rasa as others
from tests.chaos.front import until

SECRET = "s" * 40
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def claims(**changes: Any) -> dict[str, Any]:
    made = {"sub": "ann", "account_id": "acme", "aud": "kotae", "exp": now() + timedelta(hours=1)} | changes
    return {key: value for key, value in made.items() if value is not None}


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    """A company's key server, on loopback."""
    keys = [
        json.loads(RSAAlgorithm.to_jwk(RSA.public_key())) | {"kid": "rsa", "alg": "RS256"},
        json.loads(ECAlgorithm.to_jwk(EC.public_key())) | {"kid": "ec", "alg": "ES256"},
    ]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": keys}).encode())

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/jwks"
    server.shutdown()


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(home=tmp_path_factory.mktemp("id"), identity_secret=SECRET)


@pytest.fixture
def by_jwks(tmp_path_factory: pytest.TempPathFactory, jwks_url: str) -> Settings:
    return load_settings(home=tmp_path_factory.mktemp("id"), identity_secret=SECRET, identity_jwks_url=jwks_url)


async def test_a_good_token_proves_person_and_account(shared: Settings) -> None:
    """Signed with the shared secret; also the one for development."""
    for token in (jwt.encode(claims(), SECRET, "HS256"), sign(shared, "acme", "ann", now(), timedelta(hours=1))):
        who = await Identities(shared).verify(token, now())
        assert (who.account_id, who.person_id) == ("acme", "ann")


async def test_public_keys_prove_it_too(by_jwks: Settings) -> None:
    """RS256 and ES256 by the company's JWKS."""
    for key, algorithm, kid in ((RSA, "RS256", "rsa"), (EC, "ES256", "ec")):
        token = jwt.encode(claims(), key, algorithm, headers={"kid": kid})
        assert (await Identities(by_jwks).verify(token, now())).person_id == "ann"


async def test_in_production_public_keys_are_enough(tmp_path_factory: pytest.TempPathFactory, jwks_url: str) -> None:
    """Without a shared secret none is taken."""
    home = tmp_path_factory.mktemp("id")
    settings = load_settings(home=home, mode="production", identity_jwks_url=jwks_url)
    token = jwt.encode(claims(), RSA, "RS256", headers={"kid": "rsa"})
    assert (await Identities(settings).verify(token, now())).person_id == "ann"
    for secret in (SECRET, "None"):
        with pytest.raises(Unauthenticated):
            await Identities(settings).verify(jwt.encode(claims(), secret, "HS256"), now())
    with pytest.raises(UserError):
        sign(settings, "acme", "ann", now(), timedelta(hours=1))


FORGERIES: dict[str, Callable[[], str]] = {
    "wrong key": lambda: jwt.encode(claims(), "x" * 40, "HS256"),
    "unsigned": lambda: jwt.encode(claims(), None, "none"),
    "expired": lambda: jwt.encode(claims(exp=now() - timedelta(minutes=2)), SECRET, "HS256"),
    "not yet valid": lambda: jwt.encode(claims(nbf=now() + timedelta(hours=1)), SECRET, "HS256"),
    "too long-lived": lambda: jwt.encode(claims(exp=now() + timedelta(hours=25)), SECRET, "HS256"),
    "other audience": lambda: jwt.encode(claims(aud="shop"), SECRET, "HS256"),
    "no audience": lambda: jwt.encode(claims(aud=None), SECRET, "HS256"),
    "no expiry": lambda: jwt.encode(claims(exp=None), SECRET, "HS256"),
    "no account": lambda: jwt.encode(claims(account_id=None), SECRET, "HS256"),
    "no person": lambda: jwt.encode(claims(sub=None), SECRET, "HS256"),
    "empty account": lambda: jwt.encode(claims(account_id=""), SECRET, "HS256"),
    "account no word": lambda: jwt.encode(claims(account_id=["acme"]), SECRET, "HS256"),
    "other algorithm": lambda: jwt.encode(claims(), SECRET, "HS512"),
    "unknown key": lambda: jwt.encode(claims(), rsa.generate_private_key(65537, 2048), "RS256", headers={"kid": "rsa"}),
    "garbage": lambda: "a.b.c",
    "empty": lambda: "",
}


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("setup", ["shared", "by_jwks"])
async def test_forgeries_are_refused(kind: str, setup: str, request: pytest.FixtureRequest) -> None:
    """Each way of not being who one says, under both ways of signing."""
    with pytest.raises(Unauthenticated):
        await Identities(request.getfixturevalue(setup)).verify(FORGERIES[kind](), now())


async def test_a_public_key_is_never_used_as_a_secret(by_jwks: Settings) -> None:
    """The confusion of algorithms: HS256 signed with the public key's text."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    import base64
    import hashlib
    import hmac

    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa","typ":"JWT"}').rstrip(b"=")
    exp = int((now() + timedelta(hours=1)).timestamp())
    body = json.dumps({"sub": "ann", "account_id": "acme", "aud": "kotae", "exp": exp}).encode()
    signed = head + b"." + base64.urlsafe_b64encode(body).rstrip(b"=")
    mac = base64.urlsafe_b64encode(hmac.new(public, signed, hashlib.sha256).digest()).rstrip(b"=")
    with pytest.raises(Unauthenticated):
        await Identities(by_jwks).verify((signed + b"." + mac).decode(), now())


async def test_a_key_that_is_withdrawn_proves_nothing_any_more(
    by_jwks: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for again after a while; where it cannot be asked for, what was known holds."""
    token = jwt.encode(claims(), RSA, algorithm="RS256", headers={"kid": "rsa"})
    ours, other = (
        (200, json.dumps({"keys": [json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid}]}))
        for algorithm, key, kid in ((RSAAlgorithm, RSA, "rsa"), (ECAlgorithm, EC, "ec"))
    )
    async with others.rasa() as keeper:
        keeper.says = [ours]
        settings = by_jwks.model_copy(update={"identity_jwks_url": f"http://127.0.0.1:{keeper.port}/"})
        identities = Identities(settings)
        for _ in range(3):
            assert (await identities.verify(token, now())).person_id == "ann"
        assert keeper.asked == 1
        monkeypatch.setattr(identity, "KEPT_SECONDS", 0.0)
        identities = Identities(settings)
        assert (await identities.verify(token, now())).person_id == "ann"
        keeper.says = [(500, "")]
        assert (await identities.verify(token, now())).person_id == "ann"
        keeper.says = [other]
        with pytest.raises(Unauthenticated):
            await identities.verify(token, now())
        keeper.says = [(500, "")]
        with pytest.raises((Unauthenticated, Unavailable)):
            await identities.verify(token, now())


async def test_who_keeps_the_keys_and_hangs_holds_up_nobody_else(
    by_jwks: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait, each hears soon that it is to come back, not that its token is wrong; names are looked up meanwhile; then it is asked again."""
    monkeypatch.setattr(identity, "_SECONDS", 1.0)
    monkeypatch.setattr(identity, "_REST_SECONDS", 1)
    token = jwt.encode(claims(), RSA, algorithm="RS256", headers={"kid": "rsa"})
    async with others.rasa() as keeper:
        keeper.says = [None]
        identities = Identities(by_jwks.model_copy(update={"identity_jwks_url": f"http://127.0.0.1:{keeper.port}/"}))

        async def waits() -> None:
            with pytest.raises(Unavailable):
                await identities.verify(token, now())

        async def others_wait() -> bool:
            return keeper.asked > 1

        async def looks_up() -> None:
            await until(others_wait)
            async with asyncio.timeout(0.5):
                await asyncio.get_running_loop().getaddrinfo("localhost", 80)

        async with asyncio.timeout(2):
            await asyncio.gather(*(waits() for _ in range(20)), looks_up())
        for nonsense in ("<html>", '{"keys": []}'):
            keeper.says = [(200, nonsense)]
            await waits()
        key = json.loads(RSAAlgorithm.to_jwk(RSA.public_key())) | {"kid": "rsa"}
        keeper.says = [(200, json.dumps({"keys": [key]}))]

        async def proven() -> bool:
            with contextlib.suppress(Unavailable):
                return (await identities.verify(token, now())).person_id == "ann"
            return False

        await until(proven)
