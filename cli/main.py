"""`kotae`: Kotae from a terminal."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before any model library is imported: models come from packages

import typer
from sqlalchemy.exc import SQLAlchemyError
from typer.core import TyperGroup

from cli.output import notes, print_json, screen
from kit.errors import KotaeError
from kit.settings import Settings, load_settings

ROOMS = {
    "kb": ("kb", "app"),
    "bot": ("bot", "app"),
    "accounts": ("accounts", "app"),
    "queue": ("queue", "app"),
    "policy": ("policy", "app"),
    "csm": ("queue", "csm"),
    "key": ("keys", "app"),
}
"""Module and name of each room's commands."""


class Commands(TyperGroup):
    """All commands, those of the rooms read when they are asked for: they bring libraries that take seconds, and `kotae up` would keep them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name."""
        return [*super().list_commands(ctx), *ROOMS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in ROOMS:
            return super().get_command(ctx, cmd_name)
        module, name = ROOMS[cmd_name]
        found = typer.main.get_command(getattr(import_module(f"cli.{module}"), name))
        found.name = cmd_name
        return found


app = typer.Typer(
    name="kotae",
    cls=Commands,
    help="A support chatbot that knows who is asking.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Company = Annotated[Path | None, typer.Option("--company", help="the company's folder; demo where left out")]
Account = Annotated[str | None, typer.Option("--account", help="ask as a customer of this account; else as a visitor")]
Person = Annotated[str | None, typer.Option("--person", help="id of the person")]
Lang = Annotated[Literal["en", "ja"] | None, typer.Option("--lang", help="language of the conversation")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]


def _version(wanted: bool) -> None:
    if wanted:
        screen.print(f"kotae {version('kotae')}", highlight=False)
        raise typer.Exit


@app.callback()
def kotae(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="which version this is")
    ] = False,
) -> None:
    """A support chatbot that knows who is asking."""


@app.command()
def up(company: Company = None) -> None:
    """Prepare what is missing, start every process, watch them, stop them together on Ctrl-C."""
    from cli.up import up as start

    start(_settings(company))


@app.command()
def prepare(company: Company = None) -> None:
    """Database, index, trained bot and sample data, without starting anything."""
    from cli.up import only_prepare

    only_prepare(_settings(company))


@app.command()
def migrate() -> None:
    """Bring the database of DATABASE_URL to its newest form, beside the version that runs."""
    from kit import postgres
    from migrations.upgrade import upgrade

    with postgres.running(load_settings()) as url:
        upgrade(url)
    notes.print("The database is in its newest form.")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="the new file")]) -> None:
    """Write all that is stored into one file, as of one moment, while everything runs."""
    from cli.backup import backup as write

    size = write(load_settings(), file)
    notes.print(f"{file}: {size / 1e6:.1f} MB. Keep it as safe as the database, and KOTAE_SECRET_KEY beside it.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="written by kotae backup")],
    replace: Annotated[bool, typer.Option("--replace", help="first remove what the database has")] = False,
) -> None:
    """Bring a backup into an empty database, and that to its newest form. Stop Kotae first."""
    from cli.backup import restore as read

    tables = read(load_settings(), file, replace=replace)
    notes.print(f"{tables} tables are back.")


@app.command()
def serve(
    process: Annotated[Literal["api", "rasa", "actions", "knowledge_base"], typer.Argument(help="which")],
    company: Company = None,
) -> None:
    """One process in the foreground, for containers and other supervisors; see deploy/."""
    from cli.processes import serve as become

    become(_settings(company), process)


@app.command()
def ask(text: str, account: Account = None, person: Person = None, lang: Lang = None, json: Json = False) -> None:
    """One turn through the running stack."""
    from cli import talk

    with talk.chat(load_settings(), account, person, lang) as chat:
        messages = chat.say(text)
    if json:
        print_json({"conversation_id": chat.id, "messages": messages})
    else:
        talk.show(messages)


@app.command()
def chat(account: Account = None, person: Person = None, lang: Lang = None) -> None:
    """Talk with the running stack; an empty line or Ctrl-D ends it."""
    from cli import talk

    with talk.chat(load_settings(), account, person, lang) as made:
        talk.show(made.greeting)
        while True:
            try:
                text = input("> ").strip()
            except EOFError:
                break
            if not text:
                break
            talk.show(made.new())
            talk.show(made.say(text))


@app.command()
def token(
    account: Annotated[str, typer.Option("--account", help="id of the account")],
    person: Annotated[str, typer.Option("--person", help="id of the person")],
) -> None:
    """An identity token for development, valid for 12 hours."""
    from cli import talk

    screen.print(talk.token(load_settings(), account, person), soft_wrap=True)


Subject = Annotated[str | None, typer.Option("--account", help="the account, with all its people")]


@app.command()
def erase(person: Person = None, account: Subject = None, json: Json = False) -> None:
    """Forget a person or an account for good, in every room. There is no way back."""
    from cli import personal_data

    personal_data.erase(person, account, json=json)


@app.command()
def export(person: Person = None, account: Subject = None, json: Json = True) -> None:
    """All that is kept of a person or an account, as one JSON document."""
    from cli import personal_data

    personal_data.export(person, account)


def _settings(company: Path | None) -> Settings:
    return load_settings(company=company.resolve() if company else None)


def main(arguments: list[str] | None = None) -> None:
    """Runs a command. Exit status 0: done; 1: could not; 2: wrong use."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Runs a command and says how it ended, in one line where it did not end well."""
    command: Any = typer.main.get_command(app)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        result = command.main(arguments, prog_name="kotae", standalone_mode=False)
    except KotaeError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return _fail("stopped", 1)
    except BrokenPipeError:
        return 1
    except SQLAlchemyError as error:
        line = str(getattr(error, "orig", error)).strip().splitlines()[0]
        return _fail(f"the database refused ({line}): if it is of another version of Kotae, run kotae prepare", 1)
    except Exception as error:  # click's errors differ by where typer takes click from; others go on
        show = getattr(error, "format_message", None)
        if show is None:
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            notes.print(show(), markup=False, highlight=False, soft_wrap=True)
            return 2
        path = getattr(getattr(error, "ctx", None), "command_path", "kotae")
        return _fail(f"{show()} See `{path} --help`.", int(getattr(error, "exit_code", 2)))
    return result if isinstance(result, int) else 0


def _interrupt(*_: object) -> None:
    """Being told to end is like Ctrl-C: what was started is stopped on the way out."""
    raise KeyboardInterrupt


def _fail(line: str, status: int) -> int:
    notes.print(f"kotae: {' '.join(line.split())}", markup=False, soft_wrap=True)
    return status


if __name__ == "__main__":
    main()
