"""How the columns of a company's CSV become Kotae's fields: a mapping file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from string import Formatter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from accounts.schemas import PutAccount, PutChange, PutInvoice, PutPerson, PutSurvey, PutTicket, PutTraining
from kit.errors import UserError

Kind = Literal["accounts", "changes", "people", "tickets", "invoices", "surveys", "trainings"]
As = Literal["text", "number", "boolean", "date", "time", "days_ago", "months_ago"]
MODELS: dict[str, type[BaseModel]] = {
    "accounts": PutAccount,
    "changes": PutChange,
    "people": PutPerson,
    "tickets": PutTicket,
    "invoices": PutInvoice,
    "surveys": PutSurvey,
    "trainings": PutTraining,
}
MONTH = Decimal("30.436875")
"""Days in a mean month of the Gregorian calendar."""
_YES = {"yes", "y", "true", "t", "1", "on", "はい"}
_NO = {"no", "n", "false", "f", "0", "off", "いいえ"}


class Source(BaseModel):
    """Where a field's value is from: exactly one of `column`, `constant` and `template`.

    An empty cell is no value: the field is left as it is, or takes `default`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    constant: str | None = None
    template: str | None = Field(
        None, description="text with columns in braces, such as '{Contract} / {InternetService}'"
    )
    values: dict[str, str | None] | None = Field(
        None, description="what each text of the file stands for; null: no value"
    )
    read_as: As = Field("text", alias="as")
    format: str | None = Field(None, description="of a date, as strptime has it; by default ISO 8601")
    decimal: Literal[".", ","] = "."
    default: str | None = None

    @field_validator("constant", "default", mode="before")
    @classmethod
    def _scalar(cls, value: object) -> object:
        return _yaml_text(value)

    @field_validator("values", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        # Unquoted Yes, No and 12 are no texts in YAML, and what is meant is plain.
        if isinstance(value, dict):
            return {_yaml_text(key): _yaml_text(item) for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _one(self) -> Source:
        if sum(part is not None for part in (self.column, self.constant, self.template)) != 1:
            raise ValueError("needs exactly one of column, constant and template")
        return self

    def columns(self) -> list[str]:
        """The columns it reads."""
        if self.column is not None:
            return [self.column]
        return [name for _, name, _, _ in Formatter().parse(self.template or "") if name]

    def value(self, row: Mapping[str, str], now: datetime) -> Any:
        """The value of a row, None where there is none.

        Raises:
            ValueError: it cannot be read; says what and why.
        """
        if self.template is not None:
            raw = self.template.format_map(row)
        else:
            raw = self.constant if self.constant is not None else row[self.column or ""]
        raw = raw.strip() or self.default or ""
        if self.values is not None and raw:
            if raw not in self.values:
                raise ValueError(f"{raw!r} is not among {_listed(self.values)}")
            raw = self.values[raw] or ""
        return _READERS[self.read_as](self, raw, now) if raw else None

    def number(self, raw: str) -> Decimal:
        text = raw.replace(" ", "").replace("\u00a0", "")
        text = text.replace(".", "").replace(",", ".") if self.decimal == "," else text.replace(",", "")
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ValueError(f"{raw!r} is no number") from None
        if not number.is_finite():
            raise ValueError(f"{raw!r} is no number")
        return number

    def moment(self, raw: str) -> datetime:
        try:
            at = datetime.strptime(raw, self.format) if self.format else datetime.fromisoformat(raw)
        except ValueError:
            raise ValueError(f"{raw!r} is no date of the form {self.format or 'YYYY-MM-DD'}") from None
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _yaml_text(value: object) -> object:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return str(value) if isinstance(value, int | float | date) else value


def _listed(names: Sequence[str] | Mapping[str, Any], limit: int = 12) -> str:
    shown = [repr(name) for name in list(names)[:limit]]
    return ", ".join(shown) + (" …" if len(names) > limit else "")


def _boolean(source: Source, raw: str, now: datetime) -> bool:
    if raw.lower() in _YES:
        return True
    if raw.lower() in _NO:
        return False
    raise ValueError(f"{raw!r} is neither yes nor no")


def _ago(source: Source, raw: str, now: datetime) -> datetime:
    days = source.number(raw) * (MONTH if source.read_as == "months_ago" else 1)
    if not 0 <= days <= 100_000:
        raise ValueError(f"{raw!r} is not a time in the past")
    return datetime.combine(now.date() - timedelta(days=int(days)), time(0), UTC)


_READERS: dict[str, Any] = {
    "text": lambda source, raw, now: raw,
    "number": lambda source, raw, now: source.number(raw),
    "boolean": _boolean,
    "date": lambda source, raw, now: source.moment(raw).date(),
    "time": lambda source, raw, now: source.moment(raw),
    "days_ago": _ago,
    "months_ago": _ago,
}


class ColumnMapping(BaseModel):
    """A mapping file: what the rows are, and where each field is from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "accounts"
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8-sig"
    fields: dict[str, Source]
    attributes: dict[str, Source] | list[str] | Literal["rest", "all"] = Field(
        default_factory=dict,
        description="kept beside the fields: by name, as a list of columns, `rest`: all not used, or `all`",
    )

    @field_validator("fields", mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        # `id: customerID` is short for `id: {column: customerID}`.
        if isinstance(value, dict):
            return {key: {"column": item} if isinstance(item, str) else item for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _known(self) -> ColumnMapping:
        known = field_names(self.kind)
        for name in self.fields:
            if name not in known:
                raise ValueError(f"{self.kind} have no field {name}; there are {', '.join(known)}")
        for name in key_fields(self.kind):
            if name not in self.fields:
                raise ValueError(f"the field {name} needs a column")
        return self


def field_names(kind: Kind) -> list[str]:
    """The fields that a mapping may fill."""
    names = [name for name in MODELS[kind].model_fields if name not in ("attributes", "id")]
    return names if kind == "changes" else ["id", *names]


def key_fields(kind: Kind) -> list[str]:
    """The fields that every row needs to be known by."""
    return ["account_id", "at"] if kind == "changes" else ["id"]


def plain_mapping(kind: Kind, columns: Sequence[str]) -> ColumnMapping:
    """The mapping of a file whose columns are named as the fields are; other columns become attributes."""
    known = [name for name in field_names(kind) if name in columns]
    for name in key_fields(kind):
        if name not in known:
            like = next((column for column in columns if column.lower().replace(" ", "_").endswith(name)), "COLUMN")
            raise UserError(
                f"there is no column {name}; there are {_listed(columns)}",
                f"rename one, or give a mapping file (--mapping) with fields: {{{name}: {like}}}",
            )
    readers: dict[str, As] = {
        "auto_renew": "boolean",
        "champion": "boolean",
        "attended": "boolean",
        "cancelled": "boolean",
    }
    fields = {name: {"column": name, "as": readers.get(name, _reader_of(name))} for name in known}
    rest = "rest" if kind in ("accounts", "people") else {}
    return ColumnMapping.model_validate({"kind": kind, "fields": fields, "attributes": rest})


def _reader_of(name: str) -> As:
    if name == "at" or name.endswith("_at"):
        return "time"
    return "date" if name.endswith("_on") else "text"
