"""Fit, prune, calibrate and evaluate a linear categorizer, and publish it as a model folder.

The data set is a Parquet file with the text columns name, label and split (train, val, test); which products
it holds is of no interest here. The same data, candidate and seed give the same model, byte for byte.
"""

import io
import json
import time
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lib.categorizing import (
    ARRAYS,
    CARD,
    FORMAT,
    TOP,
    VOCABULARY,
    Categorizer,
    LinearCategorizer,
    LinearModel,
    Predictions,
    load_categorizer,
    terms_of,
)
from lib.errors import ModelError
from lib.storage import folder

BINS = 20
PRECISION_WANTED = 0.95
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
# A date inside a zip file would make every save different.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Candidate:
    """Settings of a model that might turn out best."""

    name: str
    pairs: bool  # whether pairs of neighbouring words are terms too
    penalty: float  # LinearSVC's C: the larger, the closer to the training data
    word_names: int = 2  # a word is a term when so many training names have it
    pair_names: int = 3
    kept: float = 0.05  # the share of weights, largest first, that is kept


CANDIDATES = (
    Candidate("words-0.5", pairs=False, penalty=0.5),
    Candidate("pairs-0.5", pairs=True, penalty=0.5),
    Candidate("pairs-0.7", pairs=True, penalty=0.7),
    Candidate("pairs-1", pairs=True, penalty=1.0),
)


@dataclass(frozen=True)
class Fitted:
    """A candidate after fitting; the model itself lies in the folder."""

    candidate: Candidate
    uri: str
    version: str
    validation: dict[str, Any]  # evaluate()'s metrics
    seconds: float


def write_data_set(names: Any, uri: str, *, limit: int) -> dict[str, int]:
    """Write a DataFrame of name, label, split as uri/names.parquet; the number of names in each split.

    With a limit, only so many training names are kept, by a hash's order; validation and test stay whole.
    Raises ModelError when a split is empty or there are fewer than TOP labels to learn.
    """
    if limit > 0:
        train = names[names["split"] == "train"]
        order = train["name"].map(lambda name: blake2b(name.encode(), digest_size=8).hexdigest()).sort_values()
        names = names.drop(index=order.index[limit:])
    counts = {split: int((names["split"] == split).sum()) for split in ("train", "val", "test")}
    labels = names.loc[names["split"] == "train", "label"].nunique()
    if not all(counts.values()) or labels < TOP:
        raise ModelError(
            f"not enough to learn from: {labels} labels, names {counts}; use more data or a higher --limit"
        )
    with folder(uri).writing("names.parquet") as path:
        names.to_parquet(path, index=False)
    return counts


def fit_candidate(candidate: Candidate, uri: str, *, name: str, seed: int) -> Fitted:
    """Fit, prune and calibrate on the data set in a folder, and save the model to candidates/ in it."""
    start = time.monotonic()
    train, validation = read_split(uri, "train"), read_split(uri, "val")
    model = calibrated(fit(candidate, *train, seed=seed), *validation)
    categorizer = LinearCategorizer(name, model)
    target = folder(uri).uri_of(f"candidates/{candidate.name}")
    save(categorizer, target, {"candidate": asdict(candidate)})
    metrics = evaluate(categorizer, *validation)
    return Fitted(candidate, target, categorizer.version, metrics, round(time.monotonic() - start, 1))


def best(fitted: list[Fitted]) -> Fitted:
    """The one with the most right answers on validation; of equals, the first by name."""
    return min(fitted, key=lambda one: (-one.validation["top1"], one.candidate.name))


def summary(one: Fitted) -> dict[str, Any]:
    """A candidate's line in the comparison; without its seconds, which differ from run to run."""
    figures = ("top1", "top3", "macro_f1", "ece", "coverage_at_95")
    return asdict(one.candidate) | {figure: one.validation[figure] for figure in figures}


