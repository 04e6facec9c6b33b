"""What the bot keeps in mind from one turn to the next, as Rasa slots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rasa_sdk.events import SlotSet

from actions.turn import Turn
from conversations.bodies import Body, Choice, Choices

HUMAN = "human"
"""Id of the button that asks for a person; also what a plain "yes" accepts where it was offered."""

_NUMBERS = {
    1: r"\b(?:1|1st|first|(?:number|option|item|article) one)\b|^\W*one\W*(?:please\W*)?$|(?:一|１|1)(?:つ目|番目?|個目)|最初|(?<!以)上",
    2: r"\b(?:2|2nd|second|two)\b|(?:二|２|2)(?:つ目|番目?|個目)",
    3: r"\b(?:3|3rd|third|three)\b|(?:三|３|3)(?:つ目|番目?|個目)",
    4: r"\b(?:4|4th|fourth|four)\b|(?:四|４|4)(?:つ目|番目?|個目)",
}
# "The second one" holds both "second" and "one": the larger number is the one that was meant.
_ORDINALS = [(number, re.compile(_NUMBERS[number], re.IGNORECASE)) for number in (4, 3, 2, 1)]
_LAST = re.compile(r"\b(?:last|latter)\b|最後|下(?!さ)", re.IGNORECASE)

_CODE = re.compile(r"(?<!\d)\d{3,5}(?!\d)")
"""A number that an error may have."""
_DISPUTES = re.compile(
    r"\b(?:wrong|incorrect|mistaken?|not (?:right|correct|true)|isn['’]t (?:right|correct)|too (?:high|much)|makes no sense)\b"
    r"|違い?ます|違う|違って|間違|誤って|誤り|おかしい|高すぎ",
    re.IGNORECASE,
)


def remember(bodies: Sequence[Body]) -> list[dict[str, Any]]:
    """The buttons that stand there now, and what a "yes" would accept; both forgotten where there are none."""
    shown = next((body for body in reversed(bodies) if isinstance(body, Choices)), None)
    choices = [choice.model_dump() for choice in shown.choices] if shown else None
    offer = HUMAN if shown and shown.choices[0].id == HUMAN else None
    return [SlotSet("choices", choices), SlotSet("offer", offer)]


FRESH = 2
"""Turns that a subject has left at least where "ok" still acknowledges what was answered."""
SUBJECT_TURNS = 3
"""For how many turns a subject is kept that nobody comes back to."""
_FOLLOWS = re.compile(
    # A word is taken whole, never in parts: there are so many ways to cut one up that sixty letters would keep everybody waiting.
    r"^(?:and|but|or|so|also|what about|how about)\b(?:\W*+\w++){1,8}\W*$"
    r"|^(?:\W*+\w++){0,6}\W*\b(?:that|it|this|those|them|there)\b(?:\W*+\w++){0,4}\W*$"
    r"|^how much\W*$|^(?:the )?(?:price|cost)\W*$"
    r"|^.{1,16}(?:の場合は?|だと|では?)[?？。]?$|^.{1,12}は[?？]$|^(?:それ|これ|その|そちら|じゃあ|では)"
    r"|^(?:いくら|料金|値段|おいくら).{0,6}$",
    re.IGNORECASE,
)
_POINTS = re.compile(r"\b(?:that|it|this|those|them|there)\b|それ|これ|その|そちら", re.IGNORECASE)
_ONE = re.compile(r"\b(?:ones?|another|more)\b\W*$", re.IGNORECASE)
_PRICE = re.compile(r"\b(?:how much|prices?|costs?)\b|いくら|料金|値段", re.IGNORECASE)
_PRICE_ALONE = re.compile(
    r"^\W*(?:(?:and|so|but|ok|okay)\W+)?(?:how much(?: (?:is|are|does|do|would|will) (?:it|that|this|they|those)(?: (?:cost|be))?)?"
    r"|what (?:does|do|would|will) (?:it|that|this|they|those) cost|what(?:['’]s| is| are) the (?:price|cost)s?|(?:the )?(?:price|cost)s?)\W*$"
    r"|^(?:それ(?:は|って)?|これは?|で)?[、\s]*(?:(?:料金|値段|価格|費用)(?:は|って)?)?(?:お?いくら)?(?:くらい|ぐらい)?(?:です|でしょう|かかります|します|になります)?か?[?？。]*$",
    re.IGNORECASE,
)
_HOW_ALONE = re.compile(
    r"^\W*(?:(?:and|so|ok|okay|yes|sure|please)\W+)*(?:(?:can|could) you )?(?:(?:show|tell|teach) me )?how"
    r"(?: (?:do|can|should|would) (?:i|we|you)(?: (?:do|start|begin|complete|finish))?| to(?: do)?| does)?"
    r"(?: (?:that|it|this|this one|that one|(?:this|that|the next|the) step|work|works))*(?: please)?\W*$"
    r"|^(?:はい|では|じゃあ)?[、\s]*(?:(?:それ|これ|その(?:ステップ|手順)?)(?:は|を|の)?)?(?:どう(?:やって|すれば|やれば|やる)|やり方|手順|方法).{0,14}$",
    re.IGNORECASE,
)
_NEXT_ALONE = re.compile(
    r"^\W*(?:(?:and|so|ok|okay|done|great|fine|good|thanks)\W+)*(?:after (?:that|this)|then(?: what)?|(?:what(?:['’]s| is| comes| do i do| happens)? )?(?:next|then|after (?:that|this))|next"
    r"|what (?:do|should|must|can) (?:i|we) do (?:next|then|after (?:that|this)|afterwards)|afterwards)\W*$"
    r"|^(?:で|はい|では|じゃあ|できました|終わりました)?[、。\s]*(?:その(?:後|あと|次)|次|それから)(?:は|に)?(?:どう(?:すれば|したら)(?:いい|よい)|何をすれば(?:いい|よい)|何をします)?(?:です)?か?[?？。]*$",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"^\W*(?:(?:no|nope|not (?:that|this)(?: one)?|i (?:mean|meant)|sorry|wrong(?: one)?|please|show me)\W+)*(?:the other(?: one| article)?|another(?: one)?|not (?:that|this) one|wrong one)(?:\W+please)?\W*$"
    r"|^(?:いや|いえ|いいえ|違います|違う)?[、。\s]*(?:もう(?:一つ|ひとつ|一方|片方)|別|他|ほか)(?:の(?:方|ほう|もの|やつ|記事))?(?:です|をお願いします|でお願いします|がいいです)?[。！!]*$",
    re.IGNORECASE,
)
_ELSE = re.compile(
    r"^\W*(?:(?:and|ok|okay|so|hm+|no)\W+)*(?:(?:is there )?(?:anything|something) (?:else|more)|what else|(?:any )?(?:other|more) (?:ideas?|ways?|options?|suggestions?|tips?))"
    r"(?: (?:can|could|should) (?:i|we) (?:try|do|check)| (?:to try|to check|i can (?:do|try|check)|there))*\W*$"
    r"|^(?:では|じゃあ)?[、\s]*(?:ほか|他)(?:に(?:は)?|の(?:方法|やり方|手段|原因)(?:は|が)?)(?:何か|方法|やり方|原因|できること|確認すること)?(?:は|が)?(?:ありますか|ありませんか|ある|ないですか|ない)?[?？。]*$",
    re.IGNORECASE,
)
_THERE_IS = re.compile(
    r"^\W*(?:(?:hi|hello|and|so|ok|okay)\W+)*(?:(?:is|are) there|(?:do|does) (?:you|it|\w+) have|have you(?: got)?) (?:(?:an?|any|the|some) )?(?:[\w-]+ ){0,1}[\w-]+\W*$"
    r"|^[^、。はがもをにで]{1,12}(?:は|って|とか)?(?:ありますか|あります|ある|ないのですか|ありませんか)[?？。]*$",
    re.IGNORECASE,
)
_JAPANESE = re.compile(r"[ぁ-ん]")
_NOUN_JA = re.compile(r"[一-龥]{2}|[ァ-ヶー]{2}|[A-Za-z0-9Ａ-Ｚａ-ｚ０-９]")
_STILL = re.compile(
    r"\b(?:still (?:not|no|nothing|doesn['’]?t|isn['’]?t|won['’]?t|can['’]?t|the same|broken|failing)|(?:tried|did|done|checked) (?:that|it|this|all (?:of )?(?:that|this)|everything)"
    r"|(?:that|this|it) (?:did(?:n['’]?t| not)|does(?:n['’]?t| not)) (?:help|work|solve|fix|change)|no luck|(?:tried|checked|looked)\b.{0,40}\b(?:nothing|no luck|no change|not there)|not? (?:helpful|solved)|same (?:problem|error|thing)(?: again)?$|makes? no difference)\b"
    r"|(?:まだ|やはり|やっぱり|それでも|相変わらず).{0,14}(?:ない|ません|駄目|だめ|ダメ)|(?:試し|試して|やり|やって|確認し|確認して)(?:ました|みました|みた|た)(?:が|けど|けれど|[。！!]*$)|変わりません|変わらない|解決し(?:ません|ない)|(?:だめ|駄目|ダメ)でした",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"^(?!.*\b(?:ro|chat)?bots?\b).*(?:\b(?:don['’]?t|do not|doesn['’]?t|no longer|not) (?:\w+ ){0,2}?(?:need|want|have to|necessary)\b[^,.;!?]{0,30}"
    r"\b(?:person|human|someone|somebody|anyone|anybody|agent|call)\b|\bno (?:need|person|human)\b|\bforget it\b)"
    r"|(?:担当|人|電話|連絡|相談).{0,10}(?:不要|いりません|要りません|いらない|必要(?:は)?(?:ない|ありません|なくな)|しなくて)|担当者?は結構です",
    re.IGNORECASE | re.DOTALL,
)
_MONEY = re.compile(r"\d\s*(?:USD|EUR|GBP|JPY|円|€|ドル|ユーロ)|[$€£¥￥]\s*\d", re.IGNORECASE)
_PLACE_ALONE = re.compile(
    r"^\W*(?:(?:the|a|number|no|option|item|article|take|choose|pick|please|pls|one|two|three|four|first|second|third|fourth|1st|2nd|3rd|4th|[1-9]"
    r"|last|latter|former|other|top|bottom|middle|i|i['’]d|i['’]ll|mean|meant|go|for|let['’]s|say|with)\b\W*)+$"
    r"|^(?:[一二三四五1-9１-９](?:番目?|つ目|個目|つ)?|最初|最後|上|下|真ん中|前者|後者)(?:のやつ|の?方|のほう|のもの|の記事|の)?(?:で|を)?(?:お願いします|ください|です)?[。！!]*$",
    re.IGNORECASE,
)


def follows(text: str) -> bool:
    """Whether words lean on what was talked about: "and on the Pro plan?", "how much is that?"."""
    return _FOLLOWS.search(text.strip()) is not None


def points_back(text: str) -> bool:
    """Whether words name what they are about by a pronoun alone ("how do I undo it?"), and not "what about webhooks?"."""
    return _POINTS.search(text) is not None


def leans_on_words(text: str) -> bool:
    """Whether words name what they are about by a pronoun, those for one of several included ("how do I add one?")."""
    return points_back(text) or _ONE.search(text) is not None


def without_one(text: str) -> str:
    """Words without the pronoun at their end that stands for one of several: in an article "one" is found everywhere."""
    return _ONE.sub("", text).strip()


def mended(turn: Turn) -> str | None:
    """The message with its slips of the keyboard mended, as the bot understood it; None where there were none."""
    found = turn.understood.get("mended_text")
    return str(found) if found and len(turn.understood.get("parts") or []) < 2 else None


def wordless(text: str) -> bool:
    """Whether a message holds no letter, of any script, and no number that may be an error's: "??", "…", a smiley, "2"."""
    return not any(character.isalpha() for character in text) and _CODE.search(text) is None


