"""The types that the browser's code declares in its comments hold, by TypeScript's own checker."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.widget import SCRIPT, served
from tests.support import installed

TYPESCRIPT = "5.9.3"


@pytest.fixture(scope="module")
def tsc(root: Path) -> str:
    """TypeScript's checker: from npm, kept between runs; of Debian's package where npm is not there."""
    folder = root / ".kotae" / "typescript" / TYPESCRIPT
    made = folder / "node_modules" / ".bin" / "tsc"
    if not made.exists() and shutil.which("npm"):
        options = ["--no-save", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"]
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", *options, "--prefix", str(folder), f"typescript@{TYPESCRIPT}"], check=False, timeout=300
        )
    return str(made) if made.exists() else installed("tsc", "node-typescript")


def test_the_types_hold(tsc: str, root: Path) -> None:
    done = subprocess.run(
        [tsc, "-p", str(root / "api/widget/jsconfig.json")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_type_is_found(tsc: str, root: Path, tmp_path: Path) -> None:
    """The checker does look: the widget with one number where a text belongs does not pass."""
    shutil.copytree(root / "api/widget", tmp_path / "widget")
    script = tmp_path / "widget" / "widget.js"
    text = script.read_text("utf-8")
    assert "this.base = base;" in text
    script.write_text(text.replace("this.base = base;", "this.base = base; this.status = 1;"), "utf-8")
    wrong = [tsc, "-p", str(tmp_path / "widget" / "jsconfig.json")]
    done = subprocess.run(wrong, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "Type 'number' is not assignable to type 'string'" in done.stdout


def test_every_name_on_the_wire_is_declared(tsc: str, tmp_path: Path) -> None:
    """The served file has short names: each is declared once, and none took the place of one of the browser's."""
    script = tmp_path / "widget.js"
    script.write_bytes(served())
    said = _names(tsc, script)
    assert said == []
    script.write_text(script.read_text("utf-8").replace("document.createElement(", "documents.createElement("), "utf-8")
    assert any("documents" in line for line in _names(tsc, script)), "the checker does look"


def _names(tsc: str, script: Path) -> list[str]:
    """What the checker says of names that nobody declares, or twice; without our comments it knows few types."""
    options = [
        "--allowJs",
        "--checkJs",
        "--noEmit",
        "--target",
        "es2022",
        "--lib",
        "es2023,dom,dom.iterable",
        "--module",
        "esnext",
    ]
    done = subprocess.run(
        [tsc, *options, str(script)], capture_output=True, text=True, timeout=120, cwd=script.parent, check=False
    )
    return [line for line in done.stdout.splitlines() if "TS2304" in line or "TS2451" in line or "TS2552" in line]


def test_what_the_page_sees_keeps_its_name() -> None:
    """The exports, the element's methods and the words for a reader are the same; the comments are gone."""
    source, wire = SCRIPT.read_text("utf-8"), served().decode()
    exports = re.findall(r"^export (?:const|class|function) (\w+)", source, re.MULTILINE)
    assert exports
    assert exports == re.findall(r"export (?:let|class|function) (\w+)", wire)
    methods = re.findall(r"^  (?:async |get )?(\w+)\(.*\{$", source, re.MULTILINE)
    assert [one for one in methods if not re.search(rf"\b{one}\(", wire)] == []
    assert "'Ask in your own words. Answers come from our help articles," in wire
    assert "nothing doubled" not in wire
