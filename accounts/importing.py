"""CSV in: read by a mapping, checked row by row, written all or not at all."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import repository
from accounts.mapping import MODELS, ColumnMapping, Source, key_fields, plain_mapping
from accounts.records import put_accounts, put_history, put_people, put_records
from accounts.schemas import PutAccount, PutChange, PutPerson
from kit.errors import UserError
from kit.files import read_yaml

Progress = Callable[[int, int], None]
"""Called with rows done and rows in all: reading is the first half, writing the second."""
SHOWN = 200
"""Wrong rows that are listed; all are counted."""
CHUNK = 5_000


class WrongRow(BaseModel):
    """A row that cannot be taken."""

    model_config = ConfigDict(frozen=True)

    line: int = Field(description="of the file, the header is 1")
    id: str | None
    problem: str


class ImportReport(BaseModel):
    """What an import did, or would do."""

    kind: str
    rows: int
    new: int = Field(description="ids that were not there before")
    updated: int
    wrong: list[WrongRow]
    wrong_count: int
    written: bool = Field(description="false for a dry run and wherever a row was wrong")
    accounts: list[str] = Field(exclude=True, description="accounts whose facts may have changed")


async def import_csv(
    session: AsyncSession,
    path: Path,
    mapping: Path | None,
    *,
    now: datetime,
    dry_run: bool = False,
    progress: Progress | None = None,
    kind: str = "accounts",
    currency: str = "USD",
) -> ImportReport:
    """Imports a CSV of accounts, changes of subscriptions, people, tickets, invoices, surveys or trainings; ids that are there are updated.

    All or nothing: where one row is wrong none is written, and the report says which and why.

    Args:
        path: the CSV, with a header.
        mapping: what its columns are; None where they are named as Kotae's fields.
        now: the day of the import; `months_ago` and the like count from it.
        dry_run: check, and write nothing.
        kind: of the rows, where there is no mapping to say it.
        currency: of prices whose currency the file does not say.
    Raises:
        UserError: the file or the mapping cannot be used as a whole, such as a column that is not there.
    """
    rules = read_yaml(mapping, ColumnMapping) if mapping is not None else None
    encoding, delimiter = (rules.encoding, rules.delimiter) if rules else ("utf-8-sig", ",")
    columns, lines = _read(path, encoding, delimiter)
    rules = rules or plain_mapping(kind, columns)  # type: ignore[arg-type]  # checked by the model
    attributes = _attributes(rules, columns)
    _need_columns(rules, attributes, columns, path)
    rows: list[tuple[str, BaseModel]] = []
    wrong: list[WrongRow] = []
    seen: dict[str, int] = {}
    for done, (line, cells) in enumerate(lines):
        outcome = _row(rules, attributes, columns, line, cells, now, seen)
        if isinstance(outcome, WrongRow):
            wrong.append(outcome)
        else:
            rows.append(outcome)
        _tell(progress, done + 1, 2 * len(lines))
    wrong += await _unknown_accounts(session, rows, seen) if rules.kind != "accounts" else []
    keys = [key for key, _ in rows]
    # Every line of a history is written anew.
    new = len(rows) if rules.kind == "changes" else await repository.count_new(session, rules.kind, keys)
    if not wrong and not dry_run:
        await _write(session, rules, rows, now, currency, progress)
    return ImportReport(
        kind=rules.kind,
        rows=len(lines),
        new=new,
        updated=len(rows) - new,
        wrong=sorted(wrong, key=lambda each: each.line)[:SHOWN],
        wrong_count=len(wrong),
        written=not wrong and not dry_run,
        accounts=sorted(_touched(rules.kind, rows)),
    )


def _touched(kind: str, rows: Sequence[tuple[str, BaseModel]]) -> set[str]:
    found = (key if kind == "accounts" else getattr(payload, "account_id", None) for key, payload in rows)
    return {account for account in found if account}


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None and (done % 500 == 0 or done in (total, total // 2)):
        progress(done, total)


def _read(path: Path, encoding: str, delimiter: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and every row with its line."""
    # The standard limit of 128 KiB a field would turn a long note into an error about the parser.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            columns = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "check the path") from None
    except (UnicodeDecodeError, LookupError):
        raise UserError(f"{path} is not {encoding}", "save it as UTF-8, or name its encoding in the mapping") from None
    except (csv.Error, OSError) as error:
        raise UserError(f"{path} cannot be read as CSV ({error})", "check the file") from None
    if not columns or not any(columns):
        raise UserError(f"{path} is empty", "it needs a header and rows")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise UserError(f"{path} has two columns {twice[0]!r}", "rename one")
    return columns, rows


def _attributes(rules: ColumnMapping, columns: Sequence[str]) -> dict[str, Source]:
    if isinstance(rules.attributes, dict):
        return rules.attributes
    if rules.attributes in ("rest", "all"):
        taken = rules.fields.values() if rules.attributes == "rest" else ()
        used = {column for source in taken for column in source.columns()}
        return {column: Source(column=column) for column in columns if column and column not in used}
    return {column: Source(column=column) for column in rules.attributes}


def _need_columns(rules: ColumnMapping, attributes: Mapping[str, Source], columns: Sequence[str], path: Path) -> None:
    for field, source in [*rules.fields.items(), *attributes.items()]:
        for column in source.columns():
            if column not in columns:
                near = get_close_matches(column, columns, 1)
                raise UserError(
                    f"{path} has no column {column!r}, which the mapping names for {field}",
                    (f"did you mean {near[0]!r}? " if near else "") + f"it has {', '.join(columns)}",
                )


