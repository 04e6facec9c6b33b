"""A clock that jumps under a whole front door: an hour ahead in the middle of a turn, and two back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.front import Front, front, until
from tests.chaos.rasa import GOOD, Rasa, rasa
from tests.support import installed

A_MINUTE = 6
"""Messages that a conversation may send in one."""


class Clock:
    """That of a process, by libfaketime: the real one, so many seconds off."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        library = next(Path(installed("faketime", "faketime")).parents[1].glob("lib/*/faketime/libfaketimeMT.so.1"))
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.is_off(0)

    def is_off(self, seconds: int) -> None:
        """From now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        new.replace(self._file)


@pytest.fixture
async def bot() -> AsyncIterator[Rasa]:
    """In Rasa's place."""
    async with rasa() as made:
        yield made


async def test_a_clock_that_jumps_is_not_noticed(database_url: str, bot: Rasa, tmp_path: Path) -> None:
    """Each message is taken, answered soon, once and in order; who may write goes on, and who has written too much waits no hour."""
    clock = Clock(tmp_path)
    settings = {"KOTAE_RASA_PORT": str(bot.port), "KOTAE_MESSAGES_PER_MINUTE": str(A_MINUTE)}
    async with front(database_url, tmp_path, **settings, **clock.environment) as door:
        door.http.headers["X-Forwarded-For"] = "203.0.113.9"  # in development nobody of this machine is counted
        conversation = await door.open()
        sent: list[str] = []
        for seconds in (3600, -3600, 0):
            await answered_across_a_jump(door, bot, conversation, clock, seconds, sent)
        last = [(await door.say(conversation, f"last {number}")).status_code for number in range(2)]
        assert last == [202, 429]  # so that it was counted
        sent.append("last 0")
        await until_answered(door, conversation, len(sent))
        log = await door.read(conversation)
        assert [one["seq"] for one in log] == list(range(1, len(log) + 1))
        assert [one["client_id"] for one in log if one["sender"] == "customer"] == sent


async def answered_across_a_jump(
    door: Front, bot: Rasa, conversation: str, clock: Clock, seconds: int, sent: list[str]
) -> None:
    """One message whose turn is under way when the clock jumps, and as many after it as may be sent."""
    bot.says, bot.seconds = [(200, GOOD)], 0.5
    asked = bot.asked
    assert (await door.say(conversation, f"c{len(sent)}")).status_code == 202
    sent.append(f"c{len(sent)}")

    async def under_way() -> bool:
        return bot.asked > asked

    await until(under_way)
    clock.is_off(seconds)
    bot.seconds = 0.0
    for _ in range(A_MINUTE - 1):
        answer = await door.say(conversation, f"c{len(sent)}")
        assert answer.status_code == 202, answer.text
        sent.append(f"c{len(sent)}")
    await until_answered(door, conversation, len(sent))


async def until_answered(door: Front, conversation: str, number: int) -> None:
    """Each message, once; and there is the greeting."""

    async def told() -> bool:
        return sum(one["sender"] == "bot" for one in await door.read(conversation)) == number + 1

    await until(told, seconds=5)
