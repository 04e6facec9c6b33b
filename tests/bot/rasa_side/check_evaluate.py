"""What `kotae bot eval` reads and reports. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009, PT027  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

from bot.evaluate import BadData, Judged, Row, auroc, judge, read_rows, report


def rows_of(content: bytes) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "odd.csv"
        path.write_bytes(content)
        return read_rows(path)


class Reading(unittest.TestCase):
    """Files as people have them."""

    def test_marks_spaces_empty_and_short_lines_are_no_obstacle(self) -> None:
        content = '\ufeffsentence, label ,more\n  how   are\tyou ,greet,x\n\n,greet\nalone\n日本語です,ja,y\n"a, b",c\n'
        found = rows_of(content.encode("utf-8"))
        self.assertEqual(found, [Row("how are you", "greet"), Row("日本語です", "ja"), Row("a, b", "c")])

    def test_files_of_others_are_read_as_they_come(self) -> None:
        wanted = [Row("wie geht’s", "greet"), Row("a, b", "c")]
        for content in (
            "Utterance;Intent\r\nwie geht’s;greet\r\na, b;c\r\n".encode("cp1252"),
            "id\ttext\tlabel\n1\twie geht’s\tgreet\n2\ta, b\tc\n".encode("utf-16"),
            'label,label,text\ngreet,x,wie geht’s\nc,y,"a, b"\n'.encode(),
        ):
            with self.subTest(content=content):
                self.assertEqual(rows_of(content), wanted)

    def test_what_cannot_be_used_is_said_in_one_line(self) -> None:
        for content, part in (
            (b"words,kind\na,b\n", "column sentence and label is missing (it has words, kind)"),
            (b"", "it has none"),
            (b"sentence,label\n , \n", "no labelled sentences"),
            ("sentence,label\n請求書は？,b\n".encode("cp932"), "save it as UTF-8"),
        ):
            with self.subTest(content=content), self.assertRaises(BadData) as raised:
                rows_of(content)
            self.assertIn(part, str(raised.exception))
            self.assertNotIn("\n", str(raised.exception))


def parsed(*ranking: str, intent: str | None = None) -> dict[str, Any]:
    listed = [{"name": name, "confidence": 0.9 - place / 10} for place, name in enumerate(ranking)]
    return {"intent": {"name": intent or ranking[0]}, "intent_ranking": listed}


class Judging(unittest.TestCase):
    """What the pipeline said, against the labels."""

    def test_the_best_intent_in_scope_counts_and_whether_it_was_stood_by(self) -> None:
        self.assertEqual(judge("a", parsed("a", "b")), Judged("a", "a", 0.9, True))
        self.assertEqual(judge("a", parsed("nlu_fallback", "a", "b")), Judged("a", "a", 0.8, False))
        self.assertEqual(judge("a", parsed("out_of_scope", "a")), Judged("a", "a", 0.8, False))
        self.assertEqual(judge("a", parsed("out_of_scope")), Judged("a", None, 0.0, False))

    def test_labels_that_mean_something_to_rasa_are_labels(self) -> None:
        self.assertEqual(judge("faq/price", parsed("faq／price")).best, "faq/price")
        self.assertEqual(judge("out_of_scope", parsed("out_of_scope (label)")).best, "out_of_scope")

    def test_figures(self) -> None:
        judged = [
            Judged("a", "a", 0.9, True),
            Judged("a", "a", 0.4, False),
            Judged("b", "a", 0.7, True),
            Judged("oos", "a", 0.4, False),
            Judged("oos", "b", 0.8, True),
        ]
        found = report(judged, "oos")
        self.assertAlmostEqual(found["in_scope_accuracy"], 2 / 3)
        self.assertAlmostEqual(found["in_scope_accuracy_at"], 1 / 3)
        self.assertEqual(found["oos_recall_at"], 0.5)
        self.assertAlmostEqual(found["oos_auroc"], (1 + 0.5 + 1 + 1) / 6)
        self.assertIsNone(report(judged, None)["oos_auroc"])
        self.assertIsNone(auroc([], [1.0]))


if __name__ == "__main__":
    unittest.main()
