"""What the policy hears in the words themselves, beside what the bot's models hear in them. Pure."""

from __future__ import annotations

import re

_MONEY = re.compile(
    r"\b(?:pay(?:ments?|ing)?|paid|card|charg(?:e[ds]?|ing)|bill(?:ed|ing)?|invoices?|direct debit|(?:bank|wire) transfer)\b"
    r"|支払|決済|カード|請求|課金|引き落とし|引落|振込|入金",
    re.IGNORECASE,
)
_TROUBLE = re.compile(
    r"\b(?:declin\w*|reject\w*|refus\w*|bounc\w*|fail(?:s|ed|ing|ure)?|error|twice|double|duplicate|overcharg\w*|wrong(?:ly)?"
    r"|incorrect\w*|disput\w*|refund\w*|unpaid|overdue|(?:locked|blocked|suspended|shut) (?:out|off|down)?|locked|suspended"
    r"|(?:can ?not|can['’]?t|could ?n[o'’]t|unable to) (?:pay|be charged|settle)|(?:not|\w+n['’]t) (?:go|going|gone) through"
    r"|(?:not|\w+n['’]t) (?:work|working|accepted)|too much)\b"
    r"|でき(?:ない|ません|ず)|失敗|エラー|拒否|二重|間違|誤|過剰|多く|返金|滞納|未払|督促|通ら|弾かれ|ロック|停止|使えな",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?。！？\n]+")


def payment_trouble(text: str) -> bool:
    """Whether a sentence speaks of a payment that went wrong: declined, charged twice, too much, locked out over an unpaid invoice."""
    return any(_MONEY.search(each) and _TROUBLE.search(each) for each in _SENTENCE.split(text))
