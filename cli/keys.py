"""`kotae key`: API keys of the company's backend."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from api import keys
from cli.output import screen, with_database
from kit.clock import now
from kit.database import Database
from kit.settings import load_settings

app = typer.Typer(
    help="API keys of the company's backend.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(help="what the key is for")]


@app.command()
def add(
    name: Name,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="accounts, events, export or erase; may be repeated")
    ] = None,
) -> None:
    """Make a key; it is shown once."""

    async def work(database: Database) -> str:
        async with database.begin() as session:
            return await keys.add(session, name, scope or ["accounts", "events"], now())

    screen.print(with_database(load_settings(), work), soft_wrap=True)


@app.command()
def remove(name: Name) -> None:
    """Take a key away."""

    async def work(database: Database) -> None:
        async with database.begin() as session:
            await keys.remove(session, name)

    with_database(load_settings(), work)
    screen.print(f"{name} opens nothing any more.")


@app.command("list")
def list_() -> None:
    """All keys, without what they are."""

    async def work(database: Database) -> list[tuple[str, str, str]]:
        async with database.begin() as session:
            found = await keys.everything(session)
            return [(key.name, ", ".join(key.scopes), f"{key.created_at:%Y-%m-%d}") for key in found]

    table = Table("name", "scopes", "made on")
    for row in with_database(load_settings(), work):
        table.add_row(*row)
    screen.print(table)
