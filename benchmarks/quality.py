"""The product's own commands on other people's labelled data, beside their floors and aims."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
EVAL = Path(os.environ.get("KOTAE_EVAL_DIR", ROOT.parent / "shared" / "eval"))
FLOORS = tomllib.loads((Path(__file__).with_name("floors.toml")).read_text())


def commands(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each set with the `kotae` command that measures it.

    Args:
        folder: for files that have to be made from a set, such as CLINC150 as CSV.
    """
    yield "techqa-dev", ["kb", "eval", str(EVAL / "techqa-dev")]
    mattress = EVAL / "hint3-sofmattress"
    split = ["--train", str(mattress / "train.csv"), "--test", str(mattress / "test.csv")]
    yield "hint3-sofmattress", ["bot", "eval", *split, "--oos-label", "NO_NODES_DETECTED"]
    train, test = clinc(folder)
    yield "clinc150", ["bot", "eval", "--train", str(train), "--test", str(test), "--oos-label", "oos"]
    telco = EVAL / "telco-churn" / "Telco-Customer-Churn.csv"
    yield "telco-churn", ["accounts", "fit-health", str(telco), "--outcome", "Churn"]


def clinc(folder: Path) -> tuple[Path, Path]:
    """CLINC150 as training and test CSV; what is out of scope is labelled `oos` in both."""
    data: dict[str, list[list[str]]] = json.loads((EVAL / "clinc150" / "data_full.json").read_text())
    made = []
    for name in ("train", "test"):
        path = folder / f"clinc-{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sentence", "label"])
            writer.writerows([*data[name], *data[f"oos_{name}"]])
        made.append(path)
    return made[0], made[1]


def measure(words: list[str]) -> dict[str, Any]:
    """What a command reports as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *words, "--json"], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main() -> int:
    """Measures everything.

    Returns:
        1 where a figure is below its floor.
    """
    if not EVAL.exists():
        print(f"the evaluation data is not there ({EVAL}): nothing measured", file=sys.stderr)
        return 0
    table = Table("set", "figure", "measured", "floor", "aim", "")
    below = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, words in commands(Path(folder)):
            report = measure(words)
            for figure, bounds in FLOORS[name].items():
                value = float(report[figure])
                short = value < bounds["floor"]
                below += short
                verdict = "below the floor" if short else "aim reached" if value >= bounds["aim"] else ""
                row = (name, figure, f"{value:.3f}", f"{bounds['floor']:.3f}", f"{bounds['aim']:.3f}", verdict)
                table.add_row(*row)
    Console(width=100).print(table)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
