"""Help content that other systems keep: pages of a website, a Zendesk Help Center, solved topics of a Discourse community."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from kit.errors import UserError
from kit.files import read_text
from knowledge_base import pages
from knowledge_base.articles import Article, Content, Source
from knowledge_base.html import extract_page, to_markdown
from knowledge_base.loading import ENDINGS, article_address, load_folder
from knowledge_base.pages import Page
from knowledge_base.templates import NAMES, Names
from knowledge_base.text import Language, is_japanese

Kind = Literal["markdown", "html", "zendesk", "discourse"]
_CANONICAL = re.compile(r"<link\b(?=[^>]*\brel=[\"']?canonical)[^>]*\bhref=[\"']([^\"']+)", re.IGNORECASE)


def load(path: Path, url: str = "", names: Names = NAMES, kind: Kind | None = None) -> Content:
    """The articles of a folder or an export.

    Args:
        path: a folder of Markdown files or of downloaded pages, the sitemap among these, or a JSON export (or a folder of its
            pages).
        url: where it is published; links and images resolve against each article's own address.
        names: what templates may use.
        kind: what it is; None: found out from the files.
    Raises:
        UserError: there is nothing usable; says where.
    """
    if not path.exists():
        raise UserError(f"{path} is not there", "name a folder of articles or an export")
    kind = kind or _kind(path)
    if kind == "markdown":
        return load_folder(path, url, names)
    loaders: dict[Kind, Callable[[Path, str], Iterator[Article]]] = {"zendesk": _zendesk, "discourse": _discourse}
    found, warnings = pages.find(path) if kind == "html" else ([], ())
    articles: dict[str, Article] = {}
    for article in _pages(found, url) if kind == "html" else loaders[kind](path, url):
        if article.id in articles:
            raise UserError(
                f"{article.path} and {articles[article.id].path} have the same id {article.id!r}", "remove one"
            )
        articles[article.id] = article
    if not articles:
        raise UserError(f"{path} has no articles", "see that it is the whole export, with published articles")
    return Content(tuple(articles[id] for id in sorted(articles)), warnings)


def _kind(path: Path) -> Kind:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    endings = [file.suffix.lower() for file in files]
    if any(ending in ENDINGS for ending in endings):
        return "markdown"
    if any(ending in pages.ENDINGS for ending in endings) or any(map(pages.is_sitemap, files)):
        return "html"
    for file in files:
        if file.suffix.lower() == ".json":
            data = _json(file)
            return "zendesk" if isinstance(data, dict) and "articles" in data else "discourse"
    raise UserError(f"{path} has no articles", f"put Markdown ({', '.join(ENDINGS)}), HTML or a JSON export there")


def _article(id: str, title: str, body: str, path: Path, url: str, source: Source = "article") -> Article:
    lang: Language = "ja" if is_japanese(f"{title}\n{body}") else "en"
    return Article(
        id=id, title=title.strip(), body=body, lang=lang, url=url, source=source, template=False, path=str(path)
    )


def _pages(found: Iterable[Page], url: str) -> Iterator[Article]:
    for one in found:
        page = pages.read(one.file)
        id = one.inside.with_suffix("").as_posix() if one.inside.suffix.lower() in pages.ENDINGS else str(one.inside)
        id = id.removesuffix("/index") if id != "index" else id
        canonical = _CANONICAL.search(page)
        address = article_address(url, one.address or (canonical[1] if canonical else quote(one.inside.as_posix())))
        title, body = extract_page(page, address) if page.strip() else ("", "")
        if body.strip():
            yield replace(_article(id, title or id, body, one.file, address), updated=one.updated)


def _zendesk(path: Path, url: str) -> Iterator[Article]:
    """`GET /api/v2/help_center/{locale}/articles.json`: one page of it, or a folder of pages."""
    for file, data in _exports(path):
        rows = data.get("articles") if isinstance(data, dict) else None
        if not isinstance(rows, list):
            raise UserError(f"{file}: no list `articles`", "export it from /api/v2/help_center/articles.json")
        for number, row in enumerate(rows):
            if not isinstance(row, dict) or "id" not in row:
                raise UserError(f"{file}: article {number + 1} has no id", "export it anew")
            if row.get("draft") or not row.get("body"):
                continue
            address = article_address(url, str(row.get("html_url") or row["id"]))
            title = str(row.get("title") or row.get("name") or row["id"])
            locale = str(row.get("locale") or "")
            made = _article(
                f"{locale}/{row['id']}" if locale else str(row["id"]), title, to_markdown(row["body"]), file, address
            )
            known: Language = "ja" if locale.startswith("ja") else "en"
            updated = str(row.get("edited_at") or row.get("updated_at") or "")[:10]
            yield replace(made, lang=known if locale else made.lang, updated=_date(updated))


def _discourse(path: Path, url: str) -> Iterator[Article]:
    """Topics as `GET /t/{id}.json` gives them: one, a list of them, or a folder. Only solved ones count: the first post is
    the question, the accepted answer is the text."""
    for file, data in _exports(path):
        topics = data if isinstance(data, list) else data.get("topics", [data])
        for topic in topics:
            if not isinstance(topic, dict) or "id" not in topic:
                raise UserError(f"{file}: not topics of Discourse", "export each from /t/ID.json")
            made = _topic(topic, file, url)
            if made is not None:
                yield made


def _topic(topic: dict[str, Any], file: Path, url: str) -> Article | None:
    posts = [post for post in (topic.get("post_stream") or {}).get("posts", []) if isinstance(post, dict)]
    named = topic.get("accepted_answer") or {}
    number = named.get("post_number") if isinstance(named, dict) else None
    answer = next((p for p in posts if p.get("accepted_answer") or (number and p.get("post_number") == number)), None)
    if answer is None or not answer.get("cooked"):
        return None
    title = str(topic.get("title") or topic["id"])
    address = article_address(url, f"t/{topic.get('slug') or '-'}/{topic['id']}/{answer.get('post_number', 1)}")
    made = _article(f"community/{topic['id']}", title, to_markdown(answer["cooked"]), file, address, "community")
    first = to_markdown(str(posts[0].get("cooked") or "")) if posts and posts[0] is not answer else ""
    asked = " ".join(first.split())[:500]
    return replace(made, questions=(asked,) if asked else (), updated=_date(str(answer.get("updated_at") or "")[:10]))


def _exports(path: Path) -> Iterator[tuple[Path, Any]]:
    for file in [path] if path.is_file() else sorted(path.rglob("*.json")):
        yield file, _json(file)


def _json(file: Path) -> Any:
    try:
        data = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {error.lineno}: not JSON ({error.msg})", "export it anew") from None
    if not isinstance(data, dict | list):
        raise UserError(f"{file}: not an export", "export it anew")
    return data


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
