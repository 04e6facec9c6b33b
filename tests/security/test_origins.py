"""Pages of other websites: what their scripts, sockets and forms get out of a browser that is signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from api.stream import NOT_WELCOME
from escalations import csms
from escalations.csms import CsmEntry
from kit.clock import now
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from tests.security.conftest import Door, bearer, front_door
from tests.security.test_conversations import begun

SHOP = "https://shop.example"
EVIL = "https://evil.example"
PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def shop(settings: Settings, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A front door whose widget one website may embed."""
    log = tmp_path_factory.mktemp("shop") / "api.log"
    with front_door(settings, database_url, log, KOTAE_ALLOWED_ORIGINS=f'["{SHOP}"]') as made:
        yield made


@pytest.fixture(scope="module")
async def email(database: Database) -> str:
    async with database.begin() as session:
        return (await csms.add(session, CsmEntry(email=f"{new_id('o')}@example.com", name="O"), PASSWORD, now())).email


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(SHOP, True), (EVIL, False), ("null", False), (f"{SHOP}.evil.example", False), ("http://shop.example", False)],
)
async def test_only_the_companys_website_reads_answers_and_opens_sockets(
    shop: Door, origin: str, allowed: bool
) -> None:
    """By CORS for requests, by the Origin for sockets, which CORS does not cover."""
    preflight = await asyncio.to_thread(
        httpx.options,
        f"{shop.url}/v1/conversations",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert (preflight.headers.get("access-control-allow-origin") == origin) is allowed
    assert "access-control-allow-credentials" not in preflight.headers
    mine = begun(shop)
    address = f"{shop.url.replace('http', 'ws')}/v1/conversations/{mine['conversation_id']}/stream?after=1"
    if allowed:
        async with connect(address, origin=origin, additional_headers=bearer(mine["token"])) as line:
            await line.send('{"type": "ping"}')
            assert "pong" in str(await line.recv())
    else:
        async with connect(address, origin=origin, additional_headers=bearer(mine["token"])) as line:
            with pytest.raises(ConnectionClosedError) as closed:
                await line.recv()  # nothing of the conversation comes before the end
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == NOT_WELCOME


async def test_the_console_opens_no_socket_to_other_pages(shop: Door, email: str) -> None:
    """Also not to the website that may embed the widget: a cookie would come along."""
    async with httpx.AsyncClient(base_url=shop.url, follow_redirects=True) as browser:
        signed = await browser.post("/console/sign-in", data={"email": email, "password": PASSWORD})
        assert signed.status_code == 200
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        polling = "/console/_nicegui_ws/socket.io/?EIO=4&transport=polling"
        for origin in (EVIL, SHOP, "null"):
            address = f"{shop.url.replace('http', 'ws')}/console/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
            with pytest.raises(InvalidStatus):
                await connect(address, origin=origin, additional_headers={"Cookie": cookie})
            for path in (polling, "/console/reports.csv?table=csms", "/console/?view=queue"):
                assert (await browser.get(path, headers={"Origin": origin})).status_code == 403


def test_the_cookie_is_for_our_own_pages_alone(shop: Door, email: str) -> None:
    """HttpOnly, SameSite, and for the console only; and it names nobody another could put in."""
    answer = shop.post("/console/sign-in", data={"email": email, "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/console" in cookie
    page = shop.get("/console/sign-in")
    assert page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/console/sign-in", "/console/sign-out", "/console/preferences"])
@pytest.mark.parametrize(
    "headers", [{"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_forms_of_other_pages_do_nothing(shop: Door, email: str, path: str, headers: dict[str, str]) -> None:
    """Neither signing somebody in, nor out, nor a preference."""
    with httpx.Client(base_url=shop.url) as browser:
        browser.post("/console/sign-in", data={"email": email, "password": PASSWORD})
        told = browser.post(path, data={"email": email, "password": PASSWORD, "lang": "ja"}, headers=headers)
        assert told.status_code == (403 if path == "/console/sign-in" or "Origin" in headers else 303)
        if told.status_code == 303:
            after = browser.get("/console/sign-in")
            assert after.status_code == 303  # still signed in


@pytest.mark.parametrize(
    "path",
    [
        "/console/?view=queue",
        "/console/accounts",
        "/console/reports",
        "/console/reports.csv?table=csms",
        "/console/settings",
    ],
)
@pytest.mark.parametrize("proof", ["nothing", "a customer's token", "a forged cookie"])
def test_csms_pages_are_for_csms(shop: Door, path: str, proof: str) -> None:
    """A customer, a visitor and a forger are sent to sign in, and read nothing."""
    headers = {
        "nothing": {},
        "a customer's token": bearer(begun(shop)["token"]),
        "a forged cookie": {"Cookie": "kotae_console=eyJjc20iOiAiY3NtXzEifQ==.aaaa.bbbb"},
    }[proof]
    answer = shop.get(path, headers=headers)
    assert answer.status_code in (303, 307)
    assert answer.headers["location"].endswith("/console/sign-in")


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/console/../..//evil.example"]
)
def test_signing_in_leads_nowhere_else(shop: Door, email: str, wanted: str) -> None:
    """An address to go on to is one of the console's."""
    with httpx.Client(base_url=shop.url) as browser:
        browser.get("/console" + wanted if wanted.startswith("/") else f"/console/{wanted}")
        told = browser.post(
            "/console/sign-in", data={"email": email, "password": PASSWORD}, headers={"Referer": wanted}
        )
        assert told.status_code == 303
        assert told.headers["location"].startswith("/console/")
        liked = browser.post("/console/preferences", data={"lang": "en"}, headers={"Referer": wanted})
        assert liked.headers["location"].startswith("/console")


@pytest.mark.parametrize("path", ["/console", "/demo", "/"])
async def test_a_host_that_is_not_ours_leads_nowhere_else(door: Door, path: str) -> None:
    """The `Host` is anybody's word: a redirect names a place on this host, whatever it is called."""
    answer = await asyncio.to_thread(door.get, path, headers={"Host": "evil.example"})
    assert answer.is_redirect
    assert answer.headers["location"] == f"/{'demo' if path == '/' else path.strip('/')}/"


BROKEN = ("http://[", "http://[::1", "http://evil.example]", "//[")
"""No addresses at all: whoever reads their parts must not fall over them."""


@pytest.mark.parametrize("origin", BROKEN)
async def test_an_origin_that_is_no_address_is_nobodys(shop: Door, email: str, origin: str) -> None:
    """It is refused as any other website's, on a page, a form, a call and a socket; it is no fault of ours."""
    headers = {"Origin": origin}
    async with httpx.AsyncClient(base_url=shop.url) as browser:
        told = [
            await browser.get("/console/sign-in", headers=headers),
            await browser.post("/console/sign-in", data={"email": email}, headers=headers),
            await browser.post("/v1/conversations", json={}, headers=headers),
            await browser.post("/console/preferences", headers={"Referer": origin}),
        ]
    assert [answer.status_code for answer in told] == [403, 403, 403, 303]
    mine = begun(shop)
    address = f"{shop.url.replace('http', 'ws')}/v1/conversations/{mine['conversation_id']}/stream"
    async with connect(address, origin=origin, additional_headers=bearer(mine["token"])) as line:
        with pytest.raises(ConnectionClosedError) as closed:
            await line.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == NOT_WELCOME
