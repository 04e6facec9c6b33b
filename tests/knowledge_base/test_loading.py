"""Folders of articles load, and a writer's mistake is one line with its place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from kit.errors import UserError
from knowledge_base.loading import load_folder


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_front_matter_is_read_and_unknown_keys_are_left_alone(content: Path) -> None:
    articles = {article.id: article for article in load_folder(content, "https://h.example").articles}
    runs = articles["en/run-limits"]
    assert (runs.title, runs.questions, runs.updated) == (
        "How many runs you have", ("what is my run limit",), date(2026, 3, 1),
    )  # fmt: skip
    assert runs.url == "https://h.example/en/run-limits"
    assert runs.key == articles["ja/run-limits"].key
    assert articles["en/single-sign-on"].plans == ("business", "enterprise")


def test_an_article_without_front_matter_takes_its_heading_and_language(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "# Reset a password\n\nPress it.")
    write(tmp_path, "some-page.md", "パスワードを忘れた場合は、再設定してください。")
    first, second = load_folder(tmp_path).articles
    assert (first.title, first.lang) == ("Reset a password", "en")
    assert (second.title, second.lang) == ("Some page", "ja")


def test_a_real_help_centre_loads(plausible_docs: Path) -> None:
    content = load_folder(plausible_docs, "https://plausible.io/docs")
    assert len(content.articles) == 132
    assert "custom-props/introduction" in {article.id for article in content.articles}
    assert content.warnings == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\ntitle: a\nquestions: {x\n---\nbody", "line 4"),
        ("---\ntitle: a\nupdated: soon\n---\nbody", "line 3: updated"),
        ("---\ntitle: a\nlang: fr\n---\nbody", "line 3: lang"),
        ("---\ntitle: a\nbody", "no end"),
        ("---\n- a\n---\nbody", "line 1"),
        ("---\ntitle: a\n---\n\nAbc {{ limits.runs }} {{ nothing.here }}", "line 5: unknown name 'nothing'"),
    ],
)
def test_a_mistake_names_its_line(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, "bad.md", text)
    with pytest.raises(UserError) as caught:
        load_folder(tmp_path)
    assert "bad.md" in str(caught.value)
    assert said in str(caught.value)


def test_a_missing_folder_and_an_empty_one_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        load_folder(tmp_path / "none")
    with pytest.raises(UserError, match="has no articles"):
        load_folder(tmp_path)


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "x")
    write(tmp_path, "a.mdx", "y")
    with pytest.raises(UserError, match="same id 'a'"):
        load_folder(tmp_path)


def test_a_file_that_is_not_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        load_folder(tmp_path)


def test_drafts_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "_part.md", "x")
    write(tmp_path, ".hidden/a.md", "x")
    write(tmp_path, "draft.md", "---\ndraft: true\n---\nx")
    write(tmp_path, "kept.md", "x")
    assert [article.id for article in load_folder(tmp_path).articles] == ["kept"]
