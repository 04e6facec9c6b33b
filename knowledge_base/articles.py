"""What help content is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from kit.errors import UserError
from knowledge_base.text import Language

Source = Literal["article", "community"]


@dataclass(frozen=True, slots=True)
class Article:
    """One page of help content, as its author wrote it.

    Attributes:
        id: path in the content folder without its ending, such as `en/run-limits`.
        body: Markdown, or plain text where `markup` says so.
        feature: what the article's plans have and others lack; named to an asker outside them.
        path, line: where the body begins, for messages.
        template: whether the body is a template; None lets `templates.is_template` decide.
    """

    id: str
    title: str
    body: str
    lang: Language = "en"
    url: str = ""
    description: str = ""
    questions: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    feature: str | None = None
    updated: date | None = None
    source: Source = "article"
    markup: Literal["markdown", "text"] = "markdown"
    template: bool | None = None
    path: str = ""
    line: int = 1

    @property
    def key(self) -> str:
        """The id without its language folder: the same for an article and its translation."""
        folder, _, rest = self.id.partition("/")
        return rest if folder == self.lang and rest else self.id


@dataclass(frozen=True, slots=True)
class Passage:
    """What is quoted: whole blocks of one section.

    Attributes:
        id: `article-id#n`, n from 0 in the order of the article.
        headings: path of headings above it, outermost first, without the article's title.
        anchor: fragment of its nearest heading, empty at the top of the article.
        quote: Markdown with absolute links; a template where `template` is set.
        text: plain words as a visitor reads them: what is indexed.
    """

    id: str
    article_id: str
    headings: tuple[str, ...]
    anchor: str
    quote: str
    text: str
    template: bool = False

    @property
    def heading(self) -> str | None:
        return self.headings[-1] if self.headings else None


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that is to be indexed, in a fixed order.

    Attributes:
        warnings: lines for the writer about what was taken literally.
    """

    articles: tuple[Article, ...]
    warnings: tuple[str, ...] = field(default=())


def join(contents: Sequence[Content]) -> Content:
    """Several contents as one.

    Raises:
        UserError: two articles have one id.
    """
    articles: dict[str, Article] = {}
    for article in (article for content in contents for article in content.articles):
        if article.id in articles:
            raise UserError(
                f"{article.path} and {articles[article.id].path} have the same id {article.id!r}", "rename one"
            )
        articles[article.id] = article
    ordered = tuple(articles[id] for id in sorted(articles))
    return Content(ordered, tuple(line for content in contents for line in content.warnings))
