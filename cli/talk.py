"""`kotae ask`, `chat` and `token`: the running stack from a terminal, over its public interface."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from accounts import repository as accounts_repository
from api.identity import sign
from cli.output import screen, with_database
from kit.clock import now
from kit.database import Database
from kit.errors import KotaeError, NotFound, Unavailable, UserError
from kit.settings import Settings

_WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.05
UNKNOWN_PERSON = "kotae-cli"
"""Who asks for an account that has no people on record."""


def token(settings: Settings, account_id: str, person_id: str) -> str:
    """An identity token as the company's backend would sign it.

    Raises:
        UserError: in production, where only the company's backend signs.
    """
    if settings.mode == "production":
        raise UserError("tokens for development are not signed in production", "let your backend sign them")
    return sign(settings, account_id, person_id, now(), timedelta(hours=12))


def person_of(settings: Settings, account_id: str) -> str:
    """Somebody of the account.

    Raises:
        NotFound: there is no such account.
    """

    async def look(database: Database) -> str:
        async with database.begin() as session:
            if await accounts_repository.account(session, account_id) is None:
                raise NotFound(f"no account {account_id}", "see what you imported")
            people = await accounts_repository.people_of(session, account_id)
            return people[0].id if people else UNKNOWN_PERSON

    return with_database(settings, look)


@dataclass
class Chat:
    """One conversation over REST."""

    client: httpx.Client
    id: str
    headers: dict[str, str]
    seen: int
    greeting: list[dict[str, Any]] = field(default_factory=list)

    def say(self, text: str, choice: str | None = None) -> list[dict[str, Any]]:
        """Sends a message and waits for what answers it.

        Raises:
            Unavailable: nothing came.
        """
        body = {"client_id": str(uuid.uuid4()), "text": text, "choice": choice}
        answer = self.client.post(f"/v1/conversations/{self.id}/messages", json=body, headers=self.headers)
        self.seen = max(self.seen, _checked(answer)["seq"])
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            new = self.new()
            if new:
                return new
            time.sleep(_POLL_SECONDS)
        raise Unavailable("no answer came", "a CSM may hold the conversation; see kotae queue list")

    def new(self) -> list[dict[str, Any]]:
        """What others said since."""
        path = f"/v1/conversations/{self.id}/messages"
        found = _checked(self.client.get(path, params={"after": self.seen}, headers=self.headers))["messages"]
        if found:
            self.seen = found[-1]["seq"]
        return [message for message in found if message["sender"] != "customer"]


@contextmanager
def chat(settings: Settings, account_id: str | None, person_id: str | None, lang: str | None) -> Iterator[Chat]:
    """A new conversation with the running stack.

    Args:
        account_id: whose customer asks; None for a visitor.
        person_id: which person; somebody of the account where None.
        lang: `en` or `ja`; the person's, else the company's first where None.
    Raises:
        Unavailable: the stack does not run.
    """
    headers: dict[str, str] = {}
    if account_id is not None:
        who = person_id or person_of(settings, account_id)
        headers["Authorization"] = f"Bearer {token(settings, account_id, who)}"
    with httpx.Client(
        base_url=f"http://{settings.api_host}:{settings.api_port}", timeout=10, trust_env=False
    ) as client:
        try:
            made = _checked(client.post("/v1/conversations", json={"lang": lang}, headers=headers))
            yield Chat(
                client,
                made["conversation_id"],
                {"Authorization": f"Bearer {made['token']}"},
                max((message["seq"] for message in made["messages"]), default=0),
                made["messages"],
            )
        except httpx.ConnectError:
            raise Unavailable(f"Kotae does not run at {client.base_url}", "start it with kotae up") from None
        except httpx.HTTPError as error:
            raise Unavailable(
                f"Kotae at {client.base_url} did not answer ({type(error).__name__})", "see its logs"
            ) from None


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        data: dict[str, Any] = answer.json()
        return data
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError):
        raise Unavailable(f"Kotae answered {answer.status_code}", "see its logs") from None
    raise KotaeError(error["message"], error["hint"])


def show(messages: list[dict[str, Any]]) -> None:
    """Prints messages as a person reads them."""
    for message in messages:
        name = message["name"] or message["sender"]
        screen.print(f"[bold]{name}[/bold]", end="  ")
        screen.print(plain(message["body"]), markup=False)


def plain(body: dict[str, Any]) -> str:
    """A message body in plain words."""
    kind = body["type"]
    if kind == "answer":
        note = f"{body['note']}\n" if body["note"] else ""
        cited = "\n".join(f"— {one['title']} ({one['url'] or one['article_id']})" for one in body["citations"])
        return f"{note}{body['quote']}\n{cited}"
    lines = [str(body["text"])]
    if kind == "choices":
        lines += [f"  {number}. {one['label']}" for number, one in enumerate(body["choices"], 1)]
    elif kind == "account":
        lines += [f"  {fact['label']}: {fact['value']}" for fact in body["facts"]]
    elif kind == "checklist":
        lines += [f"  [{'x' if step['done'] else ' '}] {step['title']}" for step in body["steps"]]
    return "\n".join(lines)
