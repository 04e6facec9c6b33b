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
_SENTENCE = re.compile(r"[.!?。！？\n]+")


def payment_trouble(text: str) -> bool:
    """Whether a sentence speaks of a payment that went wrong: declined, charged twice, too much, locked out over an unpaid invoice."""
    return any(_MONEY.search(each) and _TROUBLE.search(each) for each in _SENTENCE.split(text))
