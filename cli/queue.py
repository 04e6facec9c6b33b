"""`kotae queue` and `kotae csm`: the CSM's side from a terminal."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from accounts.surveys import load_rules
from api import aftercare
from cli.output import print_json, screen, with_database
from escalations import csms, outbox
from escalations import queue as service
from escalations.csms import CsmEntry
from escalations.models import Csm, Escalation, OutboxItem
from escalations.queue import Entry
from kit.clock import now
from kit.company import load_company
from kit.database import Database
from kit.errors import UserError
from kit.settings import load_settings

app = typer.Typer(
    help="Conversations that wait for a person.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
csm = typer.Typer(help="Customer success managers.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
Id = Annotated[str, typer.Argument(help="id of the escalation, or of its conversation")]
As = Annotated[str, typer.Option("--as", help="e-mail of the CSM who does it", envvar="KOTAE_CSM")]


@app.command("list")
def list_(
    state: Annotated[Literal["queued", "claimed"] | None, typer.Option("--state", help="only these")] = None,
    json: Json = False,
) -> None:
    """Open escalations, in the order they should be helped."""

    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.begin() as session:
            return [_line(entry) for entry in await service.listing(session, state=state)]

    lines = with_database(load_settings(), work)
    if json:
        print_json(lines)
        return
    table = Table("id", "mode", "state", "account", "reason", "due", "value at risk", "last line")
    table.columns[0].no_wrap = True
    for line in lines:
        worth = f"{line['value_at_risk']} {line['currency']}" if line["value_at_risk"] is not None else ""
        who = line["account"] or "visitor"
        cells = [line["id"], line["mode"], line["state"], who, line["reason"]["en"], line["due_at"][:16], worth]
        table.add_row(*cells, line["last"])
    screen.print(table if lines else "Nobody is waiting.")


@app.command()
def claim(id_: Id, as_: As, json: Json = False) -> None:
    """Take a conversation; the bot falls silent in it."""
    _change(lambda session, who: service.claim(session, id_, who, now()), as_, json)


@app.command("next")
def next_(as_: As, json: Json = False) -> None:
    """Take what you should help with next: your own accounts first, then the pool in your languages."""

    async def work(database: Database) -> dict[str, Any] | None:
        async with database.begin() as session:
            found = await service.next_for(session, await csms.by_email(session, as_), now())
            return None if found is None else _plain(await service.existing(session, found.id))

    done = with_database(load_settings(), work)
    if json:
        print_json(done)
    else:
        screen.print("Nothing is offered to you now." if done is None else f"{done['id']} is {done['state']}.")


@app.command()
def snooze(
    id_: Id,
    as_: As,
    hours: Annotated[float, typer.Option("--hours", min=0.1, help="from now")] = 24.0,
    json: Json = False,
) -> None:
    """Put a conversation aside for a while, or until the customer writes."""
    until = now() + timedelta(hours=hours)
    _change(lambda session, who: service.snooze(session, id_, who, until, now()), as_, json)


@app.command()
def mute(
    id_: Id, as_: As, off: Annotated[bool, typer.Option("--off", help="show it again")] = False, json: Json = False
) -> None:
    """Stop watching a conversation until it needs somebody to take over."""
    _change(lambda session, who: service.mute(session, id_, who, now(), muted=not off), as_, json)


@app.command()
def prioritise(
    id_: Id,
    as_: As,
    priority: Annotated[Literal["urgent", "high", "normal", "low"], typer.Option("--priority", help="from now on")],
    reason: Annotated[str, typer.Option("--reason", help="why, for your colleagues")],
    json: Json = False,
) -> None:
    """Set the priority of a conversation by hand."""
    _change(lambda session, who: service.prioritise(session, id_, who, priority, reason, now()), as_, json)


@app.command("follow-up")
def follow_up(
    id_: Id,
    as_: As,
    on: Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="none given: take it back")] = None,
    json: Json = False,
) -> None:
    """Look at a conversation again on a day; it may be resolved in the meantime."""
    day = on.date() if on is not None else None
    _change(lambda session, who: service.follow_up(session, id_, who, day, now()), as_, json)


@app.command()
def release(
    id_: Id,
    as_: As,
    to: Annotated[Literal["queue", "bot"], typer.Option("--to", help="who has it next")] = "queue",
    json: Json = False,
) -> None:
    """Let go of a conversation: colleagues find it in the queue again, or the bot goes on."""
    _change(lambda session, who: service.release(session, id_, who, now(), to=to), as_, json)


@app.command()
def resolve(
    id_: Id, as_: As, reason: Annotated[str, typer.Option("--reason", help="what it was")] = "", json: Json = False
) -> None:
    """Close a conversation's escalation; the customer is asked how it was."""
    rules = load_rules(load_company(load_settings().company))
    _change(lambda session, who: aftercare.resolve(session, id_, who, now(), rules, reason=reason), as_, json)


