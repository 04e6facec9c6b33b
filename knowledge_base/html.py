"""HTML to the Markdown that articles are kept in."""

from __future__ import annotations

import re
from collections.abc import Callable

from lxml import etree
from lxml import html as parser

from kit.errors import UserError

_DROPPED = {"script", "style", "noscript", "iframe", "svg", "form", "button", "template", "object", "video", "audio"}
_BLOCKS = {"p", "div", "section", "article", "main", "header", "footer", "figure", "figcaption", "details", "summary"}
_MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*", "del": "~~", "s": "~~"}
_ID = re.compile(r"[\w.:-]+")
_PLAIN = re.compile(r"([\\`*_\[\]<>~])")


def to_markdown(fragment: str) -> str:
    """A fragment or a page of HTML as Markdown: headings, lists, tables, code, links and images. Scripts go, and text that
    looks like Markdown is escaped."""
    if not fragment.strip():
        return ""
    try:
        root = parser.fromstring(f"<div>{fragment}</div>")
    except (etree.ParserError, ValueError):
        return ""
    return re.sub(r"\n{3,}", "\n\n", _children(root)).strip()


def extract_page(page: str, url: str) -> tuple[str, str]:
    """Title and main text, as Markdown, of a whole page: without its menus, header and footer (trafilatura).

    Raises:
        UserError: the extractor is not installed.
    """
    try:
        import trafilatura
    except ImportError as error:
        raise UserError(
            f"HTML pages cannot be read ({error.name or error})", "install trafilatura and lxml_html_clean"
        ) from None
    root = parser.fromstring(page)
    title = next((_words(node) for path in ("//h1", "//title") for node in root.xpath(path) if _words(node)), "")
    if "://" in url:  # the extractor would take them as relative to the website's top
        root.make_links_absolute(url, resolve_base_href=True, handle_failures="ignore")
    for heading in root.iter("h1", "h2", "h3", "h4", "h5", "h6"):
        _keep_anchor(heading)
    text = trafilatura.extract(
        root, url=url or None, output_format="markdown", include_links=True, include_images=True,
        include_formatting=True, include_tables=True, include_comments=False, favor_recall=True,
    )  # fmt: skip
    return title, str(text or "").removeprefix(title).lstrip()


def _keep_anchor(heading: etree._Element) -> None:
    """Writes the fragment of a heading's address behind it, as Markdown has it."""
    anchor = _anchor(heading)
    if anchor:
        last = heading[-1] if len(heading) else None
        if last is None:
            heading.text = f"{heading.text or ''}{anchor}"
        else:
            last.tail = f"{last.tail or ''}{anchor}"


def _anchor(heading: etree._Element) -> str:
    """` {#fragment}`, by its own id, that of a link in it or of the section it begins; nothing where there is none."""
    parent = heading.getparent()
    above = parent if parent is not None and parent.tag == "section" and parent.find("*") is heading else None
    named = (heading.get("id"), *(a.get("id") or a.get("name") for a in heading.iter("a")))
    ids = (*named, above.get("id") if above is not None else None)
    found = next((id for id in ids if id and _ID.fullmatch(id)), None)
    return f" {{#{found}}}" if found else ""


def _children(node: etree._Element) -> str:
    made = _text(node.text)
    for child in node:
        made += _element(child) if isinstance(child.tag, str) else ""
        made += _text(child.tail)
    return made


def _element(node: etree._Element) -> str:
    tag = str(node.tag).lower()
    if tag in _DROPPED:
        return ""
    made = _SPECIAL[tag](node) if tag in _SPECIAL else None
    if made is not None:
        return made
    if tag in _MARKS:
        inner = _children(node)
        mark = _MARKS[tag]
        return f"{mark}{inner.strip()}{mark}" if inner.strip() else inner
    if re.fullmatch(r"h[1-6]", tag):
        return f"\n\n{'#' * int(tag[1])} {' '.join(_children(node).split())}{_anchor(node)}\n\n"
    return f"\n\n{_children(node)}\n\n" if tag in _BLOCKS else _children(node)


def _text(text: str | None) -> str:
    return _PLAIN.sub(r"\\\1", re.sub(r"\s+", " ", text)) if text else ""


def _words(node: etree._Element) -> str:
    return " ".join("".join(str(part) for part in node.itertext()).split())


def _link(node: etree._Element) -> str:
    target, label = (node.get("href") or "").strip(), _children(node).strip()
    return f"[{label}]({_address(target)})" if target and label else label


def _image(node: etree._Element) -> str:
    source = (node.get("src") or "").strip()
    return f"![{_text(node.get('alt'))}]({_address(source)})" if source and not source.startswith("data:") else ""


def _address(target: str) -> str:
    return target.replace(" ", "%20").replace("(", "%28").replace(")", "%29")


def _code(node: etree._Element) -> str:
    words = "".join(str(part) for part in node.itertext())
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", words)), default=0))
    return f"{ticks}{words}{ticks}" if words.strip() else ""


def _pre(node: etree._Element) -> str:
    code = "".join(str(part) for part in node.itertext()).strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return f"\n\n{fence}\n{code}\n{fence}\n\n"


def _list(node: etree._Element) -> str:
    lines: list[str] = []
    for number, item in enumerate((child for child in node if child.tag == "li"), start=1):
        mark = f"{number}. " if node.tag == "ol" else "- "
        body = re.sub(r"\n{3,}", "\n\n", _children(item)).strip()
        lines.append(mark + body.replace("\n", "\n" + " " * len(mark)))
    return "\n\n" + "\n".join(lines) + "\n\n"


def _table(node: etree._Element) -> str:
    rows = [
        [" ".join(_children(cell).split()).replace("|", "\\|") for cell in row if cell.tag in ("td", "th")]
        for row in node.iter("tr")
    ]
    rows = [row for row in rows if row]
    if not rows:
        return ""
    width = max(len(row) for row in rows)
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in rows]
    return "\n\n" + "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]]) + "\n\n"


def _quote(node: etree._Element) -> str:
    inner = re.sub(r"\n{3,}", "\n\n", _children(node)).strip()
    return "\n\n" + "\n".join(f"> {line}".rstrip() for line in inner.split("\n")) + "\n\n"


_SPECIAL: dict[str, Callable[[etree._Element], str]] = {
    "a": _link, "img": _image, "code": _code, "kbd": _code, "pre": _pre, "ul": _list, "ol": _list, "table": _table,
    "blockquote": _quote, "br": lambda _: "  \n", "hr": lambda _: "\n\n---\n\n",
}  # fmt: skip
