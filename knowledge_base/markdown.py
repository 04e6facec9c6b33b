"""Markdown as help centres write it: plain, or with MDX components, HTML, admonitions and heading ids.

`tidy` turns an author's source into clean Markdown, `blocks` into its top-level blocks, `resolve` makes links absolute,
`plain` gives the words and `to_html` safe HTML.
"""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal
from urllib.parse import urljoin, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from knowledge_base.emphasis import east_asian_emphasis
from knowledge_base.templates import shield

Resolve = Callable[[str], str | None]
"""Makes a link absolute; None drops the link and keeps its text."""
Kind = Literal["heading", "paragraph", "list", "table", "code", "quote", "rule"]

_ATTRIBUTES = r"(?:\s+(?:\"[^\"]*\"|'[^']*'|\{(?:[^{}]|\{[^{}]*\})*\}|[^>\"'{}])*)?"
_HTML_NAMES = [
    "a",
    "abbr",
    "article",
    "aside",
    "audio",
    "b",
    "blockquote",
    "br",
    "button",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "font",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "li",
    "main",
    "mark",
    "nav",
    "ol",
    "p",
    "picture",
    "pre",
    "q",
    "s",
    "samp",
    "section",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
]
_IMPORT = re.compile(
    r"^(?:import\s+(?:[\w*{][^;\n'\"]*?(?:\n[^;\n'\"]*?)*\sfrom\s+)?['\"][^'\"\n]+['\"];?|export\s+(?:const|let|function|default)\b.*(?:\n(?!\s*\n).+)*)[ \t]*$",
    re.MULTILINE,
)
_COMMENT = re.compile(r"<!--.*?-->|\{/\*.*?\*/\}", re.DOTALL)
_SILENT = re.compile(
    r"<(head|script|style|iframe|svg|video|audio|noscript)\b.*?(?:</\1\s*>|/>)", re.DOTALL | re.IGNORECASE
)
_COMPONENT = re.compile(
    rf"<(?P<name>[A-Z][A-Za-z]*[a-z][\w.]*)(?P<rest>{_ATTRIBUTES})/>|</?[A-Z][A-Za-z]*[a-z][\w.]*{_ATTRIBUTES}>",
    re.DOTALL,
)
_CALL = re.compile(r"\{[A-Za-z_][\w.]*\([^{}]*\)\}|\{[A-Z][A-Z0-9_]+\}")
_INDENTED = re.compile(
    rf"^([ \t]*)<(?P<name>[A-Z][A-Za-z]*[a-z][\w.]*|div|details|section|article|center|figure){_ATTRIBUTES}(?<!/)>[ \t]*\n"
    r"(?P<inner>(?:(?!^[ \t]*<(?P=name)\b)[\s\S])*?)^[ \t]*</(?P=name)>",
    re.MULTILINE,
)
_TABLE = re.compile(r"<table\b[^>]*>(.*?)</table\s*>", re.DOTALL | re.IGNORECASE)
_ROW = re.compile(r"<tr\b[^>]*>(.*?)</tr\s*>", re.DOTALL | re.IGNORECASE)
_CELL = re.compile(r"<t([hd])\b[^>]*>(.*?)</t[hd]\s*>", re.DOTALL | re.IGNORECASE)
_IMAGE = re.compile(rf"<img\b({_ATTRIBUTES})/?>", re.DOTALL | re.IGNORECASE)
_LINK = re.compile(rf"<a\b({_ATTRIBUTES})>(.*?)</a\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(
    rf"<(/?)({'|'.join(sorted(_HTML_NAMES, key=len, reverse=True))}){_ATTRIBUTES}/?>", re.DOTALL | re.IGNORECASE
)
_ADMONITION = re.compile(r"^([ \t]*):{3,}[ \t]*([A-Za-z]+)(?:\[(.*?)\])?[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_ADMONITION_END = re.compile(r"^[ \t]*:{3,}[ \t]*$", re.MULTILINE)
_ALERT = re.compile(r"^((?:[ \t]*>)+[ \t]*)\[!([A-Za-z]+)\][ \t]*(.*)$", re.MULTILINE)
_SHORTCODE = re.compile(r"\{\{[<%].*?[%>]\}\}", re.DOTALL)
_HEADING_ID = re.compile(r"[ \t]*\{#([\w.:-]+)\}[ \t]*$")
_INLINE_LINK = re.compile(
    r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(\s*(<[^>]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)(\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)"
)
_REFERENCE_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\[([^\[\]]*)\]")
_DEFINITION = re.compile(r"^ {0,3}\[([^\]]+)\]:[ \t]*(<[^>]*>|\S+).*$", re.MULTILINE)
_SAFE_SCHEMES = {"http", "https", "mailto", "tel"}
_MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`", "kbd": "`", "samp": "`", "del": "~~", "s": "~~"}


@dataclass(frozen=True, slots=True)
class Block:
    """One top-level block: its Markdown, its words, and for a heading its level and anchor."""

    kind: Kind
    source: str
    text: str
    level: int = 0
    anchor: str = ""


@cache
def parser() -> MarkdownIt:
    """CommonMark with tables and strike-through; raw HTML is text."""
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).use(east_asian_emphasis)


def tidy(source: str) -> str:
    """Clean Markdown: imports, components, comments and HTML tags gone, images and links kept, code untouched."""
    text, restore = shield(source.replace("\r\n", "\n"))
    if _IMPORT.search(text):
        text = _CALL.sub("", _IMPORT.sub("", text))
    text = _SHORTCODE.sub("", _SILENT.sub("", _COMMENT.sub("", text)))
    text = _IMAGE.sub(_image, text)
    text = _LINK.sub(lambda match: f"[{match[2].strip()}]({_attribute(match[1], 'href')})", text)
    text = _TABLE.sub(_table, _dedented(text))
    text = _TAG.sub(_markdown_for_tag, _COMPONENT.sub("", text))
    text = _ADMONITION.sub(_admonition, text)
    text = _ADMONITION_END.sub("", text)
    text = _ALERT.sub(lambda match: f"{match[1]}**{(match[3] or match[2].capitalize())}**\n{match[1]}", text)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", restore(text)).strip("\n")


def blocks(source: str) -> list[Block]:
    """The top-level blocks of tidy Markdown, in order; link definitions are left out."""
    lines = source.split("\n")
    made: list[Block] = []
    tokens = parser().parse(source)
    for index, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        first, last = token.map
        text = "\n".join(lines[first:last]).strip("\n")
        inner = tokens[index : _closing(tokens, index) + 1]
        made.append(_block(token, text, inner))
    return made


def plain(source: str) -> str:
    """The words of Markdown, one block a line."""
    return _words(parser().parse(source))


def resolve(source: str, make: Resolve, references: dict[str, str] | None = None) -> str:
    """Markdown with every link and image absolute, and reference links written out.

    Args:
        source: tidy Markdown.
        make: gives the absolute address.
        references: link definitions of the whole article, by lower-case label.
    """
    text, restore = shield(source)

    def reference(match: re.Match[str]) -> str:
        target = (references or {}).get((match[3] or match[2]).lower())
        return match[0] if target is None else f"{match[1]}[{match[2]}]({target})"

    def inline(match: re.Match[str]) -> str:
        label = _INLINE_LINK.sub(inline, match[2])
        target = make(html.unescape(match[3].strip("<>")))
        if target is None:
            return "" if match[1] else label
        return f"{match[1]}[{label}]({target.replace(' ', '%20')}{match[4] or ''})"

    return restore(_INLINE_LINK.sub(inline, _REFERENCE_LINK.sub(reference, text)))


def definitions(source: str) -> dict[str, str]:
    """The link definitions of an article, by lower-case label."""
    return {match[1].lower(): match[2].strip("<>") for match in _DEFINITION.finditer(shield(source)[0])}


def absolute(base: str, link: str) -> str | None:
    """A link as seen from an address; None where its scheme is not one to follow."""
    try:
        scheme = urlsplit(link).scheme.lower()
        made = urljoin(base, link)
    except ValueError:
        return None
    return made if not scheme or scheme in _SAFE_SCHEMES else None


def escape(text: str) -> str:
    """Plain text as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", text)


def slug(heading: str) -> str:
    """The anchor that static site generators give a heading."""
    kept = "".join(c for c in unicodedata.normalize("NFKC", heading).lower() if c.isalnum() or c in " -_")
    return re.sub(r"\s+", "-", kept.strip())


def to_html(source: str) -> str:
    """Safe HTML of tidy, resolved Markdown: raw HTML is shown as text, unsafe links are not links."""
    tokens = parser().parse(source)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            inline = tokens[index + 1]
            token.attrSet("id", _strip_heading_id(inline))
        for child in token.children or []:
            if child.type == "link_open":
                child.attrSet("rel", "noopener noreferrer")
                child.attrSet("target", "_blank")
            if child.type == "image":
                child.attrSet("loading", "lazy")
    rendered: str = parser().renderer.render(tokens, parser().options, {})
    return rendered


def _strip_heading_id(inline: Token) -> str:
    found = _HEADING_ID.search(inline.content)
    if found and inline.children:
        last = inline.children[-1]
        last.content = _HEADING_ID.sub("", last.content)
    return found[1] if found else slug(_words([inline]))


def _block(token: Token, source: str, inner: list[Token]) -> Block:
    kinds: dict[str, Kind] = {
        "heading_open": "heading", "bullet_list_open": "list", "ordered_list_open": "list", "table_open": "table",
        "fence": "code", "code_block": "code", "blockquote_open": "quote", "hr": "rule",
    }  # fmt: skip
    kind = kinds.get(token.type, "paragraph")
    text = _words(inner)
    if kind != "heading":
        return Block(kind, source, text)
    found = _HEADING_ID.search(text)
    text = _HEADING_ID.sub("", text).strip()
    return Block(kind, source, text, level=int(token.tag[1:]), anchor=found[1] if found else slug(text))


def _closing(tokens: list[Token], index: int) -> int:
    if tokens[index].nesting == 0:
        return index
    return next(i for i in range(index + 1, len(tokens)) if tokens[i].level == 0 and tokens[i].nesting < 0)


def _words(tokens: list[Token]) -> str:
    return re.sub(r"[ \t]+", " ", "".join(_pieces(tokens))).replace(" \n", "\n").strip()


def _pieces(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("text", "code_inline"):
            yield token.content
        elif token.type in ("fence", "code_block"):
            yield token.content + "\n"
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type == "image":
            continue  # an alt text is not what the passage says
        elif token.type == "inline":
            yield from _pieces(token.children or [])
        elif token.type in ("td_close", "th_close"):
            yield " "
        elif token.type in ("paragraph_close", "heading_close", "tr_close"):
            yield "\n"


def _attribute(attributes: str, name: str) -> str:
    found = re.search(
        rf"\b{name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|\{{\s*(?:\w+\(\s*)?['\"]([^'\"]*)['\"]\s*\)?\s*\}})", attributes
    )
    return next((group for group in found.groups() if group is not None), "") if found else ""


def _image(match: re.Match[str]) -> str:
    source = _attribute(match[1], "src")
    alt = re.sub(r"[\[\]\n]", " ", html.unescape(_attribute(match[1], "alt")))
    return f"![{alt}]({'<' + source + '>' if ' ' in source else source})" if source else ""


def _dedented(text: str) -> str:
    """Without the indentation that components and containers give to what they hold: once their tags are gone it would
    make code of it."""
    while (moved := _INDENTED.sub(lambda match: textwrap.dedent(match["inner"]), text)) != text:
        text = moved
    return text


def _table(match: re.Match[str]) -> str:
    """An HTML table as one of Markdown; its first row is the head, as Markdown must have one."""
    rows = [[_cell(cell[2]) for cell in _CELL.finditer(row[1])] for row in _ROW.finditer(match[1])]
    rows = [row for row in rows if row]
    if not rows:
        return match[0]
    width = max(map(len, rows))
    lines = [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in rows]
    return "\n\n" + "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]]) + "\n\n"


def _cell(source: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(source.split()))


def _markdown_for_tag(match: re.Match[str]) -> str:
    closing, name = bool(match[1]), match[2].lower()
    if name in _MARKS:
        return _MARKS[name]
    if name == "summary":
        return "**\n\n" if closing else "\n\n**"
    if name == "br":
        return " "
    if name in ("h1", "h2", "h3", "h4", "h5", "h6"):
        return "\n\n" if closing else f"\n\n{'#' * int(name[1])} "
    if name == "li":
        return "" if closing else "\n* "
    return "\n" if name in ("p", "ul", "ol", "tr", "details", "blockquote", "hr") else ""


def _admonition(match: re.Match[str]) -> str:
    title = match[3] or match[4] or match[2].capitalize()
    return f"{match[1]}**{title.strip()}**\n"
