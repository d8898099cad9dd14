"""Fit, calibrate and evaluate a categorizer on examples (learning/examples.py), and publish it as a model folder.

The same examples, candidate and seed give the same model, byte for byte, on one kind of machine.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.categorizing import TOP, Described
from lib.errors import ModelError
from lib.learning.evaluating import evaluate
from lib.learning.examples import TEXTS, parents_of
from lib.modelfolder import PRECISIONS
from lib.storage import folder
from lib.words.categorizer import WordCategorizer
from lib.words.lexicon import Lexicon
from lib.words.lexicon_entries import read_entries
from lib.words.modelfolder import Content, load, save

TABLE = "examples.parquet"
# A word of so many English examples needs no translation.
ENGLISH_NAMES = 20
# Weights that a product's other texts may get beside its name's 1.
FIELD_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
# How many products' worth of the whole speak where a threshold is chosen for a few labels alone.
PRIOR = 20
# No confidence is so high: what cannot be answered surely enough is never answered.
NEVER = 2.0
# What an example is worth that is another text of a product and not its name, and how much of it is learned from: what
# a thing is stands at the beginning of its description, and the rest takes most of the time.
OTHER_WEIGHT, OTHER_LETTERS = 0.3, 200


@dataclass(frozen=True)
class Candidate:
    """Settings of a model that might turn out best; see lib/words/fit.py for what they mean."""

    name: str
    epochs: int = 5
    hidden: int = 128
    lexicon: bool = True  # whether config/lexicon explains words of other languages


CANDIDATES = (Candidate("shorter", epochs=4), Candidate("longer", epochs=6))
# The lexicon is about groceries: it takes the colour brown for a cheese, which costs clothes and tools right answers.
CANDIDATES_OF_FILES = (Candidate("longer", epochs=6), Candidate("untranslated", epochs=6, lexicon=False))


@dataclass(frozen=True)
class FittedCandidate:
    """A candidate after fitting; the model itself lies in the folder."""

    candidate: Candidate
    uri: str
    version: str
    validation: dict[str, Any]  # evaluate()'s metrics
    seconds: float


def write_examples(examples: Any, uri: str, *, limit: int) -> dict[str, int]:
    """Write the table of examples to a folder; the number of examples in each split.

    With a limit, only the first so many training examples are kept, in an order that chance has mixed; validation and
    test stay whole. Raises ModelError when a split is empty or there are fewer than TOP labels to learn.
    """
    if limit > 0:
        train = examples.index[examples["split"] == "train"].to_numpy()
        mixed = np.random.default_rng(0).permutation(train)
        examples = examples.drop(index=mixed[limit:])
    counts = {split: int((examples["split"] == split).sum()) for split in ("train", "val", "test")}
    labels = examples.loc[examples["split"] == "train", "label"].nunique()
    if not all(counts.values()) or labels < TOP:
        raise ModelError(
            f"not enough to learn from: {labels} labels, examples {counts}; use more data or a higher --limit"
        )
    with folder(uri).writing(TABLE) as path:
        examples.to_parquet(path, index=False)
    return counts


def read_split(uri: str, split: str) -> tuple[Described, list[str], Any]:
    """The products of one split of the examples in a folder, their labels, and the rows themselves."""
    import pandas as pd

    with folder(uri).reading(TABLE) as path:
        table = pd.read_parquet(path)
    table = table[table["split"] == split].reset_index(drop=True)
    products = Described(*(table[column].tolist() for column in TEXTS))
    return products, table["label"].tolist(), table


def fit_candidate(candidate: Candidate, uri: str, *, name: str, seed: int) -> FittedCandidate:
    """Fit and calibrate on the examples in a folder, and save the model to candidates/ in it."""
    start = time.monotonic()
    products, truth, _ = read_split(uri, "val")
    content = fit(candidate, read_split(uri, "train")[2], products, truth, seed=seed)
    target = folder(uri).uri_of(f"candidates/{candidate.name}")
    save(content, target, name=name, facts={"candidate": asdict(candidate)})
    metrics = evaluate(WordCategorizer(name, content), Described(products.names), truth)
    return FittedCandidate(candidate, target, content.version, metrics, round(time.monotonic() - start, 1))


def fit(candidate: Candidate, train: Any, validation: Described, truth: list[str], *, seed: int) -> Content:
    """A model of the training rows, calibrated and given its thresholds on the validation's products and labels.

    Raises ModelError when no word is in several names, or no label of the validation in the training rows.
    """
    from lib.words.classifier import WordClassifier

    lexicon = Lexicon.of_entries(read_entries() if candidate.lexicon else [], english=_english_words(train))
    names, labels, weights = train["name"].tolist(), train["label"].tolist(), train["weight"].tolist()
    for kind in TEXTS[1:]:
        told = train[train[kind] != ""]
        names += told[kind].str[:OTHER_LETTERS].tolist()
        labels += told["label"].tolist()
        weights += (told["weight"] * OTHER_WEIGHT).tolist()
    if not {*truth} & {*labels}:
        raise ModelError("no label of the validation is learned; use more data or a higher --limit")
    classifier = WordClassifier(epochs=candidate.epochs, hidden=candidate.hidden, random_state=seed)
    try:
        classifier.fit(
            lexicon.glossed(names), labels, sample_weight=weights, validation=(lexicon.glossed(validation.names), truth)
        )
    except ValueError as error:
        raise ModelError(f"not enough to learn from: {error}") from error
    known = [str(label) for label in classifier.classes_]
    parent_of, pools = parents_of(known)
    blank = np.full((len(PRECISIONS), len(known) + 1), NEVER)
    content = Content(known, parent_of, classifier.model_.fitted, blank, {}, lexicon)
    content = replace(content, weights=_field_weights(content, validation, truth))
    # Products come with other columns or without; thresholds are to hold for both.
    alone = _thresholds(content, pools, Described(validation.names), truth)
    together = _thresholds(content, pools, validation, truth) if validation.others() else alone
    return replace(content, thresholds=np.maximum(alone, together))


def best(fitted: list[FittedCandidate]) -> FittedCandidate:
    """The one with the most right answers on validation; of equals, the first by name."""
    return min(fitted, key=lambda one: (-one.validation["top1"], one.candidate.name))


def summary(one: FittedCandidate) -> dict[str, Any]:
    """A candidate's line in the comparison; without its seconds, which differ from run to run."""
    figures = ("top1", "top3", "macro_f1", "ece", "coverage_at_95", "answered", "answered_right")
    return asdict(one.candidate) | {figure: one.validation[figure] for figure in figures}


