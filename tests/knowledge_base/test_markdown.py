"""Markdown as help centres write it becomes clean, safe and absolute."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from knowledge_base.markdown import absolute, blocks, definitions, plain, resolve, slug, tidy, to_html


def make(link: str) -> str | None:
    return absolute("https://help.example.com/en/billing", link)


def test_imports_and_components_go_and_their_text_stays() -> None:
    source = (
        "import Box from '@x/Box';\nimport { A, B } from './a';\n\n<Box\n  title=\"hi\"\n/>\n\n<Box>Read this.</Box>"
    )
    assert tidy(source) == "Read this."


def test_html_images_become_markdown_images() -> None:
    source = '<div className="browser">\n<img alt="Add IP" src={useBaseUrl(\'img/ip.png\')} />\n</div>'
    assert tidy(source) == "![Add IP](img/ip.png)"


def test_what_a_component_indents_is_not_made_code() -> None:
    source = (
        "import Box from 'a';\n\n<Box>\n  <Tip>\n    Read [this](b).\n\n    And that. {META_TEXT}\n  </Tip>\n</Box>"
    )
    assert tidy(source) == "Read [this](b).\n\nAnd that."


def test_an_html_table_becomes_one_of_markdown() -> None:
    source = (
        "<table>\n  <thead>\n    <tr>\n      <th>Goal</th>\n      <th>Use</th>\n    </tr>\n  </thead>\n"
        '  <tr><td><a href="p">Pages</a></td>\n<td>a | b,\n  <b>more</b></td></tr><tr><td>Rest</td></tr>\n</table>'
    )
    assert tidy(source) == "| Goal | Use |\n| --- | --- |\n| [Pages](p) | a \\| b, **more** |\n| Rest |  |"


def test_an_admonition_keeps_its_title_and_its_text() -> None:
    assert tidy(":::tip Good to know\nBots are filtered.\n:::") == "**Good to know**\n\nBots are filtered."
    assert tidy(":::warning[Careful]\nGone for good.\n:::") == "**Careful**\n\nGone for good."


def test_code_is_left_as_it_is() -> None:
    source = "```jsx\nimport X from 'x'\n<Box/>\n:::tip\n```\n\nUse `<div>` and `:::note`."
    assert tidy(source) == source


def test_placeholders_in_angle_brackets_are_not_taken_for_html() -> None:
    assert tidy("Run streamtool -d <domain> -i <instance>.") == "Run streamtool -d <domain> -i <instance>."


def test_links_become_absolute_and_unsafe_ones_become_text() -> None:
    assert resolve("[a](../x#y) [b](javascript:alert(1)) ![i](p.png)", make) == (
        "[a](https://help.example.com/x#y) b ![i](https://help.example.com/en/p.png)"
    )


def test_reference_links_are_written_out() -> None:
    source = "See [the guide][g] and [G][].\n\n[g]: https://a.example/g"
    assert resolve(source, make, definitions(source)).startswith(
        "See [the guide](https://a.example/g) and [G](https://a.example/g)."
    )


def test_links_in_code_are_left_alone() -> None:
    assert resolve("`[a](b)`", make) == "`[a](b)`"


def test_blocks_are_the_top_level_ones() -> None:
    found = blocks("# Title {#top}\n\nWords.\n\n* a\n* b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```")
    assert [block.kind for block in found] == ["heading", "paragraph", "list", "table", "code"]
    assert (found[0].text, found[0].anchor) == ("Title", "top")
    assert found[3].text == "x y\n1 2"


def test_plain_words_have_no_markup() -> None:
    assert plain("**Open** [Settings](x) and `run`.\n\n* one\n* two") == "Open Settings and run.\none\ntwo"


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![x](data:text/html;base64,PHN2Zz4=)",
        "[x](vbscript:x)",
        "<a href='javascript:alert(1)'>x</a>",
    ],
)
def test_html_of_an_article_carries_no_script(attack: str) -> None:
    made = to_html(attack).lower()
    assert "<script" not in made
    assert "<img src=x" not in made
    assert 'href="javascript' not in made
    assert 'src="data:text' not in made
    assert 'href="vbscript' not in made


def test_headings_get_the_anchor_that_citations_point_to() -> None:
    assert '<h2 id="change-the-card">Change the card</h2>' in to_html("## Change the card")
    assert '<h2 id="card">Change</h2>' in to_html("## Change {#card}")


def test_a_japanese_heading_has_an_anchor() -> None:
    assert slug("ご利用中の 実行回数！") == "ご利用中の-実行回数"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("トリガーの下の**＋**を押します", "トリガーの下の<strong>＋</strong>を押します"),
        ("これは**「重要」**です", "これは<strong>「重要」</strong>です"),
        ("**保存します。**次に進みます", "<strong>保存します。</strong>次に進みます"),
        ("状態は*（下書き）*です", "状態は<em>（下書き）</em>です"),
        ("プランは**Pro (年払い)**のみ", "プランは<strong>Pro (年払い)</strong>のみ"),
    ],
)
def test_emphasis_may_touch_japanese(source: str, shown: str) -> None:
    assert to_html(source).strip() == f"<p>{shown}</p>"
    assert "*" not in plain(source)


@pytest.mark.parametrize(
    "source", ["snake_case_name", "2 * 3 * 4", "**unclosed", "** not bold **", "a**(b)**c", "日本 * 語 *"]
)
def test_what_common_mark_takes_literally_stays_literal(source: str) -> None:
    plainly = MarkdownIt("commonmark").render(source)
    assert to_html(source) == plainly
    assert "<em>" not in plainly
    assert "<strong>" not in plainly
