"""The client of our own processes, against a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kit.calls import Broken
from kit.http import Http


class Server:
    """Answers every request with the path it asked for; counts its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.silent = False
        self.closing = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await reader.readline():
            length = 0
            while (line := await reader.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            await reader.readexactly(length)
            if not self.silent:
                body = b'{"path": "%b"}' % head.split()[1]
                writer.write(b"HTTP/1.1 418 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            if self.closing:
                break
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    running = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = running.sockets[0].getsockname()[1]
    yield made
    running.close()


async def test_calls_share_a_connection_and_give_status_and_body_as_they_are(server: Server) -> None:
    async with Http(f"http://127.0.0.1:{server.port}/") as http:
        for path in ("/a", "/articles/en/two%20words", "/c?d=%2F"):
            answer = await http.request("POST", path, b"{}", seconds=5)
            assert (answer.status, answer.json()) == (418, {"path": path})
    assert server.connections == 1


async def test_a_server_that_says_nothing_is_a_timeout(server: Server) -> None:
    server.silent = True
    async with Http(f"http://127.0.0.1:{server.port}") as http:
        with pytest.raises(TimeoutError):
            await http.request("POST", "/", b"{}", seconds=0.1)


async def test_nobody_there_is_told_apart_from_nobody_answering() -> None:
    async with Http("http://127.0.0.1:9") as http:
        with pytest.raises(ConnectionError):
            await http.request("GET", "/", seconds=5)


async def test_a_connection_that_the_other_end_closed_is_not_used_again(server: Server) -> None:
    async with Http(f"http://127.0.0.1:{server.port}") as http:
        server.closing = True
        for expected in (1, 2):
            assert (await http.request("GET", "/", seconds=5)).status == 418
            assert server.connections == expected
            await _closed(http)
        server.silent = True
        with pytest.raises(Broken):
            await http.request("GET", "/", seconds=5)


async def _closed(http: Http) -> None:
    """Until this end has heard of it."""
    while any(line.open for line in http._lines._idle):  # noqa: ASYNC110  # nothing tells of it
        await asyncio.sleep(0)


async def test_the_answer_to_a_call_that_was_given_up_is_nobodys(server: Server) -> None:
    async with Http(f"http://127.0.0.1:{server.port}") as http:
        server.silent = True
        call = asyncio.create_task(http.request("GET", "/first", seconds=5))
        while server.connections == 0:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.silent = False
        assert (await http.request("GET", "/second", seconds=5)).json() == {"path": "/second"}
        assert server.connections == 2


async def test_calls_at_once_have_a_connection_each_which_are_kept(server: Server) -> None:
    async with Http(f"http://127.0.0.1:{server.port}") as http:
        for _ in range(2):
            await asyncio.gather(*(http.request("GET", "/", seconds=5) for _ in range(3)))
        assert server.connections == 3
