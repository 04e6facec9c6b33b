"""What must be there before the stack can start; what is there already is not done again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from accounts import sample
from cli import processes
from cli.output import notes
from escalations import csms
from kit.clock import now
from kit.company import Company
from kit.database import Database
from kit.errors import Conflict, Unavailable, UserError
from kit.files import read_yaml
from kit.settings import ROOT, Settings
from knowledge_base.progress import Progress as Reached
from migrations.upgrade import upgrade

if TYPE_CHECKING:
    from knowledge_base.index import BuildReport

TRAINED_FROM = ("config.yml", "domain.yml", "bot")
_INDEX = "Index of the help content"


@dataclass(frozen=True)
class Login:
    """A sign-in of the sample company."""

    name: str
    email: str
    role: str
    password: str


class _Lines(Progress):
    """Progress where nothing can be redrawn, as in a log: lines for a task that takes more than two seconds."""

    _QUICK_SECONDS = 2.0
    _EVERY_SECONDS = 10.0

    def __init__(self) -> None:
        super().__init__(console=notes, disable=True)
        self._told: dict[TaskID, float] = {}
        self._timers: dict[TaskID, threading.Timer] = {}

    def add_task(self, description: str, *args: Any, **fields: Any) -> TaskID:
        """Begins a task; it is named once it turns out to take a while."""
        task = super().add_task(description, *args, **fields)
        timer = threading.Timer(self._QUICK_SECONDS, self._begin, (task, description))
        timer.daemon = True
        self._timers[task] = timer
        timer.start()
        return task

    def update(self, task_id: TaskID, *args: Any, **fields: Any) -> None:
        """Says how far a task is, unless it is quick or it was said just now."""
        super().update(task_id, *args, **fields)
        task = self._tasks[task_id]
        if task.finished:
            self._timers[task_id].cancel()
        told = self._told.get(task_id)
        if told is not None and (task.finished or time.monotonic() - told >= self._EVERY_SECONDS):
            self._told[task_id] = time.monotonic()
            left = "" if task.finished or task.time_remaining is None else f", {task.time_remaining:.0f} s left"
            notes.print(f"{task.description}: {task.fields.get('detail') or 'done'}{left}", markup=False)

    def end(self) -> None:
        """Says nothing more."""
        for timer in self._timers.values():
            timer.cancel()

    def _begin(self, task: TaskID, description: str) -> None:
        self._told[task] = time.monotonic()
        notes.print(f"{description} …", markup=False)


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress display on standard error."""
    if not notes.is_terminal:
        lines = _Lines()
        try:
            yield lines
        finally:
            lines.end()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes) as made:
        yield made


def index(
    settings: Settings,
    company: Company,
    show: Progress,
    *,
    content: Path | None = None,
    target: Path | None = None,
    url: str | None = None,
    both_languages: bool = False,
    also: Sequence[Path] = (),
) -> BuildReport:
    """Builds the help index anew where its content changed; only what changed is embedded.

    Args:
        content: folder of articles; the company's where None.
        target: the index's folder; the served one where None.
        url: where the articles are published; the company's help centre where None and the content is the company's.
        also: other content beside it.
        both_languages: articles of other content are found by questions in every language of the company, too.
    """
    from knowledge_base.offline import build_index  # takes seconds to import, and memory that `kotae up` would keep

    task = show.add_task(_INDEX, total=None, detail="")

    def tell(reached: Reached) -> None:
        if (
            not reached.done
        ):  # a stage begins, which may have as many items as the one before: that has ended, not the task
            show.reset(task, total=reached.total)
        detail = f"{reached.stage}: {reached.done}/{reached.total}, {reached.rate:.0f}/s"
        show.update(task, completed=reached.done, total=reached.total, detail=detail)

    address = url if url is not None else (company.help.url if content is None else "")
    report = build_index(
        settings,
        content or company.content_dir,
        target or settings.index_dir,
        address,
        tell,
        # A second encoder over all of it takes minutes: other content than the company's gets it where it is asked for.
        languages=company.languages if content is None or both_languages else (),
        also=also,
    )
    detail = f"{report.articles} articles, {report.passages} passages" + (", unchanged" if report.unchanged else "")
    show.update(task, total=1, completed=1, detail=detail)
    return report