@app.command("outbox")
def outbox_(
    state: Annotated[Literal["waiting", "sent", "dead"] | None, typer.Option("--state", help="only these")] = "dead",
    json: Json = False,
) -> None:
    """Notifications that were given up (or those of another state), with why."""

    async def work(database: Database) -> list[dict[str, Any]]:
        async with database.begin() as session:
            return [_notification(item) for item in await outbox.listing(session, state)]

    lines = with_database(load_settings(), work)
    if json:
        print_json(lines)
        return
    table = Table("id", "kind", "state", "attempts", "written", "last error")
    for line in lines:
        cells = (line["id"], line["kind"], line["state"], str(line["attempts"]), line["created_at"][:16])
        table.add_row(*cells, line["last_error"] or "")
    screen.print(table if lines else f"No notification is {state}.")


@app.command()
def retry(id_: Annotated[str, typer.Argument(help="id of the notification")], json: Json = False) -> None:
    """Try a notification that was given up once more."""

    async def work(database: Database) -> dict[str, Any]:
        async with database.begin() as session:
            return _notification(await outbox.retry(session, id_, now()))

    done = with_database(load_settings(), work)
    if json:
        print_json(done)
    else:
        screen.print(f"{done['id']} is {done['state']}.")


def _notification(item: OutboxItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "state": item.state,
        "attempts": item.attempts,
        "created_at": item.created_at.isoformat(),
        "next_at": item.next_at.isoformat(),
        "last_error": item.last_error,
    }


@csm.command()
def add(
    email: Annotated[str, typer.Argument(help="address they sign in with")],
    name: Annotated[str, typer.Option("--name", help="as customers see it")] = "",
    role: Annotated[Literal["csm", "lead", "admin"], typer.Option("--role", help="what they may do")] = "csm",
    languages: Annotated[str, typer.Option("--languages", help="separated by commas")] = "en",
    skills: Annotated[str, typer.Option("--skills", help="as rules of the policy name them, by commas")] = "",
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="read the password from this file; otherwise it is asked for")
    ] = None,
) -> None:
    """Add a CSM with a password."""
    entry = CsmEntry(
        email=email,
        name=name or email.partition("@")[0],
        role=role,
        languages=languages.split(","),
        skills=[skill.strip() for skill in skills.split(",") if skill.strip()],
    )
    password = _password(password_file)

    async def work(database: Database) -> Csm:
        async with database.begin() as session:
            return await csms.add(session, entry, password, now())

    made = with_database(load_settings(), work)
    screen.print(f"{made.email} may sign in as {made.role}.")


def _password(file: Path | None) -> str:
    if file is not None:
        from kit.files import read_text

        return read_text(file).strip()
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise UserError("the passwords differ", "try again")
    return first


def _change(act: Callable[[Any, Csm], Awaitable[Escalation]], email: str, json: bool) -> None:
    async def work(database: Database) -> dict[str, Any]:
        async with database.begin() as session:
            who = await csms.by_email(session, email)
            return _plain(await act(session, who))

    done = with_database(load_settings(), work)
    if json:
        print_json(done)
    else:
        screen.print(f"{done['id']} is {done['state']}.")


def _plain(found: Escalation) -> dict[str, Any]:
    return {
        "id": found.id,
        "conversation_id": found.conversation_id,
        "account_id": found.account_id,
        "account": found.account_name,
        "mode": found.mode,
        "state": found.state,
        "priority": found.priority,
        "level": found.level,
        "rule": found.rule,
        "reason": found.reason,
        "value_at_risk": found.value_at_risk,
        "currency": found.currency,
        "csm_id": found.csm_id,
        "owner_id": found.owner_id,
        "skill": found.skill,
        "snoozed_until": found.snoozed_until.isoformat() if found.snoozed_until else None,
        "muted": found.muted,
        "follow_up_on": found.follow_up_on.isoformat() if found.follow_up_on else None,
        "created_at": found.created_at.isoformat(),
        "due_at": found.due_at.isoformat(),
    }


def _line(entry: Entry) -> dict[str, Any]:
    body = entry.last.body if entry.last is not None else {}
    last = str(body.get("text") or body.get("quote") or "")
    return {**_plain(entry.escalation), "last": " ".join(last.split())[:80]}
