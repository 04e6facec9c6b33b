"""HTML of what is only read: Jinja2 templates that escape everything, and Markdown by an allow-list."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from api.console import paths
from api.console.texts import TEXTS
from kit.company import in_language
from knowledge_base.emphasis import east_asian_emphasis

_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False, "breaks": True})
    .enable(["table", "strikethrough"])
    .disable(["image"])
    .use(east_asian_emphasis)
)
"""Raw HTML stays text, pictures stay away (they would tell another server who reads), and links only go to safe schemes."""
_MARKS = re.compile(r"[*_`#>|]+|\[(?P<label>[^\]]*)\]\([^)]*\)")
_SAFE = ("http://", "https://", "mailto:", "tel:")
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def markdown(text: str) -> Markup:
    """Markdown as safe HTML. Links open in a new tab."""
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                href = str(child.attrs.get("href", ""))
                child.attrs = {"href": href if href.startswith(_SAFE) else "#", "target": "_blank", "rel": "noopener"}
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704  # escaped by the renderer


def plain(text: str) -> str:
    """Markdown's words without its marks, in one line."""
    return " ".join(_MARKS.sub(lambda match: match["label"] or "", text).split())


def safe_url(url: str) -> str:
    """The address if it is one to click on, else nowhere."""
    return url if url.startswith(_SAFE) else "#"


def money(amount: Decimal | None, currency: str | None) -> str:
    """A whole amount, `$12,400`; empty where it is not known."""
    if amount is None:
        return ""
    symbol = _SYMBOLS.get(currency or "", f"{currency} " if currency else "")
    return f"{symbol}{amount:,.0f}"


def signed(change: float | Decimal) -> str:
    """A whole change with its sign, a minus and not a hyphen."""
    return f"{round(change):+d}".replace("-", "−")


def iso(moment: datetime) -> str:
    """A moment for the browser, which shows it in its own time zone."""
    return moment.isoformat()


_JINJA = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_JINJA.filters.update(markdown=markdown, plain=plain, safe_url=safe_url, iso=iso)
_JINJA.globals.update(money=money, signed=signed, paths=paths, localised=in_language)


def render(template: str, lang: str, **values: Any) -> str:
    """A template with its values; in it, `say` gives texts in the reader's language.

    Args:
        template: name of a file in `templates/`.
        lang: `en` or `ja`.
    """

    def say(key: str, **named: object) -> str:
        return TEXTS.say(key, lang, **named)

    return _JINJA.get_template(template).render(lang=lang, say=say, **values)
