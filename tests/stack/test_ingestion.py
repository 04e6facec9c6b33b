"""Data in over HTTP, by key, and the official Segment client unchanged."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import segment.analytics as segment

from tests.stack.relay import Fate, relay
from tests.support import Customer, Stack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """A key of the company's backend."""
    made = stack.kotae("key", "add", "tests", "--scope", "accounts", "--scope", "events")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def http(stack: Stack, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        yield client


@pytest.fixture
def fresh(http: httpx.Client) -> None:
    """An account and its admin, as the backend states them."""
    stated = {"name": "Fresh Foods", "plan": "pro", "seats": 7, "price": "315.00"}
    put = http.put("/v1/accounts/fresh", json=stated)
    assert put.status_code == 204, put.text
    assert http.put("/v1/people/fay", json={"account_id": "fresh", "name": "Fay", "role": "admin"}).status_code == 204


async def test_an_account_put_over_rest_asks_for_its_plan(stack: Stack, fresh: None) -> None:
    """What the backend states, the bot says."""
    async with Customer(stack, await stack.token("fresh", "fay")) as customer:
        assert "Fay" in customer.greeting[0]["body"]["text"]
        (card,) = [body for body in await customer.ask("Which plan am I on?") if body["type"] == "account"]
    assert {"label": "Plan", "value": "Pro", "used": None} in card["facts"]


async def test_the_official_segment_client_works_unchanged(stack: Stack, key: str) -> None:
    """identify, group and track, gzipped and in batches; the same messageId twice counts once."""
    failures: list[Any] = []
    client = segment.Client(
        key, host=stack.url, gzip=True, sync_mode=False, on_error=lambda error, _: failures.append(error)
    )
    client.identify("sam", {"name": "Sam", "email": "sam@segment.example"})
    client.group("sam", "seg", {"name": "Segment Shop", "plan": "starter", "seats": 2})
    for number in range(20):
        for _ in range(2):
            client.track("sam", "flow_run", {"quantity": 3}, context={"groupId": "seg"}, message_id=f"run-{number}")
    client.flush()
    client.join()
    assert failures == []
    async with Customer(stack, await stack.token("seg", "sam")) as customer:
        (card,) = [body for body in await customer.ask("How many runs have I used?") if body["type"] == "account"]
    runs = next(fact["value"] for fact in card["facts"] if fact["label"].startswith("Runs"))
    assert runs == "60 of 2,000"


def kept(stack: Stack, account: str) -> dict[str, list[dict[str, Any]]]:
    """All that Kotae has of an account, by table."""
    done = stack.kotae("export", "--account", account)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)["facts"]
    return found


def test_every_call_of_the_official_client_is_taken_once_over_a_line_that_fails(stack: Stack, key: str) -> None:
    """Lost on the way, refused twice, and answered to nobody: the client tries by itself until it hears that all was taken, which is counted once."""
    fates: list[Fate] = ["lost", "503", "answer lost", "429"]
    failures: list[Any] = []
    with relay(stack.url, fates) as line:
        client = segment.Client(key, host=line.url, gzip=True, on_error=lambda error, _: failures.append(error))
        client.identify("pia", {"firstName": "Pia", "lastName": "Berg", "email": "pia@pages.example", "role": "admin"})
        client.group("pia", "pages", {"name": "Pages & Co", "plan": "pro", "seats": 3})
        client.track("pia", "flow_run", {"quantity": 5})
        client.page("pia", "Docs", "Pricing", {"url": "https://pages.example/pricing"})
        client.screen("pia", "Home", "Start")
        client.alias("visitor-7", "pia")
        client.flush()
        client.join()
    assert failures == []
    assert [fate for fate, _ in line.seen] == [*fates, "passed"]
    assert [tried for _, tried in line.seen][:4] == [None, "1", "2", "3"]
    of = kept(stack, "pages")
    assert sorted(event["type"] for event in of["events"]) == ["alias", "group", "identify", "page", "screen", "track"]
    assert {row["name"]: (row["times"], row["quantity"]) for row in of["daily_events"]} == {
        "flow_run": (1, 5),
        "page_viewed": (1, 1),
        "screen_viewed": (1, 1),
    }
    assert [(row["events"], row["person_id"]) for row in of["daily_people"]] == [(3, "pia")]
    assert [(row["id"], row["name"], row["email"]) for row in of["people"]] == [
        ("pia", "Pia Berg", "pia@pages.example")
    ]
    assert [(row["plan"], row["seats"]) for row in of["subscriptions"]] == [("pro", 3)]


