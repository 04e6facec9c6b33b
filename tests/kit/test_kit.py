"""What every room stands on."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from kit import tokens
from kit.catalogue import Catalogue
from kit.company import Company, load_company
from kit.errors import Unauthenticated, UserError
from kit.files import read_text, read_yaml
from kit.ids import hash_token, new_id, new_token
from kit.settings import ROOT, load_settings
from kit.times import clock_words

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)  # Monday 10:00 in Tokyo


class Inner(BaseModel):
    number: int


class Outer(BaseModel):
    name: str
    inner: list[Inner]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name: a\ninner:\n  - number: 1\n  - number: x\n", 4, "inner.1.number"),
        ("name: a\ninner: {}\n", 2, "inner"),
        ("inner: []\n", 1, "name"),
        ("name: [\n", 2, ""),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    """File, line and field, in one line."""
    path = tmp_path / "a.yml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_yaml(path, Outer)
    assert f"{path}, line {line}:" in str(error.value)
    assert says in str(error.value)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8."""
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    for path, says in [(tmp_path / "none", "does not exist"), (tmp_path, "folder"), (tmp_path / "latin", "UTF-8")]:
        with pytest.raises(UserError, match=says):
            read_text(path)


def test_the_sample_company_reads() -> None:
    """Its languages, hours and folder are as written."""
    company = load_company(ROOT / "demo")
    assert company.languages == ["en", "ja"]
    assert company.content_dir.is_dir()
    assert company.support.hours["mon"][0].hour == 9


def test_an_unknown_time_zone_is_refused() -> None:
    """A typo in company.yml is found at start, not at the first escalation."""
    with pytest.raises(ValueError, match="Asia/Tokio"):
        Company.model_validate(
            {"name": "a", "product": "a", "summary": "a", "support": {"email": "a@b.co", "timezone": "Asia/Tokio"}}
        )


def test_tokens_hold_for_their_audience_and_time() -> None:
    """Another audience, another key, too old: refused."""
    key, moment = "k" * 40, datetime.now(UTC)
    token = tokens.sign({"a": 1}, key, audience="x", now=moment, lifetime=timedelta(minutes=1))
    assert tokens.verify(token, key, audience="x")["a"] == 1
    old = tokens.sign({"a": 1}, key, audience="x", now=moment - timedelta(hours=1), lifetime=timedelta(minutes=1))
    for bad, bad_key, audience in [(token, key, "y"), (token, "z" * 40, "x"), (old, key, "x"), ("", key, "x")]:
        with pytest.raises(Unauthenticated):
            tokens.verify(bad, bad_key, audience=audience)


def test_secrets_are_made_once_and_read_by_their_owner_alone(tmp_path: Path) -> None:
    """Processes that start at the same moment agree."""
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_settings(home=tmp_path).signing_key)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    assert load_settings(home=tmp_path).identity_key != found[0]


def test_production_refuses_generated_and_short_secrets(tmp_path: Path) -> None:
    """A secret of one's own, and a real one."""
    with pytest.raises(UserError, match="KOTAE_SECRET_KEY is not set"):
        _ = load_settings(home=tmp_path, mode="production").signing_key
    with pytest.raises(UserError, match="shorter than 32"):
        _ = load_settings(home=tmp_path, mode="production", secret_key="short").signing_key


def test_ids_and_tokens_cannot_be_guessed() -> None:
    """All different; a token's hash says nothing of it."""
    assert len({new_id("a") for _ in range(1000)}) == 1000
    token = new_token()
    assert len(token) >= 43
    assert token not in hash_token(token)


@pytest.mark.parametrize(
    ("hours", "en", "ja"),
    [
        (5, "15:00 (JST)", "15:00"),
        (23, "tomorrow 09:00 (JST)", "明日09:00"),
        (72, "Thursday 10:00 (JST)", "11月26日（木）10:00"),
        (24 * 8, "December 1, 10:00 (JST)", "12月1日（火）10:00"),
    ],
)
def test_moments_in_words(hours: int, en: str, ja: str) -> None:
    """As people say them."""
    moment = NOW + timedelta(hours=hours)
    assert clock_words(moment, NOW, "Asia/Tokyo", "en") == en
    assert clock_words(moment, NOW, "Asia/Tokyo", "ja") == ja


@pytest.mark.parametrize(
    "path",
    sorted(
        path.relative_to(ROOT)
        for room in ("actions", "api", "escalations")
        for path in (ROOT / room).rglob("texts.yml")
    ),
)
def test_every_text_is_there_in_both_languages_with_the_same_values(path: Path) -> None:
    """English and Japanese side by side, naming the same values."""
    import string

    texts = yaml.safe_load((ROOT / path).read_text())
    for key, langs in Catalogue(ROOT / path).keys().items():
        assert langs == {"en", "ja"}, key
        named = [
            {name for _, name, _, _ in string.Formatter().parse(texts[key][lang]) if name} for lang in ("en", "ja")
        ]
        assert named[0] == named[1], key
