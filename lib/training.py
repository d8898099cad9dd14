"""Fit, calibrate and evaluate a categorizer on examples (learning/examples.py), and publish it as a model folder.

The same examples, candidate and seed give the same model, byte for byte, on one kind of machine.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lib import modelfolder
from lib.blocks.categorizer import BlockCategorizer
from lib.blocks.classifier import BlockClassifier
from lib.blocks.fit import learned_anew
from lib.blocks.modelfolder import Content as BlockContent
from lib.categorizing import TOP, Described
from lib.choosing import load_categorizer
from lib.errors import ModelError
from lib.learning.candidates import (
    CANDIDATES,
    CANDIDATES_OF_FILES,
    MOST_PAIRS_FOR_BLOCKS,
    MOST_ROWS_FOR_BLOCKS,
    Blocks,
    Candidate,
)
from lib.learning.evaluating import evaluate
from lib.learning.examples import TEXTS, parents_of
from lib.learning.thresholds import never, thresholds_of
from lib.storage import folder
from lib.words.categorizer import WordCategorizer
from lib.words.lexicon import Lexicon
from lib.words.lexicon_entries import read_entries
from lib.words.modelfolder import Content

TABLE = "examples.parquet"
# A word of so many English examples needs no translation.
ENGLISH_NAMES = 20
# Weights that a product's other texts may get beside its name's 1.
FIELD_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
# What an example is worth that is another text of a product and not its name, and how much of it is learned from: what
# a thing is stands at the beginning of its description, and the rest takes most of the time.
OTHER_WEIGHT, OTHER_LETTERS = 0.3, 200
NOTHING_KNOWN = "no label of the validation is learned; use more data or a higher --limit"


@dataclass(frozen=True)
class FittedCandidate:
    """A candidate after fitting; the model itself lies in the folder."""

    candidate: Candidate | Blocks
    uri: str
    version: str
    validation: dict[str, Any]  # evaluate()'s metrics, of the names alone
    seconds: float
    # The same where the other columns are told as well; empty where there are none, or they are not what counts.
    with_others: dict[str, Any] = field(default_factory=dict)

    @property
    def decisive(self) -> dict[str, Any]:
        """The metrics that candidates are compared by."""
        return self.with_others or self.validation


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
    return _described(table), table["label"].tolist(), table


def candidates_for(uri: str, *, of_file: bool) -> tuple[list[Candidate | Blocks], str]:
    """The candidates for the examples in a folder, built in or of somebody's file, and what was left out and why."""
    if not of_file:
        return list(CANDIDATES), ""
    _, labels, _ = read_split(uri, "train")
    rows, kinds = len(labels), len({*labels})
    if rows <= MOST_ROWS_FOR_BLOCKS and rows * kinds <= MOST_PAIRS_FOR_BLOCKS:
        return list(CANDIDATES_OF_FILES), ""
    words: list[Candidate | Blocks] = [one for one in CANDIDATES_OF_FILES if isinstance(one, Candidate)]
    return words, f"no model of blocks is tried: {rows:,} rows with {kinds:,} labels would take it too long"


def fit_candidate(
    candidate: Candidate | Blocks, uri: str, *, name: str, seed: int, by_all_columns: bool = False
) -> FittedCandidate:
    """Fit and calibrate on the examples in a folder, and save the model to candidates/ in it.

    by_all_columns: whether candidates are compared with the other columns told, where there are any.
    """
    start = time.monotonic()
    products, truth, val = read_split(uri, "val")
    train = read_split(uri, "train")[2]
    judged: Content | BlockContent
    content: Content | BlockContent
    if isinstance(candidate, Blocks):
        judged, content = fit_blocks(candidate, train, val, seed=seed)
    else:
        judged = content = fit(candidate, train, products, truth, seed=seed)
    target = folder(uri).uri_of(f"candidates/{candidate.name}")
    modelfolder.save(content, target, name=name, facts={"candidate": asdict(candidate)})
    categorizer = _categorizer(name, judged)
    metrics = evaluate(categorizer, Described(products.names), truth)
    more = evaluate(categorizer, products, truth) if by_all_columns and products.others() else {}
    return FittedCandidate(candidate, target, content.version, metrics, round(time.monotonic() - start, 1), more)


