"""`kotae backup` and `kotae restore`: the whole database as one file, by PostgreSQL's own programs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import psycopg
from psycopg import conninfo

from kit import postgres
from kit.errors import Unavailable, UserError
from kit.settings import Settings
from migrations.upgrade import upgrade

SCHEMAS = ("public", "rasa")
"""Ours, and Rasa's conversations."""
_NOT_OURS = ("--no-owner", "--no-privileges")
"""Left out, as they are another server's."""
_PLAINLY = ("--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1")
_REMOVE = "BEGIN; SET client_min_messages = warning; {} CREATE SCHEMA public;\n".format(
    " ".join(f"DROP SCHEMA IF EXISTS {schema} CASCADE;" for schema in SCHEMAS)
).encode()


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
            dump = _program(url, "pg_dump", "--format=custom", *_NOT_OURS, f"--file={unfinished}")
            done = subprocess.run(**dump, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
            _end("pg_dump", done.returncode, done.stderr)
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
        _put_in_place(url, path)
        upgrade(url)
        return _tables(url)


def _tables(url: str) -> int:
    query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = ANY(%s)"
    with psycopg.connect(url) as connection:
        row = connection.execute(query, [list(SCHEMAS)]).fetchone()
    return int(row[0]) if row is not None else 0


def _put_in_place(url: str, path: Path) -> None:
    """Removes what there is and brings in what the file has, in one transaction: a file that is damaged, wherever it is, changes nothing.

    `pg_restore` removes no more than it knows of, so what it says goes behind the removal to `psql`, and the end of the transaction is said
    only once it has come to its own.
    """
    taking, reading = _program(url, "psql", *_PLAINLY), _program(None, "pg_restore", *_NOT_OURS, "--file=-", str(path))
    with TemporaryFile() as refused, subprocess.Popen(**taking, stdin=subprocess.PIPE, stderr=refused) as psql:
        assert psql.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and says why
            psql.stdin.write(_REMOVE)
            psql.stdin.flush()
        read = subprocess.run(**reading, stdout=psql.stdin, stderr=subprocess.PIPE, check=False)
        with contextlib.suppress(BrokenPipeError):
            psql.stdin.write(b"COMMIT;\n" if read.returncode == 0 else b"")
            psql.stdin.close()
        psql.wait()
        if read.returncode != -signal.SIGPIPE:
            _end("pg_restore", read.returncode, read.stderr)
        refused.seek(0)
        _end("psql", psql.returncode, refused.read())


def _program(url: str | None, name: str, *words: str) -> dict[str, Any]:
    """How one of PostgreSQL's programs is run. The password travels in its environment, where no list of processes shows it."""
    environment = dict(os.environ)
    command = [str(postgres.program(name)), *words]
    if url is not None:
        parts = conninfo.conninfo_to_dict(url)
        environment["PGPASSWORD"] = str(parts.pop("password", None) or environment.get("PGPASSWORD", ""))
        command[1:1] = [f"--dbname={conninfo.make_conninfo(**{key: str(value) for key, value in parts.items()})}"]
    return {"args": command, "env": environment}


def _end(name: str, status: int, said: bytes) -> None:
    if status:
        lines = said.decode(errors="replace").strip().splitlines()
        # What follows the error tells of the row it came up in, which is a customer's.
        line = next((line for line in lines if "error:" in line.lower()), lines[0] if lines else str(status))
        raise Unavailable(f"{name}: {line.partition('rror: ')[2].strip() or line}", "see docs/running.md")
