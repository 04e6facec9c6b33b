"""What people write and nobody should keep: card numbers, passwords and keys, masked before anything is stored.

It is masked once, where a text is taken in, the log's as well as a ticket's or an event's: Rasa, the knowledge base, the console, e-mails and
backups get what is stored. The rules want evidence, so that order numbers, telephone numbers and ids stay as they are:

- **card**: 13 to 19 digits, alone or in groups by single blanks or hyphens, beginning as a card scheme's numbers do (2 to 6), with the
  length that scheme has and a right check digit (Luhn, ISO/IEC 7812-1). The last four stay, by which people know their card.
- **key**: begins as keys of a known kind do (`sk_live_`, `ktk_`, `ghp_`, `AKIA`, `xoxb-` …), is a JWT, a private key in PEM, or follows
  `Bearer`; a plain long random text is not enough, as ids are such texts. The first characters stay, by which its kind is known.
- **password**: one word after `password`, `passwort`, `パスワード` and their like with a colon, an equals sign or "is" / "は" between; what
  follows "is" must not be plain small letters ("my password is wrong").
"""

from __future__ import annotations

import re
from typing import Any

import orjson

DOT = "•"
_KEEP = 4

# The digit first, and then what must not stand before it: so a search leaps from digit to digit.
_CARD = re.compile(r"[2-6](?<![A-Za-z0-9_.#/-][2-6])(?:[ -]?\d){12,18}(?![A-Za-z0-9_/-]|[.,]\d)")
_LENGTHS = {"2": (16,), "34": (15,), "37": (15,), "30": (14,), "36": (14,), "38": (14,), "35": (16, 19), "4": (13, 16, 19),
            "5": (16,), "6": (16, 17, 18, 19)}  # fmt: skip
"""Of a scheme's numbers, by how they begin: Mastercard's new range, American Express, Diners, JCB, Visa, Mastercard, Discover and UnionPay."""

_NARROW = str.maketrans("０１２３４５６７８９\u3000\u00a0－‐–—", "0123456789  ----")

_KEYS = re.compile(
    r"""(?<![A-Za-z0-9])(?:
        (?P<head>(?:sk|pk|rk)[_-](?:live|test|proj|ant)[_-]|ktk_|whsec_|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AKIA|ASIA|AIza|npm_|pypi-|SG\.|dop_v1_|hf_)
        [A-Za-z0-9_\-.]{12,}
      | (?P<jwt>eyJ)[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?
      | (?P<bearer>[Bb]earer\ )[\w.~+/=-]{20,}
    )""",
    re.VERBOSE,
)
_KEY_HEADS = (
    *(
        "sk_",
        "sk-",
        "pk_",
        "pk-",
        "rk_",
        "rk-",
        "ktk_",
        "whsec_",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
    ),
    *("xox", "AKIA", "ASIA", "AIza", "npm_", "pypi-", "SG.", "dop_v1_", "hf_", "eyJ", "earer "),
)
"""One of these is in every text that has a key: looking for words is much quicker than looking for a pattern."""
_PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_NAMED = r"pass(?:[ ]?word|[ ]?phrase|wd|wort|[ ]?code)|pwd|api[ _-]?key|secret[ _-]?key|client[ _-]?secret|パスワード|暗証番号|秘密鍵|APIキー"
_QUOTE = "[\"'`“”「『]?"
_PASSWORD = re.compile(
    rf"""(?P<said>(?:{_NAMED}){_QUOTE}[\s\u3000]{{0,3}}
          (?:(?P<sign>[:=：＝])|(?P<is>is|was|ist)\b:?|(?P<wa>は|が)[、:：]?)
          [\s\u3000]{{0,3}}{_QUOTE})(?P<word>[^\s\u3000"'`“”「」『』,、。]{{4,128}})""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_PASSWORD_HINTS = ("pass", "pwd", "key", "secret", "ワード", "暗証", "秘密鍵", "キー")
_LATIN = re.compile(r"[!-~]{4,}")
_IN_ADDRESS = re.compile(
    r"(?P<name>[?&#](?:[\w-]*(?:token|secret|password|passwd|api_?key|access_?key|signature|sig|code|auth|session)[\w-]*)=)[^&#\s]+",
    re.IGNORECASE,
)
_NAMES_SECRET = re.compile(rf"(?:{_NAMED})$", re.IGNORECASE)
_ID = re.compile(r"(?:^|[_-])ids?$|(?<=[a-z])Ids?$")
_USER = re.compile(r"(?<=://)[^\s/@:]{1,128}:[^\s/@]{1,256}(?=@)")


def mask(text: str) -> str:
    """The text with card numbers, keys and passwords masked."""
    if "-----BEGIN" in text:
        text = _PEM.sub(rf"\1 {DOT * 8} \2", text)
    if any(head in text for head in _KEY_HEADS):
        text = _KEYS.sub(_key, text)
    if "://" in text:
        text = _USER.sub(DOT * 8, text)
    if "=" in text:
        text = _IN_ADDRESS.sub(rf"\g<name>{DOT * 8}", text)
    small = text.lower()
    if any(hint in small for hint in _PASSWORD_HINTS):
        text = _PASSWORD.sub(_password, text)
    return _cards(text)


def masked(value: Any) -> Any:
    """A JSON value with what is in it masked: in texts and numbers, and whatever stands under a key that is called a password or a key.

    Values under `id`, `…_id` and `…Id` stay as they are: by them things are found again.
    """
    try:
        # Nearly always there is nothing: looking at the whole is much quicker than walking through it.
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        if mask(text) == text:
            return value
    except (TypeError, ValueError, RecursionError):
        pass
    return _walked(value, "")


def _walked(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _walked(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_walked(item, key) for item in value]
    if value is None or isinstance(value, bool) or _ID.search(key):
        return value
    text = str(value)
    if _NAMES_SECRET.search(key) and len(text) >= _KEEP:
        return DOT * 8
    after = mask(text)
    return value if after == text else after


def _key(match: re.Match[str]) -> str:
    head = match["head"] or match["jwt"] or match["bearer"]
    return f"{head}{DOT * 8}"


def _password(match: re.Match[str]) -> str:
    """The match with its word masked; in Japanese the sentence goes on right behind it, in other letters."""
    word = match["word"]
    latin = _LATIN.match(word)
    core = latin[0] if latin is not None else ""
    if DOT in word or (match["sign"] is None and not _looks_made_up(core)):
        return match[0]
    rest = word[len(core) :] if core else ""
    return f"{match['said']}{DOT * 8}{rest}"


def _looks_made_up(word: str) -> bool:
    """Whether a word is none of a sentence: it has a digit or a sign within, or capitals among small letters."""
    core = word.strip(".!?;:)(")
    if any(not char.isalpha() and char not in "'-" for char in core):
        return True
    return core not in (core.lower(), core.upper(), core.capitalize())


def _cards(text: str) -> str:
    """Masks card numbers, also those in full-width digits."""
    plain = text if text.isascii() else text.translate(_NARROW)  # one character each, so that places stay the same
    out, end = [], 0
    for found in _CARD.finditer(plain):
        if _is_card(found[0]):
            out += [text[end : found.start()], f"{DOT * 4} {re.sub('[^0-9]', '', found[0])[-_KEEP:]}"]
            end = found.end()
    return "".join([*out, text[end:]]) if out else text


def _is_card(written: str) -> bool:
    digits = re.sub("[^0-9]", "", written)
    lengths = _LENGTHS.get(digits[:2]) or _LENGTHS.get(digits[0], ())
    return len(digits) in lengths and len(set(digits)) > 1 and luhn(digits)


def luhn(digits: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
