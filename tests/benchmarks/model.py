"""The word model beside fastText and scikit-learn's pipelines, on the USDA branded names and their split.

Each is fitted in a process of its own, loaded in LOADS fresh ones and measured in another, all on one core. Confidences
are calibrated on validation: ours by the word model, scikit-learn's by a temperature; fastText's are its own.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.benchmarks.flow_runs import ROOT

GOALS = "top-1 .835, macro-F1 .745, coverage .68, ECE .015, 150,000 names/s, load .35 s, 6 MB"
PASSES, LOADS = 9, 7
NOTES = f"""(first: names/s of the first pass over the test names after loading; names/s: the best of {PASSES} more;
load: seconds till a fresh process has the model, interpreter and imports included, the median of {LOADS}; CPU: those
of them that it computed; fit s: CPU seconds. scikit-learn's confidences are a softmax with a temperature.
fastText: lr .5, 15 epochs, 100 dimensions, pieces of 3 to 6 letters, word pairs, 500,000 buckets; quantized: the best
100,000 rows, learned once more. TF-IDF: word pairs too; LinearSVC: C .3, with pieces tol .1 and at most 50 passes)"""
FITTED, MEASURED, LOADED, NAMES = "fitted.json", "measured.json", "loaded.json", "names.parquet"

Odds = npt.NDArray[np.floating[Any]]


def run(folder: Path, *, rows: int | None, pairs: int) -> None:
    """Print accuracy, confidence, speed and size of each on the test names; rows limits the training names."""
    from lib.learning import usda

    del pairs
    names = usda.labelled_names(usda.read_foods())
    learned = names.index[names["split"] == "train"]
    # The names are in order of the alphabet: a few of them are to be from all of it.
    unwanted = learned.difference(learned[:: -(-len(learned) // rows)]) if rows else []
    names = names.drop(index=unwanted)
    names.to_parquet(folder / NAMES)
    counts = names["split"].value_counts()
    print(
        f"\nCategorizing USDA branded names on one core: {counts['train']:,} learned from, {counts['test']:,} measured"
    )
    print(f"(goals: {GOALS})\n{NOTES}")
    print(
        f"{'':<35} {'top-1':>6} {'F1':>6} {'cover':>6} {'ECE':>6} {'names/s':>9} {'first':>9}"
        f" {'load s':>7} {'CPU':>5} {'MB':>6} {'fit s':>7}"
    )
    for name, contender in CONTENDERS.items():
        if importlib.util.find_spec(contender.needs) is None:
            print(f"{name:<35} left out: {contender.needs} is not installed (pip install -r requirements-dev.txt)")
            continue
        own = folder / name.replace(" ", "-")
        own.mkdir()
        _child("fit", name, folder, own)
        loads = []
        for _ in range(LOADS):
            started = time.monotonic()
            _child("load", name, folder, own)
            ready, spent = json.loads((own / LOADED).read_text())
            loads.append((ready - started, spent))
        _child("measure", name, folder, own)
        fitted, found = json.loads((own / FITTED).read_text()), json.loads((own / MEASURED).read_text())
        shown = [f"{found[figure]:>6.4f}" for figure in ("top1", "macro_f1", "coverage_at_95", "ece")]
        shown += [f"{found[figure]:>9,.0f}" for figure in ("rate", "first_rate")]
        shown += [
            f"{np.median([took for took, _ in loads]):>7.2f}",
            f"{np.median([spent for _, spent in loads]):>5.2f}",
        ]
        shown += [f"{fitted['megabytes']:>6.1f}", f"{fitted['seconds']:>7.0f}"]
        print(f"{name:<35}", *shown, flush=True)


class Words:
    """Ours."""

    needs = "sklearn"

    def fit(self, folder: Path, data: dict[str, tuple[list[str], list[str]]]) -> None:
        from lib.modelfolder import zipped
        from lib.words.classifier import WordClassifier

        made = WordClassifier(sizes=True).fit(*data["train"], validation=data["val"])
        (folder / "arrays.npz").write_bytes(zipped(made.arrays()))
        (folder / "labels.json").write_text(json.dumps(made.classes_.tolist()))

    def load(self, folder: Path) -> Callable[[list[str]], Odds]:
        from lib.words.model import WordModel
        from lib.words.numbers import Fitted

        self.labels = json.loads((folder / "labels.json").read_text())
        with np.load(folder / "arrays.npz", allow_pickle=False) as file:
            model = WordModel(Fitted.of({name: file[name] for name in file.files}))
        return lambda texts: model.probabilities(texts)[0]


class Pipeline:
    """TF-IDF features and a linear machine of scikit-learn."""

    needs = "sklearn"

    def __init__(self, *, pieces: bool, machine: Callable[[], Any]) -> None:
        self.pieces, self.machine = pieces, machine

    def fit(self, folder: Path, data: dict[str, tuple[list[str], list[str]]]) -> None:
        import joblib
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline, make_union

        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32)
        pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True, dtype=np.float32)
        features = make_union(words, pieces) if self.pieces else words
        made = make_pipeline(features, self.machine()).fit(*data["train"])
        # Float64 and C order would double the size and copy the weights at every call.
        made[-1].coef_ = np.asfortranarray(made[-1].coef_.astype(np.float32))
        joblib.dump(made, folder / "model.joblib")

    def load(self, folder: Path) -> Callable[[list[str]], Odds]:
        import joblib

        made = joblib.load(folder / "model.joblib")
        self.labels = made.classes_.tolist()
        scores: Callable[[list[str]], Odds] = made.decision_function
        return scores


class FastText:
    """fastText's classifier with the settings that were best for these names: pieces of 3 to 6 letters."""

    needs = "fasttext"

    def __init__(self, *, quantized: bool = False) -> None:
        self.quantized = quantized

    def fit(self, folder: Path, data: dict[str, tuple[list[str], list[str]]]) -> None:
        fasttext = importlib.import_module(self.needs)
        labels = sorted(set(data["train"][1]))
        numbers = {label: number for number, label in enumerate(labels)}
        lines = [
            f"__label__{numbers[label]} {name}\n"
            for name, label in zip(_plain(data["train"][0]), data["train"][1], strict=True)
        ]
        (folder / "train.txt").write_text("".join(lines))
        settings = {"lr": 0.5, "epoch": 15, "dim": 100, "minn": 3, "maxn": 6, "wordNgrams": 2, "bucket": 500_000}
        again = {setting: settings[setting] for setting in ("lr", "epoch")}
        made = fasttext.train_supervised(str(folder / "train.txt"), thread=1, verbose=0, minCount=2, **settings)
        if self.quantized:
            made.quantize(str(folder / "train.txt"), cutoff=100_000, retrain=True, qnorm=True, thread=1, **again)
        (folder / "train.txt").unlink()
        made.save_model(str(folder / "model.bin"))
        (folder / "labels.json").write_text(json.dumps(labels))

    def load(self, folder: Path) -> Callable[[list[str]], Odds]:
        fasttext = importlib.import_module(self.needs)
        self.labels = json.loads((folder / "labels.json").read_text())
        made = fasttext.load_model(str(folder / "model.bin"))

        def scores(texts: list[str]) -> Odds:
            # The likeliest label alone: more would only make it slower.
            labels, chances = made.predict(_plain(texts), k=1)
            result = np.zeros((len(texts), len(self.labels)))
            best = [int(label[0].removeprefix("__label__")) if label else 0 for label in labels]
            result[np.arange(len(texts)), best] = [float(chance[0]) if len(chance) else 0.0 for chance in chances]
            return np.minimum(result, 1.0)

        return scores


