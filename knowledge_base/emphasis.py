"""Emphasis in languages that are written without spaces.

CommonMark takes `**＋**を` for four literal asterisks: marks between a sign and a letter neither open nor close. That rule
looks for the edge of a word, which Chinese and Japanese do not mark. Here an East Asian character beside the marks counts as
an edge, as in https://github.com/tats-u/markdown-cjk-friendly (its specification, "CJK-friendly emphasis").
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter

_EAST_ASIAN = re.compile(
    r"[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]"
)


def east_asian_emphasis(parser: MarkdownIt) -> None:
    """A plug-in for markdown-it: `parser.use(east_asian_emphasis)`."""
    parser.inline.ruler.at("emphasis", _emphasis)


def _emphasis(state: StateInline, silent: bool) -> bool:
    mark = state.src[state.pos]
    if silent or mark not in "_*":
        return False
    end = state.pos
    while end < state.posMax and state.src[end] == mark:
        end += 1
    opens, closes = _flanks(
        state.src[state.pos - 1] if state.pos else " ", state.src[end] if end < state.posMax else " ", mark
    )
    length = end - state.pos
    for _ in range(length):
        state.push("text", "", 0).content = mark
        state.delimiters.append(Delimiter(ord(mark), length, len(state.tokens) - 1, -1, opens, closes))
    state.pos = end
    return True


def _flanks(before: str, after: str, mark: str) -> tuple[bool, bool]:
    """Whether marks between these two characters may open, and may close."""
    left = not _space(after) and (not _sign(after) or _space(before) or _sign(before) or _east_asian(before))
    right = not _space(before) and (not _sign(before) or _space(after) or _sign(after) or _east_asian(after))
    if mark == "*":
        return left, right
    return left and (not right or _sign(before)), right and (not left or _sign(after))


def _space(character: str) -> bool:
    return isWhiteSpace(ord(character))


def _sign(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


def _east_asian(character: str) -> bool:
    return bool(_EAST_ASIAN.match(character))
