"""Trains the product's own understanding on given data and says how well it does on other data.

`python -m bot.evaluate --train CSV --test CSV [--oos-label L] [--json]`; the files have the columns `sentence,label`.
The knowledge base must be running.
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import csv
import io
import json
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from bot import quiet
from bot.train import ROOT

OUTSIDE = "out_of_scope"
"""The intent that the pipeline takes for "none of the others" (`config.yml`)."""
NOT_UNDERSTOOD = "nlu_fallback"
"""The intent that the pipeline sets below its threshold."""


PATIENCE_SECONDS = 60.0
"""How long a batch waits for its sentence features: a busy machine must change the time taken, never the figures."""

HEADERS = {
    "sentence": ("sentence", "text", "utterance", "query", "question", "message"),
    "label": ("label", "intent", "category", "class"),
}
"""Names that a column may have, as published sets have them; the first is the one to use."""
ENCODINGS = ("utf-8-sig", "cp1252")
LABELS = 2
"""Labels that training needs at least."""
TOGETHER = 64
"""Messages that go through the pipeline at once."""


class BadData(Exception):
    """A file that cannot be evaluated; its text says which and why."""


@dataclass(frozen=True)
class Row:
    """One labelled sentence."""

    sentence: str
    label: str


@dataclass(frozen=True)
class Judged:
    """What the pipeline made of one test sentence.

    Attributes:
        label: its true label.
        best: the best intent of those that are in scope.
        score: how sure of that.
        accepted: whether the pipeline stood by it, at its own threshold.
    """

    label: str
    best: Optional[str]
    score: float
    accepted: bool


def read_rows(path: Path) -> List[Row]:
    """Labelled sentences of a CSV file: comma, semicolon or tab between columns, which may have one of `HEADERS`' names.

    Raises:
        BadData: it is missing, lacks a column, or is empty.
    """
    try:
        text = _text(path)
        first = text.split("\n", 1)[0]
        separator = max(",;\t", key=first.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, delimiter=separator)
        columns = [name.strip() for name in reader.fieldnames or []]
        places = {kind: _place(columns, names) for kind, names in HEADERS.items()}
        missing = [kind for kind, place in places.items() if place is None]
        if missing:
            has = f"it has {', '.join(columns)}" if any(columns) else "it has none"
            raise BadData(
                f"{path}: column {' and '.join(missing)} is missing ({has}); sentence and label are needed in the first line"
            )
        reader.fieldnames = [str(number) for number in range(len(columns))]  # names may come twice
        sentence, label = str(places["sentence"]), str(places["label"])
        # A short line lacks its last columns: DictReader gives None for them.
        rows = [Row(" ".join((line[sentence] or "").split()), " ".join((line[label] or "").split())) for line in reader]
    except (OSError, csv.Error) as error:
        raise BadData(f"{path}: cannot be read as CSV ({type(error).__name__})") from None
    rows = [row for row in rows if row.sentence and row.label]
    if not rows:
        raise BadData(f"{path}: no labelled sentences in it")
    return rows


def _text(path: Path) -> str:
    """What a file holds, in UTF-8 or else in what spreadsheets write in the West.

    Raises:
        BadData: it is in another encoding.
    """
    content = path.read_bytes()
    for encoding in ("utf-16",) if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == ENCODINGS[-1]:
            print(f"note: {path} is not UTF-8; read as {encoding}", file=sys.stderr)
        return text.replace("\0", "")
    raise BadData(f"{path}: neither UTF-8 nor {ENCODINGS[-1]}; save it as UTF-8")


def _place(columns: Sequence[str], names: Sequence[str]) -> Optional[int]:
    """Where the column of one of these names is, the first name first."""
    plain = [name.casefold() for name in columns]
    return next((plain.index(name) for name in names if name in plain), None)


def report(judged: Sequence[Judged], oos_label: Optional[str]) -> Dict[str, Any]:
    """The figures of an evaluation.

    Args:
        judged: all test sentences.
        oos_label: the label of those that are out of scope.
    Returns:
        `in_scope_accuracy` as if every message had an intent; `in_scope_accuracy_at` and `oos_recall_at` the product's
        own threshold; `oos_auroc` of the score; None where the test data has no such sentences.
    """
    inside = [one for one in judged if one.label != oos_label]
    outside = [one for one in judged if one.label == oos_label]
    right = [one.best == one.label for one in inside]
    return {
        "n": len(judged),
        "n_in_scope": len(inside),
        "n_oos": len(outside),
        "in_scope_accuracy": _mean(right),
        "oos_auroc": auroc([one.score for one in inside], [one.score for one in outside]),
        "in_scope_accuracy_at": _mean([ok and one.accepted for ok, one in zip(right, inside, strict=True)]),
        "oos_recall_at": _mean([not one.accepted for one in outside]),
    }


def auroc(inside: Sequence[float], outside: Sequence[float]) -> Optional[float]:
    """The chance that a sentence inside scores higher than one outside; ties count half."""
    if not inside or not outside:
        return None
    from scipy.stats import rankdata

    ranks = rankdata([*inside, *outside])[: len(inside)]
    return float((ranks.sum() - len(inside) * (len(inside) + 1) / 2) / (len(inside) * len(outside)))


def _mean(values: Sequence[bool]) -> Optional[float]:
    return float(np.mean(values)) if values else None


def evaluate(train: Sequence[Row], test: Sequence[Row], oos_label: Optional[str]) -> Dict[str, Any]:
    """Trains on `train`, judges `test`.

    Raises:
        RasaException: training failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        model = _train(train, oos_label, Path(folder))
        trained = time.monotonic()
        judged = asyncio.run(_judge(model, test))
        done = time.monotonic()
    return {
        **report(judged, oos_label),
        "n_train": len(train),
        "train_seconds": round(trained - started, 1),
        "ms_per_message": round(1000 * (done - trained) / len(test), 2),
    }