def _plain(texts: list[str]) -> list[str]:
    from lib.words.terms import split_words

    words = " ".join(word for word in split_words(texts) if word == "\0" or word.isalnum())
    return [text.strip() for text in words.split("\0")[1:-1]]


def _svc() -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(C=0.3, random_state=0)


def _quick_svc() -> Any:
    from sklearn.svm import LinearSVC

    # With the usual tol of .0001 it takes a quarter of an hour.
    return LinearSVC(C=0.3, tol=0.1, max_iter=50, random_state=0)


def _sgd() -> Any:
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(loss="log_loss", alpha=2e-6, random_state=0)


CONTENDERS: dict[str, Words | Pipeline | FastText] = {
    "word model (ours)": Words(),
    "fastText": FastText(),
    "fastText, quantized": FastText(quantized=True),
    "TF-IDF words, LinearSVC": Pipeline(pieces=False, machine=_svc),
    "TF-IDF words + char_wb 2-5, SVC": Pipeline(pieces=True, machine=_quick_svc),
    "TF-IDF words + char_wb 2-5, SGD log": Pipeline(pieces=True, machine=_sgd),
}


def _child(what: str, name: str, folder: Path, own: Path) -> None:
    """Do one of STEPS in a fresh process on one core."""
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.benchmarks.model", what, name, str(folder), str(own)]
    if subprocess.run(command, cwd=ROOT, env={**os.environ, **one}, check=False).returncode:
        sys.exit(f"{' '.join(command)} failed")


