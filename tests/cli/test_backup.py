"""A backup is worth what its restoring shows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from cli import backup
from conversations import log
from conversations.bodies import Text
from kit import postgres
from kit.clock import now
from kit.database import Database
from kit.errors import Unavailable, UserError
from kit.settings import Settings, load_settings
from tests.support import KOTAE, ROOT


def at(url: str) -> Settings:
    """An installation whose server is that."""
    return load_settings(database_url=SecretStr(url))


TABLES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('public', 'rasa')"


def contents(url: str) -> dict[str, Any]:
    """Rows and a digest of every table."""
    found = {}
    with psycopg.connect(url) as connection:
        for schema, table in connection.execute(TABLES).fetchall():
            query = sql.SQL(
                "SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {}.{} t"
            )
            row = connection.execute(query.format(sql.Identifier(schema), sql.Identifier(table))).fetchone()
            found[f"{schema}.{table}"] = row
    return found


async def some_conversations(url: str) -> str:
    database = Database(url, pool_size=1)
    async with database.begin() as session:
        made = await log.start(session, lang="ja", now=now())
        for number in range(20):
            await log.append(session, made.id, "csm", Text(text=f"第{number}通"), now(), name="Hana")
    await database.close()
    with psycopg.connect(url, autocommit=True) as connection:  # as Rasa does
        connection.execute("CREATE SCHEMA IF NOT EXISTS rasa")
        connection.execute("CREATE TABLE IF NOT EXISTS rasa.rasa_trackers (sender_id text PRIMARY KEY, events text)")
        connection.execute("INSERT INTO rasa.rasa_trackers VALUES (%s, '[]') ON CONFLICT DO NOTHING", [made.id])
    return str(made.id)


async def test_what_was_backed_up_is_back_after_a_disaster(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    """Backed up while it runs, the folder lost, restored on a new server: every table has every row, and goes on."""
    conversation = await some_conversations(database_url)
    file = tmp_path / "monday.kotae"
    assert backup.backup(at(database_url), file) == file.stat().st_size > 1000
    assert file.stat().st_mode & 0o077 == 0
    before = contents(database_url)
    elsewhere = load_settings(home=tmp_path / "elsewhere")
    assert backup.restore(elsewhere, file) == len(before)
    with postgres.running(elsewhere) as url:
        assert contents(url) == before
        database = Database(url, pool_size=1)
        async with database.begin() as session:
            assert await log.append(session, conversation, "csm", Text(text="and on"), now()) == 21
        await database.close()
        with pytest.raises(UserError, match="not empty"):
            backup.restore(at(url), file)
        backup.restore(at(url), file, replace=True)
        assert contents(url) == before


async def test_what_is_no_backup_leaves_the_database_as_it_is(database_url: str, tmp_path: Path) -> None:
    """Not one at all, cut off, or damaged at its very end, which only reading it to there shows: nothing is removed."""
    await some_conversations(database_url)
    file = tmp_path / "tuesday.kotae"
    backup.backup(at(database_url), file)
    whole, before = file.read_bytes(), contents(database_url)
    for wrong in (b"not a backup", whole[:-200], whole[:-1500] + bytes(100) + whole[-1400:]):
        file.write_bytes(wrong)
        with pytest.raises(Unavailable, match="pg_restore: "):
            backup.restore(at(database_url), file, replace=True)
        assert contents(database_url) == before


def test_mistakes_are_named(settings: Settings, database_url: str, tmp_path: Path) -> None:
    """The thing and the way out, in one line; nothing is written."""
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        backup.backup(at(database_url), taken)
    with pytest.raises(UserError, match="does not exist"):
        backup.restore(at(database_url), tmp_path / "nothing")
    environment = {**os.environ, "DATABASE_URL": database_url, "KOTAE_HOME": str(settings.home)}
    command = [*KOTAE, "restore", str(taken)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1), done.stderr
    assert "--replace" in done.stderr
    assert taken.read_text() == "mine"