def publish(chosen: Fitted, data: str, uri: str, *, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate the chosen model on the test split, save it to a folder with the facts added, and return its card."""
    loaded = load_categorizer(chosen.uri)
    if not isinstance(loaded, LinearCategorizer):
        raise ModelError(f"{chosen.uri}: is not a linear model; train it again with flows/train.py")
    metrics = {"validation": chosen.validation, "test": evaluate(loaded, *read_split(data, "test"))}
    return save(loaded, uri, {**facts, "candidate": asdict(chosen.candidate), "metrics": metrics})


def read_split(uri: str, split: str) -> tuple[list[str], list[str]]:
    """The names of one split of the data set in a folder, and their labels."""
    import pandas as pd

    with folder(uri).reading("names.parquet") as path:
        table = pd.read_parquet(path, columns=["name", "label", "split"])
    table = table[table["split"] == split]
    return table["name"].tolist(), table["label"].tolist()


def fit(candidate: Candidate, names: list[str], labels: list[str], *, seed: int) -> LinearModel:
    """A pruned model, not yet calibrated, from n names and their labels; takes at least TOP different labels."""
    from sklearn.svm import LinearSVC

    known = sorted(set(labels))
    numbers = {label: number for number, label in enumerate(known)}
    blank = _blank(candidate, names, known)
    features = LinearCategorizer("training", blank).features(names)
    # liblinear takes 32-bit indices and no other.
    machine = LinearSVC(C=candidate.penalty, random_state=seed)
    machine.fit(sparse.csr_matrix(features), np.array([numbers[label] for label in labels]))
    return replace(
        blank, weights=pruned(machine.coef_.T, candidate.kept), intercept=machine.intercept_.astype(np.float32)
    )


def pruned(weights: npt.NDArray[np.float64], kept: float) -> Any:
    """The share of a dense (t, c) array's weights that is largest in size, as a csr_array in float16's precision."""
    sizes = np.abs(weights)
    count = max(1, round(kept * weights.size))
    least = np.partition(sizes, weights.size - count, axis=None)[weights.size - count]
    return sparse.csr_array(np.where(sizes >= least, weights, 0.0).astype(np.float16).astype(np.float32))


def calibrated(model: LinearModel, names: list[str], labels: list[str]) -> LinearModel:
    """The model with the calibration under which the held-out names' labels are most likely."""
    from scipy.optimize import minimize

    categories, margins, known = LinearCategorizer("training", model).best(names)
    right = np.array(model.labels, dtype=object)[categories] == np.array(labels, dtype=object)[:, None]
    outcomes = np.column_stack([right, ~right.any(axis=1)])[known].astype(np.float64)
    inputs = np.column_stack([np.ones(len(margins)), margins])[known]

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        factors = flat.reshape(TOP, TOP + 1)
        odds = np.column_stack([inputs @ factors.T, np.zeros(len(inputs))])
        odds -= odds.max(axis=1, keepdims=True)
        odds -= np.log(np.exp(odds).sum(axis=1, keepdims=True))
        # A trace of weight decay keeps an outcome that never happens finite.
        value = -(outcomes * odds).sum() / len(inputs) + 1e-6 * (flat**2).sum()
        slope = (np.exp(odds) - outcomes)[:, :TOP].T @ inputs / len(inputs)
        return float(value), slope.ravel() + 2e-6 * flat

    if not len(inputs):
        raise ModelError("no held-out name has a word of the training names; use more data or a higher --limit")
    found = minimize(loss, np.zeros(TOP * (TOP + 1)), jac=True, method="L-BFGS-B").x
    # The optimum's last digits depend on the machine's linear algebra, the first three decide.
    return replace(model, calibration=found.reshape(TOP, TOP + 1).round(3))


def evaluate(categorizer: Categorizer, names: list[str], labels: list[str]) -> dict[str, Any]:
    """How good the answers for n names are, as fractions in 4 decimals.

    top1, top3: the label is the best, or among the best three. macro_f1: the mean F1 of all labels given or
    predicted. ece: expected calibration error, BINS equal bins. coverage_at_95: the largest share of names, surest
    first, of which 95 % are right, and threshold_at_95: the least confidence among them. thresholds: precision
    and coverage of the names at or above each. confusions: the most frequent wrong answers.
    """
    from sklearn.metrics import f1_score

    answers = categorizer.categorize(names)
    truth = np.array(labels, dtype=object)
    predicted = np.array(categorizer.labels, dtype=object)[answers.categories]
    right = predicted == truth[:, None]
    confusions = Counter(zip(truth[~right[:, 0]], predicted[~right[:, 0], 0], strict=True))
    worst = sorted(confusions.items(), key=lambda item: (-item[1], item[0]))[:10]
    return {
        "names": len(names),
        "top1": _rounded(right[:, 0].mean()),
        "top3": _rounded(right.any(axis=1).mean()),
        "macro_f1": _rounded(f1_score(truth, predicted[:, 0], average="macro", zero_division=0.0)),
        **_trust(answers, right[:, 0]),
        "confusions": [{"label": pair[0], "answer": pair[1], "names": count} for pair, count in worst],
    }


def _trust(answers: Predictions, right: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The part of evaluate() that is about confidence; right is (n,)."""
    sure = answers.confidences[:, 0]
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=sure - right, minlength=BINS)
    levels, counts = np.unique(-sure, return_counts=True)
    ends = np.cumsum(counts)
    good = np.flatnonzero(np.cumsum(right[np.argsort(-sure, kind="stable")])[ends - 1] >= PRECISION_WANTED * ends)
    return {
        "ece": _rounded(np.abs(gaps).sum() / len(sure)),
        "coverage_at_95": _rounded(ends[good[-1]] / len(sure)) if len(good) else 0.0,
        "threshold_at_95": _rounded(-levels[good[-1]]) if len(good) else None,
        "thresholds": [
            {
                "threshold": threshold,
                "precision": _rounded(right[sure >= threshold].mean()) if (sure >= threshold).any() else None,
                "coverage": _rounded((sure >= threshold).mean()),
            }
            for threshold in THRESHOLDS
        ],
    }


def save(categorizer: LinearCategorizer, uri: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write a model folder, local or s3://, and return its card; the same model and facts give the same bytes."""
    model, place = categorizer.model, folder(uri)
    card = {
        "format": FORMAT,
        "name": categorizer.name,
        "version": categorizer.version,
        "pairs": model.pairs,
        "terms": len(model.terms),
        "weights": int(model.weights.nnz),
        **facts,
        "labels": model.labels,
    }
    place.write_bytes(ARRAYS, zipped(model.arrays()))
    place.write_bytes(VOCABULARY, "\n".join(model.terms).encode())
    # Last, so that no reader finds a card without its model.
    place.write_bytes(CARD, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
    return card


def zipped(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The arrays as a compressed .npz file without the dates that numpy's own writer puts in."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", ZIP_DATE), part.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return content.getvalue()


def _blank(candidate: Candidate, names: list[str], labels: list[str]) -> LinearModel:
    """A model with the vocabulary of the names and no weights."""
    counts = Counter(term for name in names for term in terms_of(name, pairs=candidate.pairs))
    least = {False: candidate.word_names, True: candidate.pair_names}
    terms = sorted(term for term, count in counts.items() if count >= least[" " in term])
    if not terms:
        raise ModelError("no word occurs in several training names; use more data or a higher --limit")
    having = np.array([*(counts[term] for term in terms), 0], dtype=np.float64)
    return LinearModel(
        labels=labels,
        terms=terms,
        pairs=candidate.pairs,
        rarity=(np.log((1 + len(names)) / (1 + having)) + 1).astype(np.float32),
        weights=sparse.csr_array((len(terms), len(labels)), dtype=np.float32),
        intercept=np.zeros(len(labels), dtype=np.float32),
        calibration=np.zeros((TOP, TOP + 1)),
    )


def _rounded(value: Any) -> float:
    return round(float(value), 4)
