"""Of a long table the rows that were asked for are shown, each whole, with the way to all of them."""

from __future__ import annotations

from pathlib import Path

from kit.settings import Settings
from knowledge_base.encoders import Encoders
from knowledge_base.index import build_index
from knowledge_base.loading import load_folder
from knowledge_base.offline import open_index
from knowledge_base.tables import ALL_ROWS, SHOWN, WHOLE, shorten

COUNTRIES = [
    "Austria", "Belgium", "Canada", "Denmark", "Estonia", "Finland", "Germany", "Hungary", "Iceland", "Japan", "Kenya",
    "Latvia", "Mexico", "Norway", "Oman", "Poland", "Qatar", "Romania", "Spain", "Turkey",
]  # fmt: skip
HEAD = "| Country | Delivery |\n| --- | --- |\n"
URL = "https://help.example.com/delivery#times"


def table(rows: int) -> str:
    return HEAD + "\n".join(f"| {COUNTRIES[n]} | {n + 1} days |" for n in range(rows))


def test_a_table_that_fits_is_left_as_it_is() -> None:
    quote = "Times:\n\n" + table(WHOLE)
    assert shorten(quote, "delivery to Japan", URL, "en") == quote


def test_the_row_that_was_asked_for_is_shown_below_the_header() -> None:
    made = shorten(f"Before.\n\n{table(20)}\n\nAfter.", "how long does delivery to norway take", URL, "en")
    assert made == f"Before.\n\n{HEAD}| Norway | 14 days |\n\n[All 20 rows]({URL})\n\nAfter."


def test_the_first_rows_are_shown_where_none_was_asked_for() -> None:
    made = shorten(table(20), "配送日数の一覧", URL, "ja")
    assert made == table(SHOWN) + "\n\n" + ALL_ROWS["ja"].format(count=20, url=URL)


def test_many_rows_alike_are_cut_off_between_rows() -> None:
    made = shorten(table(20), "days", URL, "en").split("\n")
    assert made[2 : SHOWN + 2] == table(SHOWN).split("\n")[2:]
    assert made[SHOWN + 2 :] == ["", f"[All 20 rows]({URL})"]


def test_an_answer_has_the_row_and_leads_to_the_section(
    tmp_path: Path, plain_settings: Settings, encoders: Encoders
) -> None:
    text = f"---\ntitle: Delivery\nurl: https://help.example.com/delivery\n---\nWe ship.\n\n## Times\n\n{table(20)}\n"
    (tmp_path / "help").mkdir()
    (tmp_path / "help" / "delivery.md").write_text(text)
    build_index(load_folder(tmp_path / "help"), tmp_path / "index", encoders)
    hit = open_index(plain_settings, tmp_path / "index").search("delivery times Qatar", None, None, 1)[0]
    assert hit.quote.split("\n")[2:] == ["| Qatar | 17 days |", "", f"[All 20 rows]({URL})"]