def _row(
    rules: ColumnMapping,
    attributes: Mapping[str, Source],
    columns: Sequence[str],
    line: int,
    cells: list[str],
    now: datetime,
    seen: dict[str, int],
) -> tuple[str, BaseModel] | WrongRow:
    """One row as the model of its kind, or what is wrong with it."""
    if len(cells) != len(columns):
        return WrongRow(line=line, id=None, problem=f"{len(cells)} cells, the header has {len(columns)}")
    row = dict(zip(columns, cells, strict=True))
    values, problems = _values(rules.fields, row, now)
    more, others = _values(attributes, row, now)
    problems |= others
    key = _key(rules.kind, values)
    if key is None and not problems.keys() & {"id", "account_id", "at"}:
        problems[" or ".join(key_fields(rules.kind))] = "is empty"
    checked = _checked(rules, values, {name: _plain(value) for name, value in more.items()}, problems)
    if key is None or not isinstance(checked, BaseModel):
        said = "; ".join(f"{field}: {problem}" for field, problem in problems.items())
        return WrongRow(line=line, id=key or _id(values), problem=said)
    if key in seen and rules.kind != "accounts":
        return WrongRow(line=line, id=key, problem=f"id: the same as in line {seen[key]}")
    subscription = f"{key}\n{values.get('subscription_id') or ''}"
    if subscription in seen:
        return WrongRow(line=line, id=key, problem=f"id: the same as in line {seen[subscription]}")
    seen[subscription] = seen[key] = line
    return key, checked


def _values(
    sources: Mapping[str, Source], row: Mapping[str, str], now: datetime
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a row says of each field, and what is wrong with each that cannot be read."""
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for field, source in sources.items():
        try:
            values[field] = source.value(row, now)
        except ValueError as error:
            problems[field] = str(error)
    return values, problems


def _id(values: Mapping[str, Any]) -> str | None:
    return None if values.get("id") is None else str(values["id"])


def _key(kind: str, values: Mapping[str, Any]) -> str | None:
    """What a row is known by: its id, or whose history it is a line of and when."""
    if kind != "changes":
        return _id(values)
    if values.get("account_id") is None or values.get("at") is None:
        return None
    return f"{values.get('subscription_id') or values['account_id']} {values['at']}"


def _checked(
    rules: ColumnMapping, values: Mapping[str, Any], more: Mapping[str, Any], problems: dict[str, str]
) -> BaseModel | None:
    """The row as the model of its kind; None where something is wrong, all of which is added to `problems`."""
    given = {name: value for name, value in values.items() if value is not None}
    if "id" not in MODELS[rules.kind].model_fields:
        given.pop("id", None)
    kept = {name: value for name, value in more.items() if value is not None}
    try:
        made = MODELS[rules.kind].model_validate(given | ({"attributes": kept} if kept else {}))
    except ValidationError as error:
        for each in error.errors():
            where = ".".join(str(part) for part in each["loc"]) or "row"
            if each["type"] != "missing" or not problems:  # what could not be read is missing as well
                problems.setdefault(where, each["msg"].lower())
        return None
    return None if problems else made


def _plain(value: Any) -> Any:
    """A value that JSON can hold: numbers as numbers, dates as text."""
    if isinstance(value, str | bool) or value is None:
        return value
    return value.isoformat() if hasattr(value, "isoformat") else float(value)


async def _unknown_accounts(
    session: AsyncSession, rows: Sequence[tuple[str, BaseModel]], lines: Mapping[str, int]
) -> list[WrongRow]:
    named = {key: account for key, row in rows if (account := getattr(row, "account_id", None)) is not None}
    missing = set(named.values()) - await repository.accounts_known(session, set(named.values()))
    return [
        WrongRow(line=lines[key], id=key, problem=f"account_id: there is no account {account!r}")
        for key, account in named.items()
        if account in missing
    ]


async def _write(
    session: AsyncSession,
    rules: ColumnMapping,
    rows: Sequence[tuple[str, BaseModel]],
    now: datetime,
    currency: str,
    progress: Progress | None,
) -> None:
    done = len(rows)
    # The history of a subscription is one thing, whichever rows it lies in.
    for chunk in [rows] if rules.kind == "changes" else _chunks(rows):
        try:
            if rules.kind == "accounts":
                accounts = [(key, row, now) for key, row in chunk if isinstance(row, PutAccount)]
                await put_accounts(session, accounts, currency=currency)
            elif rules.kind == "changes":
                await put_history(session, [row for _, row in chunk if isinstance(row, PutChange)], currency=currency)
            elif rules.kind == "people":
                await put_people(session, [(key, row, now) for key, row in chunk if isinstance(row, PutPerson)])
            else:
                await put_records(session, [row for _, row in chunk])  # type: ignore[misc]  # of one kind
        except IntegrityError as error:
            # What only the tables know, such as a due day before the day of issue.
            raise UserError(
                f"a row breaks a rule ({_constraint(error)})", "correct the rows; nothing was written"
            ) from None
        done += len(chunk)
        _tell(progress, done, 2 * len(rows))


def _constraint(error: IntegrityError) -> str:
    diagnosis = getattr(error.orig, "diag", None)
    return str(getattr(diagnosis, "constraint_name", None) or error.orig)


def _chunks(rows: Sequence[tuple[str, BaseModel]]) -> Iterator[Sequence[tuple[str, BaseModel]]]:
    for first in range(0, len(rows), CHUNK):
        yield rows[first : first + CHUNK]
