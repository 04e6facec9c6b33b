"""Each change of the database leaves the version before it working: it only adds."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql

from kit.ids import new_id
from migrations.upgrade import check, config, upgrade
from tests.support import KOTAE, ROOT

FIRST_RELEASE = "0003_front_door"
"""Up to here no version ran before."""
REMOVES: set[str] = set()
"""Revisions that take away what the version before the last one used: only a release after nothing uses it any more."""

_COLUMNS = """
SELECT table_name || '.' || column_name, data_type, is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AND is_generated = 'NEVER'
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
"""
_RULES = """
SELECT r.relname || ': ' || c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('c', 'u', 'p', 'f', 'x')
"""


@pytest.fixture
def empty(database_url: str) -> Iterator[str]:
    """A database of its own on the server of the session."""
    name = new_id("migrations")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield (
                database_url.replace("/kotae", f"/{name}", 1)
                if "/kotae?" in database_url
                else _named(database_url, name)
            )
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _named(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}?{query}"


def revisions() -> list[str]:
    made = ScriptDirectory.from_config(config("postgresql://x"))
    return [each.revision for each in made.walk_revisions()][::-1]


def shape(url: str) -> tuple[dict[str, tuple[str, bool]], dict[str, str]]:
    """Columns with their type and whether one who does not know them cannot insert; rules with their text."""
    with psycopg.connect(url) as connection:
        columns = {row[0]: (row[1], row[2]) for row in connection.execute(_COLUMNS).fetchall()}
        rules = {row[0]: row[1] for row in connection.execute(_RULES).fetchall()}
    return columns, rules


def test_every_change_only_adds(empty: str) -> None:
    """No table, column or type goes; a new column can be left out; an old table gets no rule that old rows may break."""
    every = revisions()
    command.upgrade(config(empty), FIRST_RELEASE)
    columns, rules = shape(empty)
    assert columns
    for revision in every[every.index(FIRST_RELEASE) + 1 :]:
        command.upgrade(config(empty), revision)
        columns_now, rules_now = shape(empty)
        if revision not in REMOVES:
            old_tables = {name.partition(".")[0] for name in columns}
            for name, (kind, _) in columns.items():
                assert columns_now.get(name, ("gone", False))[0] == kind, f"{revision}: {name}"
            for name in columns_now.keys() - columns.keys():
                assert not (name.partition(".")[0] in old_tables and columns_now[name][1]), (
                    f"{revision}: {name} is needed"
                )
            added = {rule for rule in rules_now.keys() - rules.keys() if rule.partition(":")[0] in old_tables}
            for rule in added:
                held = rules_now[rule]
                fresh = [name for name in columns_now.keys() - columns.keys() if name.rpartition(".")[2] in held]
                assert fresh, f"{revision}: {rule} {held} binds what the version before it writes"
        columns, rules = columns_now, rules_now


def test_a_change_lets_go_of_a_table_that_is_in_use(empty: str) -> None:
    """Somebody reads for a long time: those who come after are not held up for longer than the lock is waited for."""
    command.upgrade(config(empty), FIRST_RELEASE)
    done = threading.Event()

    def change() -> None:
        upgrade(empty)
        done.set()

    with psycopg.connect(empty) as reader:
        reader.execute("SELECT count(*) FROM turns")  # holds the table until the transaction ends
        changing = threading.Thread(target=change)
        changing.start()
        with psycopg.connect(empty, autocommit=True) as other:
            other.execute("SET statement_timeout = '10s'")
            for _ in range(3):
                other.execute("SELECT count(*) FROM turns")
        assert not done.is_set()
    changing.join(60)
    assert done.is_set()


def test_a_process_waits_for_the_database_of_its_version(empty: str, tmp_path: Path) -> None:
    """Started before its migration, it ends with a line, so that nothing sends it customers; an old one starts beside a newer database."""
    environment = {**os.environ, "DATABASE_URL": empty, "KOTAE_HOME": str(tmp_path)}
    for name, revision in (("api", None), ("actions", revisions()[-2])):
        if revision is not None:
            command.upgrade(config(empty), revision)
        done = subprocess.run(
            [*KOTAE, "serve", name], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1), done.stderr
        assert "kotae migrate" in done.stderr
    upgrade(empty)
    check(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of a newer version'")
    check(empty)
