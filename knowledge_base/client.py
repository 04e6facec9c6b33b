"""Asks the knowledge base over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

from circuitbreaker import CircuitBreaker, CircuitBreakerError
from pydantic import BaseModel, ValidationError

from kit import logging, tracing
from kit.errors import KotaeError, NotFound, Unavailable, UserError
from kit.http import Answer, Http
from knowledge_base.schemas import (
    AnswerReply,
    AnswerRequest,
    ArticleReply,
    AskedQuestion,
    Asker,
    EmbedReply,
    EmbedRequest,
    GapReply,
    GapsReply,
    GapsRequest,
    Hit,
    Ready,
    Reloaded,
    SearchReply,
    SearchRequest,
    Values,
)
from knowledge_base.text import Language

SECONDS = 2.0
"""For one question. A turn as a whole has five."""
CONNECT_SECONDS = 0.5
GROUPING_SECONDS = 30.0
"""For grouping hundreds of questions, for which nobody holds a turn up."""
Reply = TypeVar("Reply", bound=BaseModel)
_FAILURES, _REST_SECONDS = 5, 2
"""So many calls in a row without an answer, and for so many seconds none is made: a knowledge base that hangs would cost every turn
the whole time-out."""
_HINT = "see that `kotae up` runs it, and its log"


class KnowledgeBase:
    """A client that keeps its connections; use it as a context or close it.

    Args:
        base_url: of the service.
    """

    def __init__(self, base_url: str) -> None:
        self._http = Http(base_url)
        breaker = CircuitBreaker(_FAILURES, _REST_SECONDS, OSError, "knowledge_base")
        self._guarded: Callable[[str, str, bytes, float], Awaitable[Answer]] = breaker(self._asked)

    async def __aenter__(self) -> KnowledgeBase:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def embed(self, texts: list[str]) -> EmbedReply:
        """Vectors of texts."""
        return await self._ask("POST", "/embed", EmbedReply, EmbedRequest(texts=texts))

    async def search(
        self, text: str, lang: Language | None = None, asker: Asker | None = None, k: int = 10
    ) -> list[Hit]:
        """The best articles."""
        body = _checked(SearchRequest, text=text, lang=lang, asker=asker, k=k)
        return (await self._ask("POST", "/search", SearchReply, body)).hits

    async def answer(
        self,
        text: str,
        lang: Language | None = None,
        asker: Asker | None = None,
        values: Values | None = None,
        article_id: str | None = None,
    ) -> AnswerReply:
        """The answer to a question.

        Args:
            text: the question.
            lang: of the conversation.
            asker: whose plan, role and stage; None: a visitor.
            values: of the asking account; None: a visitor.
            article_id: the article the customer chose.
        Raises:
            UserError: the question is empty or far too long.
            NotFound: no such article.
            Unavailable: the knowledge base does not answer or is not ready.
        """
        body = _checked(AnswerRequest, text=text, lang=lang, asker=asker, values=values, article_id=article_id)
        return await self._ask("POST", "/answer", AnswerReply, body)

    async def gaps(self, questions: list[AskedQuestion]) -> list[GapReply]:
        """Questions that were not answered, grouped by meaning, the most frequent first.

        Raises:
            Unavailable: the knowledge base does not answer or is not ready.
        """
        body = _checked(GapsRequest, questions=questions)
        return (await self._ask("POST", "/gaps", GapsReply, body, GROUPING_SECONDS)).gaps

    async def article(self, lang: Language, slug: str) -> ArticleReply:
        """A whole article as safe HTML."""
        return await self._ask("GET", f"/articles/{lang}/{quote(slug)}", ArticleReply)

    async def ready(self) -> Ready:
        """What is served.

        Raises:
            Unavailable: not ready, with the reason.
        """
        return await self._ask("GET", "/readyz", Ready)

    async def reload(self) -> Reloaded:
        """Makes it look for a new index at once."""
        return await self._ask("POST", "/reload", Reloaded)

    async def _ask(
        self,
        method: str,
        path: str,
        reply: type[Reply],
        body: BaseModel | None = None,
        seconds: float = SECONDS,
    ) -> Reply:
        said = body.model_dump_json().encode() if body else b""
        try:
            answer = await self._guarded(method, path, said, seconds)
        except OSError as error:
            name = type(error).__name__
            raise Unavailable(f"the knowledge base does not answer ({name})", _HINT) from error
        except CircuitBreakerError as error:
            raise Unavailable("the knowledge base has not answered for a while", _HINT) from error
        if answer.status == 200:
            try:
                return reply.model_validate_json(answer.body)
            except ValidationError as error:
                raise Unavailable("the knowledge base answered something else", _HINT) from error
        raise _error(answer)

    async def _asked(self, method: str, path: str, body: bytes, seconds: float) -> Answer:
        try:
            return await self._send(method, path, body, seconds)
        except ConnectionError:
            # A kept connection that the other end closed just then, or it is being started again. Asking twice changes nothing.
            return await self._send(method, path, body, seconds)

    async def _send(self, method: str, path: str, body: bytes, seconds: float) -> Answer:
        headers = tracing.headers() | logging.headers()
        return await self._http.request(
            method, path, body, seconds=seconds, connect_seconds=CONNECT_SECONDS, headers=headers
        )


def _checked(model: type[Reply], **fields: Any) -> Reply:
    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{first['loc'][0]}: {first['msg'].lower()}", "shorten or correct it") from None


def _error(answer: Answer) -> KotaeError:
    try:
        data = answer.json()
    except ValueError:
        data = {}
    kinds: dict[int, type[KotaeError]] = {404: NotFound, 422: UserError}
    kind = kinds.get(answer.status, Unavailable)
    return kind(data.get("message", f"the knowledge base answered {answer.status}"), data.get("hint", ""))
