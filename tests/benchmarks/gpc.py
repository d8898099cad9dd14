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
from urllib.parse import urlsplit

import numpy as np

from lib.categorizing import Described
from lib.choosing import load_categorizer
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
    categorizer = load_categorizer(str(model))
    names, truth = [offer["Name"] for offer in validation], [offer["Label"] for offer in validation]
    print(
        f"\nCategorizing offers in GS1 GPC: {rows or len(train):,} to learn from, {len(truth):,} measured, weighted F1"
    )
    print(f"(goal: {GOALS})")
    print(f"{'':<48} {'level 1':>8} {'level 2':>8} {'level 3':>8} {'average':>8}")
    for kinds in ((), *((kind,) for kind in OTHERS), ("customer_categories", "descriptions"), tuple(OTHERS)):
        told = {kind: [offer[OTHERS[kind]] for offer in validation] for kind in kinds}
        best = categorizer.categorize(Described(names, **told)).categories[:, 0]
        scores = _scores([categorizer.labels[at] for at in best], truth)
        shown = " + ".join(["Name", *(OTHERS[kind] for kind in kinds)])
        print(f"{shown:<48}", *[f"{score:>8.4f}" for score in (*scores, np.mean(scores))], flush=True)
    card = json.loads((model / "card.json").read_text("utf-8"))
    print("\nCandidates on 10 % of train, all columns told: right", end="")
    print(*[f" {one['name']} {one['top1']:.4f}" for one in card["candidates"]], sep=",")
    for told_of, figures in (("Name", "test"), ("all columns", "test_with_other_columns")):
        shown = ", ".join(f"{name} {card['metrics'][figures][name]}" for name in ("top1", "ece", "coverage_at_95"))
        print(f"The chosen one on the validation file by {told_of}: {shown}")
    print(f"{sum(path.stat().st_size for path in model.iterdir()) / 1e6:.1f} MB")


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


def _scores(answers: list[str], truth: list[str]) -> list[float]:
    """Weighted F1 a level, whose category is what stands above the label on it."""
    from sklearn.metrics import f1_score

    levels = range(1, len(LEVELS) + 1)
    pairs = ([[_above(label, level) for label in labels] for labels in (truth, answers)] for level in levels)
    return [float(f1_score(*pair, average="weighted", zero_division=0.0)) for pair in pairs]


def _above(label: str, level: int) -> str:
    return BETWEEN.join(label.split(BETWEEN)[:level])
