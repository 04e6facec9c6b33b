"""Content of other systems, in the shapes their exports have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit.errors import UserError
from knowledge_base.answering import Answerer
from knowledge_base.articles import Content, join
from knowledge_base.encoders import Encoders
from knowledge_base.html import to_markdown
from knowledge_base.imports import load
from knowledge_base.index import build_index, open_index
from knowledge_base.schemas import AnswerRequest

URL = "https://help.example.com/"
BODY = """<h2 id="h">Where it is</h2><p>Open <a href="/settings">Settings</a> and press <strong>Reset key</strong>.</p>
<ol><li>Copy the key</li><li>Paste it<ul><li>into the app</li></ul></li></ol><pre><code>curl -X POST *</code></pre>
<table><tbody><tr><th>Plan</th><th>Keys</th></tr><tr><td>Pro</td><td>5</td></tr></tbody></table>
<img src="img/key.png" alt="The key"><script>alert(1)</script><p>{{ account.name }} and 2 * 3 &lt;b&gt;</p>"""
ZENDESK = {
    "count": 3,
    "articles": [
        {"id": 11, "title": "Reset your API key", "body": BODY, "locale": "en-us", "draft": False,
         "html_url": "https://acme.zendesk.com/hc/en-us/articles/11", "edited_at": "2026-02-03T01:02:03Z"},
        {"id": 12, "title": "Later", "body": "<p>x</p>", "locale": "en-us", "draft": True, "html_url": "x"},
        {"id": 13, "title": "キーの再発行", "body": "<p>設定を開きます。</p>", "locale": "ja", "html_url": "h"},
    ],
}  # fmt: skip
DISCOURSE = [
    {"id": 7, "slug": "key-lost", "title": "I lost my API key, how do I reset it?",
     "accepted_answer": {"post_number": 3},
     "post_stream": {"posts": [
         {"post_number": 1, "cooked": "<p>My API key is gone.</p>"},
         {"post_number": 2, "cooked": "<p>Same here!</p>"},
         {"post_number": 3, "cooked": "<p>Reset the API key under Settings.</p>", "updated_at": "2026-01-05T00:00:00Z"},
     ]}},
    {"id": 8, "slug": "unsolved", "title": "Nobody knows", "post_stream": {"posts": [{"post_number": 1, "cooked": "<p>?</p>"}]}},
]  # fmt: skip


def write(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_a_zendesk_export_gives_its_published_articles(tmp_path: Path) -> None:
    made = load(write(tmp_path / "articles.json", ZENDESK)).articles
    assert [(a.id, a.lang) for a in made] == [("en-us/11", "en"), ("ja/13", "ja")]
    first = made[0]
    assert (first.title, first.url) == ("Reset your API key", "https://acme.zendesk.com/hc/en-us/articles/11")
    assert (str(first.updated), first.source, first.template) == ("2026-02-03", "article", False)


def test_structure_links_and_images_survive(tmp_path: Path, encoders: Encoders) -> None:
    content = load(write(tmp_path / "articles.json", ZENDESK))
    build_index(content, tmp_path / "index", encoders)
    index = open_index(tmp_path / "index", encoders)
    passage = next(passage for passage in index.passages if passage.article_id == "en-us/11")
    assert passage.heading == "Where it is"
    assert "[Settings](https://acme.zendesk.com/settings)" in passage.quote
    assert "![The key](https://acme.zendesk.com/hc/en-us/articles/img/key.png)" in passage.quote
    assert "1. Copy the key\n2. Paste it" in passage.quote
    assert "| Plan | Keys |" in passage.quote
    assert "```\ncurl -X POST *\n```" in passage.quote
    assert "alert" not in passage.quote
    assert "{{ account.name }} and 2 * 3 <b>" in passage.text


def test_only_solved_topics_count_and_say_what_they_are(tmp_path: Path) -> None:
    made = load(write(tmp_path / "topics.json", DISCOURSE), "https://forum.example.com").articles
    assert [(a.id, a.url, a.source) for a in made] == [
        ("community/7", "https://forum.example.com/t/key-lost/7/3", "community")
    ]
    assert (made[0].body, made[0].questions) == ("Reset the API key under Settings.", ("My API key is gone.",))


def test_the_companys_own_article_goes_before_a_topic(tmp_path: Path, encoders: Encoders) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "key.md").write_text("# I lost my API key, how do I reset it?\n\nReset the API key under Settings.")
    topics = load(write(tmp_path / "topics.json", DISCOURSE), "https://forum.example.com")
    build_index(join([load(own, URL), topics]), tmp_path / "index", encoders)
    answerer = Answerer(
        open_index(tmp_path / "index", encoders), encoders, lambda encoder, texts: encoder.read_questions(texts)
    )
    hits = answerer.search("how do I reset my API key", None, None, 5)
    assert [(hit.article_id, hit.source) for hit in hits] == [("key", "article"), ("community/7", "community")]
    chosen = answerer.answer(AnswerRequest(text="lost key", article_id="community/7"))
    assert chosen.citation is not None
    assert chosen.citation.source == "community"


def test_pages_of_a_website(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura", reason="needs lxml_html_clean", exc_type=ImportError)
    page = f"""<html><head><title>Reset | Acme</title></head><body><nav><a href="/">Home</a> <a href="/b">Blog</a></nav>
    <main><article><h1>Reset your API key</h1><p>Whoever holds the key can call the interface, so reset it when it leaks.</p>
    {BODY}<p>The old key stops working within one minute after the reset.</p></article></main>
    <footer>© Acme, all rights reserved</footer></body></html>"""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "reset.html").write_text(page, encoding="utf-8")
    (tmp_path / "empty.html").write_text("")
    (article,) = load(tmp_path, URL).articles
    assert (article.id, article.title, article.url) == (
        "keys/reset", "Reset your API key", "https://help.example.com/keys/reset.html"
    )  # fmt: skip
    assert "stops working within one minute" in article.body
    assert "all rights reserved" not in article.body
    assert "Blog" not in article.body


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"articles": [', "line 1: not JSON"),
        ("a.json", "3", "not an export"),
        ("a.json", '{"articles": [{}]}', "article 1 has no id"),
        ("a.json", '{"articles": []}', "has no articles"),
        ("a.json", "[1]", "not topics of Discourse"),
        ("a.txt", "x", "has no articles"),
    ],
)
def test_what_is_no_export_is_said(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said):
        load(tmp_path / name)
    with pytest.raises(UserError, match="is not there"):
        load(tmp_path / "none")


def test_two_contents_may_not_share_an_id(tmp_path: Path) -> None:
    content = load(write(tmp_path / "articles.json", ZENDESK))
    with pytest.raises(UserError, match="the same id"):
        join([content, content])
    assert join([content, Content(())]) == content


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("", ""),
        ("<p>a<br>b</p>", "a  \nb"),
        ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b"),
        ("<p>snake_case *x* [y](z)</p>", "snake\\_case \\*x\\* \\[y\\](z)"),
        ("<code>a`b</code>", "``a`b``"),
        ("<p>open", "open"),
        ("<img src='data:image/png;base64,xx'>", ""),
    ],
)
def test_html_becomes_markdown(source: str, made: str) -> None:
    assert to_markdown(source) == made
