"""Articles to passages: cut along the document's structure, never through a table, a list or a code block."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from posixpath import dirname, join, normpath
from urllib.parse import unquote

from knowledge_base import markdown, templates
from knowledge_base.articles import Article, Passage
from knowledge_base.text import length

MAX_LENGTH = 160
"""Words above which a section is cut between its blocks: about what a reader takes in at once in a chat."""
MIN_LENGTH = 40
"""Words below which a piece joins its neighbour rather than standing alone."""
DEEPEST_HEADING = 4
"""Headings below this level do not begin a passage."""
MOST_STEPS = 12
"""Headings below a section above which they are no longer what its last sentence leads in to."""
_LEAD_IN = re.compile(r"[:：]\s*\**\s*$|\A\*\*[^*\n]+\*\*\s*\Z")
_PARAGRAPH = re.compile(r"\n[ \t\u3000]*\n+")


@dataclass
class _Section:
    headings: tuple[str, ...]
    anchor: str
    blocks: list[markdown.Block] = field(default_factory=list)


def cut(article: Article, links: Mapping[str, str], base: str) -> list[Passage]:
    """The passages of an article, in order.

    Args:
        article: checked, where it is a template.
        links: address of each article by its id, for links between files.
        base: where the help centre is published, for links from its root.
    """
    if article.markup == "text":
        return _number(article, [_Section((), "", _paragraphs(article.body))], template=False)
    template = templates.is_template(article)
    source = markdown.tidy(article.body)
    resolved = markdown.resolve(
        source, lambda link: link_target(article, link, links, base), markdown.definitions(source)
    )
    sections = _sections(resolved, template)
    if not template:
        _name_steps(sections, article.url)
    return _number(article, sections, template=template)


def link_target(article: Article, link: str, links: Mapping[str, str], base: str) -> str | None:
    """Where a link of an article leads: to another article's address, or as its own address resolves it."""
    path, mark, fragment = link.partition("#")
    inside = normpath(join(dirname(article.id), unquote(path)) if path[:1] != "/" else path.strip("/") or ".")
    known = links.get(re.sub(r"\.mdx?$", "", inside))
    if path and known is not None:
        return known + mark + fragment
    if not path:
        return article.url + mark + fragment
    if path.startswith(("img/", "static/", "assets/")) and base:
        # Site generators publish these from the root of the site, whichever folder the article is in.
        return base.rstrip("/") + "/" + link
    return markdown.absolute(article.url, re.sub(r"\.mdx?$", "", path) + mark + fragment)


def _paragraphs(body: str) -> list[markdown.Block]:
    pieces = [piece for paragraph in _PARAGRAPH.split(body) for piece in _split_long(paragraph.strip())]
    return [markdown.Block("paragraph", piece, " ".join(piece.split())) for piece in pieces if piece.strip()]


def _split_long(text: str) -> list[str]:
    """Plain text has no structure to respect: a paragraph that is too long is cut between lines."""
    if length(text) <= MAX_LENGTH:
        return [text]
    pieces: list[str] = [""]
    for line in text.split("\n"):
        if pieces[-1] and length(pieces[-1]) + length(line) > MAX_LENGTH:
            pieces.append("")
        pieces[-1] += line + "\n"
    return [piece.strip("\n") for piece in pieces]


def _sections(source: str, template: bool) -> list[_Section]:
    path: list[tuple[int, str]] = []
    sections = [_Section((), "")]
    opened = 0
    for block in markdown.blocks(source):
        heads = block.kind == "heading" and block.level <= DEEPEST_HEADING and opened == 0
        if heads:
            path = [*(entry for entry in path if entry[0] < block.level), (block.level, block.text)]
            sections.append(_Section(tuple(text for _, text in path), block.anchor))
        else:
            sections[-1].blocks.append(block)
        if template:
            opened = max(0, opened + templates.opens(block.source))
    return sections


def _name_steps(sections: list[_Section], url: str) -> None:
    """Adds to a section that ends in "here is how:" the headings that follow below it, as a list of links: without them its
    quote would promise something and stop."""
    for number, section in enumerate(sections):
        if not section.blocks or not section.blocks[-1].text.rstrip().endswith((":", "：")):
            continue
        steps = _steps(section.headings, sections[number + 1 :])
        if 0 < len(steps) <= MOST_STEPS:
            names = [step.headings[-1] for step in steps]
            links = [f"* [{markdown.escape(step.headings[-1])}]({url}#{step.anchor})" for step in steps]
            section.blocks.append(markdown.Block("list", "\n".join(links), "\n".join(names)))


def _steps(headings: tuple[str, ...], later: Sequence[_Section]) -> list[_Section]:
    """The sections directly below a heading."""
    depth = len(headings)
    below = takewhile(lambda one: one.headings[:depth] == headings, later)
    return [one for one in below if len(one.headings) == depth + 1]


def _number(article: Article, sections: list[_Section], *, template: bool) -> list[Passage]:
    passages: list[Passage] = []
    for section in sections:
        for group in _groups(section.blocks, template):
            quote = "\n\n".join(block.source for block in group if block.kind != "rule").strip("\n")
            shown = templates.render(quote, None, article.lang) if template else quote
            text = " ".join(block.text for block in group) if article.markup == "text" else markdown.plain(shown)
            if any(character.isalnum() for character in text):
                number = len(passages)
                passages.append(
                    Passage(
                        f"{article.id}#{number}", article.id, section.headings, section.anchor, quote, text, template
                    )
                )
    return passages


def _groups(found: list[markdown.Block], template: bool) -> list[list[markdown.Block]]:
    """Blocks that are shown together. A sentence that leads in to a list stays with it, as does an open template `if`."""
    groups: list[list[markdown.Block]] = [[]]
    size, opened = 0.0, 0
    for index, block in enumerate(found):
        own = length(block.text)
        leads = index > 0 and bool(_LEAD_IN.search(found[index - 1].source))
        if size and opened == 0 and not leads and size + own > MAX_LENGTH and size >= MIN_LENGTH:
            groups.append([])
            size = 0.0
        groups[-1].append(block)
        size += own
        if template:
            opened = max(0, opened + templates.opens(block.source))
    if len(groups) > 1 and size < MIN_LENGTH:
        tail = groups.pop()
        groups[-1].extend(tail)
    return [group for group in groups if group]
