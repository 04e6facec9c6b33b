"""The knowledge base without its service: what the command line and the benchmarks do."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import UserError
from kit.settings import Settings
from knowledge_base import calibration, evaluation, feedback, imports, templates
from knowledge_base import index as indexes
from knowledge_base.answering import Answerer, question_language
from knowledge_base.articles import join
from knowledge_base.decision import Calibration, Promise
from knowledge_base.encoders import Encoder, Encoders
from knowledge_base.evaluation import Outcome
from knowledge_base.feedback import Said
from knowledge_base.index import BuildReport
from knowledge_base.pieces import Reading
from knowledge_base.progress import Report, silent
from knowledge_base.schemas import Asker, Hit
from knowledge_base.text import Language


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found: the figures, and each question's outcome."""

    metrics: dict[str, Any]
    outcomes: list[Outcome]


def build_index(
    settings: Settings,
    content: Path,
    index: Path | None = None,
    url: str = "",
    report: Report = silent,
    *,
    languages: Collection[Language] = (),
    names: templates.Names = templates.NAMES,
    also: Sequence[Path] = (),
) -> BuildReport:
    """Builds the index of a folder of articles.

    Args:
        settings: which encoders.
        content: the folder.
        index: where to; by default the index that is served.
        url: where the content is published.
        report: told of the progress.
        languages: customers ask in; with both, articles that exist in one only are found from the other too.
        names: what templates may use, such as the limits the company's plans have.
        also: other content beside it, such as an export of the community.
    Raises:
        UserError: something is wrong with the content or the settings; says where.
    """
    loaded = join([imports.load(one, url, names) for one in (content, *also)])
    asked = (languages if len(set(languages)) > 1 else ()) if languages else None
    return indexes.build_index(loaded, index or settings.index_dir, Encoders(settings), url, asked=asked, report=report)


def open_index(settings: Settings, index: Path | None = None) -> Answerer:
    """An index, ready to be asked.

    Raises:
        UserError: there is none, or it is not for these encoders.
    """
    encoders = Encoders(settings)
    return Answerer(indexes.open_index(index or settings.index_dir, encoders), encoders, _encode)


def search(
    settings: Settings,
    text: str,
    index: Path | None = None,
    *,
    lang: Language | None = None,
    asker: Asker | None = None,
    k: int = 10,
) -> list[Hit]:
    """The best articles for a question.

    Raises:
        UserError: no usable index, or an empty question.
    """
    return open_index(settings, index).search(text, lang, asker, k)


def evaluate(settings: Settings, folder: Path, index: Path | None = None, report: Report = silent) -> Evaluation:
    """Asks the labelled questions of a BEIR folder.

    Args:
        settings: which encoders.
        folder: in BEIR format; where it has no corpus the questions are about `index`.
        index: by default the index that is served.
        report: told of the progress.
    Raises:
        UserError: the folder is not of this form.
    """
    questions = evaluation.load_questions(folder)
    answerer = answerer_for(settings, folder, index, report)
    outcomes = evaluation.ask_all(answerer, questions, report)
    asked = {outcome.encoder for outcome in outcomes}
    promises = {
        name: promise.model_dump() for name, promise in answerer.index.calibration.promises.items() if name in asked
    }
    return Evaluation(evaluation.metrics(outcomes) | {"promise": promises}, outcomes)


def calibrate(
    settings: Settings,
    folder: Path | None,
    index: Path | None = None,
    report: Report = silent,
    said: Sequence[Said] = (),
) -> dict[str, Promise]:
    """Fits when to answer to labelled questions, and stores it with the index.

    Args:
        settings: which encoders.
        folder: in BEIR format; where it has a corpus of its own the questions are asked about that. None: feedback alone.
        index: that keeps the result; by default the one that is served.
        report: told of the progress.
        said: what people said of answers from this index.
    Returns:
        the promise for each encoder whose questions sufficed.
    Raises:
        UserError: no usable index, or too few questions.
    """
    target = index or settings.index_dir
    held = open_index(settings, target)
    outcomes, left_out = feedback.outcomes(held, said), []
    if folder is not None:
        questions = evaluation.load_questions(folder)
        answerer = answerer_for(settings, folder, target, report)
        outcomes = evaluation.ask_all(answerer, questions, report) + outcomes
        left_out = evaluation.ask_without_right(answerer, questions, report)
    names = sorted({outcome.encoder for outcome in outcomes if outcome.encoder})
    models = dict(held.index.calibration.models)
    promises: dict[str, Promise] = {}
    for name in names:
        own = [outcome for outcome in outcomes if outcome.encoder == name]
        if len(names) > 1 and len(own) < calibration.FEWEST:
            continue
        models[name], promises[name] = calibration.calibrate(
            own, [outcome for outcome in left_out if outcome.encoder == name]
        )
    if not promises:
        raise UserError(f"{len(outcomes)} labelled questions are too few to calibrate on", "label more of them")
    Calibration(models=models, promises=promises).save(target)
    return promises


def answerer_for(settings: Settings, folder: Path, index: Path | None = None, report: Report = silent) -> Answerer:
    """What the questions of a BEIR folder are asked of: its own corpus, indexed; an index, where it has none.

    Args:
        settings: which encoders.
        folder: in BEIR format.
        index: by default the one that is served.
        report: told of the progress.
    Raises:
        UserError: the folder is not of this form, or there is no usable index.
    """
    if not evaluation.has_corpus(folder):
        return open_index(settings, index)
    content = evaluation.load_corpus(folder)
    asked = {question_language(question.text, None) for question in evaluation.load_questions(folder)}
    written = {article.lang for article in content.articles}
    if "ja" not in asked | written:
        # The encoder of Japanese takes minutes over a large corpus and seconds to load.
        settings = settings.model_copy(update={"encoder_ja": None})
    encoders = Encoders(settings)
    # Kept under the home folder, so that a second run embeds nothing.
    place = (
        settings.home / "evaluation" / hashlib.sha256(f"{folder.resolve()}\0{encoders.name}".encode()).hexdigest()[:12]
    )
    indexes.build_index(content, place, encoders, asked=asked if len(asked | written) > 1 else (), report=report)
    return Answerer(indexes.open_index(place, encoders), encoders, _encode)


def _encode(encoder: Encoder, texts: list[str]) -> list[Reading]:
    return encoder.read_questions(texts)
