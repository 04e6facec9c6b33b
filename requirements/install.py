"""Makes the two environments from the locked sets; what is there already is left alone. Standard library only."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "requirements"
STAMP = "installed.txt"
_ENV = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1"}


class CannotInstall(Exception):
    """One line that names the thing and the way out."""


@dataclass
class Environment:
    """One virtual environment and the locked sets it holds."""

    folder: Path
    python: Path
    locks: list[Path]
    editable: bool
    packages: int = 0
    seen: int = 0
    lines: list[str] = field(default_factory=list)
    error: str | None = None
    done: bool = False

    @property
    def wanted(self) -> str:
        """What the stamp says once all is installed: it changes with the locks and with the Python."""
        parts = [lock.read_bytes() for lock in self.locks] + [str(self.python).encode()]
        if self.editable:
            parts.append((ROOT / "pyproject.toml").read_bytes().split(b"[tool.ruff]")[0])
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    @property
    def ready(self) -> bool:
        stamp = self.folder / STAMP
        return stamp.exists() and stamp.read_text() == self.wanted

    def install(self) -> None:
        """Creates the environment and installs into it; keeps the error for the one who waits."""
        try:
            self._install()
        except (CannotInstall, OSError) as error:
            self.error = str(error)
        self.done = True

    def _install(self) -> None:
        pip = [str(self.folder / "bin" / "python"), "-m", "pip"]
        if not (self.folder / "bin" / "python").exists():
            self._run([str(self.python), "-m", "venv", str(self.folder)])
        self.packages = sum(_packages(lock) for lock in self.locks)
        requirements = [word for lock in self.locks for word in ("-r", str(lock))]
        self._run([*pip, "install", "--progress-bar", "off", *requirements])
        if self.editable:
            self._run([*pip, "install", "--quiet", "--no-deps", "-e", str(ROOT)])
        (self.folder / STAMP).write_text(self.wanted)

    def _run(self, command: list[str]) -> None:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=_ENV
        ) as process:
            for line in process.stdout or ():
                self.lines.append(line.rstrip())
                self.seen += line.startswith(("Collecting ", "Requirement already satisfied"))
        if process.returncode:
            reason = next((line for line in reversed(self.lines) if line.startswith("ERROR")), self.lines[-1])
            raise CannotInstall(f"{self.folder.name}: {reason}")

    def progress(self) -> str:
        """Where it stands, in a few words."""
        if self.done:
            return f"{self.folder.name}: {'failed' if self.error else 'ready'}"
        if self.seen < self.packages:
            return f"{self.folder.name}: {self.seen}/{self.packages} packages fetched"
        return f"{self.folder.name}: installing {self.packages or ''} packages".replace("  ", " ")


def _packages(lock: Path) -> int:
    return sum(1 for line in lock.read_text().splitlines() if re.match(r"[A-Za-z0-9]", line))


def python310() -> Path:
    """A Python 3.10, which Rasa needs: named, on the path, of pyenv, or fetched by uv, in this order.

    Raises:
        CannotInstall: there is none.
    """
    for candidate in _candidates():
        found = _version(candidate)
        if found == "3.10":
            return candidate
    raise CannotInstall(
        "Python 3.10 was not found, and Rasa runs on nothing newer: install it (pyenv install 3.10, or uv) "
        "or set KOTAE_PYTHON310 to its path"
    )


def _candidates() -> Iterator[Path]:
    named = os.environ.get("KOTAE_PYTHON310")
    if named:
        if _version(Path(named)) != "3.10":
            raise CannotInstall(f"KOTAE_PYTHON310={named} is not a Python 3.10 that runs: correct it or unset it")
        yield Path(named)
    on_path = shutil.which("python3.10")
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob("versions/3.10.*/bin/python3.10"), reverse=True)
    yield from _of_uv()


def _of_uv() -> Iterator[Path]:
    uv = shutil.which("uv")
    if uv is None:
        return
    subprocess.run([uv, "python", "install", "3.10"], capture_output=True, check=False, timeout=600)
    found = subprocess.run([uv, "python", "find", "3.10"], capture_output=True, text=True, check=False, timeout=60)
    if found.returncode == 0:
        yield Path(found.stdout.strip())


def _version(python: Path) -> str | None:
    """`3.10` for a Python 3.10 that runs (a pyenv shim may refuse to)."""
    try:
        found = subprocess.run(
            [str(python), "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def main() -> int:
    """Installs what is missing, showing how far it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what checks and measurements need")
    args = parser.parse_args()
    try:
        environments = _environments(dev=args.dev)
    except CannotInstall as error:
        print(f"kotae: {error}", file=sys.stderr)
        return 1
    missing = [environment for environment in environments if not environment.ready]
    if not missing:
        return 0
    started = time.monotonic()
    for environment in missing:
        print(
            f"{environment.folder.name}: {', '.join(lock.name for lock in environment.locks)} on {environment.python}"
        )
        threading.Thread(target=environment.install, daemon=True).start()
    _watch(missing, started)
    failed = [environment for environment in missing if environment.error]
    for environment in failed:
        print("\n".join(environment.lines[-15:]), file=sys.stderr)
        print(f"kotae: cannot install {environment.error}", file=sys.stderr)
    return 1 if failed else 0


def _environments(*, dev: bool) -> list[Environment]:
    if sys.version_info < (3, 11):  # noqa: UP036  # whoever has an older Python reads why
        raise CannotInstall(
            f"Python {sys.version_info.major}.{sys.version_info.minor} is too old: use 3.11 or newer, "
            "for example make PYTHON=python3.11 demo"
        )
    app = Environment(
        ROOT / ".venv",
        Path(sys.executable).resolve(),
        [LOCKS / "app.txt", LOCKS / "dev.txt"] if dev or (ROOT / ".venv" / ".dev").exists() else [LOCKS / "app.txt"],
        editable=True,
    )
    bot_python = ROOT / ".venv-bot" / "bin" / "python"
    bot_home = python310() if not bot_python.exists() else bot_python.resolve()
    bot = Environment(ROOT / ".venv-bot", bot_home.resolve(), [LOCKS / "bot.txt"], editable=False)
    if dev:
        (ROOT / ".venv").mkdir(exist_ok=True)
        (ROOT / ".venv" / ".dev").touch()
    return [app, bot]


def _watch(missing: list[Environment], started: float) -> None:
    """One line that moves on a terminal; a line every ten seconds elsewhere."""
    live = sys.stdout.isatty()
    last = 0.0
    while True:
        done = all(environment.done for environment in missing)
        seconds = time.monotonic() - started
        line = " · ".join(environment.progress() for environment in missing) + f" · {seconds:.0f} s"
        if live:
            print(f"\r\033[K{line}", end="\n" if done else "", flush=True)
        elif done or seconds - last >= 10:
            print(line, flush=True)
            last = seconds
        if done:
            return
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
