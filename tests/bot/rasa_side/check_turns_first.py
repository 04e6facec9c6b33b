"""What is answered before sanic, and what is left to it. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009, PT027  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import asyncio
import json
import socket
import unittest
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from unittest import mock

import sanic
import sanic.app
from rasa.shared.exceptions import RasaException
from sanic import Sanic, response
from sanic.request import Request
from sanic.response import HTTPResponse

from bot import turns_first

PATH = "/webhooks/kotae/turn"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def request(path: str = PATH, body: bytes = b'{"a": 1}', *more: str) -> bytes:
    """The bytes of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Authorization: Bearer t", f"Content-Length: {len(body)}", *more]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """Status and JSON of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
    return int(lines[0].split()[1]), json.loads(await reader.readexactly(length))


class First(unittest.TestCase):
    """Over real connections to a real sanic."""

    def setUp(self) -> None:
        self.cancelled: list[bool] = []
        self.stopped: list[Any] = []

    def talk(self, talk: Talk, keep_alive: float = 5.0) -> None:
        """One connection to a server whose handler says `first` and whose route says `sanic`."""

        async def handler(app: Any, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
            said = json.loads(body)
            try:
                await asyncio.sleep(said.get("sleep", 0))
            except asyncio.CancelledError:
                self.cancelled.append(True)
                raise
            named = {"first": app.name, "authorization": headers.get("authorization"), "said": said}
            return said.get("status", 200), json.dumps(named).encode()

        async def run() -> None:
            with mock.patch.dict(turns_first._handlers), mock.patch.object(sanic.app, "HttpProtocol"):
                turns_first.serve(PATH, handler)
                Sanic.test_mode = True
                app = Sanic(f"check-{id(talk)}", configure_logging=False)
                app.config.update_config({"KEEP_ALIVE_TIMEOUT": keep_alive})

                @app.post(PATH)
                async def by_sanic(asked: Request) -> HTTPResponse:
                    return response.json({"sanic": asked.json})

                @app.get("/readyz")
                async def readyz(_: Request) -> HTTPResponse:
                    return response.json({"ready": True})

                listening = socket.socket()
                listening.bind(("127.0.0.1", 0))
                server = await app.create_server(
                    sock=listening, protocol=turns_first.First, return_asyncio_server=True, access_log=False
                )
                await server.startup()
                await server.before_start()
                await server.after_start()
                port = listening.getsockname()[1]
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.sleep(0.02)  # until sanic has begun to wait
                await talk(reader, writer)
                self.stopped = [connection.close_if_idle() for connection in list(server.connections)]
                writer.close()
                server.close()

        asyncio.run(run())

    def test_whole_requests_are_answered_first_and_the_rest_by_sanic(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(2):
                writer.write(request())
                status, said = await answer(reader)
                self.assertEqual((status, said["authorization"], said["said"]), (200, "Bearer t", {"a": 1}))
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(await answer(reader), (200, {"ready": True}))
                whole = request()
                writer.write(whole[:60])
                await asyncio.sleep(0.05)
                writer.write(whole[60:])
                self.assertEqual(await answer(reader), (200, {"sanic": {"a": 1}}))
                writer.write(request(body=b'{"status": 401}'))
                self.assertEqual((await answer(reader))[0], 401)

        self.talk(talk)
        self.assertEqual(self.stopped, [True])

    def test_two_requests_at_once_are_answered_in_order(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(request(body=b'{"n": 1}') + request(body=b'{"n": 2}'))
            said = [(await answer(reader))[1] for _ in range(2)]
            self.assertEqual(said, [{"sanic": {"n": 1}}, {"sanic": {"n": 2}}])

        self.talk(talk)

    def test_a_request_behind_one_that_is_being_answered_waits(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(request(body=b'{"n": 1, "sleep": 0.2}'))
            await asyncio.sleep(0.05)
            writer.write(request(body=b'{"n": 2}'))
            said = [(await answer(reader))[1] for _ in range(2)]
            self.assertEqual([one.get("said", one.get("sanic"))["n"] for one in said], [1, 2])

        self.talk(talk)

    def test_a_slow_answer_is_not_taken_for_an_idle_connection(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(request(body=b'{"sleep": 0.8}'))
            self.assertEqual((await answer(reader))[0], 200)
            self.assertEqual(await asyncio.wait_for(reader.read(), 5), b"")  # and an idle one is closed

        self.talk(talk, keep_alive=0.2)

    def test_a_connection_that_is_busy_is_not_closed_when_the_server_stops(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(request(body=b'{"sleep": 0.3}'))
            await asyncio.sleep(0.1)

        self.talk(talk)
        self.assertEqual(self.stopped, [False])

    def test_who_asked_has_gone(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(request(body=b'{"sleep": 30}'))
            await asyncio.sleep(0.1)
            writer.close()
            while not self.cancelled:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        self.talk(talk)

    def test_a_connection_that_is_to_be_closed_is_closed(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(request(PATH, b"{}", "Connection: close"))
            self.assertEqual((await answer(reader))[0], 200)
            self.assertEqual(await asyncio.wait_for(reader.read(), 5), b"")

        self.talk(talk)

    def test_another_sanic_is_refused(self) -> None:
        with mock.patch.object(sanic, "__version__", "21.12.3"), self.assertRaisesRegex(RasaException, "21.12.3"):
            turns_first.serve(PATH, mock.Mock())


if __name__ == "__main__":
    unittest.main()
