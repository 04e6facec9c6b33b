"""Long tables in a quote: the rows that have what was asked, and the way to all of them. Nobody reads forty rows in a chat."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from knowledge_base import markdown
from knowledge_base.lexical import tokens
from knowledge_base.text import Language

WHOLE = 12
"""Rows up to which a table is shown as it is: with its header it fills a chat window once."""
SHOWN = 8
"""Rows that are shown of a longer one, at most."""
NEAR = 0.6
"""Share of the best row's score from which another is shown beside it."""
ALL_ROWS: dict[Language, str] = {"en": "[All {count} rows]({url})", "ja": "[全{count}行を見る]({url})"}
_HEADER = 2
"""Lines of a table above its rows: names of columns, and the rule below."""


def shorten(quote: str, question: str, url: str, lang: Language) -> str:
    """A quote whose long tables are shown in part, always in whole rows and below their header.

    Args:
        quote: Markdown.
        question: whose words choose the rows; where no row has any, the first ones are shown.
        url: where the whole table is.
        lang: of the words that say so.
    """
    if "|" not in quote or quote.count("\n") < _HEADER + WHOLE:
        return quote  # no table of so many lines: reading the Markdown took a seventh of an answer
    blocks = markdown.blocks(quote)
    if not any(_long(block) for block in blocks):
        return quote
    return "\n\n".join(
        _part(block.source, question, ALL_ROWS[lang], url) if _long(block) else block.source for block in blocks
    )


def _long(block: markdown.Block) -> bool:
    return block.kind == "table" and len(block.source.strip().split("\n")) > _HEADER + WHOLE


def _part(table: str, question: str, words: str, url: str) -> str:
    lines = table.strip().split("\n")
    rows = lines[_HEADER:]
    shown = [rows[number] for number in _matching(rows, question)]
    return "\n".join([*lines[:_HEADER], *shown]) + "\n\n" + words.format(count=len(rows), url=url)


def _matching(rows: Sequence[str], question: str) -> list[int]:
    """The rows to show, in their order: those with the words of the question that are the rarest in this table."""
    having = [set(tokens(row)) for row in rows]
    count = Counter(term for terms in having for term in terms)
    asked = set(tokens(question))
    scores = [sum(math.log(1 + len(rows) / count[term]) for term in terms & asked) for terms in having]
    best = max(scores)
    if not best:
        return list(range(SHOWN))
    near = [number for number, score in enumerate(scores) if score >= NEAR * best]
    return sorted(sorted(near, key=lambda number: -scores[number])[:SHOWN])
