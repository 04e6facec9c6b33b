"""What people said of answers, as labelled questions for calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knowledge_base.answering import Answerer
from knowledge_base.evaluation import Labelled, Outcome, ask
from knowledge_base.text import Language, clean_question, has_words


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said of an article as the answer to a question.

    Attributes:
        article: its id or its address.
    """

    text: str
    lang: Language | None
    article: str
    answers: bool


def outcomes(answerer: Answerer, said: Sequence[Said]) -> list[Outcome]:
    """What the index would do with each question now, and whether that is right, as far as people have said.

    A question is left out where nobody said anything of the article that comes first now, and no article is known to answer.
    The last word on a question and an article counts.
    """
    places = {url: id for id, url in answerer.index.links.items() if url} | {id: id for id in answerer.index.links}
    verdicts: dict[tuple[str, Language | None], dict[str, bool]] = {}
    for one in said:
        id = places.get(one.article)
        if id is not None and has_words(clean_question(one.text)):
            verdicts.setdefault((one.text, one.lang), {})[id] = one.answers
    made: list[Outcome] = []
    for number, ((text, lang), verdict) in enumerate(verdicts.items()):
        right = frozenset(id for id, answers in verdict.items() if answers)
        outcome = ask(answerer, Labelled(f"feedback-{number}", text, right), lang)
        if right or (outcome.ranking and outcome.ranking[0] in verdict):
            made.append(outcome)
    return made
