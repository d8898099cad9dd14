"""WordClassifier: the word model as a scikit-learn estimator, for any short texts and any labels.

Fitting needs scikit-learn; a saved model answers without it, through lib/words/model.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from lib.words.fit import Settings, calibration_of, fit
from lib.words.model import WordModel
from lib.words.numbers import F32, Fitted
from lib.words.vocabulary import terms_of

# With fewer texts than this there are too few to hold some out, and confidences stay uncalibrated.
FEWEST_TO_CALIBRATE = 200


class WordClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifies short texts by their words, pairs of words and pieces of words, with calibrated probabilities.

    The parameters are those of lib/words/fit.py's Settings (of few texts more epochs are made than are given); sizes:
    whether sizes and units (500ml) are words too, or say nothing; held_out: the share of the texts that calibrates
    the probabilities instead of being learned from, where fit() is not given a validation set.
    Fitted: classes_ (c labels, sorted), model_ (a WordModel).
    """

    def __init__(
        self,
        *,
        word_texts: int = Settings.word_texts,
        pair_texts: int = Settings.pair_texts,
        piece_words: int = Settings.piece_words,
        sizes: bool = False,
        dimensions: int = Settings.dimensions,
        hidden: int = Settings.hidden,
        epochs: int = Settings.epochs,
        held_out: float = 0.1,
        random_state: int = 0,
    ) -> None:
        self.word_texts = word_texts
        self.pair_texts = pair_texts
        self.piece_words = piece_words
        self.sizes = sizes
        self.dimensions = dimensions
        self.hidden = hidden
        self.epochs = epochs
        self.held_out = held_out
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        sample_weight: Sequence[float] | None = None,
        *,
        validation: tuple[Sequence[str], Sequence[Any]] | None = None,
    ) -> Self:
        """Learn from n texts and labels, of at least two kinds; sample_weight: (n,) not negative.

        validation: texts and labels to calibrate the probabilities on, none of which is learned from.
        Raises ValueError when the three differ in length, there is one label only or no word is in enough texts.
        """
        names, weights = _texts(texts), weights_of(sample_weight, len(labels))
        if not len(names) == len(labels) == len(weights):
            raise ValueError(f"{len(names)} texts, {len(labels)} labels and {len(weights)} weights")
        self.classes_, numbers = np.unique(np.asarray(labels), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"there is nothing to tell apart: {len(self.classes_)} class")
        learned = np.ones(len(names), dtype=np.bool_)
        if validation is None and len(names) >= FEWEST_TO_CALIBRATE:
            learned = np.random.default_rng([self.random_state, 0]).random(len(names)) >= self.held_out
        chosen = [name for name, keep in zip(names, learned.tolist(), strict=True) if keep]
        terms = terms_of(
            chosen,
            word_texts=self.word_texts,
            pair_texts=self.pair_texts,
            piece_words=self.piece_words,
            sizes=self.sizes,
        )
        if not terms.words:
            raise ValueError(f"no word is in {self.word_texts} of the {len(chosen)} texts; give more texts")
        # Sums of more than one thread differ in the last bits.
        with threadpool_limits(1):
            fitted = fit(
                terms, chosen, numbers[learned], weights[learned], classes=len(self.classes_), settings=self._settings()
            )
            if validation is None:
                held = [name for name, keep in zip(names, learned.tolist(), strict=True) if not keep]
                held_numbers = numbers[~learned]
            else:
                places = {label: number for number, label in enumerate(self.classes_.tolist())}
                pairs = [(name, places[label]) for name, label in zip(*validation, strict=True) if label in places]
                held, held_numbers = [name for name, _ in pairs], np.array([number for _, number in pairs])
            if held:
                fitted = replace(fitted, calibration=calibration_of(WordModel(fitted).scores(held), held_numbers))
        self.model_ = WordModel(fitted)
        return self

    def predict(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """The most likely label of each text."""
        best = self.predict_proba(texts).argmax(axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels

    def predict_proba(self, texts: Sequence[str]) -> F32:
        """(n, c) calibrated probabilities; where known() says no, they mean nothing."""
        check_is_fitted(self)
        return self.model_.probabilities(_texts(texts))[0]

    def decision_function(self, texts: Sequence[str]) -> F32:
        """(n, c) scores before calibration, or (n,) for the second of two labels."""
        check_is_fitted(self)
        scores = self.model_.scores(_texts(texts)).combined(self.model_.fitted.calibration)
        return scores if len(self.classes_) > 2 else scores[:, 1] - scores[:, 0]

    def known(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n,) whether each text has a word of letters that was learned; if not, no answer is worth anything."""
        check_is_fitted(self)
        return self.model_.probabilities(_texts(texts))[1]

    def contributions(self, text: str, label: Any) -> list[tuple[str, float]]:
        """The words that speak for a label, with their shares, largest first; KeyError for an unknown label."""
        check_is_fitted(self)
        return self.model_.contributions(text, {one: at for at, one in enumerate(self.classes_.tolist())}[label])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The fitted numbers, for an .npz file; the labels are to be kept beside them."""
        check_is_fitted(self)
        return self.model_.fitted.arrays()

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]], classes: Sequence[Any]) -> Self:
        """A fitted classifier of what arrays() gave, and its classes_."""
        made = cls()
        made.model_, made.classes_ = WordModel(Fitted.of(arrays)), np.asarray(classes)
        return made

    def _settings(self) -> Settings:
        names = ("word_texts", "pair_texts", "piece_words", "dimensions", "hidden", "epochs")
        return Settings(**{name: getattr(self, name) for name in names}, seed=self.random_state)


def _texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise ValueError("one text is not a list of texts")
    listed = list(texts)
    if not all(isinstance(text, str) for text in listed):
        raise ValueError("a text is not a str; give a list of texts, without missing values")
    return listed


def weights_of(weights: Sequence[float] | None, count: int) -> F32:
    """How much each example counts, 1 where nobody says; ValueError for what cannot be weights."""
    if weights is None:
        return np.ones(count, dtype=np.float32)
    given = np.asarray(weights, dtype=np.float32)
    if not (given >= 0).all() or not given.any():
        raise ValueError("weights must be numbers from 0, and not all 0")
    return given
