"""Pages of a website that were downloaded, as downloaders lay them down."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import UserError
from knowledge_base.articles import Passage
from knowledge_base.imports import load
from knowledge_base.passages import cut

SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc>https://docs.example.com/docs/keys/</loc><lastmod>2026-05-06T01:00:00+00:00</lastmod></url>
<url><loc>https://docs.example.com/docs/plain</loc></url>
<url><loc>https://docs.example.com/docs/invoices</loc></url>
<url><loc>https://docs.example.com/docs/gone</loc></url>
</urlset>"""
KEYS = """<?xml version="1.0" encoding="utf-8"?>
<html><head><title>Keys | Acme</title></head><body><main><h1>Reset your API key</h1>
<p>Whoever holds the key can call the interface, so reset it when it leaks. Open <a href="../settings#keys">Settings</a>.</p>
<h2 id="after">After the reset</h2><p>The old key stops working within one minute, as the picture shows.</p>
<img src="img/key.png" alt="The key"/></main></body></html>"""
PLAIN = """<html><head><title>Invite people</title></head><body><p>Open the workspace menu and choose Invite; each person gets an
e-mail with a link that is valid for a week.</p></body></html>"""
INVOICES = """<html><head><meta charset="Shift_JIS"><title>請求書</title></head><body><h1>請求書</h1>
<p>設定の「請求」を開き、請求書の一覧からダウンロードしてください。毎月一日に発行されます。</p></body></html>"""
MISSING = "<html><body><h1>404</h1><p>This page was not found, sorry about that, go home please.</p></body></html>"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Downloaded with the folder of its host, and partly without endings."""
    docs = tmp_path / "docs.example.com" / "docs"
    (docs / "keys").mkdir(parents=True)
    (docs / "keys" / "index.html").write_text(KEYS)
    (docs / "plain").write_text(PLAIN)
    (docs / "invoices.html").write_bytes(INVOICES.encode("shift_jis"))
    (docs / "404.html").write_text(MISSING)
    (tmp_path / "sitemap.xml").write_text(SITEMAP)
    return tmp_path


@pytest.mark.parametrize("name", [".", "sitemap.xml"])
def test_a_sitemap_says_which_pages_count_and_where_they_are(site: Path, name: str) -> None:
    made = load(site / name, "https://help.example.com")
    assert [(a.url, a.lang, str(a.updated)) for a in made.articles] == [
        ("https://docs.example.com/docs/invoices", "ja", "None"),
        ("https://docs.example.com/docs/keys/", "en", "2026-05-06"),
        ("https://docs.example.com/docs/plain", "en", "None"),
    ]
    assert [a.id.partition("/")[2] for a in made.articles] == ["docs/invoices", "docs/keys", "docs/plain"]
    assert made.articles[0].body.startswith("設定の「請求」を開き")
    assert len(made.warnings) == 1
    assert "1 of 4 pages are not there, such as https://docs.example.com/docs/gone" in made.warnings[0]


def test_links_pictures_and_headings_lead_to_where_the_page_says(site: Path) -> None:
    keys = load(site).articles[1]
    first, second = cut_of(keys.id, site)
    assert "[Settings](https://docs.example.com/docs/settings#keys)" in first.quote
    assert (second.heading, second.anchor) == ("After the reset", "after")
    assert "![The key](https://docs.example.com/docs/keys/img/key.png)" in second.quote


def cut_of(id: str, site: Path) -> list[Passage]:
    articles = load(site).articles
    return cut(next(a for a in articles if a.id == id), {a.id: a.url for a in articles}, "")


@pytest.mark.parametrize(
    ("sitemap", "said"),
    [
        ("<urlset><url>", "sitemap.xml: not XML"),
        ("<urlset><url><loc>https://elsewhere.example/x</loc></url></urlset>", "lists no page that lies beside it"),
        ("<urlset></urlset>", "lists no page that lies beside it"),
    ],
)
def test_a_sitemap_that_is_of_no_use_is_said(site: Path, sitemap: str, said: str) -> None:
    (site / "sitemap.xml").write_text(sitemap)
    with pytest.raises(UserError, match=said):
        load(site)


def test_a_page_that_is_not_in_the_encoding_it_names_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"<html><head><meta charset=utf-8></head><body>\xff\xfe</body></html>")
    with pytest.raises(UserError, match=r"a\.html is not utf-8 \(byte 45\)"):
        load(tmp_path)
