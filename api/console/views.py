"""What the console shows of conversations and messages. Pure: rows of the rooms go in, plain values come out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from api.console.rendering import money, plain
from api.console.texts import TEXTS
from conversations.models import Conversation, MessageRow
from escalations.inbox import Found
from escalations.models import Escalation
from kit.company import Language, in_language

_PREVIEW = 140
_BEFORE = 40
"""Characters shown before the first word that was looked for."""


@dataclass(frozen=True)
class Row:
    """One line of a list of conversations.

    Attributes:
        reason: why a person should look, in words.
        due: when an answer is due; None where none is owed by a person.
        resting: a person has answered, and the customer has the next word.
        value: of the account, as money.
        speaker, words: who spoke last, and the words; or where what was looked for was said.
        holder: name of the CSM who has it.
        escalation_id: what to claim, where it can be claimed.
        unread: the customer said something that no CSM has read.
    """

    conversation_id: str
    name: str
    reason: str
    mode: str
    priority: int
    lang: str
    since: datetime
    due: datetime | None
    resting: bool
    value: str
    speaker: str
    words: Markup
    holder: str | None
    state: str
    escalation_id: str | None
    unread: bool


def row(found: Found, names: Mapping[str, str], lang: str, looked_for: str = "") -> Row:
    """A line of a list.

    Args:
        names: of CSMs and accounts, by id.
        lang: of the reader.
        looked_for: words to mark.
    """
    conversation, escalation, said = found.conversation, found.escalation, found.said
    held = escalation is not None and escalation.state == "claimed"
    return Row(
        conversation_id=conversation.id,
        name=names.get(conversation.account_id or "") or name(conversation, escalation, lang),
        reason=reason(escalation, lang),
        mode=escalation.mode if escalation else "",
        priority=escalation.priority if escalation else 4,
        lang=conversation.lang,
        since=escalation.created_at if escalation else conversation.last_at,
        due=due(escalation),
        resting=held and due(escalation) is None,
        value=money(escalation.value_at_risk, escalation.currency) if escalation else "",
        speaker=who(said, lang) if said else "",
        words=marked(words(said.body), looked_for) if said else Markup(),
        holder=names.get(conversation.csm_id or ""),
        state=escalation.state if escalation else "bot",
        escalation_id=escalation.id if escalation and escalation.state == "queued" else None,
        unread=held and said is not None and said.sender == "customer" and said.seq > conversation.csm_read_seq,
    )


def due(escalation: Escalation | None) -> datetime | None:
    """When a person's answer is due; None while nobody waits for one."""
    if escalation is None or escalation.mode != "takeover":
        return None
    if escalation.state == "queued" or (escalation.state == "claimed" and escalation.answered_at is None):
        return escalation.due_at
    return escalation.next_due_at if escalation.state == "claimed" else None


def reason(escalation: Escalation | None, lang: str) -> str:
    """Why a person should look, in words."""
    if escalation is None:
        return ""
    texts: dict[Language, str] = {**escalation.reason}  # type: ignore[dict-item]  # as the policy wrote them
    return in_language(texts, "ja" if lang == "ja" else "en")


def name(conversation: Conversation, escalation: Escalation | None, lang: str) -> str:
    """Whose conversation it is: the account, else the address a visitor left, else a short number."""
    if escalation is not None and escalation.account_name:
        return escalation.account_name
    return conversation.account_id or conversation.email or TEXTS.say("visitor", lang, number=conversation.id[-4:])


def who(message: MessageRow, lang: str) -> str:
    """The name a message is shown under."""
    if message.sender == "csm" and message.name:
        return message.name
    return TEXTS.say(f"sender_{message.sender}", lang)


def words(body: Mapping[str, Any]) -> str:
    """What a body says, without its form."""
    return plain(str(body.get("quote") or body.get("text") or ""))


def marked(text: str, looked_for: str) -> Markup:
    """The part of a text around the words that were looked for, with the words marked; else its beginning."""
    terms = [re.escape(term) for term in re.findall(r"\w+", looked_for)]
    pattern = re.compile("|".join(sorted(terms, key=len, reverse=True)) or r"(?!)", re.IGNORECASE)
    first = pattern.search(text)
    start = text.rfind(" ", 0, first.start() - _BEFORE) + 1 if first and first.start() > _BEFORE else 0
    shown = text[start : start + _PREVIEW]
    parts, last = [Markup("…") if start else Markup()], 0
    for match in pattern.finditer(shown):
        parts += [escape(shown[last : match.start()]), Markup("<mark>{}</mark>").format(match[0])]
        last = match.end()
    parts += [escape(shown[last:]), Markup("…") if start + _PREVIEW < len(text) else Markup()]
    return Markup().join(parts)


def initials(full_name: str) -> str:
    """Two letters for a badge."""
    parts = full_name.split()
    return ("".join(part[0] for part in (parts[:1] + parts[1:][-1:])) or "?").upper()


def audited(detail: Mapping[str, object], lang: str) -> list[tuple[str, str]]:
    """What a line of the audit log was about, each with what it is called; what needs no name has none."""
    known = TEXTS.keys()
    said = []
    for key, value in sorted(detail.items(), key=lambda one: one[0] != "what"):
        name, word = f"audited_{key}", f"audited_{key}_{value}"
        if key != "email" and value not in (None, ""):
            text = TEXTS.say(word, lang) if word in known else str(value)
            said.append((TEXTS.say(name, lang) if name in known else "" if key == "what" else key, text))
    return said
