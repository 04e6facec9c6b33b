"""A question in, an answer out: finds, decides, quotes, cites."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from kit.errors import NotFound, UserError
from knowledge_base import markdown, tables, templates
from knowledge_base.articles import Article
from knowledge_base.courtesies import without_courtesies
from knowledge_base.decision import CHOICES, Candidate, Decision, Signals, decide, features
from knowledge_base.encoders import Encoder, Encoders
from knowledge_base.index import Index, Shelf
from knowledge_base.lexical import telling, tokens
from knowledge_base.passages import link_target
from knowledge_base.pieces import Reading
from knowledge_base.ranking import COMMUNITY_PENALTY, best_passage, in_keeping, rank
from knowledge_base.schemas import (
    AnswerReply,
    AnswerRequest,
    ArticleReply,
    Asker,
    Citation,
    Hit,
    Restriction,
    Values,
)
from knowledge_base.text import (
    Language,
    asks_for_a_way,
    clean_question,
    has_words,
    is_japanese,
    parts_of_question,
    sentences,
    subject_line,
)

Encode = Callable[[Encoder, list[str]], list[Reading]]
"""Reads each part of a question."""

MISFIT = 0.05
"""What an article written for another plan, role or stage loses in fused score: enough that of two versions of an article
the asker's own comes first, too little to hide the only one there is."""
SENTENCES = 8
"""Of a question up to which each is looked at by itself; what is longer is a report, and read as a whole."""
ALTERNATIVES = 2
NEAR = 0.8
"""Share of the first article's dense score from which another is worth showing beside it."""


@dataclass(frozen=True)
class Found:
    """What a question found on one shelf."""

    lang: Language
    shelf: Shelf | None
    candidates: list[Candidate]
    chance: float
    decision: Decision


def question_language(text: str, lang: Language | None) -> Language:
    """The language a question is looked up in: Japanese where it is written in it, else the conversation's."""
    return "ja" if is_japanese(text) else lang or "en"


