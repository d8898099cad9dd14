"""Fits machines: their blocks, and for each label the plane that parts it best from all others (by LinearSVC).

Some labels at a time are fitted, and their small weights dropped at once: all weights of all terms and labels together
would take gigabytes. Of the same data and seed the same machine comes, on one kind of computer.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from lib.blocks.machine import Machine, features_of
from lib.blocks.model import BlockModel
from lib.blocks.terms import NAME_BLOCKS, OTHER_BLOCKS, Block, Sparse
from lib.categorizing import Described
from lib.words.fit import UNCALIBRATED, calibration_of
from lib.words.numbers import F32, Scores

# Labels fitted at once.
TOGETHER = 32
# Weights below this go: nineteen in twenty, and hardly an answer with them.
LEAST_WEIGHT = 0.005
# Bounds of what a missing column does to confidence: where others speak louder than they are right, it adds to it.
MISSING = (-5.0, 5.0)


def fit(products: Described, numbers: npt.NDArray[np.int64], weights: F32, *, cost: float, seed: int) -> BlockModel:
    """The machines of n products and the numbers of their labels (n,), from 0 on without a gap; not yet calibrated.

    weights: (n,) how much each product counts, more than 0; `cost`: LinearSVC's C, how much one on the wrong side does.
    Raises ValueError when no name has a word.
    """
    learn = partial(_machine, numbers=numbers, weights=weights, cost=cost, seed=seed)
    name = learn(NAME_BLOCKS, Described(products.names))
    return BlockModel(name, learn((*NAME_BLOCKS, *OTHER_BLOCKS), products) if products.others() else None)


def calibrated(model: BlockModel, products: Described, numbers: npt.NDArray[np.int64]) -> BlockModel:
    """The model with the calibration under which the labels of products that were not learned from are likeliest.

    They count once as they are, and once with each of their other texts alone, for products may come so.
    """
    if not len(numbers):
        return model

    def judged(machine: Machine, told: Sequence[Described]) -> Machine:
        scores = [vars(machine.scores(one)).values() for one in told]
        joined = Scores(*map(np.concatenate, zip(*scores, strict=True)))
        return replace(machine, calibration=calibration_of(joined, np.tile(numbers, len(told)), unknown=MISSING))

    name = judged(model.name, [Described(products.names)])
    others = products.others()
    alone = [Described(products.names, **{kind: column}) for kind, column in others.items() if len(others) > 1]
    return BlockModel(name, judged(model.whole, [products, *alone]) if model.whole else None)


def learned_anew(
    model: BlockModel, products: Described, numbers: npt.NDArray[np.int64], weights: F32, *, cost: float, seed: int
) -> BlockModel:
    """A model of these products, as fit() makes it, that keeps the machines and the calibration of an earlier one."""
    again = fit(products, numbers, weights, cost=cost, seed=seed)
    name = replace(again.name, calibration=model.name.calibration)
    if again.whole is None or model.whole is None:
        return BlockModel(name)
    return BlockModel(name, replace(again.whole, calibration=model.whole.calibration))


def _machine(
    blocks: Sequence[Block],
    products: Described,
    *,
    numbers: npt.NDArray[np.int64],
    weights: F32,
    cost: float,
    seed: int,
) -> Machine:
    texts = vars(products)
    fitted = [made for block in blocks if any(texts[block.text]) and (made := block.fitted(texts[block.text]))]
    if not any(block.telling.any() for block in fitted):
        raise ValueError(f"the {len(products)} texts have no words; give more texts")
    features, classes = features_of(fitted, products), int(numbers.max()) + 1
    parts = [
        _planes(features, numbers, weights, range(start, min(start + TOGETHER, classes)), cost=cost, seed=seed)
        for start in range(0, classes, TOGETHER)
    ]
    return Machine(
        blocks=tuple(fitted),
        weights=_stacked([planes for planes, _ in parts]),
        intercept=np.concatenate([intercepts for _, intercepts in parts]),
        calibration=UNCALIBRATED,
    )


def _planes(
    features: Sparse, numbers: npt.NDArray[np.int64], weights: F32, labels: range, *, cost: float, seed: int
) -> tuple[Sparse, F32]:
    """The weights (t, l) and intercepts (l,) of l labels, each against all others."""
    from scipy import sparse

    others = -1
    told = np.where((numbers >= labels.start) & (numbers < labels.stop), numbers, others)
    machine = LinearSVC(C=cost, random_state=seed)
    with warnings.catch_warnings():
        # What a thousand rounds have not settled are contradictions in the data, where either answer is as good.
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(features, told, sample_weight=weights)
    planes, intercepts = machine.coef_, machine.intercept_
    if len(machine.classes_) == 2:
        planes, intercepts = np.vstack([-planes, planes]), np.append(-intercepts, intercepts)
    wanted = machine.classes_ != others
    planes = planes[wanted].astype(np.float16).astype(np.float32)
    planes[np.abs(planes) < LEAST_WEIGHT] = 0
    return sparse.csr_array(planes.T), intercepts[wanted].astype(np.float32)


def _stacked(parts: Sequence[Sparse]) -> Any:
    from scipy import sparse

    return sparse.csr_array(sparse.hstack(parts, format="csr"))
