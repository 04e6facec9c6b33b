"""Markdown and articles as DOM: the same reading as an independent implementation, and no way in for anything else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from playwright.sync_api import Page

from tests.widget.conftest import Visit

pytestmark = pytest.mark.browser

# What each of the two draws differently on purpose: every heading is an h4, images are their words, a table may scroll.
LOOK = """html => {
  const names = {H1: 'H4', H2: 'H4', H3: 'H4', H5: 'H4', H6: 'H4', B: 'STRONG'};
  const walk = node => [...node.childNodes].flatMap(one => {
    if (one.nodeType === 3) return [one.nodeValue.replace(/\\s+/g, ' ')];
    if (one.tagName === 'IMG') return [one.alt];
    if (one.classList.contains('wide')) return walk(one);
    const href = one.tagName === 'A' ? '=' + one.href : '';
    return ['<' + (names[one.tagName] || one.tagName) + href + '>', ...walk(one), '</>'];
  });
  return walk(html).join('').replace(/ *(<\\/?(P|H4|UL|OL|LI|PRE|BLOCKQUOTE|HR|TABLE|T[HRD]|THEAD|TBODY|BR)[^>]*>|<\\/>) */g, '$1').trim();
}"""

OURS = f"async text => {{ const {{markdown}} = await import('/widget.js'); const box = document.createElement('div'); box.append(markdown(text, location.href)); return ({LOOK})(box); }}"
THEIRS = f"html => ({LOOK})(new DOMParser().parseFromString(html, 'text/html').body)"

SAMPLES = [
    "Plain words.\n\nAnother paragraph\nover two lines.",
    "# One\n\n## Two ##\n\ntext\n### Three\nmore",
    "**bold** and *italic* and __bold__ and _italic_ and ~~gone~~",
    "snake_case_name and 2 * 3 * 4 and a*b and **unclosed",
    "`code with **stars**` and ``a ` tick``",
    '[a link](https://orimono.example/a "title") and <https://orimono.example/b> and [wiki](https://en.wikipedia.org/wiki/A_(b))',
    "[**bold** link](/relative/path) and [empty]() and ![a picture](https://orimono.example/x.png)",
    "- one\n- two\n  - nested\n  - more\n- three",
    "1. one\n2. two\n   - with a list\n3. three",
    "3. starts at three\n4. four",
    "- loose\n\n- items\n\n  with a paragraph",
    "* one\n* two\n\nafter",
    "> quoted\n> lines\n>\n> - with a list",
    "```python\nprint('**no**')\n\n# not a heading\n```\n\nafter",
    "~~~\n<b>raw</b>\n~~~",
    "1. step\n\n   ```\n   code in a step\n   ```\n\n2. next",
    "---\n\ntext\n\n***",
    "| a | b |\n|---|:-:|\n| 1 | **2** |\n| x \\| y | `z` |",
    "Text with a \\*literal\\* star and a \\[bracket\\].",
    "line one  \nline two\\\nline three",
    "<script>alert(1)</script> and <b onclick=x>raw</b> & an ampersand &",
    "日本語の**太字**と「[リンク](https://orimono.example/ja)」です。\n\n- 一つ目\n- 二つ目",
    "A list follows:\n- right away\n- without a blank line",
]


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit(quick=False)


def reference() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


@pytest.mark.parametrize("text", SAMPLES)
def test_it_reads_markdown_as_markdown_it_does(page: Page, text: str) -> None:
    assert page.evaluate(OURS, text) == page.evaluate(THEIRS, reference().render(text))


def test_emphasis_beside_japanese_punctuation(page: Page) -> None:
    """CommonMark leaves these asterisks standing, since it asks for a space that Japanese does not write."""
    assert (
        page.evaluate(OURS, "**注意：**実行は待機列に入ります。") == "<P><STRONG>注意：</>実行は待機列に入ります。</>"
    )


def test_the_sample_companys_articles_read_the_same(page: Page, root: Path) -> None:
    """Every article of the demo, whole; but where CommonMark leaves asterisks standing in Japanese, here none is left."""
    articles = sorted((root / "demo" / "help").rglob("*.md"))
    assert articles
    different = []
    for file in articles:
        text = file.read_text("utf-8").split("---\n", 2)[-1]
        ours, theirs = page.evaluate(OURS, text), page.evaluate(THEIRS, reference().render(text))
        if ours != theirs and ("*" in ours or "*" not in theirs):
            different.append(file.name)
    assert different == []


SAFE = """async ([text, html]) => {
  const {markdown, article} = await import('/widget.js');
  const box = document.createElement('div');
  box.append(markdown(text), article(html, 'https://help.example/a/b'));
  return [...box.querySelectorAll('*')].map(one => [one.tagName, ...[...one.attributes].map(a => [a.name, a.value])]);
}"""
ELEMENTS = set(
    re.findall(
        r"\w+",
        "P UL OL LI A STRONG B EM I S DEL CODE PRE BLOCKQUOTE TABLE THEAD TBODY TR TH TD HR BR KBD SUB SUP DL DT DD H3 H4 H5 H6 IMG SPAN DIV",
    )
)
ATTRIBUTES = {
    "href",
    "target",
    "rel",
    "src",
    "alt",
    "loading",
    "referrerpolicy",
    "colspan",
    "rowspan",
    "start",
    "tabindex",
    "scope",
    "class",
}

HTML = ["<script>", "</script>", "<img src=x onerror=a()>", "<a href='javascript:a()'>", "<a href='/ok'>", "<svg onload=a()>", "<style>*{}</style>", "<p style='x' onclick='a()' class='launcher'>", "<iframe src=/>", "<math><mi>", "<form><input>", "</p>", "<table><tr><td>", "<template>", "<!-- x -->", "&lt;", "&#106;avascript:"]  # fmt: skip
LINKS = ["[x](javascript:a())", "[x](data:text/html,x)", "[x](vbscript:x)", "[x]( https://a.example )", "https://a.example/x", "![x](", ")", "](", "["]  # fmt: skip
MARKS = ["**", "*", "_", "`", "```\n", "\n", "\n\n", "- ", "1. ", "> ", "| a | b |\n|---|---|\n", "<", ">", "\\", "text", " ", "    ", "\t", "答え", "\u202e"]  # fmt: skip
PIECES = st.sampled_from([*HTML, *LINKS, *MARKS])


def test_nothing_but_the_allowed_comes_through(page: Page) -> None:
    """Whatever is put together from dangerous pieces: only listed elements and attributes, only http(s), mailto and tel."""

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(PIECES, max_size=14).map("".join), st.lists(PIECES, max_size=14).map("".join))
    def holds(text: str, html: str) -> None:
        made: list[list[Any]] = page.evaluate(SAFE, [text, html])
        for tag, *attributes in made:
            assert tag in ELEMENTS
            for name, value in attributes:
                assert name in ATTRIBUTES
                assert name != "class" or value == "wide"
                assert name not in ("href", "src") or value.startswith(("https://", "http://", "mailto:", "tel:"))

    holds()


def test_a_hostile_text_takes_no_time(page: Page) -> None:
    """Patterns that make careless expressions take minutes."""
    texts = ["*" * 5000, "[" * 5000, "`" * 5000, "a_" * 3000, "> " * 3000, "- " * 3000, "**a" * 2000, "[a](" * 2000, "|" * 4000 + "\n" + "|-" * 2000, "<" * 5000, "(" * 5000, "[x](" + "(" * 3000, "\\" * 5000, "~~" * 2500, "https://" * 1000, " " * 5000 + "x", "_a " * 2000]  # fmt: skip
    for text in texts:
        took = page.evaluate(
            "async text => { const {markdown} = await import('/widget.js'); const at = performance.now(); markdown(text); return performance.now() - at; }",
            text,
        )
        assert took < 1000, text[:10]
