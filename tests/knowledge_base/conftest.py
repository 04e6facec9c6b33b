"""A small bilingual help centre and a real one, each indexed once a session with the real encoders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kit.settings import Settings, load_settings
from knowledge_base import index as indexes
from knowledge_base.answering import Answerer
from knowledge_base.encoders import Encoders
from knowledge_base.loading import load_folder
from knowledge_base.offline import open_index

EVAL = Path(os.environ.get("KOTAE_EVAL_DIR", Path(__file__).resolve().parents[3] / "shared" / "eval"))

ARTICLES = {
    "en/run-limits.md": """---
title: How many runs you have
questions:
  - what is my run limit
updated: 2026-03-01
---
Every plan includes a number of runs a month.

## Your own number

{% if account %}{{ account.name }} is on {{ plan.name }} with {{ limits.runs }} runs a month.{% else %}\
Sign in to see your own number of runs.{% endif %}

## When they are used up

Further runs wait until the first day of the next month. Nothing is lost. See [billing](billing.md).
""",
    "ja/run-limits.md": """---
title: 実行回数の上限
questions: [実行回数はどこで確認できますか]
---
プランごとに毎月の実行回数が決まっています。

## ご利用中の実行回数

{% if account %}{{ plan.name }}プランの上限は{{ limits.runs }}回です。{% else %}サインインすると確認できます。{% endif %}
""",
    "en/billing.md": """---
title: Invoices and payment
---
Invoices are sent by e-mail on the first day of each month.

## Change the card

Open **Settings → Billing** and press **Change card**. ![The page](img/card.png)
""",
    "en/single-sign-on.md": """---
title: Single sign-on with SAML
plans: [business, enterprise]
feature: sso
roles: [admin]
---
Admins connect an identity provider under **Settings → Security → Single sign-on**.

1. Copy the metadata address.
2. Paste it into your provider.
3. Press **Test**.
""",
    "ja/company-seal.md": """---
title: 請求書に社印を入れる
---
請求書の社印は、設定の「請求」画面で画像をアップロードすると表示されます。
""",
    "en/vacuum.md": """---
title: Clean the sewing machine
---
Switch the sewing machine off, open the needle plate and remove the lint with a small brush.
""",
}


@pytest.fixture(scope="session")
def plain_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a home of their own, whatever the environment says."""
    return load_settings(home=tmp_path_factory.mktemp("kb"), index=None, encoder="minilm", encoder_ja="multilingual")


@pytest.fixture(scope="session")
def encoders(plain_settings: Settings) -> Encoders:
    """The packaged encoders."""
    return Encoders(plain_settings)


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A folder with the small help centre, free to be changed."""
    return write_articles(tmp_path / "help")


@pytest.fixture(scope="session")
def small(plain_settings: Settings, encoders: Encoders, tmp_path_factory: pytest.TempPathFactory) -> Answerer:
    """The small help centre in the index that the session's settings serve."""
    folder = write_articles(tmp_path_factory.mktemp("content"))
    url = "https://help.example.com/"
    indexes.build_index(load_folder(folder, url), plain_settings.index_dir, encoders, url)
    return open_index(plain_settings)


@pytest.fixture(scope="session")
def plausible_docs() -> Path:
    """The real help centre of a real company."""
    folder = EVAL / "plausible-docs" / "docs"
    if not folder.is_dir():
        pytest.skip(f"the evaluation data is not there ({folder}); set KOTAE_EVAL_DIR")
    return folder


@pytest.fixture(scope="session")
def plausible(plausible_docs: Path, encoders: Encoders, pytestconfig: pytest.Config) -> Answerer:
    """The real help centre, indexed. The index is kept between runs: a build that finds nothing changed is quick."""
    url = "https://plausible.io/docs"
    assert pytestconfig.cache is not None
    index = pytestconfig.cache.mkdir("plausible-index")
    indexes.build_index(load_folder(plausible_docs, url), index, encoders, url)
    settings = load_settings(home=index, index=index, encoder="minilm", encoder_ja="multilingual")
    return open_index(settings)


def write_articles(folder: Path) -> Path:
    """Writes the small help centre."""
    for name, text in ARTICLES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
