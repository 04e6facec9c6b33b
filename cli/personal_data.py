"""`kotae erase` and `kotae export`: what is kept of a person or an account."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Any

import typer

from api import personal_data
from api.personal_data import Erased, Kind
from cli.output import notes, print_json, screen, with_database
from kit.clock import now
from kit.database import Database
from kit.settings import load_settings


def erase(person: str | None, account: str | None, *, json: bool) -> None:
    """Forgets them in every room, and says what was removed."""
    kind, id_ = _subject(person, account)

    async def work(database: Database) -> Erased:
        async with database.begin() as session:
            return await personal_data.erase(session, kind, id_, _operator(), now())

    done = with_database(load_settings(), work)
    if json:
        print_json(asdict(done))
        return
    screen.print(f"The {kind} {id_} is erased, with {done.conversations} conversations.", markup=False)
    if done.mentions:
        listed = ", ".join(map(str, done.mentions))
        notes.print(f"Notes of the account that still name the person, for you to correct: {listed}", markup=False)
    if done.articles:
        notes.print(f"Articles drafted from replies to them, for you to read: {', '.join(done.articles)}", markup=False)


def export(person: str | None, account: str | None) -> None:
    """Prints all that is kept of them as one JSON document."""
    kind, id_ = _subject(person, account)

    async def work(database: Database) -> dict[str, Any]:
        async with database.begin() as session:
            return await personal_data.export(session, kind, id_, _operator(), now())

    print_json(with_database(load_settings(), work))


def _subject(person: str | None, account: str | None) -> tuple[Kind, str]:
    if person is not None and account is None:
        return "person", person
    if account is not None and person is None:
        return "account", account
    raise typer.BadParameter("give either --person ID or --account ID.")


def _operator() -> str:
    """Who sits at the terminal, for the audit log."""
    try:
        return f"terminal: {getpass.getuser()}"
    except (KeyError, OSError):  # a container may run under an id that has no name
        return "terminal"
