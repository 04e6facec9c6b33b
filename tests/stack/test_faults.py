"""When a process dies, the customer is told the truth, and it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import psutil
import pytest

from tests.support import Customer, Stack

pytestmark = pytest.mark.stack


async def test_rasa_dies_and_comes_back(stack: Stack) -> None:
    """Killed without warning: the message is kept, the failure is said plainly, and later messages are answered."""
    async with Customer(stack) as visitor:
        os.kill(stack.pid("rasa"), signal.SIGKILL)
        bodies = await visitor.ask("How do I change my plan?", seconds=30)
        assert bodies[0]["type"] in ("choices", "answer")
        await asyncio.to_thread(stack.until_ready)
        assert (await visitor.ask("How do I invite a colleague to my workspace?"))[0]["type"] == "answer"


async def test_the_knowledge_base_dies_and_comes_back(stack: Stack) -> None:
    """Without it the bot still understands and says that it cannot look things up; afterwards it answers again."""
    async with Customer(stack) as visitor:
        os.kill(stack.pid("knowledge_base"), signal.SIGKILL)
        bodies = await visitor.ask("How do I change my plan?", seconds=30)
        assert bodies[-1]["type"] in ("choices", "answer")
        await asyncio.to_thread(stack.until_ready)
        assert (await visitor.ask("How do I invite a colleague to my workspace?"))[0]["type"] == "answer"


async def test_the_front_door_dies_and_comes_back(stack: Stack) -> None:
    """What it had acknowledged is answered after the restart, once."""
    async with Customer(stack) as visitor:
        await visitor.send("How do I change my plan?")
        ack = await visitor.frame(type="ack")
        os.kill(stack.pid("api"), signal.SIGKILL)
        await asyncio.to_thread(stack.until_ready)
        await visitor.connect(after=ack["seq"])
        await visitor.message("bot", seconds=40)
        answers = [message for message in await visitor.log(after=ack["seq"]) if message["sender"] == "bot"]
    assert len(answers) == 1


async def test_postgresql_dies_and_comes_back(stack: Stack) -> None:
    """Killed without warning with all its processes: `kotae up` starts it again, and what was acknowledged is answered once."""
    async with Customer(stack) as visitor:
        await visitor.send("How do I change my plan?")
        ack = await visitor.frame(type="ack")
        postmaster = int((stack.home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        for each in [*psutil.Process(postmaster).children(recursive=True), psutil.Process(postmaster)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        await asyncio.to_thread(stack.until_ready)
        await visitor.disconnect()
        await visitor.connect(after=ack["seq"])
        await visitor.message("bot", seconds=40)
        assert (await visitor.ask("How do I invite a colleague to my workspace?"))[0]["type"] == "answer"
        log = await visitor.log()
    assert [message["seq"] for message in log] == list(range(1, len(log) + 1))
    assert [message["sender"] for message in log if message["seq"] > ack["seq"]].count("bot") == 2
