"""What the test server says: one body of each type, in both languages, and two articles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

GREETING = {
    "en": {"type": "text", "text": "Hello! Ask me anything about **Orimono**."},
    "ja": {"type": "text", "text": "こんにちは。**Orimono**について何でもお尋ねください。"},
}

RUN_LIMITS = {
    "article_id": "en/run-limits",
    "title": "Run limits",
    "url": "https://help.orimono.example/en/run-limits",
    "heading": "When you reach the limit",
    "lang": "en",
    "updated": "2026-05-03",
    "source": "article",
}
RUN_LIMITS_JA = {
    **RUN_LIMITS,
    "article_id": "ja/run-limits",
    "title": "実行回数の上限",
    "heading": "上限に達したとき",
    "lang": "ja",
}
PLANS = {**RUN_LIMITS, "article_id": "en/plans-and-limits", "title": "Plans and limits", "heading": None}
COUNTED = {**RUN_LIMITS, "article_id": "en/how-runs-are-counted", "title": "How runs are counted", "heading": None}

HTML = """<h1>Run limits</h1><p>Each plan comes with a number of <strong>runs a month</strong>. A run is one flow, started once.</p>
<h2>When you reach the limit</h2><p>Runs are <em>queued</em>, not lost. They start again when the month turns, or at once after an upgrade.</p>
<ol><li>Open <a href="/settings/usage">Settings</a> and choose <kbd>Usage</kbd>.</li><li>Look at the bar.</li></ol>
<table><thead><tr><th>Plan</th><th>Runs a month</th></tr></thead><tbody><tr><td>Starter</td><td>2,000</td></tr><tr><td>Pro</td><td>50,000</td></tr></tbody></table>
<pre><code>curl https://api.orimono.example/v1/usage -H "Authorization: Bearer KEY" --very-long-option-to-scroll</code></pre>
<script>window.hurt = 1</script><img src=x onerror="window.hurt = 1"><a href="javascript:window.hurt=1">bad link</a><p style="position:fixed" onclick="hurt=1">styled</p><iframe src="/"></iframe>"""

ARTICLES: dict[str, dict[str, Any]] = {
    "en/run-limits": {**RUN_LIMITS, "html": HTML},
    "en/plans-and-limits": {**PLANS, "html": "<p>Four plans.</p>"},
    "ja/run-limits": {
        **RUN_LIMITS_JA,
        "html": "<h2>上限に達したとき</h2><p>実行は<strong>待機列</strong>に入り、失われません。翌月、またはプランの変更後に再開されます。</p>",
    },
}

PEOPLE = [
    {
        "person_id": f"p{n}",
        "name": name,
        "role": role,
        "account_id": f"a{n}",
        "account": account,
        "plan": plan,
        "about": about,
    }
    for n, (name, role, account, plan, about) in enumerate(
        [
            ("Mika Tanaka", "owner", "Kumo Bakery", "Starter", "Two weeks in, still setting things up"),
            ("Jonas Weber", "admin", "Nordlicht Logistics", "Pro", "Close to the limit of runs"),
            ("Priya Nair", "admin", "Saffron Health", "Business", "Large account, unhappy of late"),
            ("Vera Blum", "admin", "Violet Fashion", "Starter", ""),
        ],
        start=1,
    )
]

QUOTE = """When an account reaches its **monthly runs**, new runs are *queued*, not lost. They start again:

