"""A user's mistake is one line that names the thing and the way out; exit status 1 or 2."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import KOTAE, ROOT, free_ports


def kotae(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KOTAE_")}
    return subprocess.run(
        [*KOTAE, *words],
        cwd=ROOT,
        env={**kept, "KOTAE_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def one_line(done: subprocess.CompletedProcess[str], status: int, *says: str) -> None:
    assert done.returncode == status, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("kotae: ")
    for word in says:
        assert word in done.stderr, done.stderr


def test_an_unknown_command(home: Path) -> None:
    """Named, with where the commands are listed."""
    one_line(kotae(home, "answer"), 2, "answer", "--help")


def test_the_version(home: Path) -> None:
    """One line on standard output."""
    done = kotae(home, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"kotae \d+\.\d+\.\d+\n", done.stdout)


def test_a_missing_argument(home: Path) -> None:
    """Wrong use is 2."""
    one_line(kotae(home, "token", "--account", "a"), 2, "--person")


def test_a_missing_file(home: Path) -> None:
    """The path is named."""
    one_line(kotae(home, "accounts", "import", "nowhere.csv"), 1, "nowhere.csv")


def test_a_missing_content_folder(home: Path) -> None:
    """The folder is named."""
    one_line(kotae(home, "kb", "build", "--content", "nowhere"), 1, "nowhere")


def test_a_missing_company(home: Path) -> None:
    """The folder is named, before anything is started."""
    one_line(kotae(home, "up", "--company", "nowhere"), 1, "nowhere")


def test_malformed_front_matter(home: Path, tmp_path: Path) -> None:
    """File and line; no index is left behind."""
    content = tmp_path / "content"
    content.mkdir()
    (content / "good.md").write_text("---\ntitle: Good\n---\nWords.\n")
    (content / "bad.md").write_text("---\ntitle: [oops\n---\nWords.\n")
    one_line(
        kotae(home, "kb", "build", "--content", str(content), "--index", str(tmp_path / "index")), 1, "bad.md", "line"
    )
    assert not list(tmp_path.glob("index/*/meta.json"))


def test_malformed_content_of_the_company(home: Path, tmp_path: Path) -> None:
    """The process that builds its index hands the line on, without a traceback."""
    company = tmp_path / "company"
    shutil.copytree(ROOT / "demo", company, ignore=shutil.ignore_patterns("help", "accounts.yml", "csms.yml"))
    (company / "help").mkdir()
    (company / "help" / "bad.md").write_text("---\ntitle: [oops\n---\nWords.\n")
    done = kotae(home, "prepare", "--company", str(company))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("kotae: "), done.stderr
    assert "bad.md" in last


def test_a_port_in_use(home: Path) -> None:
    """The port and the setting that changes it are named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        one_line(kotae(home, "up", KOTAE_API_PORT=port), 1, port, "KOTAE_API_PORT")


def test_a_postgresql_that_is_not_there(home: Path) -> None:
    """The address's fault is named, not its password."""
    url = "postgresql://me:secret@127.0.0.1:9/kotae"
    done = kotae(home, "queue", "list", DATABASE_URL=url)
    one_line(done, 1, "DATABASE_URL")
    assert "secret" not in done.stderr


def test_an_embedded_postgresql_that_does_not_start(home: Path) -> None:
    """The folder is named, with what to do."""
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "PG_VERSION").write_text("18\n")
    one_line(kotae(home, "queue", "list"), 1, "embedded PostgreSQL", "DATABASE_URL")


def test_a_setting_that_cannot_be(home: Path) -> None:
    """The variable is named."""
    one_line(kotae(home, "queue", "list", KOTAE_API_PORT="many"), 1, "KOTAE_API_PORT")


def test_a_stack_that_does_not_run(home: Path) -> None:
    """Says how to start it."""
    one_line(kotae(home, "ask", "hello", KOTAE_API_PORT="9"), 1, "kotae up")


def test_production_needs_its_own_secrets(home: Path) -> None:
    """A generated secret is for development."""
    one_line(kotae(home, "up", KOTAE_MODE="production"), 1, "KOTAE_SECRET_KEY")


@pytest.mark.parametrize(
    ("csv", "mapping", "says"),
    [
        ("id,name\na,A\n", "kind: accounts\nfields:\n  id: number\n", "number"),
        (
            "id,price\na,1\nb,much\nc,lots\n",
            "kind: accounts\nfields:\n  id: id\n  price: {column: price, as: number}\n",
            "line 3",
        ),
    ],
)
def test_a_wrong_import_writes_nothing(home: Path, tmp_path: Path, csv: str, mapping: str, says: str) -> None:
    """A wrong mapping column, and wrong rows by their line; all or nothing."""
    (tmp_path / "a.csv").write_text(csv)
    (tmp_path / "m.yml").write_text(mapping)
    done = kotae(home, "accounts", "import", str(tmp_path / "a.csv"), "--mapping", str(tmp_path / "m.yml"))
    assert done.returncode == 1
    assert says in done.stderr
    assert kotae(home, "accounts", "show", "a").returncode == 1


def test_every_command_explains_itself(home: Path) -> None:
    """`--help` of every command says what it does."""
    for words in ([], ["up"], ["ask"], ["kb", "build"], ["accounts", "import"], ["queue", "claim"], ["csm", "add"]):
        done = kotae(home, *words, "--help")
        assert done.returncode == 0
        assert "Usage: kotae" in done.stdout


def test_a_room_without_a_command_shows_its_commands(home: Path) -> None:
    """As they are read, and not squeezed into one line."""
    for words, command in (([], "up "), (["key"], "add ")):
        done = kotae(home, *words)
        assert done.returncode == 2
        assert f"\n  {command}" in done.stderr


def test_what_runs_for_long_keeps_no_library_of_measuring() -> None:
    """`kotae up` watches for as long as Kotae runs."""
    heavy = "[name for name in ('sklearn', 'scipy', 'faiss', 'numpy', 'torch') if name in sys.modules]"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, cli.main, cli.up; print({heavy})"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_explaining_a_text_without_the_stack(home: Path) -> None:
    """The port is named, and the two ways out."""
    done = kotae(home, "policy", "explain", "--text", "hello", KOTAE_RASA_PORT=str(free_ports(1)[0]))
    one_line(done, 1, "does not run", "kotae up", "--intent")
