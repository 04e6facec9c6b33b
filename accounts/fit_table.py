"""The table that a health score is fitted to: read, its columns typed, and those that give the outcome away left out."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from accounts.health import read_number
from kit.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]

LEAK_AUC = 0.97
"""A single column that tells this well who leaves is the outcome under another name: nothing known beforehand does."""
NAMED_LEAK_AUC = 0.8
"""The same for a column that has the outcome's name in its own, such as `Churn score` beside `Churn`."""
MOST_LEVELS = 60
FEWEST = 20
"""Customers of each outcome under which nothing can be said."""
_MISSING = {"", "na", "n/a", "nan", "null", "?", "#n/a"}
_LEFT = re.compile(r"churn|attrit|cancel|lost|\bleft\b|leav|exit|inactive|terminat|closed|解約|離反", re.IGNORECASE)
_STAYED = re.compile(r"retain|renew|stay|active|existing|current|継続", re.IGNORECASE)
_YES = {"yes", "y", "true", "t", "1", "1.0"}
_NO = {"no", "n", "false", "f", "0", "0.0"}
_ID = re.compile(r"(^|[ _-])(id|ids|uuid|key|index|row ?number|number|num|no)$", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """The columns that are used, read. A number that is missing is NaN, a text that is missing is the empty text."""

    numbers: dict[str, Floats]
    texts: dict[str, Texts]
    target: Ints

    def rows(self, chosen: Ints) -> Table:
        return Table(
            {name: values[chosen] for name, values in self.numbers.items()},
            {name: values[chosen] for name, values in self.texts.items()},
            self.target[chosen],
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
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({error})"
        raise UserError(f"{path} {why}", "check the file") from None
    if not header or not rows:
        raise UserError(f"{path} is empty", "it needs a header and rows")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UserError(f"{path}, row {line}: {len(row)} cells, the header has {len(header)}", "correct the row")
    return {name: [row[place].strip() for row in rows] for place, name in enumerate(header) if name}


def _missing(value: str) -> bool:
    return value.lower() in _MISSING


def who_left(values: Sequence[str], outcome: str, positive: str | None) -> tuple[Ints, str, list[str], list[int]]:
    """Who left, as 1; the value that says so; warnings; and the rows whose outcome is known."""
    known = [row for row, value in enumerate(values) if not _missing(value)]
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
            continue
        if len(different) < 2 and (len(given) == len(values) or not given):
            why[name] = "is the same for everybody"
            continue
        numbers = [read_number(value) for value in given]
        if sum(number is not None for number in numbers) >= 0.98 * len(given) and len(different) > 2:
            whole = all(number is None or float(number).is_integer() for number in numbers)
            if whole and _ID.search(_spaced(name)) and len(different) > 0.95 * len(given) and name not in keep:
                why[name] = "looks like an id"
                continue
            read = (None if _missing(value) else read_number(value) for value in values)
            table.numbers[name] = np.array([math.nan if number is None else number for number in read])
        elif len(different) > 0.5 * len(given) and len(different) > MOST_LEVELS and name not in keep:
            why[name] = "is different for nearly everybody"
        else:
            table.texts[name] = np.array(["" if _missing(value) else value for value in values])
    return table, why


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def without_leaks(table: Table, outcome: str, keep: set[str]) -> tuple[Table, dict[str, str]]:
    """The table without the columns that are the outcome under another name, and how each gave itself away."""
    words = {word for word in re.split(r"\W+|_", _spaced(outcome).lower()) if len(word) > 3}
    leaks: dict[str, str] = {}
    for name in [*table.numbers, *table.texts]:
        alone = alone_auc(table, name)
        named = bool(words & set(re.split(r"\W+|_", _spaced(name).lower())))
        if name not in keep and alone >= (NAMED_LEAK_AUC if named else LEAK_AUC):
            leaks[name] = f"alone tells who left with an AUC of {alone:.3f}" + (
                ", and bears the outcome's name" if named else ""
            )
    return (
        Table(
            {name: values for name, values in table.numbers.items() if name not in leaks},
            {name: values for name, values in table.texts.items() if name not in leaks},
            table.target,
        ),
        leaks,
    )


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