async def index_apart(environment: Mapping[str, str], show: Progress) -> None:
    """`index` of the company's content in a process of its own, with which goes all that was loaded for it.

    Args:
        environment: of the process that serves the index.
    Raises:
        UserError: the content or the settings are wrong.
        Unavailable: it ended for another reason.
    """
    task = show.add_task(_INDEX, total=None, detail="")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.indexing",
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            said = json.loads(line)
            if "message" in said:
                raise UserError(said["message"], said["hint"])
            show.update(task, **said)
        if await process.wait():
            raise Unavailable("the index could not be built", "`kotae kb build` says why")
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def model(settings: Settings) -> Path:
    """Where the model trained from the present files is, or will be."""
    digest = hashlib.sha256()
    for name in TRAINED_FROM:
        path = ROOT / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return settings.models_dir / f"kotae-{digest.hexdigest()[:16]}.tar.gz"


async def trained(settings: Settings, show: Progress) -> Path:
    """Trains the bot where its files changed. The knowledge base must be running: sentence features come from it.

    Raises:
        Unavailable: Rasa could not be trained; names the log.
    """
    wanted = model(settings)
    task = show.add_task("Training of the bot", total=None, detail="")
    if not wanted.exists():
        await _train(settings, wanted)
        for old in settings.models_dir.glob("kotae-*.tar.gz"):
            if old != wanted:
                old.unlink()
    else:
        show.update(task, detail="unchanged")
    show.update(task, total=1, completed=1)
    return wanted


async def _train(settings: Settings, wanted: Path) -> None:
    settings.models_dir.mkdir(parents=True, exist_ok=True)
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    log_path = settings.logs_dir / "train.log"
    words = ["-m", "bot.train", "--out", str(settings.models_dir), "--name", f"new-{os.getpid()}"]
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(processes.bot_python()),
            *words,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **processes.rasa_env(settings)},
        )
        code = await process.wait()
    made = settings.models_dir / f"new-{os.getpid()}.tar.gz"
    if code != 0 or not made.exists():
        lines = log_path.read_text(errors="replace").strip().splitlines()
        raise Unavailable(f"the bot could not be trained ({lines[-1][:200] if lines else code})", f"read {log_path}")
    made.rename(wanted)


async def people(settings: Settings, company: Company, url: str, show: Progress) -> list[Login]:
    """Loads the company's sample accounts and CSMs, where its folder has them."""
    task = show.add_task("Accounts and CSMs", total=None, detail="")
    database = Database(url, pool_size=2)
    try:
        await _accounts(settings, company, database)
        logins = await _csms(settings, company, database)
    finally:
        await database.close()
    show.update(task, total=1, completed=1, detail="ready")
    return logins


async def _accounts(settings: Settings, company: Company, database: Database) -> None:
    """Sample data is relative to today, so it is laid anew once a day and whenever its file changes."""
    path = company.folder / "accounts.yml"
    if not path.exists() or settings.mode == "production":
        return
    stamp = settings.home / "sample.json"
    mark = {"day": date.today().isoformat(), "file": hashlib.sha256(path.read_bytes()).hexdigest()}
    if stamp.exists() and json.loads(stamp.read_text()) == mark:
        return
    async with database.begin() as session:
        await sample.load_sample(session, path, now())
    stamp.write_text(json.dumps(mark))


async def _csms(settings: Settings, company: Company, database: Database) -> list[Login]:
    path = company.folder / "csms.yml"
    if not path.exists() or settings.mode == "production":
        return []
    kept = settings.home / "logins.json"
    known = {login["email"]: Login(**login) for login in json.loads(kept.read_text())} if kept.exists() else {}
    for entry in read_yaml(path, csms.CsmFile).csms:
        password = secrets.token_urlsafe(9)
        try:
            async with database.begin() as session:
                made = await csms.add(session, entry, password, now())
        except Conflict:
            continue
        known[made.email] = Login(made.name, made.email, made.role, password)
    kept.touch(mode=0o600)
    kept.write_text(json.dumps([vars(login) for login in known.values()]))
    return list(known.values())


def database(url: str, show: Progress) -> None:
    """Brings the database to its newest form."""
    task = show.add_task("Database", total=None, detail="")
    upgrade(url)
    show.update(task, total=1, completed=1, detail="migrated")
