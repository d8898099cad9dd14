"""BlockClassifier: the blocks and their linear machines as a scikit-learn estimator, for any products and labels."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from lib.blocks.fit import calibrated, fit
from lib.categorizing import Described
from lib.words.classifier import FEWEST_TO_CALIBRATE, weights_of
from lib.words.numbers import F32

Products = Described | Sequence[str]  # a list of texts is one of names


class BlockClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifies products by the words of their names and, where there are any, of their other texts.

    cost: how much a product on the wrong side of a label's plane counts, LinearSVC's C; held_out: the share of the
    products that calibrates the probabilities instead of being learned from, where fit() is not given a validation set.
    Fitted: classes_ (c labels, sorted), model_ (a BlockModel).
    """

    def __init__(self, *, cost: float = 1.0, held_out: float = 0.1, random_state: int = 0) -> None:
        self.cost = cost
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
        products: Products,
        labels: Sequence[Any],
        sample_weight: Sequence[float] | None = None,
        *,
        validation: tuple[Products, Sequence[Any]] | None = None,
    ) -> Self:
        """Learn from n products and labels, of at least two kinds; sample_weight: (n,) not negative.

        validation: products and labels to calibrate the probabilities on, none of which is learned from.
        Raises ValueError when the three differ in length, there is one label only or no text has a word.
        """
        described, told, weights = _described(products), np.asarray(labels), weights_of(sample_weight, len(labels))
        if not len(described) == len(told) == len(weights):
            raise ValueError(f"{len(described)} products, {len(told)} labels and {len(weights)} weights")
        learned = np.ones(len(described), dtype=np.bool_)
        if validation is None and len(described) >= FEWEST_TO_CALIBRATE:
            learned = np.random.default_rng([self.random_state, 0]).random(len(described)) >= self.held_out
        held = np.flatnonzero(~learned)
        judged, truth = validation or (described.at(held.tolist()), told[held].tolist())
        # What counts nothing is not there, and its label neither.
        kept = np.flatnonzero(learned & (weights > 0))
        self.classes_, numbers = np.unique(told[kept], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"there is nothing to tell apart: {len(self.classes_)} class")
        model = fit(described.at(kept.tolist()), numbers, weights[kept], cost=self.cost, seed=self.random_state)
        self.model_ = calibrated(model, *self._judged(judged, truth))
        return self

    def _judged(self, products: Products, labels: Sequence[Any]) -> tuple[Described, npt.NDArray[np.int64]]:
        """Those of the products whose labels were learned, and the numbers of these."""
        places = {label: number for number, label in enumerate(self.classes_.tolist())}
        rows = [row for row, label in enumerate(labels) if label in places]
        return _described(products).at(rows), np.array([places[labels[row]] for row in rows], dtype=np.int64)

    def predict(self, products: Products) -> npt.NDArray[Any]:
        """The most likely label of each product."""
        best = self.predict_proba(products).argmax(axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels

    def predict_proba(self, products: Products) -> F32:
        """(n, c) calibrated probabilities; where known() says no, they mean nothing."""
        check_is_fitted(self)
        return self.model_.answers(_described(products))[0]

    def known(self, products: Products) -> npt.NDArray[np.bool_]:
        """(n,) whether each product has a word of letters that was learned; if not, no answer is worth anything."""
        check_is_fitted(self)
        return self.model_.answers(_described(products))[1]


def _described(products: Products) -> Described:
    if isinstance(products, str):
        raise ValueError("one text is not a list of texts")
    if not isinstance(products, Described):
        products = Described(list(products))
    for field in fields(products):
        column = getattr(products, field.name)
        if not all(isinstance(text, str) for text in column):
            raise ValueError(f"{field.name}: a text is not a str; give a list of texts, without missing values")
        if column and len(column) != len(products):
            raise ValueError(f"{len(column)} {field.name} of {len(products)} products")
    return products