class Answerer:
    """One index with the encoders it was built with.

    Args:
        index: opened.
        encoders: of this installation.
        encode: reads questions.
    """

    def __init__(self, index: Index, encoders: Encoders, encode: Encode) -> None:
        self.index = index
        self.encoders = encoders
        self.encode = encode

    def find(
        self,
        text: str,
        lang: Language | None = None,
        asker: Asker | None = None,
        k: int = 10,
        *,
        personal: bool = False,
        without: Collection[str] = (),
    ) -> Found:
        """The best articles and what to do with them.

        Looks among the articles of the question's language; where those have no answer, among the ones that exist in the
        other language only, and goes by these where more comes of it.

        Args:
            text: the question.
            lang: of the conversation.
            asker: whose plan, role and stage.
            k: how many articles at most.
            personal: whether values of an account are at hand and asked for, so that passages that use them are preferred.
            without: ids of articles that are treated as if they were not there.
        Raises:
            UserError: the question is empty.
        """
        text = clean_question(text)
        if not text:
            raise UserError("the question is empty", "ask something")
        lang = question_language(text, lang)
        first = Found(lang, None, [], 0.0, "abstain")
        left_out = {self.index.position[id] for id in without if id in self.index.position}
        if not has_words(text):
            return first
        text = without_courtesies(text)
        for shelf in self.index.shelves_for(lang, self.encoders):
            found = self._find_on(shelf, text, lang, asker, k, personal, left_out)
            if first.shelf is None or _worth(found) > _worth(first):
                first = found
            if first.decision == "answer":
                break
        return first

    def _find_on(
        self, shelf: Shelf, text: str, lang: Language, asker: Asker | None, k: int, personal: bool, without: set[int]
    ) -> Found:
        text, asked = self._read(shelf, text)
        candidates = rank(
            self.index, shelf, text, asked, k, lambda article: _fit(article, asker), personal=personal, without=without
        )
        model = self.index.calibration.model(shelf.encoder)
        if not candidates or model is None:
            return Found(lang, shelf, candidates, 0.0, "abstain")
        chance = model.chance(features(candidates))
        return Found(lang, shelf, candidates, chance, decide(chance, model))

    def _read(self, shelf: Shelf, text: str) -> tuple[str, list[Reading]]:
        """A question as it is looked for on a shelf, and its parts as the shelf's encoder reads them. Where it has a subject
        line, that is a part of its own; else of several sentences those that are about nothing here are left out."""
        encoder = self.encoders.named(shelf.encoder)
        said = sentences(text)
        if 1 < len(said) <= SENTENCES and not subject_line(text):
            text = " ".join(in_keeping(shelf, said, self.encode(encoder, said)))
        return text, self.encode(encoder, parts_of_question(text))

    def search(self, text: str, lang: Language | None, asker: Asker | None, k: int) -> list[Hit]:
        """The best articles, each with its best passage."""
        return [self._hit(candidate, text) for candidate in self.find(text, lang, asker, k).candidates]

    def answer(self, request: AnswerRequest) -> AnswerReply:
        """The answer to one question.

        Raises:
            NotFound: there is no article of that id.
            UserError: the question is empty.
        """
        if request.article_id is not None:
            return self._answer_from(request, request.article_id)
        found = self.find(request.text, request.lang, request.asker, personal=_wants_values(request))
        if found.decision == "answer":
            return self._quote(found, request)
        near = [self._citation(c) for c in _near(found.candidates)][:CHOICES]
        if found.decision == "clarify":
            return AnswerReply(decision="clarify", confidence=found.chance, choices=near)
        return AnswerReply(decision="abstain", confidence=found.chance)

    def article(self, lang: Language, slug: str) -> ArticleReply:
        """A whole article as safe HTML, as a visitor reads it.

        Args:
            lang: wanted.
            slug: id, with or without its language folder.
        Raises:
            NotFound: there is none.
        """
        position = self.index.position
        place = position.get(f"{lang}/{slug}", position.get(slug))
        if place is None:
            raise NotFound(f"there is no article {lang}/{slug}", "it may have been renamed")
        article: Article = self.index.articles[place]
        body = article.body
        if article.markup == "markdown":
            body = markdown.tidy(body)
            body = markdown.resolve(
                body,
                lambda link: link_target(article, link, self.index.links, self.index.meta.url),
                markdown.definitions(body),
            )
        if templates.is_template(article):
            body = templates.render(body, None, article.lang)
        return ArticleReply(
            article_id=article.id,
            title=article.title,
            url=article.url,
            lang=article.lang,
            updated=article.updated,
            html=markdown.to_html(body),
        )

    def _answer_from(self, request: AnswerRequest, article_id: str) -> AnswerReply:
        text = without_courtesies(clean_question(request.text))
        position = self.index.position.get(article_id)
        if position is None:
            raise NotFound(f"there is no article {article_id}", "it may have been renamed")
        lang = question_language(text, request.lang)
        shelf, place = next(
            (shelf, int(at[0]))
            for shelf in self.index.shelves.values()
            if len(at := np.flatnonzero(shelf.articles == position))
        )
        asked = self.encode(self.encoders.named(shelf.encoder), [text])[0]
        passage = best_passage(
            shelf, place, asked, shelf.parts.of(telling(tokens(text))), personal=_wants_values(request)
        )
        chosen = Candidate(position, place, passage, 1.0, 0.0, 0.0, Signals(0.0, 0.0, 0.0, 0.0))
        return self._quote(Found(lang, shelf, [chosen], 1.0, "answer"), request)

    def _quote(self, found: Found, request: AnswerRequest) -> AnswerReply:
        top = found.candidates[0]
        article: Article = self.index.articles[top.article]
        return AnswerReply(
            decision="answer",
            confidence=found.chance,
            quote=self._text(top, request.text, request.values),
            citation=self._citation(top),
            alternatives=[self._citation(c) for c in _near(found.candidates)[1 : ALTERNATIVES + 1]],
            restricted=_restriction(article, request.asker),
            other_language=article.lang != found.lang,
        )

    def _text(self, candidate: Candidate, question: str, values: Values | None) -> str:
        article: Article = self.index.articles[candidate.article]
        if candidate.passage < 0:
            return article.description or article.title
        passage = self.index.passages[candidate.passage]
        given = values.model_dump() if values is not None else None
        quote: str = templates.render(passage.quote, given, article.lang) if passage.template else passage.quote
        return tables.shorten(quote, question, self._citation(candidate).url, article.lang)

    def _citation(self, candidate: Candidate) -> Citation:
        article: Article = self.index.articles[candidate.article]
        heading, url = None, article.url
        if candidate.passage >= 0:
            passage = self.index.passages[candidate.passage]
            heading = passage.heading
            url = f"{article.url}#{passage.anchor}" if passage.anchor else article.url
        return Citation(
            article_id=article.id,
            title=article.title,
            url=url,
            heading=heading,
            lang=article.lang,
            updated=article.updated,
            source=article.source,
        )

    def _hit(self, candidate: Candidate, text: str) -> Hit:
        article: Article = self.index.articles[candidate.article]
        citation = self._citation(candidate)
        return Hit(
            passage_id=self.index.passages[candidate.passage].id if candidate.passage >= 0 else None,
            article_id=article.id,
            title=article.title,
            url=citation.url,
            heading=citation.heading,
            quote=self._text(candidate, text, None),
            lang=article.lang,
            score=candidate.score,
            dense=candidate.dense,
            lexical=candidate.lexical,
            source=article.source,
        )


def _worth(found: Found) -> tuple[int, float]:
    """What to go by between shelves: what would be done, then how sure that is."""
    return ("abstain", "clarify", "answer").index(found.decision), found.chance


def _wants_values(request: AnswerRequest) -> bool:
    return request.values is not None and not asks_for_a_way(request.text)


def _near(candidates: list[Candidate]) -> list[Candidate]:
    return [c for c in candidates if c.dense >= NEAR * candidates[0].dense]


def _fit(article: Article, asker: Asker | None) -> float:
    loss = COMMUNITY_PENALTY if article.source == "community" else 0.0
    if asker is not None:
        for wanted, own in ((article.plans, asker.plan), (article.roles, asker.role), (article.stages, asker.stage)):
            loss += MISFIT if wanted and own is not None and own not in wanted else 0.0
    return -loss


def _restriction(article: Article, asker: Asker | None) -> Restriction | None:
    if asker is None or asker.plan is None or not article.plans or asker.plan in article.plans:
        return None
    return Restriction(feature=article.feature, plans=list(article.plans))
