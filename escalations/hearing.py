"""What the policy hears in the words themselves, beside what the bot's models hear in them. Pure."""

from __future__ import annotations

import re

_MONEY = re.compile(
    r"\b(?:pay(?:s|ments?|ing)?|paid|money|cards?|visa|mastercard|amex|paypal|checkout|charg(?:e[ds]?|ing)|bill(?:s|ed|ing)?|invoic\w*|fees?"
    r"|(?:direct )?debit(?:ed)?|deduct\w*|(?:bank|wire|our|the) transfers?|transferred|bank|amount|statement|receipt|wire|took|taken|taking|subscription price)\b"
    r"|払|決済|カード|クレカ|請求|課金|料金|金額|代金|お金|口座|引き?落|引かれ|振り?込|送金|入金|明細",
    re.IGNORECASE,
)
_TROUBLE = re.compile(
    r"\b(?:declin\w*|reject\w*|refus(?:e[sd]?|ing)|denied|turn(?:ed|s) down|bounc\w*|c(?:a|o)me back|returned|fail(?:s|ed|ing|ure)?|errors?"
    r"|twice|(?:two|three|several) times|double|duplicate|again although|overcharg\w*|wrong(?:ly)?|incorrect\w*|mistakes?|disput\w*|refunded|refund (?:us|me)"
    r"|(?:want|get|need|like|request) (?:a |our |my |the )?(?:money back|refund)|unpaid|overdue|missed|late payment|lock(?:ed|s)|block(?:ed|s)|suspend(?:ed|s)|frozen|freez\w*|shut (?:out|off|down)"
    r"|cut (?:off|us off)|stuck|spin(?:s|ning)|hangs|(?:can ?not|can['’]?t|could ?n[o'’]t|unable to|won['’]?t let (?:me|us)) (?:pay|be charged|settle|check ?out|complete|enter|add|use|update|renew)"
    r"|(?:not|\w+n['’]?t|never|does not|did not) (?:go|going|gone|went) through|(?:not|\w+n['’]?t|never) (?:work\w*|accept\w*|match\w*|add(?:s|ed)? up|agree\w*|order\w*|b[ou]\w+ght|sav\w*|process\w*|authori[sz]\w*"
    r"|recogni[sz]\w*|arriv\w*|receiv\w*|credited|registered|show(?:n|ing)? up|what we)|too (?:much|high)|off by|none of|(?:even )?though|although|despite|(?:will|does|do|did|is|are|can) ?n[o'’]?t (?:save|go|let|load|take|process|complete|charge|pay)|never (?:bought|signed|asked|agreed|used)|(?:nobody|no one|none of us)|(?:two|three|extra|additional) (?:charges|payments|debits)|who (?:have )?left|(?:more|higher) than|instead of|(?:but|though|when|while) (?:we|i) (?:only|have|had|already|never|cancel\w*)"
    r"|only (?:have|use|had|ordered)|still (?:charg\w*|bill\w*|tak\w*|being)|(?:after|since|that) (?:we|i) (?:had |have )?cancel\w*|(?:we|i) cancel\w* (?:in|on|last|months?|weeks?)"
    r"|unknown|unexpected|unexplained|strange|suspicious|missing)\b"
    r"|でき(?:ない|ません|ず|なかった|なく)|失敗|エラー|拒否|断られ|はじかれ|弾かれ|できて(?:い)?ない|受け付け(?:られ|て(?:もらえ|くれ)|な)|二重|重複|(?:二|2|２|三|3|３)(?:回|度)(?!目)|間違|誤|違(?:う|って|った|い?ます)|異な|おかし|変です|過剰|余分|多く|高すぎ"
    r"|高くな|返金し|返して|滞|未払|未入金|督促|通(?:ら|りませ)|ロック|停止|止め|止ま|凍結|使え(?:な|ませ|ず)|進め|進ま|固ま|戻って|返って|覚えの?な|心当たり|(?:のに|にもかかわらず|はずが)|勝手に|合わな|合いませ"
    r"|届(?:かな|きませ|いていな|いていませ)|反映さ?れ?(?:な|ませ|てい)|足りな|不足|不明|知らな|困って|認識され|(?:額|金|料)が?多い|より.{0,8}(?:多い|高い)|はねられ|まだ(?:来|届|戻)|(?:何|二|三|2|3)?倍に|切れて|分まで",
    re.IGNORECASE,
)
_REPORTS = re.compile(
    r"\b(?:was|were|been|being|got|had|have|has|did|keeps?|took|withdrew|paid|sent|went|said|says|\w{3,}ed|not|never|nothing|nowhere|without|\w+n['’]t)\b"
    r"|(?:た|ません|ない|ています|です|ている|てる|ました)$",
    re.IGNORECASE,
)
"""Says what happened, or did not."""
_ASKS = re.compile(
    r"^\W*(?:how|where|when|which|what|who|can|could|may|do|does|is|are|will|would|should|please|show|send|tell|give|change|add|update)\b"
    r"|\b(?:(?:want|need|like|plan|going) to|thanks?|how (?:do|can|to)|where (?:do|can)|do (?:you|we|i) (?:have|need)|if (?:we|i|the|our|my))\b"
    r"|(?:か|たい|たいです|たいのですが|ください|下さい|教えて|お願いします|ほしい|欲しいです|でしょうか)$|ありがとう|場合",
    re.IGNORECASE,
)
"""Asks for something, or how it is done, which most that is written about money does."""
_SENTENCE = re.compile(r"[.!。！\n]+|(?<=[?？])")


def payment_trouble(text: str) -> bool:
    """Whether a sentence speaks of a payment that went wrong: declined, charged twice, too much, locked out over an unpaid invoice.

    It speaks of money and names a trouble, or says of money what happened rather than asking for something.
    """
    return any(
        _MONEY.search(each) and (_TROUBLE.search(each) or (_REPORTS.search(each) and not _asks(each)))
        for each in map(str.strip, _SENTENCE.split(text))
    )


def _asks(sentence: str) -> bool:
    return bool(_ASKS.search(sentence.rstrip("?？")) or sentence.endswith(("?", "？")))
