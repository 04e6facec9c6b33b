"""`kotae backup` and `kotae restore`: the whole database as one file, by PostgreSQL's own programs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from kit import postgres
from kit.errors import Unavailable, UserError
from kit.settings import Settings
from migrations.upgrade import upgrade

SCHEMAS = ("public", "rasa")
"""Ours, and Rasa's conversations."""


def backup(settings: Settings, path: Path) -> int:
    """Writes all that is stored into a file, as of one moment, while everything runs.

    Args:
        path: of the new file; only its owner may read it.
    Returns:
        its size in bytes.
    Raises:
        UserError: the file is there already, or its folder is not.
        Unavailable: PostgreSQL cannot be reached, or its program says no.
    """
    if path.exists():
        raise UserError(f"{path} is there already", "name another file")
    if not path.parent.is_dir():
        raise UserError(f"the folder {path.parent} does not exist", "make it, or name another file")
    unfinished = path.with_name(f"{path.name}.unfinished")
    with postgres.running(settings) as url:
        os.close(os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        try:
            _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}")
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return path.stat().st_size


def restore(settings: Settings, path: Path, *, replace: bool = False) -> int:
    """Brings a backup into an empty database, all of it or nothing, and that to its newest form.

    Args:
        replace: first removes what the database has.
    Returns:
        how many tables there are now.
    Raises:
        UserError: no such file, or the database is not empty.
        Unavailable: PostgreSQL cannot be reached, or its program says no.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist", "check the path")
    with postgres.running(settings) as url:
        if _tables(url) and not replace:
            raise UserError(
                "the database is not empty", "restore into an empty one, or say --replace to lose what it has"
            )
        _run(None, "pg_restore", "--list", str(path))  # before anything is removed: is it a backup at all?
        with psycopg.connect(url, autocommit=True) as connection:
            for schema in SCHEMAS:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
            connection.execute("CREATE SCHEMA public")
        _run(url, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", str(path))
        upgrade(url)
        return _tables(url)


def _tables(url: str) -> int:
    query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = ANY(%s)"
    with psycopg.connect(url) as connection:
        row = connection.execute(query, [list(SCHEMAS)]).fetchone()
    return int(row[0]) if row is not None else 0


def _run(url: str | None, name: str, *words: str) -> None:
    """One of PostgreSQL's programs. The password travels in its environment, where no list of processes shows it."""
    environment = dict(os.environ)
    command = [str(postgres.program(name)), *words]
    if url is not None:
        parts = conninfo.conninfo_to_dict(url)
        environment["PGPASSWORD"] = str(parts.pop("password", None) or environment.get("PGPASSWORD", ""))
        command[1:1] = [f"--dbname={conninfo.make_conninfo(**{key: str(value) for key, value in parts.items()})}"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Unavailable(f"{name}: {lines[-1] if lines else done.returncode}", "see docs/running.md")