def test_the_client_drops_nothing_that_is_as_large_as_it_sends(stack: Stack, key: str) -> None:
    """A hundred messages of up to 32 kB each: the client cuts them into requests of half a megabyte, unpacked."""
    failures: list[Any] = []
    client = segment.Client(key, host=stack.url, on_error=lambda error, _: failures.append(error))
    for number in range(40):
        client.track("lou", "uploaded", {"text": "word " * 6_000}, {"groupId": "large"}, message_id=f"large-{number}")
    client.flush()
    client.join()
    assert failures == []
    assert sum(row["times"] for row in kept(stack, "large")["daily_events"]) == 40


def test_the_client_is_told_why_it_is_refused(stack: Stack) -> None:
    """A wrong key is no reason to try again: the error comes at once and says what to do."""
    failures: list[Any] = []
    client = segment.Client("wrong", host=stack.url, on_error=lambda error, _: failures.append(error))
    client.track("lou", "uploaded")
    client.flush()
    client.join()
    assert [error.status for error in failures] == [401]
    assert "see kotae key add" in str(failures[0])


async def test_a_step_done_in_the_product_is_noticed_in_the_chat(stack: Stack, key: str, fresh: None) -> None:
    """Asked what is next, then done as the company's own client reports it: the bot says so by itself, and what comes then."""
    client = segment.Client(key, host=stack.url)
    async with Customer(stack, await stack.token("fresh", "fay")) as customer:
        (shown,) = [body for body in await customer.ask("What should I do next?") if body["type"] == "checklist"]
        assert [step["done"] for step in shown["steps"][:2]] == [False, False]
        client.track("fay", "member_invited", {}, context={"groupId": "fresh"})
        client.flush()
        noticed = shown
        while noticed == shown:  # the log may have had it before it came over the line
            noticed = (await customer.message("bot", "checklist", seconds=60))["body"]
        assert noticed["text"] == "“Invite your team” is done: 16 % so far. Next: Connect your first app."
        assert [step["done"] for step in noticed["steps"][:2]] == [True, False]
        (asked,) = [body for body in await customer.ask("And what is the next step?") if body["type"] == "checklist"]
        assert "Connect your first app" in asked["text"]
        (shown_how,) = await customer.ask("How do I do that?")
        assert [one["article_id"] for one in shown_how["citations"]] == ["en/connect-an-app"]
    client.join()


def test_without_a_key_nothing_comes_in(stack: Stack, key: str) -> None:
    """No key, a wrong key, a key without the scope: refused alike."""
    only_events = stack.kotae("key", "add", "events only", "--scope", "events").stdout.strip()
    said = set()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {only_events}"}):
        answer = httpx.put(f"{stack.url}/v1/accounts/evil", json={"name": "Evil"}, headers=headers)
        assert answer.status_code == 401
        said.add(answer.text)
    assert len(said) == 1
    assert stack.kotae("accounts", "show", "evil").returncode == 1


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"not json", {}, 422),
        (b"[1]", {}, 422),
        (b'{"batch": 1}', {}, 422),
        (b"not gzip", {"Content-Encoding": "gzip"}, 422),
        (gzip.compress(b'{"batch": "' + b"x" * 20_000_000 + b'"}'), {"Content-Encoding": "gzip"}, 422),
        (b'{"batch": []}', {}, 200),
    ],
)
def test_bodies_of_any_kind_are_answered(
    http: httpx.Client, content: bytes, headers: dict[str, str], status: int
) -> None:
    """Not JSON, not an object, not gzip, a small body that unpacks into a large one: one clear error."""
    answer = http.post("/v1/batch", content=content, headers=headers)
    assert answer.status_code == status, answer.text


def test_an_import_over_rest_is_all_or_nothing(stack: Stack, http: httpx.Client) -> None:
    """One wrong account keeps the others out."""
    wrong = http.post("/v1/accounts:import", json={"accounts": [{"id": "one"}, {"id": "two", "seats": "many"}]})
    assert wrong.status_code == 422
    assert stack.kotae("accounts", "show", "one").returncode == 1
    right = http.post("/v1/accounts:import", json={"accounts": [{"id": "one"}, {"id": "two", "seats": 3}]})
    assert (right.status_code, right.json()) == (200, {"accounts": 2})
