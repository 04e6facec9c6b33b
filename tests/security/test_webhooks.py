"""Webhooks go to public addresses alone, whatever a name says at which moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kit import outgoing
from kit.errors import UserError

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.18.0.1",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1",
    "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::a9fe:a9fe", "fec0::1", "4000::1",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "2002:808:808::"]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_of_this_network_are_not_public(address: str) -> None:
    """Also a cloud's metadata, and IPv4 wrapped in IPv6."""
    assert not outgoing.is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_open_internet_are(address: str) -> None:
    assert outgoing.is_public(address)


class Inside:
    """A server that nobody outside should reach."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readline()).decode())
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def inside() -> AsyncIterator[tuple[Inside, int]]:
    made = Inside()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    yield made, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_no_way_of_writing_it_leads_inside(inside: tuple[Inside, int], host: str) -> None:
    """Numbers in other bases, names, brackets."""
    server, port = inside
    async with outgoing.client(private_networks=False) as client:
        with pytest.raises(UserError):
            await client.post(f"https://{host}:{port}/", content=b"{}")
        with pytest.raises(UserError):
            await client.post(f"http://{host}:{port}/", content=b"{}")
    assert server.asked == []


async def test_a_name_with_one_inner_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name's owner may add one and hope that it is the one that is taken."""

    async def both(*_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.5")
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    with pytest.raises(UserError, match=r"10\.0\.0\.5"):
        await outgoing.public_address("hooks.example", 443)


async def test_a_name_that_changes_its_mind_is_not_asked_twice(
    inside: tuple[Inside, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public while it is judged, loopback a moment later. The connection goes to the address that was judged."""
    server, port = inside
    loop, asked = asyncio.get_running_loop(), []
    real = loop.getaddrinfo

    async def rebinding(host: Any, *more: Any, **named: Any) -> Any:
        if host not in ("hooks.example", b"hooks.example"):
            return await real(host, *more, **named)
        asked.append(host)
        address = "192.88.99.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    monkeypatch.setattr(outgoing, "is_public", lambda address: address != "127.0.0.1")
    async with outgoing.client(private_networks=False) as client:
        with pytest.raises(httpx.HTTPError):
            await client.post(f"https://hooks.example:{port}/", content=b"{}", timeout=1)
    assert len(asked) == 1
    assert server.asked == []


async def test_redirects_are_not_followed(inside: tuple[Inside, int]) -> None:
    """A receiver cannot send us on to somewhere else."""
    server, port = inside
    server.answer = f"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:{port}/secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
    async with outgoing.client(private_networks=True) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/hook", content=b"{}")
    assert answer.status_code == 307
    assert len(server.asked) == 1


async def test_an_installation_may_say_otherwise(inside: tuple[Inside, int]) -> None:
    """Where the receiver is in the same network."""
    server, port = inside
    async with outgoing.client(private_networks=True) as client:
        assert (await client.post(f"http://127.0.0.1:{port}/hook", content=b"{}")).status_code == 200
    assert server.asked == ["POST /hook HTTP/1.1\r\n"]