1. when the month turns, or
2. at once, after an [upgrade](https://orimono.example/upgrade).

Look at `Settings → Usage` for where you stand."""
QUOTE_JA = """アカウントが**月間の実行回数**に達すると、新しい実行は待機列に入り、失われることはありません。次のいずれかで再開されます。

1. 翌月になったとき
2. [プランを変更](https://orimono.example/upgrade)した直後

現在の状況は`設定 → 利用状況`でご確認ください。"""


def reply(text: str, lang: str) -> list[tuple[dict[str, Any], str | None]]:
    """Bodies, each with a new holder or none.

    Args:
        text: a keyword picks the type of body.
        lang: `en` or `ja`.
    """
    ja = lang == "ja"
    soon = (datetime.now(UTC) + timedelta(minutes=12)).isoformat()
    known: dict[str, list[tuple[dict[str, Any], str | None]]] = {
        "limit": [(answer(ja, 0.93), None)],
        "unsure": [(answer(ja, 0.55), None)],
        "which": [(choices(ja), None)],
        "usage": [(facts(ja), None)],
        "start": [(checklist(ja), None)],
        "human": [
            (
                {
                    "type": "handover",
                    "status": "queued",
                    "expected_at": soon,
                    "text": "担当者にお伝えしました。" if ja else "I have passed this on to our customer success team.",
                },
                None,
            )
        ],
        "aiko": [
            (
                {
                    "type": "handover",
                    "status": "claimed",
                    "csm": "Aiko",
                    "text": "Aikoです。" if ja else "Aiko has joined.",
                },
                "Aiko",
            ),
            (
                {
                    "type": "text",
                    "text": "こんにちは、Aikoです。詳しく教えていただけますか？"
                    if ja
                    else "Hi, Aiko here. I see the queue is full; *one moment*, I will look at your flow.",
                },
                None,
            ),
        ],
        "done": [
            (
                {"type": "handover", "status": "resolved", "text": "解決しました。" if ja else "Glad this is solved."},
                "bot",
            ),
            (
                {
                    "type": "survey",
                    "survey": "csat",
                    "text": "今回の対応はいかがでしたか？" if ja else "How was this conversation?",
                    "low": 1,
                    "high": 5,
                },
                None,
            ),
        ],
        "nps": [
            (
                {
                    "type": "survey",
                    "survey": "nps",
                    "text": "Orimonoをお勧めいただけますか？" if ja else "How likely are you to recommend Orimono?",
                    "low": 0,
                    "high": 10,
                },
                None,
            )
        ],
        "calm article": [({"type": "answer", "quote": "Four plans.", "citations": [PLANS], "confidence": 0.8}, None)],
        "evil": [({"type": "text", "text": EVIL}, None)],
    }
    for word, bodies in known.items():
        if word in text.lower():
            return bodies
    return [({"type": "text", "text": f"You said: {text}"}, None)]


EVIL = """<img src=x onerror="window.hurt=1"> <script>window.hurt=1</script> [click](javascript:window.hurt=1) [data](data:text/html,x)
[ok](https://orimono.example/a_(b)) **bold <b>not</b>** ![pic](https://evil.example/x.png)"""


def answer(ja: bool, confidence: float) -> dict[str, Any]:
    if ja:
        return {
            "type": "answer",
            "quote": QUOTE_JA,
            "citations": [RUN_LIMITS_JA],
            "confidence": confidence,
            "alternatives": [COUNTED],
        }
    return {
        "type": "answer",
        "quote": QUOTE,
        "citations": [RUN_LIMITS],
        "confidence": confidence,
        "alternatives": [PLANS, COUNTED],
    }


def choices(ja: bool) -> dict[str, Any]:
    if ja:
        return {
            "type": "choices",
            "text": "どちらについてのご質問ですか？",
            "choices": [{"id": "limit", "label": "実行回数の上限"}, {"id": "usage", "label": "現在の利用状況"}],
        }
    labels = {"limit": "Run limits", "usage": "What I have used", "human": "None of these"}
    return {
        "type": "choices",
        "text": "I found more than one thing. Which is it?",
        "choices": [{"id": k, "label": v} for k, v in labels.items()],
    }


def facts(ja: bool) -> dict[str, Any]:
    if ja:
        return {
            "type": "account",
            "text": "Nordlicht Logisticsの今月の利用状況です。",
            "facts": [
                {"label": "プラン", "value": "Pro"},
                {"label": "実行回数", "value": "46,210 / 50,000", "used": 0.924},
                {"label": "シート", "value": "12 / 25", "used": 0.48},
                {"label": "更新日", "value": "2027年1月31日"},
            ],
        }
    return {
        "type": "account",
        "text": "**Nordlicht Logistics** this month:",
        "facts": [
            {"label": "Plan", "value": "Pro"},
            {"label": "Runs", "value": "46,210 of 50,000", "used": 0.924},
            {"label": "Seats", "value": "12 of 25", "used": 0.48},
            {"label": "Storage", "value": "20 of 20 GB", "used": 1},
            {"label": "Renews on", "value": "31 January 2027"},
        ],
    }


def checklist(ja: bool) -> dict[str, Any]:
    titles = (
        ["チームを招待する", "最初のアプリを接続する", "最初のフローを作る", "エラー通知を設定する"]
        if ja
        else ["Invite your team", "Connect your first app", "Build your first flow", "Set up error alerts"]
    )
    return {
        "type": "checklist",
        "text": "導入の進み具合です。" if ja else "You are on your way. Here is what comes next:",
        "percent": 50,
        "steps": [
            {"id": "a", "title": titles[0], "done": True},
            {"id": "b", "title": titles[1], "done": True},
            {
                "id": "c",
                "title": titles[2],
                "done": False,
                "current": True,
                "due": "2026-11-20",
                "overdue": True,
                "article": RUN_LIMITS_JA if ja else PLANS,
            },
            {"id": "d", "title": titles[3], "done": False, "due": "2026-12-04"},
        ],
    }