def publish(
    chosen: FittedCandidate, data: str, uri: str, *, name: str, compare: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Evaluate the chosen model on the test split, save it to a folder with the facts added, and return its card.

    `compare` is the folder of the model in use, which is evaluated on the same test; '' for none.
    """
    _, content = load(chosen.uri)
    products, truth, _ = read_split(data, "test")
    categorizer = WordCategorizer(name, content)
    metrics = {"validation": chosen.validation, "test": evaluate(categorizer, Described(products.names), truth)}
    if products.others():
        metrics["test_with_other_columns"] = evaluate(categorizer, products, truth)
    others = _compared(compare, Described(products.names), truth) if compare else {}
    facts = {**facts, "candidate": asdict(chosen.candidate), "metrics": metrics, **others}
    return save(content, uri, name=name, facts=facts)


def _compared(uri: str, products: Described, truth: list[str]) -> dict[str, Any]:
    try:
        other = WordCategorizer.load(uri)
    except ModelError:
        return {}  # there is none yet, or one of an older layout
    if not {*truth} & {*other.labels}:
        return {}
    figures = ("top1", "macro_f1", "ece", "coverage_at_95")
    metrics = evaluate(other, products, truth)
    return {"model_in_use": {"version": other.version, **{figure: metrics[figure] for figure in figures}}}


def _english_words(train: Any) -> list[str]:
    """The words that enough of the English examples have."""
    from lib.words.terms import is_size, split_words

    counts = Counter(split_words(train.loc[train["english"], "name"].tolist()))
    return sorted(
        word for word, count in counts.items() if count >= ENGLISH_NAMES and word.isalpha() and not is_size(word)
    )


def _field_weights(content: Content, validation: Described, truth: list[str]) -> dict[str, float]:
    """The weight of each other text under which the validation's labels are most likely, chosen one after another."""
    places = {label: at for at, label in enumerate(content.labels)}
    rows = [(row, places[label]) for row, label in enumerate(truth) if label in places]
    at, labels = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    weights: dict[str, float] = {}
    for kind in validation.others():
        surprises = []
        for weight in FIELD_WEIGHTS:
            chances, _ = WordCategorizer("", replace(content, weights=weights | {kind: weight})).probabilities(
                validation
            )
            surprises.append(-np.log(np.maximum(chances[at, labels].astype(np.float64), 1e-9)).mean())
        weights[kind] = FIELD_WEIGHTS[int(np.argmin(surprises))]
    return weights


def _thresholds(content: Content, pools: list[str], validation: Described, truth: list[str]) -> npt.NDArray[np.float64]:
    """What Content.thresholds holds: by the labels of a pool together, and by the whole where a pool has few."""
    categorizer = WordCategorizer("", content)
    answers = categorizer.categorize(validation)
    winners, sure = answers.categories[:, 0], answers.confidences[:, 0]
    right = np.array(content.labels, dtype=object)[winners] == np.array(truth, dtype=object)
    levels = np.append(np.linspace(0, 0.995, 200), 0.9999)
    every = _above(sure, right, levels)
    overall = every[1] / np.maximum(every[0], 1)
    pool_of = np.array(pools, dtype=object)
    table = np.full((len(PRECISIONS), len(pools) + 1), NEVER)
    for pool in sorted({*pools}):
        mine = pool_of[winners] == pool
        count, hits = _above(sure[mine], right[mine], levels)
        estimate = (hits + PRIOR * overall) / (count + PRIOR)
        for row, precision in enumerate(PRECISIONS):
            good = np.flatnonzero((estimate >= precision) & (every[0] > 0))
            table[row, :-1][pool_of == pool] = levels[good[0]] if len(good) else NEVER
    if answers.parents is not None and answers.parent_confidences is not None and categorizer.parents:
        above = np.array([categorizer.parent_of.get(label, "") for label in truth], dtype=object)
        parent_right = np.array(categorizer.parents, dtype=object)[answers.parents] == above
        for row, precision in enumerate(PRECISIONS):
            left = sure < table[row, :-1][winners]
            count, hits = _above(answers.parent_confidences[left], parent_right[left], levels)
            good = np.flatnonzero((count > 0) & (hits >= precision * count))
            table[row, -1] = levels[good[0]] if len(good) else NEVER
    return table


def _above(
    sure: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], levels: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many answers are at or above each level, and how many of them are right."""
    order = np.argsort(sure)
    places = np.searchsorted(sure[order], levels)
    hits = np.append(0, np.cumsum(right[order]))
    return len(sure) - places, hits[-1] - hits[places]