def asks_price(text: str) -> bool:
    """Whether words ask what something costs."""
    return _PRICE.search(text) is not None


def asks_price_alone(text: str) -> bool:
    """Whether words ask what it costs and name nothing that has a price: "how much does it cost", 「いくらですか」."""
    return asks_price(text) and _PRICE_ALONE.search(text.strip()) is not None


def asks_how_alone(text: str) -> bool:
    """Whether words ask how to do what was just named, and name nothing themselves: "show me how", "how do I do that?", 「やり方は？」."""
    return _HOW_ALONE.search(text.strip()) is not None


def asks_next_alone(text: str) -> bool:
    """Whether words ask what comes after what was just shown, and name nothing themselves: "and after that?", 「その次は？」."""
    return _NEXT_ALONE.search(text.strip()) is not None


def wants_other(text: str) -> bool:
    """Whether words turn down what was shown for another thing that they do not name: "no, the other one", 「もう一つの方です」."""
    return _OTHER.search(text.strip()) is not None


def asks_what_else(text: str) -> bool:
    """Whether words ask what more there is to what was shown, and name nothing themselves: "what else can I try?", 「ほかには？」."""
    return _ELSE.search(text.strip()) is not None


def names_nothing(text: str) -> bool:
    """Whether Japanese words hold no noun of their own (「増やせますか」): what they are about was said before."""
    return _JAPANESE.search(text) is not None and _NOUN_JA.search(text) is None


