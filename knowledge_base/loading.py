"""A folder of Markdown files to articles."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urljoin

import yaml
from frontmatter.default_handlers import YAMLHandler
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from kit.errors import UserError
from kit.files import line_of, read_text
from knowledge_base import markdown, templates
from knowledge_base.articles import Article, Content
from knowledge_base.text import Language, is_japanese

ENDINGS = (".md", ".mdx", ".markdown")
DRAFTS = "drafts"
"""The folder of the content where articles wait for a writer: they are read once they are moved out of it."""
_FIRST_HEADING = re.compile(r"^#\s+(.+?)\s*(?:\{#[\w-]+\})?\s*$", re.MULTILINE)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value if value is not None else []


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float | date) else value


Words = Annotated[str, BeforeValidator(_text)]
Listed = Annotated[tuple[Words, ...], BeforeValidator(_listed)]


class FrontMatter(BaseModel):
    """What the top of an article may say. Other keys belong to other tools and are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    title: Words | None = None
    description: Words | None = None
    questions: Listed = Field((), description="how customers ask it")
    plans: Listed = Field((), description="ids of the plans that have it; none: all")
    roles: Listed = Field((), description="roles it is written for; none: all")
    stages: Listed = Field((), description="onboarding, adopting, renewing; none: all")
    feature: Words | None = Field(None, description="id of the feature it is about")
    lang: Language | None = None
    updated: date | None = None
    url: Words | None = None
    slug: Words | None = None
    template: bool | None = None
    draft: bool = False


def load_folder(folder: Path, url: str = "", names: templates.Names = templates.NAMES) -> Content:
    """Every Markdown article under a folder, in the order of their ids.

    Files and folders whose name begins with `_` or `.`, the folder `drafts` and articles marked as drafts are left out.

    Args:
        folder: of the content.
        url: where it is published.
        names: what templates may use.
    Raises:
        UserError: no such folder, nothing in it, a file that cannot be used (with its line), or two with one id.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", "name the folder of the help articles")
    articles: dict[str, Article] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS and path.is_file()):
        parts = path.relative_to(folder).parts
        if parts[0] == DRAFTS or any(part.startswith(("_", ".")) for part in parts):
            continue
        article = load_file(path, path.relative_to(folder).with_suffix("").as_posix(), url)
        if article is None:
            continue
        if article.id in articles:
            raise UserError(f"{path} and {articles[article.id].path} have the same id {article.id!r}", "rename one")
        if templates.is_template(article):
            templates.check(article, names)
        articles[article.id] = article
    if not articles:
        raise UserError(f"{folder} has no articles", f"put Markdown files ({', '.join(ENDINGS)}) there")
    ordered = tuple(articles[id] for id in sorted(articles))
    return Content(ordered, tuple(line for a in ordered for line in templates.literal_tags(a, markdown.tidy(a.body))))


def load_file(path: Path, id: str, url: str = "") -> Article | None:
    """One article; None for a draft.

    Raises:
        UserError: it cannot be read or its front matter is wrong; names the line.
    """
    text = read_text(path).replace("\r\n", "\n").removeprefix("\ufeff")
    top, body, line = _split(path, text)
    head = _front_matter(path, top)
    if head.draft:
        return None
    heading = _FIRST_HEADING.search(templates.shield(body)[0])
    title = head.title or (heading[1] if heading else None) or _humanised(id)
    return Article(
        id=id,
        title=title.strip(),
        body=body,
        lang=head.lang or _language(id, title + "\n" + body),
        url=article_address(url, head.url or head.slug or quote(id)),
        description=(head.description or "").strip(),
        questions=tuple(question.strip() for question in head.questions if question.strip()),
        plans=head.plans,
        roles=head.roles,
        stages=head.stages,
        feature=head.feature,
        updated=head.updated,
        template=head.template,
        path=str(path),
        line=line,
    )


def article_address(url: str, place: str) -> str:
    """Where an article is published: its own address, or its place under the help centre's."""
    return urljoin(url.rstrip("/") + "/", place if "://" in place else place.lstrip("/"))


def _split(path: Path, text: str) -> tuple[str, str, int]:
    """Front matter, body, and the line the body begins on."""
    handler = YAMLHandler()
    if not handler.detect(text):
        return "", text, 1
    try:
        top, body = handler.split(text)
    except ValueError:
        raise UserError(f"{path}, line 1: the front matter has no end", "close it with a line of ---") from None
    return top, body, text[: len(text) - len(body)].count("\n") + 1


def _front_matter(path: Path, top: str) -> FrontMatter:
    try:
        root = yaml.compose(top, Loader=yaml.SafeLoader)
        data = yaml.safe_load(top)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + 1
        raise UserError(f"{path}, line {line}: {error.problem or 'not YAML'}", "correct the front matter") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}, line 1: {str(error).splitlines()[0]}", "correct the front matter") from None
    if not isinstance(data, dict | None):
        raise UserError(f"{path}, line 1: the front matter is not a list of `key: value`", "correct it")
    try:
        return FrontMatter.model_validate(data or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{path}, line {line_of(root, first['loc'])}: {where}: {first['msg'].lower()}", "correct the front matter"
        ) from None


def _language(id: str, text: str) -> Language:
    folder = id.partition("/")[0]
    if folder in ("en", "ja"):
        return "ja" if folder == "ja" else "en"
    return "ja" if is_japanese(text) else "en"


def _humanised(id: str) -> str:
    return id.rpartition("/")[2].replace("-", " ").replace("_", " ").strip().capitalize()
