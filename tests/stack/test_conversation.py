"""The path of a message through every process, over the public interface."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.support import Customer, Stack

pytestmark = pytest.mark.stack


async def test_a_visitor_is_answered_with_a_quote_and_its_article(stack: Stack) -> None:
    """A help question gets one passage and its citation."""
    async with Customer(stack) as visitor:
        answer = (await visitor.ask("How do I invite a colleague to my workspace?"))[0]
    assert answer["type"] == "answer"
    assert answer["citations"][0]["article_id"] == "en/invite-your-team"
    assert answer["citations"][0]["url"].startswith("https://help.orimono.example/en/invite-your-team")
    assert len(answer["quote"]) > 40


async def test_japanese_is_answered_in_japanese(stack: Stack) -> None:
    """A Japanese question finds the Japanese article."""
    async with Customer(stack, lang="ja") as visitor:
        answer = (await visitor.ask("チームメンバーを招待するにはどうすればいいですか？"))[0]
    assert answer["type"] == "answer"
    assert answer["citations"][0]["article_id"] == "ja/invite-your-team"


async def test_what_is_not_in_the_help_content_is_not_made_up(stack: Stack) -> None:
    """The bot says that it does not know, and offers a person."""
    async with Customer(stack) as visitor:
        bodies = await visitor.ask("What is the airspeed velocity of an unladen swallow?")
    assert bodies[-1]["type"] == "choices"
    assert bodies[-1]["choices"][0]["id"] == "human"


async def test_three_accounts_get_three_right_answers(stack: Stack) -> None:
    """The same question, asked from three accounts, speaks of each one's own plan."""
    quotes = {}
    for account, person in [
        ("acme-starter", "acme-amy"),
        ("borealis-business", "borealis-bea"),
        ("cedar-enterprise", "cedar-chika"),
    ]:
        async with Customer(stack, await stack.token(account, person)) as customer:
            (card,) = [body for body in await customer.ask("How many runs have I used?") if body["type"] == "account"]
            quotes[account] = next(fact["value"] for fact in card["facts"] if fact["label"].startswith("Runs"))
    assert quotes["acme-starter"].endswith("of 2,000")
    assert quotes["borealis-business"].endswith("of 500,000")
    assert quotes["cedar-enterprise"].endswith("of unlimited")


async def test_a_visitor_learns_nothing_of_any_account(stack: Stack) -> None:
    """Asked for the plan without an identity, the bot says to sign in."""
    async with Customer(stack) as visitor:
        bodies = await visitor.ask("Which plan am I on?")
    assert all(body["type"] != "account" for body in bodies)
    assert "signed in" in bodies[0]["text"]


async def test_the_same_client_id_twice_is_one_message_and_one_answer(stack: Stack) -> None:
    """A client that is not sure sends again."""
    async with Customer(stack) as visitor:
        await visitor.send("hello", client_id="same")
        await visitor.send("hello", client_id="same")
        first = await visitor.frame(type="ack", client_id="same")
        again = await visitor.frame(type="ack", client_id="same")
        await visitor.ask("How do I change my plan?")
        log = await visitor.log()
    assert first["seq"] == again["seq"]
    assert [message["client_id"] for message in log if message["sender"] == "customer"].count("same") == 1
    assert [message["seq"] for message in log] == list(range(1, len(log) + 1))


async def test_a_window_that_comes_back_gets_what_it_missed(stack: Stack) -> None:
    """After a lost connection the socket resumes from the last seq; a second window sees the same."""
    async with Customer(stack) as visitor:
        seen = (await visitor.log())[-1]["seq"]
        await visitor.send("How do I change my plan?")
        await visitor.frame(type="ack")
        await visitor.disconnect()
        await visitor.connect(after=seen)
        mine = await visitor.frame(type="message", sender="customer")
        answer = await visitor.message("bot")
        log = await visitor.log(after=seen)
    assert (mine["seq"], answer["seq"]) == (seen + 1, seen + 2)
    assert [message["body"] for message in log] == [mine["body"], answer["body"]]


async def test_many_messages_at_once_are_answered_in_order(stack: Stack) -> None:
    """Five messages without waiting: five answers, each after its question, none lost or doubled."""
    async with Customer(stack) as visitor:
        start = len(visitor.greeting)
        for _ in range(5):
            await visitor.send("thanks")
        async with asyncio.timeout(30):
            while sum(message["sender"] == "bot" for message in await visitor.log(after=start)) < 5:
                await visitor.frame(type="message", seconds=30)
        senders = [message["sender"] for message in await visitor.log(after=start)]
    assert senders.count("customer") == 5
    assert senders.count("bot") == 5


async def test_a_clicked_article_is_answered_and_an_invented_one_refused(stack: Stack) -> None:
    """A choice counts where it was offered."""
    async with Customer(stack) as visitor:
        await visitor.raw({"type": "message", "client_id": "x", "text": "Secret", "choice": "article:en/invoices"})
        refused = await visitor.frame(type="error")
        assert (refused["code"], refused["client_id"]) == ("invalid", "x")
        bodies = await visitor.ask("What is the airspeed velocity of an unladen swallow?")
        choice = bodies[-1]["choices"][0]
        bodies = await visitor.ask(choice["label"], choice["id"])
    assert bodies[-1]["type"] == "handover"


async def test_slash_commands_are_words(stack: Stack) -> None:
    """What a person types never names an intent or restarts the bot."""
    async with Customer(stack) as visitor:
        await visitor.ask("What is the airspeed velocity of an unladen swallow?")  # offers a person
        bodies = await visitor.ask("/affirm")
        assert all(body["type"] != "handover" for body in bodies)
        assert await visitor.ask("/restart")


async def test_a_visitor_leaves_an_address_for_a_callback(stack: Stack) -> None:
    """The form asks again until there is an address, then promises only what was arranged."""
    async with Customer(stack) as visitor:
        asked = await visitor.ask("Please call me back, I want to leave my contact details")
        assert "e-mail" in asked[-1]["text"].lower() or "email" in asked[-1]["text"].lower()
        wrong = await visitor.ask("it is kenta at home")
        assert "address" in wrong[0]["text"]
        done = await visitor.ask("kenta@example.com")
    assert "kenta@example.com" in done[0]["text"]
    assert done[-1]["type"] == "handover"


@pytest.mark.parametrize("kind", ["message", "socket"])
async def test_anothers_conversation_looks_like_none(stack: Stack, kind: str) -> None:
    """A wrong token opens nothing, and says the same as for a conversation that is not there."""
    async with Customer(stack) as mine, Customer(stack) as other:
        if kind == "message":
            async with httpx.AsyncClient(base_url=stack.url) as http:
                headers = {"Authorization": f"Bearer {other.token}"}
                found = await http.get(f"/v1/conversations/{mine.id}/messages", headers=headers)
                missing = await http.get(f"/v1/conversations/cnv_{'0' * 32}/messages", headers=headers)
            assert found.status_code == missing.status_code == 404
            assert found.json() == missing.json()
        else:
            await mine.disconnect()
            mine.token = other.token
            await mine.connect()
            with pytest.raises(Exception, match="4404"):
                await mine.frame(type="message")


async def test_a_wrong_or_expired_identity_is_refused(stack: Stack) -> None:
    """One clear error, no conversation."""
    async with httpx.AsyncClient(base_url=stack.url) as http:
        for token in ("not-a-token", "a.b.c"):
            answer = await http.post("/v1/conversations", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "unauthenticated"
