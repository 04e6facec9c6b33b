"""A good reply as the draft of an article: Markdown with front matter in the help folder's `drafts/`, until a writer moves it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import yaml

from kit.company import Company
from kit.errors import UserError
from knowledge_base.loading import DRAFTS

MAX_TITLE = 80
_NAMELESS = "…"
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*|\n+")
_GREETING = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|day)|thanks|thank you|please|こんにちは|お世話|すみません|恐れ入り)",
    re.IGNORECASE,
)


def write(company: Company, lang: str, question: str, answer: str, now: datetime, hide: Collection[str] = ()) -> Path:
    """Writes the draft. It is indexed once it is moved out of `drafts/`, to `en/` or `ja/`.

    Args:
        question: as the customer asked it; also how the article is found, until the writer says more.
        answer: the reply, in Markdown.
        hide: names that do not belong into an article: of the account, the person, the CSM.
    Returns:
        the file.
    Raises:
        UserError: it cannot be written there.
    """
    asked, said = _nameless(" ".join(question.split()), hide), _nameless(answer.strip(), hide)
    title = _title(asked)
    folder = company.content_dir / DRAFTS / lang
    path = _free(folder, _slug(title) or f"reply-{now:%Y%m%d-%H%M%S}")
    head = {"title": title, "questions": [asked], "lang": lang, "updated": now.date()}
    top = yaml.safe_dump(head, allow_unicode=True, sort_keys=False, width=1000)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(f"---\n{top}---\n\n{_quoted(said)}\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror})", "let Kotae write into the help folder"
        ) from None
    return path


def article_id(company: Company, path: Path) -> str:
    """The id the article has once it is moved out of `drafts/`."""
    return path.relative_to(company.content_dir / DRAFTS).with_suffix("").as_posix()


def _nameless(text: str, hide: Collection[str]) -> str:
    for name in sorted(filter(None, hide), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)" if name.isascii() else re.escape(name), _NAMELESS, text)
    return text


def _quoted(text: str) -> str:
    """Words of a template's language as words: a customer's `{{ }}` is no value."""
    return text.replace("{{", "{{ '{{' }}").replace("{%", "{{ '{%' }}") if "{{" in text or "{%" in text else text


def _title(question: str) -> str:
    """The first sentence that says something, cut at a word."""
    sentences = [each for each in _SENTENCE.split(question) if each]
    title = next((each for each in sentences if len(each) > 3 and not _GREETING.match(each)), question)
    if len(title) <= MAX_TITLE:
        return title
    cut = title[:MAX_TITLE]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut) + "…"


def _slug(title: str) -> str:
    ascii_ = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", ascii_))[:60].strip("-") if title.isascii() else ""


def _free(folder: Path, name: str) -> Path:
    """A name that no draft and no article beside it has."""
    published = folder.parents[1] / folder.name
    number, tried = 1, name
    while (folder / f"{tried}.md").exists() or (published / f"{tried}.md").exists():
        number += 1
        tried = f"{name}-{number}"
    return folder / f"{tried}.md"
