"""Training for anybody's labels, shown on the offers of all kinds of goods that the MWPD 2020 challenge labelled.

flows/train.py learns the train file as a user would, with one label for all three levels of GS1's Global Product
Classification; 10 % of that file choose and calibrate, and the validation file is looked at for the figures alone.
"""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from lib.categorizing import Described
from lib.words.categorizer import WordCategorizer
from tests.benchmarks.flow_runs import ROOT

DATA = ROOT.parent / "shared" / "data" / "labelled" / "mwpd2020_task2_train_val_with_labels.zip"
LEVELS, BETWEEN = ("lvl1", "lvl2", "lvl3"), " > "
# The offers name no brand; their shop, of which most sell one kind of goods, speaks in its place.
OTHERS = {"customer_categories": "CategoryText", "descriptions": "Description", "brands": "Shop"}
GOALS = "average .90; the winner of the challenge, an ensemble of BERT models, had .886 on a test file not in hand"


def run(folder: Path, *, rows: int | None, pairs: int) -> None:
    """Print weighted F1 a level on the validation file, by what the model is told; rows limits what is learned."""
    del pairs
    if not DATA.exists():
        print(f"\nCategorizing offers in GS1 GPC: left out, there is no ../{DATA.relative_to(ROOT.parent)}")
        return
    train, validation = (_write(folder, name) for name in ("train", "validation"))
    model = folder / "model"
    flags = ["--data", str(folder / "train.jsonl"), "--test", str(folder / "validation.jsonl")]
    flags += ["--text-column", "Name", "--label-column", "Label", "--publish", str(model), "--limit", str(rows or 0)]
    flags += ["--other-columns", ",".join(f"{kind}={column}" for kind, column in OTHERS.items())]
    _train(folder, flags)
    categorizer = WordCategorizer.load(str(model))
    truth = [offer["Label"] for offer in validation]
    print(
        f"\nCategorizing offers in GS1 GPC: {rows or len(train):,} to learn from, {len(truth):,} measured, weighted F1"
    )
    print(f"(goal: {GOALS})\n(weights of the other texts, chosen on 10 % of train: {categorizer.content.weights})")
    print(f"{'':<48} {'level 1':>8} {'level 2':>8} {'level 3':>8} {'average':>8}")
    for kinds in ((), *((kind,) for kind in OTHERS), ("customer_categories", "descriptions"), tuple(OTHERS)):
        told = {kind: [offer[OTHERS[kind]] for offer in validation] for kind in kinds}
        chances, _ = categorizer.probabilities(Described([offer["Name"] for offer in validation], **told))
        scores = _scores(chances, categorizer.labels, truth)
        shown = " + ".join(["Name", *(OTHERS[kind] for kind in kinds)])
        print(f"{shown:<48}", *[f"{score:>8.4f}" for score in (*scores, np.mean(scores))], flush=True)


def _write(folder: Path, name: str) -> list[dict[str, str]]:
    """One of the archive's files as JSON lines with a label for all levels, and the shop."""
    with zipfile.ZipFile(DATA) as archive, archive.open(f"{name}.json") as file:
        offers = [json.loads(line) for line in io.TextIOWrapper(file, "utf-8")]
    texts = ("Name", "Description", "CategoryText")
    told = [
        {text: offer[text] or "" for text in texts}
        | {"Shop": (urlsplit(offer["URL"]).hostname or "").removeprefix("www.")}
        | {"Label": BETWEEN.join(offer[level] for level in LEVELS)}
        for offer in offers
    ]
    lines = [json.dumps(offer, ensure_ascii=False) for offer in told]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return told


def _train(folder: Path, flags: list[str]) -> None:
    """Run the flow in the folder; its output goes to a log, which is shown where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("METAFLOW")}
    command = [sys.executable, str(ROOT / "flows/train.py"), "run", *flags]
    with (folder / "log").open("w") as log:
        if subprocess.run(command, cwd=folder, stdout=log, stderr=log, env=environment, check=False).returncode:
            sys.exit(f"flows/train.py failed:\n{(folder / 'log').read_text()}")


def _scores(chances: npt.NDArray[Any], labels: list[str], truth: list[str]) -> list[float]:
    """Weighted F1 a level, where a category's probability is the sum of its labels'."""
    from sklearn.metrics import f1_score

    scores = []
    for level in range(1, len(LEVELS) + 1):
        above = np.array([_above(label, level) for label in labels])
        names, places = np.unique(above, return_inverse=True)
        sums = chances @ (places[:, None] == np.arange(len(names)))
        told = [_above(label, level) for label in truth]
        scores.append(float(f1_score(told, names[sums.argmax(axis=1)], average="weighted", zero_division=0.0)))
    return scores


def _above(label: str, level: int) -> str:
    return BETWEEN.join(label.split(BETWEEN)[:level])
