"""The types that the browser's code declares in its comments hold, by TypeScript's own checker."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

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
