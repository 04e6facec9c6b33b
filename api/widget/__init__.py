"""The chat on a company's website: `widget.js`, one ES module, and `site/`, a sample company's site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise, product
from pathlib import Path
from string import ascii_letters

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

HERE = Path(__file__).parent
SCRIPT = HERE / "widget.js"
SITE = HERE / "site"
"""A small company site for the demo, to be served under `/demo/` in development."""


def served() -> bytes:
    """`widget.js` as it is served: without comments and spare white space, its own names short.

    The file in the repository runs as it is; this only keeps its documentation off the wire, two fifths of its size.

    Raises:
        ValueError: the file is not JavaScript.
    """
    script = re.sub(r"(const (?:STYLE|DARK) = `)(.*?)(?=`;)", _squeeze, SCRIPT.read_text("utf-8"), flags=re.DOTALL)
    script = _PROPERTY.sub(_shortened(script), script)
    root = Parser(Language(tree_sitter_javascript.language())).parse(script.encode()).root_node
    if root.has_error:
        raise ValueError(f"{SCRIPT} is not JavaScript")
    return _written(list(_tokens(root))).encode()


def _tokens(node: Node) -> Iterator[Node]:
    """What is left of a program without its comments, the parts of texts and templates one by one."""
    if not node.children:
        yield node
    for child in node.children:
        if child.type != "comment":
            yield from _tokens(child)


def _written(tokens: Sequence[Node]) -> str:
    """The program again, with no more between two tokens than keeps them apart. Every statement ends with a semicolon."""
    short, said, end = _short(tokens), "", 0
    for token, following in pairwise([*tokens, None]):
        assert token is not None
        if following is not None and token.type in _SPARE.get(following.type, ()):
            continue
        text = _text(token)
        text = {"identifier": short.get(text, text), "const": "let"}.get(token.type, text)
        apart = token.start_byte > end and _APART.search(said[-1:] + text[:1])
        said, end = said + " " * bool(apart) + text, token.end_byte
    return said


_SPARE = {"}": (";", ","), "]": (",",), ")": (",",)}
"""What means nothing before a closing bracket."""
_APART = re.compile(r"[\w$]{2}|[+-]{2}")


def _short(tokens: Sequence[Node]) -> dict[str, str]:
    """Short names for those that this file declares and nobody outside sees, the most frequent first.

    A name is the same everywhere or stays as it is, so no scopes need to be known: `{name}` is a property's name too.
    """
    names = Counter(_text(token) for token in tokens if token.type == "identifier")
    declared = {_text(token) for token in tokens if token.type == "identifier" and _declares(token)}
    fixed = {_text(token) for token in tokens if token.type.startswith("shorthand_property_identifier")}
    ours = [name for name, _ in names.most_common() if name in declared - fixed and len(name) > 1]
    letters = map("".join, chain(product(ascii_letters), product(ascii_letters, repeat=2)))
    return dict(zip(ours, (one for one in letters if one not in {*names, *fixed, "do", "if", "in"}), strict=False))


def _declares(name: Node) -> bool:
    place = name.parent
    if place is None or place.type in _LISTS:
        return place is not None
    above = [place.parent, place.parent and place.parent.parent]
    exported = any(one is not None and one.type == "export_statement" for one in above)
    return not exported and place.child_by_field_name(_DECLARES.get(place.type, "")) == name


_LISTS = ("formal_parameters", "array_pattern", "rest_pattern")
_DECLARES = {
    "variable_declarator": "name",
    "function_declaration": "name",
    "class_declaration": "name",
    "arrow_function": "parameter",
    "assignment_pattern": "left",
    "for_in_statement": "left",
    "catch_clause": "parameter",
}
"""Where the grammar keeps the name that a construct declares."""


def _text(token: Node) -> str:
    return (token.text or b"").decode()


_PROPERTY = re.compile(r"(?<![\w-])--(?!kotae-)([a-z-]+)")
"""A custom property of our own styles; those that begin with `kotae` are set by the page."""


def _shortened(script: str) -> Callable[[re.Match[str]], str]:
    names = list(dict.fromkeys(_PROPERTY.findall(script)))
    return lambda found: f"--{ascii_letters[names.index(found[1])]}"


def _squeeze(styles: re.Match[str]) -> str:
    """Styles without the white space that means nothing there. A space before a colon begins a selector and stays."""
    text = re.sub(r"\s*/\*.*?\*/\s*|\s+", " ", styles[2], flags=re.DOTALL)
    return styles[1] + re.sub(r" ?([{};,]) ?|(:) ", r"\1\2", text).replace(";}", "}").strip()