def _fit(name: str, folder: Path, own: Path) -> None:
    data = {split: _names(folder, split) for split in ("train", "val")}
    started = time.process_time()
    CONTENDERS[name].fit(own, data)
    seconds = time.process_time() - started
    megabytes = sum(path.stat().st_size for path in own.iterdir()) / 1e6
    (own / FITTED).write_text(json.dumps({"seconds": seconds, "megabytes": megabytes}))


def _load(name: str, folder: Path, own: Path) -> None:
    del folder
    CONTENDERS[name].load(own)
    (own / LOADED).write_text(json.dumps([time.monotonic(), time.process_time()]))


def _measure(name: str, folder: Path, own: Path) -> None:
    contender = CONTENDERS[name]
    scores = contender.load(own)
    names, labels = _names(folder, "test")
    rates = []
    for _ in range(1 + PASSES):
        started = time.process_time()
        odds = scores(names)
        rates.append(len(names) / (time.process_time() - started))
    chances = _warmed(odds, scores, contender.labels, folder) if isinstance(contender, Pipeline) else odds
    figures = _figures(chances, contender.labels, labels)
    (own / MEASURED).write_text(json.dumps(figures | {"first_rate": rates[0], "rate": max(rates[1:])}))


def _names(folder: Path, split: str) -> tuple[list[str], list[str]]:
    import pandas as pd

    table = pd.read_parquet(folder / NAMES, columns=["name", "label", "split"])
    table = table[table["split"] == split]
    return table["name"].tolist(), table["label"].tolist()


def _figures(chances: Odds, known: list[str], labels: list[str]) -> dict[str, float]:
    """Top-1, macro-F1, the share of names, surest first, of which 95 % are right, and the error in 20 bins (ECE)."""
    from sklearn.metrics import f1_score

    predicted, sure = np.array(known)[chances.argmax(axis=1)], chances.max(axis=1).astype(np.float64)
    right = predicted == np.array(labels)
    order = np.argsort(-sure, kind="stable")
    good = np.flatnonzero(np.cumsum(right[order]) >= 0.95 * np.arange(1, len(right) + 1))
    bins = np.minimum((sure * 20).astype(int), 19)
    return {
        "top1": float(right.mean()),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0.0)),
        "coverage_at_95": float((good[-1] + 1) / len(right)) if len(good) else 0.0,
        "ece": float(np.abs(np.bincount(bins, weights=sure - right, minlength=20)).sum() / len(right)),
    }


def _warmed(odds: Odds, scores: Callable[[list[str]], Odds], known: list[str], folder: Path) -> Odds:
    """The probabilities of a softmax whose temperature makes the validation names' labels most likely."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax, softmax

    names, labels = _names(folder, "val")
    places = {label: place for place, label in enumerate(known)}
    pairs = [(name, places[label]) for name, label in zip(names, labels, strict=True) if label in places]
    held, truth = np.asarray(scores([name for name, _ in pairs]), dtype=np.float64), np.array([at for _, at in pairs])
    rows = np.arange(len(truth))

    def surprise(power: float) -> float:
        return float(-log_softmax(held * np.exp(power), axis=1)[rows, truth].mean())

    power = minimize_scalar(surprise, bounds=(-3, 4), method="bounded").x
    warmed: Odds = softmax(np.asarray(odds, dtype=np.float64) * np.exp(power), axis=1)
    return warmed


STEPS = {"fit": _fit, "load": _load, "measure": _measure}


def main(what: str, name: str, folder: str, own: str) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    STEPS[what](name, Path(folder), Path(own))


if __name__ == "__main__":
    main(*sys.argv[1:])
