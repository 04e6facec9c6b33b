"""Passages follow the document, never through a table, a list or a code block."""

from __future__ import annotations

from pathlib import Path

from knowledge_base import markdown
from knowledge_base.articles import Article, Passage
from knowledge_base.loading import load_folder
from knowledge_base.passages import MAX_LENGTH, cut
from knowledge_base.text import length

WORDS = " ".join(["word"] * 120)


def passages(body: str, **fields: object) -> list[Passage]:
    article = Article(id="en/a", title="A", body=body, url="https://h.example/en/a", **fields)
    return cut(article, {"en/b": "https://h.example/en/b", "en/a": article.url}, "https://h.example")


def test_a_heading_begins_a_passage_and_is_its_path() -> None:
    made = passages("Intro.\n\n## One\n\nText one.\n\n### Deep\n\nText two.\n\n## Two\n\nText three.")
    assert [(p.headings, p.quote) for p in made] == [
        ((), "Intro."),
        (("One",), "Text one."),
        (("One", "Deep"), "Text two."),
        (("Two",), "Text three."),
    ]
    assert [p.anchor for p in made] == ["", "one", "deep", "two"]


def test_a_long_section_is_cut_between_its_paragraphs() -> None:
    made = passages(f"{WORDS}\n\n{WORDS}")
    assert [p.quote for p in made] == [WORDS, WORDS]


def test_a_list_stays_whole_however_long() -> None:
    items = "\n".join(f"* {' '.join(['word'] * 20)}" for _ in range(30))
    assert [p.quote for p in passages(f"{WORDS}\n\n{items}")] == [WORDS, items]


def test_a_sentence_that_leads_in_stays_with_its_list() -> None:
    made = passages(f"{WORDS}\n\nDo this:\n\n* one {WORDS}\n* two")
    assert any(p.quote.startswith("Do this:") or "Do this:\n\n* one" in p.quote for p in made)


def test_a_section_that_promises_steps_and_stops_names_the_headings_that_follow() -> None:
    made = passages(
        "## Set up\n\nHere is how:\n\n### First [a]\n\nText.\n\n#### Deep\n\nText.\n\n### Second\n\nText.\n\n## Else\n\nText."
    )
    assert made[0].quote == (
        "Here is how:\n\n* [First \\[a\\]](https://h.example/en/a#first-a)\n* [Second](https://h.example/en/a#second)"
    )
    assert passages("Here is how:\n\nOne.\n\n## Else\n\nText.")[0].quote == "Here is how:\n\nOne."


def test_links_between_files_lead_to_their_addresses() -> None:
    made = passages("[b](b.md#x) [up](../en/b.md) [self](#y) [out](https://o.example/)")
    assert made[0].quote == (
        "[b](https://h.example/en/b#x) [up](https://h.example/en/b) [self](https://h.example/en/a#y) [out](https://o.example/)"
    )


def test_a_template_is_never_cut_inside_an_if() -> None:
    made = passages(f"{{% if account %}}\n\n{WORDS}\n\n## Inside\n\n{WORDS}\n\n{{% endif %}}\n\nAfter.")
    assert all(p.quote.count("{% if") == p.quote.count("{% endif") for p in made)


def test_real_articles_keep_every_table_list_and_code_block_whole(plausible_docs: Path) -> None:
    """Over a real help centre: each block of each article is found whole in exactly one passage."""
    url = "https://plausible.io/docs"
    content = load_folder(plausible_docs, url)
    links = {article.id: article.url for article in content.articles}
    whole = 0
    for article in content.articles:
        quotes = [passage.quote for passage in cut(article, links, url)]
        source = markdown.tidy(article.body)
        for block in markdown.blocks(source):
            if block.kind in ("table", "code") and "](" not in block.source:
                assert any(block.source in quote for quote in quotes), (article.id, block.source[:80])
                whole += 1
        assert all("useBaseUrl" not in quote and ":::" not in quote for quote in quotes if "```" not in quote), (
            article.id
        )
    assert whole > 100


def test_plain_text_is_cut_at_blank_lines_and_within_long_ones() -> None:
    long = "\n".join(" ".join(["word"] * 20) for _ in range(20))
    made = passages(f"First.\n\n{long}", markup="text")
    assert len(made) > 2
    assert all(length(p.quote) <= MAX_LENGTH + 20 for p in made)
