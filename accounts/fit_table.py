"""The table that a health score is fitted to: read, its columns typed, and those that give the outcome away left out."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from accounts.health import as_text, read_date, read_number
from kit.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]

LEAK_AUC = 0.95
"""A single column that tells this well who leaves is the outcome under another name: nothing known beforehand does."""
NAMED_LEAK_AUC = 0.8
"""The same for a column that has the outcome's name in its own, such as `Churn score` beside `Churn`."""
MOST_LEVELS = 250
"""Texts of a column that are told apart, the commonest; boosting takes no more. All others are one."""
NAMES = 60
"""Different texts from which on a column may be one of names, each of which says who it is and nothing more."""
FEWEST = 20
"""Customers of each outcome under which nothing can be said."""
_MISSING = {"", "na", "n/a", "nan", "null", "?", "#n/a"}
_KANA = re.compile("[\u3041-\u30fa]{2}|[\u4e00-\u9fff]{2}")
_LEFT = re.compile(r"churn|attrit|cancel|lost|\bleft\b|leav|exit|inactive|terminat|closed|解約|離反", re.IGNORECASE)
_STAYED = re.compile(r"retain|renew|stay|active|existing|current|継続", re.IGNORECASE)
_YES = {"yes", "y", "true", "t", "1", "1.0"}
_NO = {"no", "n", "false", "f", "0", "0.0"}
_ID = re.compile(r"(^|[ _-])(id|ids|uuid|key|index|row ?number|number|num|no)$", re.IGNORECASE)
_CUSTOMER = re.compile(
    r"((customer|client|user|account|member|subscriber|cust|msisdn|person|company|org)[ _-]?(id|no|num|number|nr|key|uuid)"
    r"|id|msisdn|row ?(number|id|no)|unnamed: ?0|顧客(id|番号))$",
    re.IGNORECASE,
)
"""Names of columns that say which customer it is, and nothing about them."""
DELIMITERS = ",;\t|"
DATES = (
    "%Y-%m-%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%m/%d/%y",
    "%d/%m/%y",
)
"""How dates are written, tried in this order; the first that reads nearly all of a column is its form."""
READ = 0.98
"""Share of the cells that must be numbers, or dates, for a column to be one of them."""
FEW_WORDS = 3
"""Different texts that a column of numbers may have instead of some of them."""
SUSPECT_AUC = 0.88
"""A single column that tells this well is used, and the reader asked to look at it."""
PURE = 0.99
PURE_LEAVERS = 0.4
"""A column whose cells hold leavers alone, and so large a share of all leavers, was written when they left."""
PURE_PIECE = 0.05
"""The same of a column that holds such cells for a piece of the leavers, where several together make up `PURE_LEAVERS`: a reason in columns of its own."""
PURE_GIVEN = 0.1
"""The same where what tells is that it was filled in at all."""


@dataclass(frozen=True)
class Table:
    """The columns that are used, read. A number that is missing is NaN, a text that is missing is the empty text."""

    numbers: dict[str, Floats]
    texts: dict[str, Texts]
    target: Ints
    dates: dict[str, str] = field(default_factory=dict)
    """Of numbers that are days: how they are written."""
    customers: Ints | None = None
    """Which customer each row is, where one has several."""

    def rows(self, chosen: Ints) -> Table:
        return Table(
            {name: values[chosen] for name, values in self.numbers.items()},
            {name: values[chosen] for name, values in self.texts.items()},
            self.target[chosen],
            self.dates,
            None if self.customers is None else self.customers[chosen],
        )

    def without(self, names: Collection[str]) -> Table:
        return replace(
            self,
            numbers={name: values for name, values in self.numbers.items() if name not in names},
            texts={name: values for name, values in self.texts.items() if name not in names},
        )