def fit_blocks(candidate: Blocks, train: Any, val: Any, *, seed: int) -> tuple[BlockContent, BlockContent]:
    """A model of the training rows, calibrated and given its thresholds on the validation's, and the one to be used.

    That one has learned from the validation's rows as well, and keeps calibration and thresholds: a tenth more to
    learn from is worth half a point in GPC. Raises ModelError when there is no word, or no label of the validation in
    the training rows.
    """
    import pandas as pd

    val = val[val["label"].isin({*train["label"]})]
    if not len(val):
        raise ModelError(NOTHING_KNOWN)
    validation, truth = _described(val), val["label"].tolist()
    classifier = BlockClassifier(cost=candidate.cost, random_state=seed)
    try:
        classifier.fit(_described(train), train["label"].tolist(), train["weight"], validation=(validation, truth))
    except ValueError as error:
        raise ModelError(f"not enough to learn from: {error}") from error
    known = classifier.classes_.tolist()
    parent_of, pools = parents_of(known)
    content = BlockContent(known, parent_of, classifier.model_, never(len(known)))
    content = replace(content, thresholds=_both_thresholds(content, pools, validation, truth))
    both = pd.concat([train, val], ignore_index=True)
    model = learned_anew(
        classifier.model_,
        _described(both),
        np.searchsorted(classifier.classes_, both["label"].to_numpy(dtype=object)),
        both["weight"].to_numpy(dtype=np.float32),
        cost=candidate.cost,
        seed=seed,
    )
    return content, replace(content, model=model)


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
        raise ModelError(NOTHING_KNOWN)
    # Calibrated on names as they were written: which words can be put right is known only when the model is.
    classifier = WordClassifier(epochs=candidate.epochs, hidden=candidate.hidden, random_state=seed)
    try:
        classifier.fit(
            lexicon.glossed(names), labels, sample_weight=weights, validation=(lexicon.glossed(validation.names), truth)
        )
    except ValueError as error:
        raise ModelError(f"not enough to learn from: {error}") from error
    known = [str(label) for label in classifier.classes_]
    parent_of, pools = parents_of(known)
    content = Content(known, parent_of, classifier.model_.fitted, never(len(known)), {}, lexicon, candidate.spelling)
    content = replace(content, weights=_field_weights(content, validation, truth))
    return replace(content, thresholds=_both_thresholds(content, pools, validation, truth))


def best(fitted: list[FittedCandidate]) -> FittedCandidate:
    """The one with the most right answers on validation; of equals, the first by name."""
    return min(fitted, key=lambda one: (-one.decisive["top1"], one.candidate.name))


def summary(one: FittedCandidate) -> dict[str, Any]:
    """A candidate's line in the comparison; without its seconds, which differ from run to run."""
    figures = ("top1", "top3", "macro_f1", "ece", "coverage_at_95", "answered", "answered_right")
    return asdict(one.candidate) | {figure: one.decisive[figure] for figure in figures}


def publish(
    chosen: FittedCandidate, data: str, uri: str, *, name: str, compare: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Evaluate the chosen model on the test split, save it to a folder with the facts added, and return its card.

    `compare` is the folder of the model in use, which is evaluated on the same test; '' for none.
    """
    products, truth, _ = read_split(data, "test")
    categorizer = _loaded(chosen.uri)
    metrics = {"validation": chosen.validation}
    if chosen.with_others:
        metrics["validation_with_other_columns"] = chosen.with_others
    metrics["test"] = evaluate(categorizer, Described(products.names), truth)
    if products.others():
        metrics["test_with_other_columns"] = evaluate(categorizer, products, truth)
    others = _compared(compare, Described(products.names), truth) if compare else {}
    facts = {**facts, "candidate": asdict(chosen.candidate), "metrics": metrics, **others}
    return modelfolder.save(categorizer.content, uri, name=name, facts=facts)


def _loaded(uri: str) -> WordCategorizer | BlockCategorizer:
    categorizer = load_categorizer(uri)
    assert isinstance(categorizer, WordCategorizer | BlockCategorizer)
    return categorizer


def _categorizer(name: str, content: Content | BlockContent) -> WordCategorizer | BlockCategorizer:
    return WordCategorizer(name, content) if isinstance(content, Content) else BlockCategorizer(name, content)


def _both_thresholds(
    content: Content | BlockContent, pools: list[str], validation: Described, truth: list[str]
) -> npt.NDArray[np.float64]:
    """Thresholds that hold for products with other columns and without, since they come both ways."""
    categorizer = _categorizer("", content)
    alone = thresholds_of(categorizer, pools, Described(validation.names), truth)
    together = thresholds_of(categorizer, pools, validation, truth) if validation.others() else alone
    return np.maximum(alone, together)


def _described(table: Any) -> Described:
    return Described(*(table[column].tolist() for column in TEXTS))


def _compared(uri: str, products: Described, truth: list[str]) -> dict[str, Any]:
    try:
        other = _loaded(uri)
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
