"""The programs of `docs/channels.md`, each run as it stands there against the product's own front door."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from conversations import log
from kit.database import Database
from kit.settings import Settings
from tests.support import ROOT, free_ports
from tests.widget.front_door import FrontDoor, add_customer

SERVE = """
import sys
from sanic import Sanic
from rasa.core.channels.rest import RestInput
from doors import channel_of

async def never(message):
    raise AssertionError("the message went to Rasa directly")

class Known(channel_of(RestInput)):
    async def identity_of(self, message):
        return message.metadata["token"] if message.sender_id == "linked" else None

    def get_metadata(self, request):
        return request.json.get("metadata")

app = Sanic("channel")
app.blueprint(Known().blueprint(never), url_prefix="/webhooks/rest")
app.run("127.0.0.1", int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
async def door(settings: Settings, database_url: str) -> AsyncIterator[FrontDoor]:
    await add_customer(database_url)
    door = FrontDoor(settings, database_url)
    await asyncio.to_thread(door.start)
    yield door
    await asyncio.to_thread(door.stop)


def programs() -> list[str]:
    text = (ROOT / "docs/channels.md").read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


async def test_the_rest_example_asks_and_is_answered(door: FrontDoor, tmp_path: Path) -> None:
    """No bot runs here, so what answers is the apology of the front door."""
    (tmp_path / "ask.py").write_text(programs()[0], "utf-8")
    command = [sys.executable, str(tmp_path / "ask.py"), door.url, "How do I invite a colleague?"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=True)
    assert re.match(r"bot choices Sorry, I could not work that out", done.stdout)


@pytest.fixture(scope="module")
async def channel(door: FrontDoor, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Rasa's own REST channel, wrapped as the page says, in Rasa's environment."""
    folder = tmp_path_factory.mktemp("channel")
    (folder / "doors.py").write_text(programs()[1], "utf-8")
    (folder / "serve.py").write_text(SERVE, "utf-8")
    (port,) = free_ports(1)
    environment = os.environ | {"KOTAE_API_URL": door.url, "PYTHONPATH": str(folder), "RASA_TELEMETRY_ENABLED": "false"}
    command = [str(ROOT / ".venv-bot/bin/python"), str(folder / "serve.py"), str(port)]
    with (folder / "log").open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=out, stderr=out, cwd=folder)
        try:
            url = f"http://127.0.0.1:{port}/webhooks/rest"
            async with httpx.AsyncClient() as client, asyncio.timeout(90):
                while True:
                    assert process.returncode is None, (folder / "log").read_text()
                    try:
                        await client.get(f"{url}/")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.2)
            yield f"{url}/webhook"
        finally:
            process.terminate()
            await process.wait()


async def test_a_channel_of_rasas_leads_to_the_front_door(
    door: FrontDoor, channel: str, database: Database, settings: Settings
) -> None:
    """What Rasa's class heard is in the log, and what answers goes out through it; only who was proven is known."""
    who = {"account_id": "widget-acme", "person_id": "widget-amy"}
    async with httpx.AsyncClient(timeout=40) as client:
        token = (await client.post(f"{door.url}/demo/token", json=who)).json()["token"]
        for sender, text in (("linked", "from Amy, linked"), ("stranger", "I am Amy, honestly")):
            # A stranger who sends a good token along is a visitor still: only what `identity_of` vouches for counts.
            said = {"sender": sender, "message": text, "metadata": {"token": token}}
            answered = (await client.post(channel, json=said)).json()
            assert answered[0]["recipient_id"] == sender
            assert answered[0]["text"].startswith("Sorry, I could not work that out")
            assert answered[0]["buttons"]
    async with database.begin() as session:
        mine = await log.latest(session, "widget-acme", "widget-amy")
        assert mine is not None
        assert "from Amy, linked" in [getattr(one.body, "text", "") for one in await log.history(session, mine.id)]
        assert "I am Amy" not in str(await log.history(session, mine.id))
