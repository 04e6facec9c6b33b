"""Values of the asking account in an article's text.

A body is a template when its front matter says `template: true`, or when it says nothing and some `{{ … }}` or `{% … %}`
outside code uses a name an account has (`account`, `plan`, `limits`, `usage`, `renewal`). In a template every tag outside
code must be right, which is checked when the index is built; in any other article braces are just braces, so that a help
centre about Jinja, Vue or Laravel needs no escaping. Code is never a template.

Only values, comparisons, `if` and a few filters are allowed: no loops, calls or assignments, so an article can neither hang
the service nor reach into it.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kit.errors import UserError
from kit.times import day_words
from knowledge_base.articles import Article
from knowledge_base.text import Language

Names = Mapping[str, Collection[str] | None]
"""For each root name the attributes it has; None: any."""

NAMES: Names = {"account": {"name"}, "plan": {"name"}, "limits": None, "usage": None, "renewal": {"date"}}
UNLIMITED: dict[Language, str] = {"en": "unlimited", "ja": "無制限"}
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_CODE = re.compile(
    r"^[ \t>]*(?P<fence>`{3,}|~{3,})[^\n]*\n[\s\S]*?(?:^[ \t>]*(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(?P<ticks>(?<!`)`+(?!`))[\s\S]+?(?<!`)(?P=ticks)(?!`)",
    re.MULTILINE,
)
_HELD = re.compile("\ue000(\\d+)\ue001\n*")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~])")
_FILTERS = ("round", "int", "default")
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test, nodes.Filter, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.Neg, nodes.CondExpr,
)  # fmt: skip


def shield(text: str) -> tuple[str, Callable[[str], str]]:
    """A Markdown text with its code taken out, and the function that puts it back.

    What is taken out leaves a mark with as many line breaks as it had, so that line numbers stay right.
    """
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(match[0])
        return f"\ue000{len(held) - 1}\ue001" + "\n" * match[0].count("\n")

    def restore(shielded: str) -> str:
        def back(match: re.Match[str]) -> str:
            code = held[int(match[1])]
            more = match[0].count("\n") - code.count("\n")
            return code + "\n" * max(more, 0)

        return _HELD.sub(back, shielded)

    return _CODE.sub(hold, text), restore


def is_template(article: Article) -> bool:
    """Whether the article's body is rendered; see the top of this module for the rule."""
    if article.markup != "markdown":
        return False
    if article.template is not None:
        return article.template
    return any(_names(tag) & set(NAMES) for tag in _tags(article.body))


def literal_tags(article: Article, tidy: str) -> list[str]:
    """Warnings about tags that are shown as they stand, in an article that does not say whether it is a template.

    Args:
        article: the article.
        tidy: its body without components, whose attributes may hold braces.
    """
    if article.template is not None or is_template(article):
        return []
    return [
        f"{article.path}: {tag} is shown as it stands, for it uses no value of an account"
        for tag in _tags(tidy)
        if _names(tag)
    ]


def check(article: Article, names: Names = NAMES) -> None:
    """Checks a template article.

    Args:
        article: whose body is a template.
        names: what it may use.
    Raises:
        UserError: a tag is wrong, a name unknown, or a visitor's text missing; names file and line.
    """
    body, _ = shield(article.body)
    environment = _environment(article.lang)
    try:
        tree = environment.parse(body)
    except TemplateSyntaxError as error:
        raise _wrong(article, error.lineno, error.message or "not a template") from None
    for node in tree.find_all(nodes.Node):
        _check_node(article, node, names)
    try:
        environment.from_string(body).render(_context(None))
    except TemplateError as error:
        line = next((n.lineno for n in tree.find_all(nodes.Getattr)), 1)
        raise _wrong(article, line, f"a visitor has no such value ({error})") from None


def render(text: str, values: Mapping[str, Any] | None, lang: Language) -> str:
    """A template with the values of one account.

    Args:
        text: Markdown that was checked with `check`.
        values: of the asker; None for a visitor.
        lang: for words and dates.
    Returns:
        Markdown. Where a value is missing, what a visitor reads.
    """
    body, restore = shield(text)
    template = _environment(lang).from_string(body)
    try:
        rendered = template.render(_context(values))
    except (TemplateError, TypeError, ArithmeticError):
        rendered = template.render(_context(None))
    return restore(rendered)


def opens(text: str) -> int:
    """How many `{% if %}` a text opens more than it closes."""
    tags = [tag for tag in _tags(text) if tag.startswith("{%")]
    words = [tag.strip("{%-+ }").split(maxsplit=1)[0] if tag.strip("{%-+ }") else "" for tag in tags]
    return words.count("if") - words.count("endif")


def _tags(text: str) -> list[str]:
    return _TAG.findall(shield(text)[0])


def _names(tag: str) -> set[str]:
    """Names a tag uses: a lone `{% if … %}` cannot be parsed, so its words are read."""
    return {match[1] for match in re.finditer(r"(?<![\w.'\"])([A-Za-z_]\w*)", tag.strip("{%-+ }"))} - {
        "if", "elif", "else", "endif", "and", "or", "not", "is", "in", "none", "true", "false", *_FILTERS,
    }  # fmt: skip


def _check_node(article: Article, node: nodes.Node, names: Names) -> None:
    if isinstance(node, nodes.Name) and node.name not in names:
        raise _wrong(article, node.lineno, f"unknown name {node.name!r} (there are {', '.join(names)})")
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        known = names.get(node.node.name)
        if known is not None and node.attr not in known:
            raise _wrong(
                article, node.lineno, f"{node.node.name!r} has no {node.attr!r} (it has {', '.join(sorted(known))})"
            )
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise _wrong(article, node.lineno, f"unknown filter {node.name!r} (there are {', '.join(_FILTERS)})")
    if not isinstance(node, _ALLOWED):
        raise _wrong(article, node.lineno, f"{type(node).__name__.lower()} is not allowed in an article")


def _wrong(article: Article, line: int, what: str) -> UserError:
    return UserError(
        f"{article.path}, line {article.line + line - 1}: {what}",
        "correct it, give visitors words with {% if account %}…{% else %}…{% endif %}, or say `template: false` on top",
    )


def _context(values: Mapping[str, Any] | None) -> dict[str, Any]:
    if values is None:
        return dict.fromkeys(NAMES)
    limits = {name: math.inf if value is None else value for name, value in (values.get("limits") or {}).items()}
    return {name: values.get(name) for name in NAMES} | {"limits": limits}


def _environment(lang: Language) -> ImmutableSandboxedEnvironment:
    def show(value: Any) -> Any:
        if value is None:
            raise UndefinedError("there is no value")
        return value if isinstance(value, Undefined) else _show(value, lang)

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=show, keep_trailing_newline=True
    )
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    return environment


def _show(value: object, lang: Language) -> str:
    if isinstance(value, float) and math.isinf(value):
        return UNLIMITED[lang]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # over HTTP a date is a string
            value = datetime.fromisoformat(value)
    if isinstance(value, date):
        return day_words(value, lang)
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))
