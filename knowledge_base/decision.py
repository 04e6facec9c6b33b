"""Answer, clarify or abstain: the chance that the first article answers, from what the result list looks like.

The chance is a logistic function of a few features (`features`). Its coefficients belong to one encoder: they ship for the
packaged ones (`calibrations.json`), fitted on labelled questions, and `kotae kb calibrate` fits them to a company's own. The
two thresholds on it are set there too, with what they promise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import structlog
from pydantic import BaseModel, ConfigDict, Field

log = structlog.get_logger()
Decision = Literal["answer", "clarify", "abstain"]

FEATURES = (
    "about", "about_gap", "coverage", "lexical", "title_gap", "told_apart", "matched_gap", "unmatched", "alone",
)  # fmt: skip
CHOICES = 3
"""Articles offered to choose from."""
CLARIFY_SHARE = 0.3
"""Share of the answer threshold below which no choice is ever offered."""
FILE = "calibration.json"


class Signals(NamedTuple):
    """How well an article fits a question, apart from how it ranks.

    Attributes:
        about, title: how alike the question is to its best row and to its title, as seen from the centre of all; -1 to 1.
        coverage: share of the question's terms, weighted by rarity, that the article has.
        lexical: BM25 of its whole text, in standard deviations above the mean of all articles.
        matched: mean over the question's word pieces of the likeness to what its best row has of them; 0 where the encoder
            tells no pieces.
        unmatched: share of the pieces of which it has nothing alike.
    """

    about: float
    title: float
    coverage: float
    lexical: float
    matched: float = 0.0
    unmatched: float = 0.0


class Candidate(NamedTuple):
    """An article that may answer.

    Attributes:
        article, place: its position in the index and on its shelf.
        passage: position of its best passage; -1 where it has none.
        score: fused, 0 to 1 over the candidates of one question.
        dense: inner product of the question and its best row, the mean over the question's parts.
        lexical: BM25 of its whole text.
        crowd: for the first one, how alike it is to the articles nearest to it.
        alone: for the first one, by how much it matches the question's pieces better than every other article, in the mean.
    """

    article: int
    place: int
    passage: int
    score: float
    dense: float
    lexical: float
    signals: Signals
    crowd: float = 0.0
    alone: float = 0.0


class Model(BaseModel):
    """A logistic model: chance = 1 / (1 + exp(-(bias + sum(weight x feature))))."""

    model_config = ConfigDict(frozen=True)

    weights: dict[str, float]
    bias: float
    answer: float = Field(ge=0, le=1, description="chance from which the passage is shown as the answer")
    clarify: float = Field(ge=0, le=1, description="chance from which the nearest articles are offered to choose from")

    def chance(self, values: Sequence[float]) -> float:
        """The chance for feature values in the order of `FEATURES`."""
        z = self.bias + sum(self.weights[name] * value for name, value in zip(FEATURES, values, strict=True))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, z))))


class Promise(BaseModel):
    """What the thresholds of a calibration promise, and on what evidence."""

    model_config = ConfigDict(frozen=True)

    risk: float = Field(description="at most this share of what is answered is wrong")
    confidence: float = Field(description="with this confidence")
    coverage: float = Field(description="share of the labelled questions answered under it")
    kept: bool = Field(description="whether the labelled questions sufficed to promise it")
    questions: int
    answered: int = Field(default=0, description="labelled questions answered at the threshold")
    wrong: int = Field(default=0, description="of them")
    bound: float = Field(
        default=1.0, description="upper bound of the risk behind these two numbers, at that confidence"
    )
    shipped: bool = Field(default=False, description="fitted to the sample company's questions, not to this company's")


class Calibration(BaseModel):
    """Models by encoder, and what was promised where one was fitted to this index."""

    model_config = ConfigDict(frozen=True)

    models: dict[str, Model]
    promises: dict[str, Promise] = Field(default_factory=dict)

    @classmethod
    def load(cls, index: Path) -> Calibration:
        """The index's own models over the shipped ones; one fitted to other features than these counts no more."""
        try:
            own = cls.model_validate_json((index / FILE).read_bytes())
        except FileNotFoundError:
            return shipped()
        there = shipped()
        models = {name: model for name, model in own.models.items() if set(model.weights) == set(FEATURES)}
        promises = {name: promise for name, promise in own.promises.items() if name in models}
        for name in own.models.keys() - models.keys():
            log.warning("calibration_outdated", encoder=name, advice="calibrate again with `kotae kb calibrate`")
        return own.model_copy(update={"models": there.models | models, "promises": there.promises | promises})

    def save(self, index: Path) -> None:
        """Stores it with the index, in one step."""
        fresh = index / f".{FILE}"
        fresh.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        fresh.replace(index / FILE)

    def model(self, encoder: str) -> Model | None:
        """The model for scores of that encoder; None: there is none, and no other one's will do."""
        return self.models.get(encoder)


@cache
def shipped() -> Calibration:
    """The calibrations that come with the product."""
    return Calibration.model_validate_json((Path(__file__).parent / "calibrations.json").read_bytes())


def features(candidates: Sequence[Candidate]) -> tuple[float, ...]:
    """What the decision rests on, in the order of `FEATURES`. An article without any other to compare it with stands out by nothing.

    Args:
        candidates: best first; at least one.
    """
    top = candidates[0].signals
    others = [one.signals for one in candidates[1:]]
    return (
        top.about,
        top.about - max((one.about for one in others), default=top.about),
        top.coverage,
        top.lexical,
        top.title - max((one.title for one in others), default=top.title),
        top.about - candidates[0].crowd if others else 0.0,
        top.matched - max((one.matched for one in others), default=top.matched),
        top.unmatched,
        candidates[0].alone,
    )


def decide(chance: float, model: Model) -> Decision:
    """What to do at that chance."""
    if chance >= model.answer:
        return "answer"
    return "clarify" if chance >= model.clarify else "abstain"
