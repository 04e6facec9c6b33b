"""What people write and nobody should keep: card numbers, passwords and keys, masked before anything is stored.

It is masked once, where a text is taken in, the log's as well as a ticket's or an event's: Rasa, the knowledge base, the console, e-mails and
backups get what is stored. The rules want evidence, so that order numbers, telephone numbers and ids stay as they are:

- **card**: 13 to 19 digits of any script, alone or in groups by blanks, hyphens or what cannot be seen, beginning as a card scheme's numbers do
  (2 to 6), with the length that scheme has and a right check digit (Luhn, ISO/IEC 7812-1); where more digits follow or go before, as a
  security code does, in the groups in which cards are printed. The last four stay, by which people know their card.
- **key**: begins as keys of a known kind do (`sk_live_`, `ktk_`, `ghp_`, `AKIA`, `xoxb-` …), is a JWT, a private key in PEM, or follows
  `Bearer`; a plain long random text is not enough, as ids are such texts. The first characters stay, by which its kind is known.
- **password**: one word after `password`, `passwort`, `パスワード` and their like with a colon, an equals sign or "is" / "は" between; what
  follows "is" must not be plain small letters ("my password is wrong").
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import orjson

DOT = "•"
_KEEP = 4

_DIGITS = re.compile(r"[0-9](?:[ -]{0,3}[0-9]){12,}+")
"""A row of digits in groups. It gives nothing back, so that no text takes long."""
_GROUP = re.compile(r"[0-9]+")
_SHAPES = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (13,), (14,), (15,), (16,), (19,))
"""How cards are printed: groups of so many digits."""
_BESIDE = 9
"""So many digits may stand in a row with a card: until when it is valid and the security code. More is a row of figures."""
_NOT_BEFORE, _NOT_AFTER = re.compile(r"[A-Za-z0-9_.#/-]"), re.compile(r"[A-Za-z0-9_/-]")
_COUNTRY = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\Z")
_LENGTHS = {**{str(start): (16,) for start in range(22, 28)}, "34": (15,), "37": (15,), "30": (14,), "36": (14,), "38": (14,), "35": (16, 19), "4": (13, 16, 19),
            "5": (16,), "6": (16, 17, 18, 19)}  # fmt: skip
"""Of a scheme's numbers, by how they begin: Mastercard's new range, American Express, Diners, JCB, Visa, Mastercard, Discover and UnionPay."""


def _plain_form(char: str) -> str | None:
    """The plain character that another is written for: a digit of any script, a letter of full width, a blank, a hyphen."""
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if kind in ("Zs", "Cf"):  # Cf: what is there and is not seen, such as a blank of no width
        return " "
    if kind == "Pd" or char == "\u2212":
        return "-"
    return chr(ord(char) - 0xFEE0) if "\uff01" <= char <= "\uff5e" else None


_PLAIN = {code: plain for code in range(0x80, 0x20000) if (plain := _plain_form(chr(code))) is not None}
"""One character each, so that places stay the same."""

_KEYS = re.compile(
    r"""(?<![A-Za-z0-9])(?:
        (?P<head>(?:sk|pk|rk)[_-](?:live|test|proj|ant)[_-]|ktk_|whsec_|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AKIA|ASIA|AIza|npm_|pypi-|SG\.|dop_v1_|hf_)
        [A-Za-z0-9_\-.]{12,}
      | (?P<jwt>eyJ)[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?
      | (?P<bearer>[Bb]earer\ )[\w.~+/=-]{20,}
    )""",
    re.VERBOSE,
)
_KEY_HEADS = ("sk_", "sk-", "pk_", "pk-", "rk_", "rk-", "ktk_", "whsec_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
              "xox", "AKIA", "ASIA", "AIza", "npm_", "pypi-", "SG.", "dop_v1_", "hf_", "eyJ", "earer ")  # fmt: skip
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
    small = _plain(text).lower()
    if any(hint in small for hint in _PASSWORD_HINTS):
        text = _passwords(text)
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


def _secret(match: re.Match[str]) -> tuple[int, int]:
    """Where the word to mask begins and ends; in Japanese the sentence goes on right behind it, in other letters."""
    word, start = match["word"], match.start("word")
    latin = _LATIN.match(word)
    core = latin[0] if latin is not None else ""
    if DOT in word or (match["sign"] is None and not _looks_made_up(core)):
        return start, start
    return start, start + len(core or word)


def _looks_made_up(word: str) -> bool:
    """Whether a word is none of a sentence: it has a digit or a sign within, or capitals among small letters."""
    core = word.strip(".!?;:)(")
    if any(not char.isalpha() and char not in "'-" for char in core):
        return True
    return core not in (core.lower(), core.upper(), core.capitalize())


def _plain(text: str) -> str:
    return text if text.isascii() else text.translate(_PLAIN)


def _passwords(text: str) -> str:
    """Masks passwords, also what is written in letters of full width."""
    out, end = [], 0
    for found in _PASSWORD.finditer(_plain(text)):
        start, after = _secret(found)
        if start < after:
            out += [text[end:start], DOT * 8]
            end = after
    return "".join([*out, text[end:]]) if out else text


def _cards(text: str) -> str:
    """Masks card numbers."""
    plain = _plain(text)
    out, end = [], 0
    for row in _DIGITS.finditer(plain):
        card = _card_in(plain, row)
        if card is not None:
            number = re.sub("[^0-9]", "", plain[slice(*card)])
            out += [text[end : card[0]], f"{DOT * 4} {number[-_KEEP:]}"]
            end = card[1]
    return "".join([*out, text[end:]]) if out else text


def _card_in(plain: str, row: re.Match[str]) -> tuple[int, int] | None:
    """Where a card begins and ends in a row of digits; None: there is none."""
    groups = [found.span() for found in _GROUP.finditer(plain, *row.span())]
    if len(plain[slice(*groups[0])]) == 2 and _COUNTRY.search(plain, max(0, row.start() - 3), row.start()):
        return None  # an IBAN
    lengths = [after - start for start, after in groups]
    total = sum(lengths)
    if total > max(map(sum, _SHAPES)) + _BESIDE:
        return None
    for at in range(len(groups)):
        shapes = [shape for shape in _SHAPES if tuple(lengths[at : at + len(shape)]) == shape]
        sizes = [len(shape) for shape in shapes if total - sum(shape) <= _BESIDE]
        for size in [len(groups), *sizes] if at == 0 else sizes:
            span = (groups[at][0], groups[at + size - 1][1])
            if _stands_alone(plain, *span) and _is_card(plain[slice(*span)]):
                return span
    return None


def _stands_alone(plain: str, start: int, after: int) -> bool:
    """Whether it is not part of something longer, an id for instance."""
    ends = _NOT_AFTER.match(plain, after)
    if ends is not None and ends[0] == "-" and "-" in plain[start:after] and plain[after + 1 : after + 2].isdigit():
        ends = None  # a security code behind it
    return ends is None and (start == 0 or _NOT_BEFORE.match(plain, start - 1) is None)


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