def asks_whether_there_is(text: str) -> bool:
    """Whether words ask nothing but whether there is a thing: "is there an app?", 「アプリはありますか」."""
    return _THERE_IS.search(text.strip()) is not None


def says_unsolved(text: str) -> bool:
    """Whether words say that what was shown did not help: "tried that already", "still not working", 「まだ届きません」."""
    return _STILL.search(text) is not None


def wants_nobody(text: str) -> bool:
    """Whether words that speak of a person say that none is wanted: "I don't need a person any more", 「担当者は不要です」."""
    return _NOBODY.search(text) is not None


def tells_price(text: str) -> bool:
    """Whether words hold an amount of money."""
    return _MONEY.search(text) is not None


def names_place_alone(text: str) -> bool:
    """Whether words are nothing but a place in a list ("the last one"), and not "the last one is wrong"."""
    return _PLACE_ALONE.search(text.strip()) is not None


def disputes(text: str) -> bool:
    """Whether words say that something is wrong."""
    return _DISPUTES.search(text) is not None


def keep_subject(turn: Turn) -> dict[str, Any]:
    """What is talked about after this turn: a new subject, or the old one for a few turns more."""
    kept = turn.slots.get("subject")
    left = kept["left"] - 1 if kept else 0
    value: dict[str, Any] | None
    if turn.subject is not None:
        value = {**turn.subject, "left": SUBJECT_TURNS}
    else:
        value = {**kept, "left": left} if kept and left > 0 else None
    return {"event": "slot", "name": "subject", "value": value, "timestamp": None}


def chosen(message: Mapping[str, Any], slots: Mapping[str, Any]) -> str | None:
    """Id of the button a customer means: clicked, or named by its place or its words.

    Args:
        message: what Rasa understood; a click comes as the entity `choice`, which the front door has checked.
        slots: Rasa's; `choices` are those shown last.
    """
    clicked = next((one["value"] for one in message.get("entities") or [] if one["entity"] == "choice"), None)
    if clicked is not None:
        return str(clicked)
    shown = [Choice.model_validate(one) for one in slots.get("choices") or []]
    text = str(message.get("text") or "")
    named = [one for one in shown if one.label.casefold() in text.casefold() or text.casefold() in one.label.casefold()]
    if text.strip() and len(named) == 1:
        return named[0].id
    if len(shown) < 2:  # one button is no list in which things have places
        return None
    if _LAST.search(text):
        return shown[-1].id
    place = next((number for number, pattern in _ORDINALS if pattern.search(text)), None)
    return shown[place - 1].id if place is not None and place <= len(shown) else None
