"""What goes in and out of the knowledge base."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from knowledge_base.articles import Source
from knowledge_base.decision import Decision
from knowledge_base.text import Language

Question = Annotated[str, Field(min_length=1, max_length=20_000, description="in the customer's own words")]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Asker(_Schema):
    """Who asks, as far as articles are written for some and not for others."""

    plan: str | None = None
    role: str | None = None
    stage: str | None = None


class EmbedRequest(_Schema):
    """Texts to embed.

    Attributes:
        packed: the vectors are wanted as `packed`, little-endian 32-bit floats in base64: hundreds of numbers are longer written and read in
            decimals than all the rest of the call.
    """

    texts: list[str] = Field(max_length=1_024)
    packed: bool = False


class EmbedReply(_Schema):
    """Vectors in blocks, one block an encoder; a text without words is all zeros.

    Attributes:
        build: which build of the help content is served; empty where none is.
    """

    vectors: list[list[float]]
    dimension: int
    model: str
    build: str


class AskedQuestion(_Schema):
    """A question that was not answered; see `gaps.Asked`."""

    text: str
    lang: Language | None = None
    account_id: str | None = None
    asked_at: datetime
    why: str


class GapsRequest(_Schema):
    questions: list[AskedQuestion] = Field(max_length=500, description="newest first")


class GapReply(_Schema):
    """Questions of one meaning; see `gaps.Gap`."""

    question: str
    lang: Language
    count: int
    examples: list[str]
    why: dict[str, int]
    accounts: list[str]
    last_asked: datetime
    nearest_id: str | None
    nearest_title: str | None
    confidence: float


class GapsReply(_Schema):
    gaps: list[GapReply]


class SearchRequest(_Schema):
    text: Question
    lang: Language | None = Field(None, description="of the conversation; Japanese text counts as Japanese anyway")
    k: int = Field(10, ge=1, le=100)
    asker: Asker | None = Field(None, description="null: a visitor")


class Hit(_Schema):
    """One article with its best passage."""

    passage_id: str | None
    article_id: str
    title: str
    url: str
    heading: str | None
    quote: str = Field(description="Markdown, as a visitor reads it")
    lang: Language
    score: float = Field(description="fused, comparable within one result list only")
    dense: float
    lexical: float
    source: Source


class SearchReply(_Schema):
    hits: list[Hit]


class Values(_Schema):
    """What articles may say of the asking account."""

    account: dict[str, Any] = Field(default_factory=dict)
    plan: dict[str, Any] = Field(default_factory=dict)
    limits: dict[str, Any] = Field(default_factory=dict, description="null: unlimited")
    usage: dict[str, Any] = Field(default_factory=dict)
    renewal: dict[str, Any] = Field(default_factory=dict)


class AnswerRequest(_Schema):
    text: Question
    lang: Language | None = None
    asker: Asker | None = None
    values: Values | None = Field(None, description="null: a visitor, who reads the article's words for visitors")
    article_id: str | None = Field(None, description="the article the customer chose: its best passage is the answer")


class Citation(_Schema):
    """Where a quote is from: the same fields as the citation of a conversation."""

    article_id: str
    title: str
    url: str
    heading: str | None = None
    lang: Language = "en"
    updated: date | None = None
    source: Source = "article"


class Restriction(_Schema):
    """The article is about something the asker's plan does not have."""

    feature: str | None
    plans: list[str] = Field(description="those that have it")


class AnswerReply(_Schema):
    decision: Decision
    confidence: float = Field(ge=0, le=1, description="estimated chance that the quote answers")
    quote: str | None = Field(None, description="Markdown with the asker's values")
    citation: Citation | None = None
    alternatives: list[Citation] = Field(default_factory=list, description="other articles near the question")
    choices: list[Citation] = Field(default_factory=list, description="articles it lies between, when clarifying")
    restricted: Restriction | None = None
    other_language: bool = Field(False, description="the answer exists in another language only")


class ArticleReply(_Schema):
    article_id: str
    title: str
    url: str
    lang: Language
    updated: date | None
    html: str = Field(description="safe to insert: raw HTML of the article is shown as text")


class Ready(_Schema):
    ready: Literal[True] = True
    build: str
    model: str
    articles: int
    passages: int


class Reloaded(_Schema):
    build: str
    changed: bool