def knots(values: Floats, most: int) -> Floats:
    """Where a curve may bend: every value where there are few, else quantiles."""
    known = values[~np.isnan(values)]
    different = np.unique(known)
    if len(different) <= most:
        return different if len(different) else np.zeros(1)
    # Quantiles that are values themselves: a heap at one value keeps one knot there.
    return np.unique(np.quantile(known, np.linspace(0, 1, most), method="nearest"))


def read_columns(path: Path) -> dict[str, list[str]]:
    """The columns of a table by name, as texts. The separator and the encoding are found from the file.

    Raises:
        UserError: it cannot be read, is empty, has two columns of a name, or a row of another length.
    """
    text = _decoded(path)
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=lambda mark: (len(next(csv.reader([header], delimiter=mark), [])), mark == ","))
    csv.field_size_limit(2**31 - 1)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        names = [name.strip() for name in next(reader, [])]
        rows = [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{path} cannot be read as CSV ({error})", "check the file") from None
    if not any(names) or not rows:
        raise UserError(f"{path} is empty", "it needs a header and rows")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UserError(f"{path} has two columns {twice[0]!r}", "rename one")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise UserError(f"{path}, row {line}: {len(row)} cells, the header has {len(names)}", "correct the row")
    return {name: [row[place].strip() for row in rows] for place, name in enumerate(names) if name}


def _decoded(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})", "check the path") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw[:4096]:
        raise UserError(f"{path} is no table of text", "save it as CSV")
    for encoding in ("utf-8-sig", "cp932", "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Accented letters of Western Europe also pass for half-width kana and rare kanji; kana in full width do not come by chance.
        if encoding != "cp932" or _KANA.search(text):
            return text
    return raw.decode("latin-1")


def _missing(value: str) -> bool:
    return value.lower() in _MISSING


def who_left(values: Sequence[str], outcome: str, positive: str | None) -> tuple[Ints, str, list[str], list[int]]:
    """Who left, as 1; the value that says so; warnings; and the rows whose outcome is known."""
    spelled = {value.lower(): value for value in values}
    values = [spelled[value.lower()] for value in values]  # Yes and yes are one outcome
    known = [row for row, value in enumerate(values) if not _missing(value)]
    positive = spelled.get(positive.lower(), positive) if positive is not None else None
    counts = Counter(values[row] for row in known)
    warnings = [] if len(known) == len(values) else [f"{len(values) - len(known)} rows without an outcome are left out"]
    if positive is None:
        positive = _positive(counts, outcome)
        if len(counts) > 2:
            warnings.append(
                f"{outcome} has {len(counts)} values: {positive!r} counts as having left, all others as not"
            )
    elif positive not in counts:
        raise UserError(f"{outcome} is never {positive!r}", f"it is {_listed(counts)}")
    target = np.array([values[row] == positive for row in known], dtype=np.int64)
    fewest = int(min(target.sum(), len(target) - target.sum()))
    if fewest < FEWEST:
        raise UserError(
            f"only {fewest} customers of one outcome of {outcome}", f"it takes {FEWEST} of each to say anything"
        )
    return target, positive, warnings, known


def _positive(counts: Mapping[str, int], outcome: str) -> str:
    """The value of the outcome that stands for having left."""
    if len(counts) < 2:
        raise UserError(f"{outcome} has only one value", "it needs customers who left and customers who stayed")
    left = [value for value in counts if _LEFT.search(value)]
    if len(left) == 1:
        return left[0]
    if len(counts) > 2:
        raise UserError(f"{outcome} has {len(counts)} values: {_listed(counts)}", "say which stands for having left")
    yes = [value for value in counts if value.lower() in _YES]
    no = [value for value in counts if value.lower() in _NO]
    if len(yes) == len(no) == 1:
        # Retained: Yes is the other way round.
        return no[0] if _STAYED.search(outcome) and not _LEFT.search(outcome) else yes[0]
    stayed = [value for value in counts if _STAYED.search(value)]
    rest = [value for value in counts if value not in stayed]
    return rest[0] if len(rest) == 1 else min(counts, key=lambda value: (counts[value], value))


def _listed(values: Mapping[str, int]) -> str:
    return ", ".join(repr(value) for value in list(values)[:8]) + (" …" if len(values) > 8 else "")


def typed(
    columns: Mapping[str, list[str]], target: Ints, keep: set[str], leave_out: set[str]
) -> tuple[Table, dict[str, str]]:
    """Each column as numbers or as texts, and why some are neither."""
    table = Table({}, {}, target)
    why: dict[str, str] = {}
    for name, values in columns.items():
        given = [value for value in values if not _missing(value)]
        different = set(given)
        if name in leave_out:
            why[name] = "left out on request"
        elif not given:
            why[name] = "is empty"
        elif len(different) < 2 and len(given) == len(values):
            why[name] = "is the same for everybody"
        elif name not in keep and _is_id(name, given, different):
            why[name] = "looks like an id"
        elif len(different) > 2 and (form := _form(given)) is not None:
            read = [read_date(value, form) if form else read_number(value) for value in values]
            table.numbers[name] = np.array([math.nan if number is None else number for number in read])
            if form or _is_date(given[0]):
                table.dates[name] = form or DATES[0]
        elif len(different) > 0.5 * len(given) and len(different) > NAMES and name not in keep:
            why[name] = "is different for nearly everybody"
        else:
            table.texts[name] = np.array([as_text(value) for value in values])
    return table, why


def _form(given: Sequence[str]) -> str | None:
    """How the numbers of a column are written: the empty text for plain numbers and ISO dates, else a form of dates; None where it holds texts."""
    if _reads(given, read_number):
        return ""
    few = given[:: max(1, len(given) // 2000)]
    if not any(character.isdigit() for value in few[:50] for character in value):
        return None
    return next((form for form in DATES[1:] if _reads(few, partial(read_date, form=form))), None)


def _reads(given: Sequence[str], read: Callable[[str], float | None]) -> bool:
    """Whether a column is one of numbers, or of dates: nearly all of it, or all but a few words, such as a dash, that stand for none."""
    strange = [value for value in given if read(value) is None]
    few_words = len(set(strange)) <= FEW_WORDS and len(set(given)) > FEWEST
    return few_words or len(strange) <= (1 - READ) * len(given)


def _is_date(value: str) -> bool:
    return re.match(r"\d{4}[-/]\d{2}[-/]\d{2}", value) is not None


def _is_id(name: str, given: Sequence[str], different: set[str]) -> bool:
    """Whether a column says which customer it is: by its name, or because it counts the rows."""
    if len(different) <= FEWEST:
        return False
    if _CUSTOMER.search(_spaced(name)):
        return True
    if not all(value.isascii() and value.isdigit() for value in different):
        return False
    if len(different) > 0.95 * len(given) and _ID.search(_spaced(name)):
        return True
    steps = np.diff(np.array([float(value) for value in given]))
    return bool((steps == 1).mean() > 0.99)


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def several_rows(columns: Mapping[str, list[str]]) -> tuple[str | None, Ints, Ints | None]:
    """Customers that are there more than once.

    Returns:
        The column that says which customer a row is, None where there is none; the rows that are not another row again; and
        which customer each of these is, None where each is another one.
    """
    count = len(next(iter(columns.values())))
    everything = np.arange(count)
    named = [name for name in columns if _CUSTOMER.search(_spaced(name)) and len(set(columns[name])) > FEWEST]
    # Of several, such as a number of the row and one of the customer, the one that repeats.
    name = min(named, key=lambda each: len(set(columns[each])), default=None)
    if name is None or len(set(columns[name])) == count or _missing(min(columns[name])):
        return name, everything, None
    first = {row: place for place, row in reversed(list(enumerate(zip(*columns.values(), strict=True))))}
    once = np.array(sorted(first.values()))
    customers = np.unique(np.array(columns[name])[once], return_inverse=True)[1]
    return name, once, None if len(set(customers.tolist())) == len(once) else customers.astype(np.int64)


def without_leaks(table: Table, outcome: str, keep: set[str]) -> tuple[Table, dict[str, str], dict[str, str]]:
    """The table without the columns that are the outcome under another name.

    Returns:
        The table; how each of them gave itself away; and what others, which are used, are to be looked at for.
    """
    words = {word for word in re.split(r"\W+|_", _spaced(outcome).lower()) if len(word) > 3}
    leaks: dict[str, str] = {}
    suspects: dict[str, str] = {}
    for name in [*table.numbers, *table.texts]:
        if name in keep:
            continue
        alone, named = alone_auc(table, name), bool(words & set(re.split(r"\W+|_", _spaced(name).lower())))
        pure = _only_leavers(table, name)
        if alone >= (NAMED_LEAK_AUC if named else LEAK_AUC):
            leaks[name] = f"alone tells who left with an AUC of {alone:.3f}" + (
                ", and bears the outcome's name" if named else ""
            )
        elif pure:
            leaks[name] = pure
        elif alone >= SUSPECT_AUC:
            suspects[name] = f"alone tells who left with an AUC of {alone:.3f}"
    leaks |= _pieces(table.without({*leaks, *keep}))
    suspects = {name: why for name, why in suspects.items() if name not in leaks}
    return table.without(leaks), leaks, suspects


def _pieces(table: Table) -> dict[str, str]:
    """Columns none of which gives the outcome away, but all of them together: each holds values that a piece of the leavers has and nobody else."""
    leavers = table.target.sum()
    held = {name: _pure_rows(table, name) for name in [*table.numbers, *table.texts]}
    held = {name: rows for name, rows in held.items() if rows.sum() >= PURE_PIECE * leavers}
    share = np.logical_or.reduce([*held.values()]).sum() / leavers if len(held) > 1 else 0.0
    if share < PURE_LEAVERS:
        return {}
    why = f"is one of {len(held)} columns by which {share:.0%} of those who left have values that nobody else has"
    return dict.fromkeys(held, why)


def _pure_rows(table: Table, name: str) -> npt.NDArray[np.bool_]:
    """Which rows have a value in this column that only leavers have."""
    groups = _grouped(table, name)
    count, left = np.bincount(groups), np.bincount(groups, weights=table.target)
    return np.asarray(((count >= FEWEST) & (left >= PURE * count))[groups])


def _only_leavers(table: Table, name: str) -> str:
    """In words, how far a column is one that is written when a customer leaves; empty where it is not."""
    share = table.target[_pure_rows(table, name)].sum() / table.target.sum()
    if share >= PURE_LEAVERS:
        return f"{share:.0%} of those who left have values that nobody else has"
    given = ~np.isnan(table.numbers[name]) if name in table.numbers else table.texts[name] != ""
    told = table.target[given]
    if not given.all() and told.sum() >= max(FEWEST, PURE_GIVEN * table.target.sum()) and told.mean() >= PURE:
        return "is filled in for those who left alone"
    return ""


def alone_auc(table: Table, name: str) -> float:
    """How well one column alone tells who left: by the share who did in each level or twentieth, learnt on the other half of the rows."""
    groups = _grouped(table, name)
    half = np.random.default_rng(0).permutation(len(groups)) % 2
    score = np.zeros(len(groups))
    base = table.target.mean()
    for part in (0, 1):
        learn = half != part
        count = np.bincount(groups[learn], minlength=groups.max() + 1)
        left = np.bincount(groups[learn], weights=table.target[learn], minlength=groups.max() + 1)
        score[half == part] = ((left + 5 * base) / (count + 5))[groups[half == part]]
    return float(roc_auc_score(table.target, score))


def _grouped(table: Table, name: str) -> Ints:
    if name in table.texts:
        return np.unique(table.texts[name], return_inverse=True)[1].astype(np.int64)
    values = table.numbers[name]
    edges = knots(values, 20)
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right")).astype(np.int64)
