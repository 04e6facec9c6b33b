"""Refreshes the locked sets from app.in, dev.in and bot.in: `make lock`. Standard library only."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from install import CannotInstall, python310

HERE = Path(__file__).resolve().parent
HEADER = "# Made by `make lock` from {source}. Do not edit.\n"
_KEPT_OUT = re.compile(r"^(pip|wheel|-e|kotae)\b")


def main() -> int:
    """Resolves anew in throw-away environments and writes what came out."""
    try:
        bot = python310()
    except CannotInstall as error:
        print(f"kotae: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        python = Path(sys.executable)
        # Both sets at once first: what the checks need must not change what the product runs with.
        both = _installed(_venv(python, Path(folder) / "both"), HERE / "app.in", HERE / "dev.in")
        agreed = Path(folder) / "agreed.txt"
        agreed.write_text("\n".join(sorted(both)) + "\n")
        app = _installed(_venv(python, Path(folder) / "app"), HERE / "app.in", constraints=agreed)
        _write("app", app, set())
        _write("dev", both, app)
        _write("bot", _installed(_venv(bot, Path(folder) / "bot"), HERE / "bot.in"), set())
    return 0


def _venv(python: Path, folder: Path) -> Path:
    subprocess.run([str(python), "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


def _installed(python: Path, *sources: Path, constraints: Path | None = None) -> set[str]:
    wanted = [word for source in sources for word in ("-r", str(source))]
    wanted += ["-c", str(constraints)] if constraints else []
    subprocess.run([str(python), "-m", "pip", "install", *wanted], check=True)
    frozen = subprocess.run(
        [str(python), "-m", "pip", "freeze", "--all"], check=True, capture_output=True, text=True
    ).stdout
    # A local version such as +cpu names one build; the public version lets each machine take its own.
    return {re.sub(r"\+\w+$", "", line) for line in frozen.splitlines() if not _KEPT_OUT.match(line)}


def _write(name: str, found: set[str], without: set[str]) -> None:
    lines = sorted(found - without, key=str.lower)
    (HERE / f"{name}.txt").write_text(HEADER.format(source=f"{name}.in") + "\n".join(lines) + "\n")
    print(f"{name}.txt: {len(lines)} packages")


if __name__ == "__main__":
    sys.exit(main())
