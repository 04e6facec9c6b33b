"""What people write and nobody should keep: card numbers, passwords and keys, masked before anything is stored.

It is masked once, where a text is taken in, the log's as well as a ticket's or an event's: Rasa, the knowledge base, the console, e-mails and
backups get what is stored. The rules want evidence, so that order numbers, telephone numbers and ids stay as they are:

- **card**: 13 to 19 digits of any script, alone or in groups by blanks, hyphens or what cannot be seen, beginning as a card scheme's numbers do
  (2 to 6), with the length that scheme has and a right check digit (Luhn, ISO/IEC 7812-1); where more digits follow or go before, as a
  security code does, or where other signs part the groups (`4242.4242…`), in the groups in which cards are printed. It stands alone, or behind a
  word such as "card" or "Visa". The last four stay, by which people know their card.
- **key**: begins as keys of a known kind do (`sk_live_`, `ktk_`, `ghp_`, `AKIA`, `xoxb-` …) and goes on as no word does, is a JWT, a private key in
  PEM, or stands in a header that proves who is calling; a plain long random text is not enough, as ids are such texts. The first characters stay, by
  which its kind is known.
- **password**: one word after `password`, `passwort`, `パスワード` and their like with a colon, an equals sign or "is" / "は" between; what
  follows "is" must not be plain small letters ("my password is wrong"). With less between them ("password abc12345"), more ("the password I used was
  …") or a shorter name (`pw:`, `token:`) it must look more like one. The digits of a PIN and of a card's security code go likewise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
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
_SECURITY_CODE = re.compile(r"[-/](?:[0-9]{3,4}|[0-9]{1,2}/[0-9]{2,4}(?:/[0-9]{3,4})?)(?![A-Za-z0-9_/-])")
"""What stands behind a card with a sign between: the code, or until when it is valid."""
_CARD_WORD = re.compile(
    r"(?:card|cc|visa|master|amex|jcb|diners|discover|カード|クレカ)[\W_]{0,3}(?:no|number|番号)?[\W_]{0,3}\Z",
    re.IGNORECASE,
)
_PARTED = r"[ ]?[._/|~:・·ー─━][ ]?"
_ODD = re.compile(
    rf"""(?<![0-9A-Za-z._/:-])(?:[0-9]{{4}}(?P<a>{_PARTED})[0-9]{{4}}(?P=a)[0-9]{{4}}(?P=a)[0-9]{{4}}(?:(?P=a)[0-9]{{3}})?
        | [0-9]{{4}}(?P<b>{_PARTED})[0-9]{{6}}(?P=b)[0-9]{{4,5}})(?![0-9A-Za-z]|{_PARTED}[0-9])""",
    re.VERBOSE,
)
"""The groups of a card with one sign between them: one that a keyboard has where the hyphen should be, or that somebody hopes will hide it."""
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

_KINDS = {
    **dict.fromkeys(("sk_", "pk_", "rk_"), "(?:live|test|proj|ant)_"),
    **dict.fromkeys(("pk-", "rk-"), "(?:live|test|proj|ant)-"),
    "sk-": "(?:(?:live|test|proj|ant|svcacct|admin)-|(?:[a-z0-9]{2,10}-){0,2}(?=[A-Za-z0-9_]{20}))",
    **dict.fromkeys(("AKIA", "ASIA"), "(?=[A-Z0-9]{16}(?![A-Za-z0-9]))"),
    **dict.fromkeys(("key-", "dapi", "SK"), "(?=[0-9a-f]{32})"),  # Mailgun, Databricks, Twilio
    **dict.fromkeys(("secret_", "ntn_"), "(?=[A-Za-z0-9]{32})"),  # Notion
    "xox": "[abeoprs]-",
    "sq0": "[a-z]{3}-",
    **dict.fromkeys(
        ("ktk_", "whsec_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "glrt-", "gldt-", "xapp-", "AIza", "GOCSPX-", "ya29.",
         "npm_", "pypi-", "SG.", "dop_v1_", "doo_v1_", "hf_", "gsk_", "xai-", "r8_", "shpat_", "shpss_", "shpca_", "shppa_", "EAAA", "lin_api_",
         "ATATT3", "PMAK-", "hvs.", "sbp_", "AGE-SECRET-KEY-1", "hooks.slack.com/services/", "discord.com/api/webhooks/"),
        "",
    ),
}  # fmt: skip
"""How keys of a kind begin, and how that goes on. GitHub, GitLab, Slack, AWS, Google, Stripe, OpenAI, Anthropic and others say so in their documentation."""
_RANDOM = "(?=[^\\s\"',0-9]{0,40}(?:[0-9]|(?<=[a-z])[A-Z]))"
"""What goes on as no word does: there is a digit in it, or a capital within small letters."""
_KEYS = re.compile(
    rf"""(?<![A-Za-z0-9])(?:
        (?P<head>{"|".join(re.escape(head) + rest for head, rest in _KINDS.items())})
        {_RANDOM}[A-Za-z0-9_\-./]{{12,}}
      | (?P<jwt>eyJ)[\w-]{{10,}}\.[\w-]{{10,}}(?:\.[\w-]*)?
      | (?P<bearer>[Bb]earer\ )[\w.~+/=-]{{20,}}
      | (?P<header>(?:[Aa]uthorization|AUTHORIZATION)["']?[ ]?[:=][ ]?["']?(?:[Bb]asic|[Tt]oken|[Bb]earer|Digest|ApiKey)\ )
        {_RANDOM}[^\s"',]{{8,}}
      | (?P<cookie>(?:[Ss]et-)?[Cc]ookie:\ ?)[\w.-]{{1,64}}=[^\r\n"']+
      | (?P<curl>curl\ (?:[^\n]{{0,200}}?\ )?(?:-u|--user)[ =]["']?[^\s:"']{{1,64}}:)[^\s"']{{1,128}}
    )""",
    re.VERBOSE,
)
_KEY_HINTS = (*_KINDS, "eyJ", "earer ", "uthorization", "AUTHORIZATION", "ookie:", "curl ")
"""One of these is in every text that has a key: looking for words is much quicker than looking for a pattern."""
_PEM = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----).*?(-----END [A-Z ]*PRIVATE KEY[A-Z ]*-----|\Z)", re.DOTALL
)
_NAMED = (
    r"pass(?:[ ]?word|[ ]?phrase|wd|wort|[ ]?code)|pwd|api[ _-]?key|(?:account|shared[ ]?access|access|secret)[ _-]?(?:access[ _-]?)?key|client[ _-]?secret"
    "|パスワード|暗証番号|秘密鍵|APIキー|アクセスキー|シークレットキー"
)
_SHORT = r"pw|pass|(?:access|auth|refresh|id|session|bot)?[ _-]?token|secret|credentials?|パス|トークン|シークレット"
"""Names that also mean something else."""
_QUOTE = "[\"'`“”「『]?"
_WORD = "[^\\s\"'`“”「」『』,、。]"
_PASSWORD = re.compile(
    rf"""(?P<said>(?:(?P<name>{_NAMED})|(?<![A-Za-z])(?:{_SHORT})(?![A-Za-z])){_QUOTE}
          (?: (?P<far>(?:\s[a-z'’]{{1,12}}){{1,5}}?\s(?:is|was|to|as)\s)
            | \s{{0,3}}(?:(?P<sign>[:=])|(?P<is>(?:is|was|are|ist)\b:?|['’]s\b|(?:は|が)[、:]?))\s{{0,3}}
            | (?P<near>\s{{1,3}}(?:[->→]{{1,2}}\s{{1,3}})?|\s(?:to|as)\s|を\s?|(?<=[ドー号鍵「『"'`]))
          ){_QUOTE})
        (?P<word>(?<=[:=]\ ["'])[^"'\n]{{4,128}}(?=["'])|{_WORD}{{4,128}})""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_PASSWORD_HINTS = (
    "pass",
    "pw",
    "key",
    "secret",
    "token",
    "credential",
    "ワード",
    "暗証",
    "秘密鍵",
    "キー",
    "パス",
    "トークン",
    "シークレット",
)
_DIGITS_OF = re.compile(
    rf"""(?P<said>(?<![A-Za-z])(?:(?-i:PIN)(?:[ _-]?(?:code|number|コード|番号))?|pin[ _-](?:code|number)|cvv2?|cvc2?|security[ ]code|セキュリティ(?:コード|番号)|暗証番号)
          {_QUOTE}\s{{0,3}}(?:[:=]|is\b|は|が)?\s{{0,3}}{_QUOTE})(?P<word>[0-9]{{3,5}})(?![0-9A-Za-z])""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_DIGITS_HINTS = ("pin", "cv", "security code", "セキュリティ", "暗証番号")
_LATIN = re.compile(r"[!-~]{4,}")
_IN_ADDRESS = re.compile(
    r"(?P<name>[?&#](?:[\w-]*(?:token|secret|password|passwd|api_?key|access_?key|signature|sig|code|auth|session)[\w-]*)=)[^&#\s\"'`<>]+",
    re.IGNORECASE,
)
_SECRET_NAME = rf"(?:{_NAMED}|token|secret|(?:^|[\"_-])(?:authorization|cookie|pin|pw|cvc2?|cvv2?))"
_NAMES_SECRET = re.compile(rf"{_SECRET_NAME}$", re.IGNORECASE)
_HAS_SECRET_NAME = re.compile(rf'{_SECRET_NAME}":', re.IGNORECASE)
"""The same in JSON as it is written."""
_ID = re.compile(r"(?:^|[_-])ids?$|(?<=[a-z])Ids?$")
_USER = re.compile(r"(?<=://)[^\s/@:]{0,128}:[^\s/]{1,256}(?=@)")


def mask(text: str) -> str:
    """The text with card numbers, keys and passwords masked."""
    if "-----BEGIN" in text:
        text = _PEM.sub(rf"\1 {DOT * 8} \2", text)
    if any(hint in text for hint in _KEY_HINTS):
        text = _KEYS.sub(_key, text)
    if "://" in text:
        text = _USER.sub(DOT * 8, text)
    if "=" in text:
        text = _IN_ADDRESS.sub(rf"\g<name>{DOT * 8}", text)
    small = _plain(text).lower()
    if any(hint in small for hint in _PASSWORD_HINTS):
        text = _named(text, _PASSWORD, _secret)
    if any(hint in small for hint in _DIGITS_HINTS):
        text = _named(text, _DIGITS_OF, lambda found: found.span("word"))
    return _cards(text)


def masked(value: Any) -> Any:
    """A JSON value with what is in it masked: in texts and numbers, and whatever stands under a key that is called a password or a key.

    Values under `id`, `…_id` and `…Id` stay as they are: by them things are found again.
    """
    try:
        # Nearly always there is nothing: looking at the whole is much quicker than walking through it.
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        if mask(text) == text and not _HAS_SECRET_NAME.search(text):
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
    return f"{match[str(match.lastgroup)]}{DOT * 8}"


def _secret(match: re.Match[str]) -> tuple[int, int]:
    """Where the word to mask begins and ends; in Japanese the sentence goes on right behind it, in other letters."""
    word, start = match["word"], match.start("word")
    latin = _LATIN.match(word)
    core = latin[0] if latin is not None else ""
    if match["name"] is None:
        sure = (match["sign"] or match["is"]) is not None and len(core) >= 6 and _has_both(core)
    elif match["far"] is not None or match["near"] is not None:
        sure = _is_no_word(core)
    else:
        sure = match["sign"] is not None or _looks_made_up(core)
    if DOT in word or not sure:
        return start, start
    return start, start + len(word if " " in word else core or word)


def _looks_made_up(word: str) -> bool:
    """Whether a word is none of a sentence: it has a digit or a sign within, or capitals among small letters."""
    core = word.strip(".!?;:)(")
    if any(not char.isalpha() and char not in "'-" for char in core):
        return True
    return core not in (core.lower(), core.upper(), core.capitalize())


def _has_both(word: str) -> bool:
    """Whether there are letters and digits in it, and it is neither an address nor a path."""
    return bool(re.search("[A-Za-z]", word) and re.search("[0-9]", word)) and not re.search(r"@.+\.|://|^/", word)


def _is_no_word(word: str) -> bool:
    """Whether a word is none of a sentence though nothing says that it is a password: not `base64-encoded`, `SHA-256`, `10-character` or an address."""
    if not _has_both(word) or not re.search("[a-z]", word) or re.match("[0-9]+-?[a-z]+$", word):
        return False
    if re.search("[!#$%^&*]", word):
        return len(word) >= 6
    mixed = any(map(str.isupper, word)) or len(re.findall("[0-9]", word)) > 1
    return len(word) >= 8 and "-" not in word and mixed


def _plain(text: str) -> str:
    return text if text.isascii() else text.translate(_PLAIN)


def _named(text: str, pattern: re.Pattern[str], which: Callable[[re.Match[str]], tuple[int, int]]) -> str:
    """Masks what is called a secret, also what is written in letters of full width."""
    out, end = [], 0
    for found in pattern.finditer(_plain(text)):
        start, after = which(found)
        if start < after:
            out += [text[end:start], DOT * 8]
            end = after
    return "".join([*out, text[end:]]) if out else text


def _cards(text: str) -> str:
    """Masks card numbers."""
    plain = _plain(text)
    found = [card for row in _DIGITS.finditer(plain) for card in _cards_in(plain, row)]
    found += [odd.span() for odd in _ODD.finditer(plain) if _is_card(odd[0])]
    out, end = [], 0
    for start, after in sorted(found):
        number = re.sub("[^0-9]", "", plain[start:after])
        out += [text[end:start], f"{DOT * 4} {number[-_KEEP:]}"]
        end = after
    return "".join([*out, text[end:]]) if out else text


def _cards_in(plain: str, row: re.Match[str]) -> list[tuple[int, int]]:
    """Where cards begin and end in a row of digits: the whole row is one, or has nothing beside them but what stands beside cards."""
    groups = [found.span() for found in _GROUP.finditer(plain, *row.span())]
    if len(plain[slice(*groups[0])]) == 2 and _COUNTRY.search(plain, max(0, row.start() - 3), row.start()):
        return []  # an IBAN
    if _is_alone(plain, *row.span()):
        return [row.span()]
    lengths = [after - start for start, after in groups]
    cards, left, at = [], sum(lengths), 0
    while at < len(groups):
        sizes = [len(shape) for shape in _SHAPES if tuple(lengths[at : at + len(shape)]) == shape]
        spans = [(size, groups[at][0], groups[at + size - 1][1]) for size in sizes]
        size, *span = next((one for one in spans if _is_alone(plain, *one[1:])), (0, 0, 0))
        if size:
            cards.append((span[0], span[1]))
            left -= sum(lengths[at : at + size])
        at += size or 1
    return cards if left <= _BESIDE else []


def _is_alone(plain: str, start: int, after: int) -> bool:
    """Whether it is a card, and not part of something longer, an id for instance."""
    if not _is_card(plain[start:after]):
        return False
    follows = _NOT_AFTER.match(plain, after)
    if follows is not None:
        by = follows[0]
        if not (by == "/" or (by == "-" and "-" in plain[start:after])) or not _SECURITY_CODE.match(plain, after):
            return False
    leads = start > 0 and _NOT_BEFORE.match(plain, start - 1) is not None
    return not leads or _CARD_WORD.search(plain, max(0, start - 24), start) is not None


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