def _check(rows: Sequence[Row], path: Path) -> None:
    if len({row.label for row in rows}) < LABELS:
        raise BadData(f"{path}: all sentences have the same label; there is nothing to tell apart")


def _train(rows: Sequence[Row], oos_label: Optional[str], folder: Path) -> Path:
    from rasa.model_training import train_nlu
    from rasa.shared.nlu.training_data.formats.rasa_yaml import RasaYAMLWriter
    from rasa.shared.nlu.training_data.message import Message
    from rasa.shared.nlu.training_data.training_data import TrainingData
    from rasa.shared.utils.io import read_yaml_file, write_yaml

    settings = read_yaml_file(ROOT / "config.yml")
    config = {key: settings[key] for key in ("recipe", "assistant_id", "language", "pipeline")}
    for component in config["pipeline"]:
        if component["name"].endswith("KnowledgeBaseFeaturizer"):
            component["timeout"] = PATIENCE_SECONDS
    write_yaml(config, folder / "config.yml")
    examples = [
        Message.build(_plain(row.sentence), OUTSIDE if row.label == oos_label else _intent(row.label)) for row in rows
    ]
    RasaYAMLWriter().dump(folder / "nlu.yml", TrainingData(examples))
    path = train_nlu(str(folder / "config.yml"), str(folder / "nlu.yml"), str(folder), fixed_model_name="evaluated")
    return Path(path)


def _intent(label: str) -> str:
    """The label as an intent: Rasa takes what follows a "/" for something else, and has names of its own."""
    safe = label.replace("/", "／")
    return f"{safe} (label)" if safe in (OUTSIDE, NOT_UNDERSTOOD) else safe


def _plain(sentence: str) -> str:
    """The sentence such that Rasa's file format reads no entity out of it; features of both forms are the same."""
    return sentence.replace("[", "［").replace("]", "］")


async def _judge(model: Path, rows: Sequence[Row]) -> List[Judged]:
    from rasa.core.agent import Agent
    from rasa.core.channels.channel import UserMessage
    from rasa.engine.constants import PLACEHOLDER_MESSAGE, PLACEHOLDER_TRACKER
    from rasa.shared.nlu.constants import TEXT

    from bot.channel import harmless

    processor = Agent.load(str(model)).processor
    target = processor.model_metadata.nlu_target
    judged: List[Judged] = []
    for start in range(0, len(rows), TOGETHER):
        part = rows[start : start + TOGETHER]
        messages = [UserMessage(harmless(row.sentence)) for row in part]
        inputs = {PLACEHOLDER_MESSAGE: messages, PLACEHOLDER_TRACKER: None}
        found = processor.graph_runner.run(inputs=inputs, targets=[target])[target]
        for row, message in zip(part, found, strict=True):
            if message.get_dense_features(TEXT)[1] is None:
                raise BadData("the knowledge base gave no sentence features; see its log")
            judged.append(judge(row.label, message.as_dict(only_output_properties=True)))
        quiet.progress("judged", len(judged), len(rows))
    return judged


def judge(label: str, parsed: Dict[str, Any]) -> Judged:
    """Reads one result of the pipeline.

    Args:
        label: the true label.
        parsed: what the pipeline returned, with `intent` and `intent_ranking`.
    """
    known = [one for one in parsed["intent_ranking"] if one["name"] not in (OUTSIDE, NOT_UNDERSTOOD)]
    best: Dict[str, Any] = known[0] if known else {"name": None, "confidence": 0.0}
    right = label if best["name"] == _intent(label) else best["name"]
    return Judged(label, right, best["confidence"], parsed["intent"]["name"] == best["name"])


def main() -> int:
    """Entry point.

    Returns:
        0 done, 1 could not.
    """
    parser = argparse.ArgumentParser(prog="python -m bot.evaluate", description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="CSV to train on")
    parser.add_argument("--test", type=Path, required=True, help="CSV to judge")
    parser.add_argument("--oos-label", help="label of the sentences that are out of scope")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    arguments = parser.parse_args()
    quiet.prepare(logging.ERROR)
    from rasa.shared.exceptions import RasaException
    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.ERROR)
    try:
        train, test = read_rows(arguments.train), read_rows(arguments.test)
        _check(train, arguments.train)
        if arguments.oos_label and not any(row.label == arguments.oos_label for row in test):
            print(f"note: nothing in {arguments.test} is labelled {arguments.oos_label}", file=sys.stderr)
        with _quiet_output():
            found = evaluate(train, test, arguments.oos_label)
    except (BadData, RasaException) as error:
        return quiet.failed(str(error))
    except Exception as error:  # noqa: BLE001  # the boundary: whatever others' data did, it is said in one line
        return quiet.failed(f"{arguments.train}, {arguments.test}: {type(error).__name__}: {error}")
    print(
        json.dumps(found)
        if arguments.json
        else "\n".join(f"{name:22} {_shown(value)}" for name, value in found.items())
    )
    return 0


def _quiet_output() -> Any:
    """What Rasa prints of its own goes nowhere: standard output belongs to the report, and a failure is one line."""
    import contextlib

    return contextlib.redirect_stdout(io.StringIO())


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
