"""What stands around the question in a message that is written like a letter: greetings, thanks, the sign-off and the name below.

They say nothing about the question, and in the first line, where a forum has its subject, they would be taken for it.
"""

from __future__ import annotations

import re

from knowledge_base.text import has_words, sentences

_NAMES = r"(?:[,、 ]+(?:(?i:there|all|team|everyone|everybody|folks|guys|support|sir|madam|or|and|again)|[A-Z][\w'.-]*)){0,5}"
"""Those who are greeted or who thank: "there", "all", capitalised words."""
_COURTESIES = re.compile(
    rf"""
      (?i:hi|hello|hey|hiya|dear|greetings|good\ (?:morning|afternoon|evening|day)){_NAMES}
    | (?i:(?:i|we)\ hope\ |hope\ |hoping\ )(?i:that\ )?(?i:you|everyone|everybody|all|this|the\ team)\b[^.!?]{{0,25}}
      \b(?i:well|fine|safe|(?:good|great|nice|lovely)\ (?:day|week|weekend|morning|time|start))
    | (?i:(?:many\ |a\ lot\ of\ )?(?:thanks|thank\ you|thx)
      (?:\ (?:so|very)\ much|\ a\ lot|\ a\ million|\ in\ advance|\ again|\ for\ (?:your|the|any|all)\ (?:[a-z]+\ ){{0,3}}[a-z]+)*){_NAMES}
    | (?i:(?:please|pls|kindly)?\ ?(?:help|advise|assist)(?:\ (?:me|us))?(?:\ please)?)
    | (?i:have\ a\ (?:nice|good|great|lovely)\ (?:day|week|weekend|evening|one))
    | (?i:(?:i\ am\ |i'm\ )?sorry\ (?:for|to)\ (?:[a-z]+\ )?(?:trouble|bother|disturb|inconvenience)(?:ing)?(?:\ you)?)
    | (?:こんにち[はわ]|こんばん[はわ]|おはようございます|(?:はじ|初)めまして|お疲れ(?:様|さま)です)
    | [^。、！？]{{0,20}}(?:御中|各位|(?:担当者?|窓口|サポート|皆)(?:様|さま|殿))
    | (?:いつも|平素(?:より|は)?)?(?:大変|格別)?お世話に(?:なります|なって(?:い|おり)ます)
    | (?:(?:どうぞ|何卒|以上|ご(?:回答|返信|返答|対応|確認|教示|検討)の?ほど)[、,]?){{0,3}}よろしくお願い(?:いた|致)?し(?:ます|たします)
    | (?:(?:どうぞ|何卒|以上)[、,]?){{0,2}}(?:よろしく|宜しく)(?:お(?:願|ねが)い(?:申し上げ|いたし|致し|し)ます)?
    | (?:どうも|誠に|大変)?ありがとうござい(?:ます|ました)
    | (?:大変)?(?:すみません|恐れ入ります|申し訳(?:ありません|ございません)|失礼(?:し|いたし|致し)ます)
    """,
    re.VERBOSE,
)
_SIGN_OFF = re.compile(
    r"(?i:(?:(?:best|kind|kindest|warm|many)\ )?(?:regards|wishes)|(?:yours\ )?(?:sincerely|faithfully|truly)(?:\ yours)?|cheers|best|br"
    r"|sent\ from\ my\ .{1,20}|--+)|以上(?:です|になります)?",
    re.VERBOSE,
)
_EDGE = " \t,.!~、。！〜"


def without_courtesies(text: str) -> str:
    """A question without greetings, thanks, and from the sign-off on all that follows; as it is where nothing else is in it."""
    kept: list[str] = []
    for line in text.split("\n"):
        if _SIGN_OFF.fullmatch(line.strip(_EDGE)) and has_words("".join(kept)):
            break
        said = sentences(line)
        left = [one for one in said if not _COURTESIES.fullmatch(one.strip(_EDGE))]
        if left or not said:
            kept.append(line if len(left) == len(said) else " ".join(left))
    made = "\n".join(kept).strip()
    return made if has_words(made) else text
