"""Says how well moods are heard, on sentences that nothing was learnt from.

`python -m bot.evaluate_mood --test CSV [--json]`; lines `labels|text` (`bot/components/mood.py: read`). The knowledge base must be running.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any, Dict

from bot import quiet
from bot.knowledge_base import EncoderUnavailable
from bot.train import ROOT

NEUTRAL = "neutral"


def measure(path: Path) -> Dict[str, Any]:
    """Learns from the product's own sentences, judges those of a file.

    Returns:
        by mood `f1`, `precision`, `recall` at a score of .5, `auroc`, and `auroc_without_vectors`; their number `n`; the share
        of neutral sentences in which some mood is heard.
    Raises:
        ValueError: the file cannot be read as labelled sentences.
        EncoderUnavailable: the knowledge base does not answer.
    """
    from rasa.shared.nlu.training_data.loading import load_data
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

    from bot.components.mood import MOODS, MoodModel, calm_of, learnable, read, vectors_of

    texts, labels = read(path)
    learnt, learnt_labels = learnable(calm_of(load_data(str(ROOT / "bot" / "data" / "nlu"))))
    scores = MoodModel.fit(learnt, learnt_labels, vectors_of(learnt)).scores(texts, vectors_of(texts))
    sparse = MoodModel.fit(learnt, learnt_labels, None).scores(texts, None)
    found: Dict[str, Any] = {"n": len(texts)}
    for number, mood in enumerate(MOODS):
        true, given = labels[:, number], scores[:, number]
        if true.min() == true.max():
            continue  # the file has no such sentence, or no other: nothing to measure
        precision, recall, f1, _ = precision_recall_fscore_support(
            true, given >= 0.5, average="binary", zero_division=0
        )
        found[mood] = {
            "f1": round(float(f1), 3),
            "precision": round(float(precision), 3),
            "recall": round(float(recall), 3),
            "auroc": round(float(roc_auc_score(true, given)), 3),
            "auroc_without_vectors": round(float(roc_auc_score(true, sparse[:, number])), 3),
        }
    calm = scores[labels.sum(axis=1) == 0]
    found[NEUTRAL] = {
        "n": len(calm),
        "heard_as_some_mood": round(float((calm >= 0.5).any(axis=1).mean()), 3) if len(calm) else None,
    }
    return found


def main() -> int:
    """Entry point.

    Returns:
        0 done, 1 could not.
    """
    parser = argparse.ArgumentParser(prog="python -m bot.evaluate_mood", description=__doc__)
    parser.add_argument("--test", type=Path, required=True, help="sentences to judge")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    arguments = parser.parse_args()
    quiet.prepare(logging.ERROR)
    try:
        found = measure(arguments.test)
    except EncoderUnavailable as error:
        return quiet.failed(f"the knowledge base gives no sentence vectors ({error})")
    except (ValueError, KeyError, TypeError, OSError) as error:
        return quiet.failed(f"{arguments.test}: not lines of labels|text ({error})")
    if arguments.json:
        print(json.dumps(found))
        return 0
    print(f"n {found['n']}")
    for name, figures in found.items():
        if isinstance(figures, dict):
            print(f"{name:10}" + "".join(f"  {figure} {value}" for figure, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
