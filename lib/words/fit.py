"""Fits the two parts of a word model: the numbers of lib/words/model.py, from texts whose labels are known.

Both parts learn by Adam on shuffled batches, with some of the terms left out at random each time so that none is
relied on alone. The wide part is one machine for each label against the rest (squared hinge), the deep part a
softmax: their mistakes differ, which is why both are worth having. Then the numbers are rounded; small ones go.
The same texts, labels, settings and seed give the same numbers on one machine, whatever its number of threads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.words.numbers import F32, Calibration, Fitted, Layer, Rows, Scores
from lib.words.terms import Terms, Words

# How far Adam remembers slopes and their squares.
SLOPES, SQUARES = 0.9, 0.99
# The largest number that a weight is rounded to.
LARGEST = 127
# Texts of a batch, of which an epoch has at least FEWEST_BATCHES.
WIDE_BATCH, DEEP_BATCH, FEWEST_BATCHES = 2048, 1024, 20
# Of 1,000 names of a 151-label benchmark, 10 epochs of 20 batches learned as much as 20 and more than 7; of 5,000 most.
LEAST_STEPS = 200


@dataclass(frozen=True)
class Settings:
    """How a word model is fitted."""

    word_texts: int = 2  # a word is a term when so many texts have it
    pair_texts: int = 3
    piece_words: int = 3  # a piece is one when so many distinct words have it
    dimensions: int = 64
    hidden: int = 128
    epochs: int = 7  # with few texts there are more, until LEAST_STEPS are done
    wide_rate: float = 0.01
    deep_rate: float = 0.005
    wide_left_out: float = 0.1  # the share of terms left out
    deep_left_out: float = 0.3
    hidden_left_out: float = 0.1  # the share of hidden units left out
    wide_step: float = 0.1  # what the wide part's weights are rounded to; of two thirds, that leaves nothing
    spread: float = 0.05  # of the vectors at first
    vector_step: float = 0.6  # what the vectors are rounded to, in standard deviations
    seed: int = 0


class Adam:
    """Adam's steps for one array, the rate falling to nothing over all steps."""

    def __init__(self, values: F32, *, rate: float, steps: int) -> None:
        self.values = values
        self._rate, self._steps, self._done = rate, steps, 0
        self._slopes, self._squares = np.zeros_like(values), np.zeros_like(values)

    def step(self, slopes: F32) -> None:
        """One step against the slopes, which are changed."""
        self._done += 1
        correction = np.sqrt(1 - SQUARES**self._done)
        rate = self._rate * (1 - self._done / (self._steps + 1)) * correction / (1 - SLOPES**self._done)
        self._slopes *= np.float32(SLOPES)
        self._slopes += np.float32(1 - SLOPES) * slopes
        slopes *= slopes
        slopes *= np.float32(1 - SQUARES)
        self._squares *= np.float32(SQUARES)
        self._squares += slopes
        np.sqrt(self._squares, out=slopes)
        slopes += np.float32(1e-8)
        np.divide(self._slopes, slopes, out=slopes)
        slopes *= np.float32(rate)
        self.values -= slopes


def fit(
    terms: Terms, texts: list[str], labels: npt.NDArray[np.int64], weights: F32, *, classes: int, settings: Settings
) -> Fitted:
    """A model, not yet calibrated, of n texts, their labels' numbers and weights (n,)."""
    reader = Words(terms)
    features = reader.features(*reader.read(texts))
    weights = weights / weights.mean(dtype=np.float64).astype(np.float32)
    wide, intercept = _fit_wide(features, labels, weights, classes=classes, settings=settings)
    rounded = rounded_weights(wide, settings.wide_step)
    del wide
    return _fit_deep(
        features,
        labels,
        weights,
        settings=settings,
        start=Fitted(
            terms=terms,
            wide=rounded,
            wide_scale=settings.wide_step,
            intercept=intercept,
            vectors=np.zeros((terms.count, 1), dtype=np.int8),
            vector_scale=1.0,
            vector_bias=np.zeros(1, dtype=np.float32),
            hidden=Layer(np.zeros((1, 1), dtype=np.int8), 1.0, np.zeros(1, dtype=np.float32), 1.0),
            output=Layer(np.zeros((1, classes), dtype=np.int8), 1.0, np.zeros(classes, dtype=np.float32), 1.0),
            calibration=UNCALIBRATED,
        ),
    )


# Both parts' scores as they mostly turn out: a hinge's margins mean little, a softmax is too sure of itself.
UNCALIBRATED = Calibration(wide=1.0, deep=0.5)


def calibration_of(
    scores: Scores, labels: npt.NDArray[np.int64], *, unknown: tuple[float, float] = (-5, 0)
) -> Calibration:
    """The calibration under which the labels' numbers (n,) of texts that were not learned from are most likely.

    unknown: the bounds of what Scores.unknown counts.
    """
    from scipy.optimize import minimize

    wide, deep, rows = scores.wide.astype(np.float64), scores.deep.astype(np.float64), np.arange(len(labels))

    def surprise(factors: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        chances = softmax(factors[0] * wide + factors[1] * deep)
        value = -np.log(np.maximum(chances[rows, labels], 1e-300)).mean()
        slopes = [(chances * part).sum(axis=1).mean() - part[rows, labels].mean() for part in (wide, deep)]
        return float(value), np.array(slopes)

    start = [UNCALIBRATED.wide, UNCALIBRATED.deep]
    factors = minimize(surprise, start, jac=True, bounds=[(0.01, 100)] * 2, method="L-BFGS-B").x.round(6).tolist()
    plain = Calibration(*factors)
    chances = scores.probabilities(plain)
    sure = chances.max(axis=1).astype(np.float64).clip(1e-6, 1 - 1e-6)
    right = chances.argmax(axis=1) == labels
    inputs = np.column_stack([np.ones(len(sure)), np.log(sure / (1 - sure)), scores.unknown])[scores.known]
    outcomes = right[scores.known].astype(np.float64)

    def doubt(line: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        odds = inputs @ line
        value = np.logaddexp(0, odds).mean() - (odds * outcomes).mean() + 1e-6 * ((line - [0, 1, 0]) ** 2).sum()
        return float(value), inputs.T @ (1 / (1 + np.exp(-odds)) - outcomes) / len(odds) + 2e-6 * (line - [0, 1, 0])

    if not len(inputs):
        return plain
    bounds = [(-5, 5), (0.1, 5), unknown]
    line = minimize(doubt, [0.0, 1.0, 0.0], jac=True, bounds=bounds, method="L-BFGS-B").x.round(6).tolist()
    return Calibration(*factors, *line)


def rounded_weights(weights: F32, step: float) -> Rows:
    """(t, c) weights as whole numbers of steps, to 127 at most; those below half a step go."""
    return Rows.of(np.clip(np.rint(weights / np.float32(step)), -LARGEST, LARGEST).astype(np.int8))


def _batches(
    features: Any, count: int, *, size: int, epochs: int, left_out: float, chance: np.random.Generator
) -> Iterator[tuple[npt.NDArray[np.int64], Any]]:
    """The rows of each batch and their features, some of them left out and the others the larger."""
    for _ in range(epochs):
        order = chance.permutation(count)
        for start in range(0, count, size):
            rows = order[start : start + size]
            batch = features[rows]
            batch.data *= (chance.random(batch.nnz, dtype=np.float32) >= left_out) / np.float32(1 - left_out)
            yield rows, batch


def _sizes(count: int, most: int, settings: Settings) -> tuple[int, int]:
    """The texts of a batch, most at most, and the number of epochs."""
    size = min(most, max(1, count // FEWEST_BATCHES))
    return size, max(settings.epochs, -(-LEAST_STEPS // -(-count // size)))


def _fit_wide(
    features: Any, labels: npt.NDArray[np.int64], weights: F32, *, classes: int, settings: Settings
) -> tuple[F32, F32]:
    """The weights, each for its term's plain presence times its rarity, (t, c), and the intercept (c,)."""
    count, terms = features.shape
    size, epochs = _sizes(count, WIDE_BATCH, settings)
    steps = epochs * -(-count // size)
    table = Adam(np.zeros((terms, classes), dtype=np.float32), rate=settings.wide_rate, steps=steps)
    intercept = Adam(np.full(classes, -1, dtype=np.float32), rate=settings.wide_rate, steps=steps)
    chance = np.random.default_rng([settings.seed, 1])
    left_out = settings.wide_left_out
    batches = _batches(features, count, size=size, epochs=epochs, left_out=left_out, chance=chance)
    for rows, batch in batches:
        sides = np.full((len(rows), classes), -1, dtype=np.float32)
        sides[np.arange(len(rows)), labels[rows]] = 1
        slopes = batch @ table.values
        slopes += intercept.values
        slopes *= sides
        np.subtract(1, slopes, out=slopes)
        np.maximum(slopes, 0, out=slopes)
        slopes *= sides
        slopes *= (-2 / len(rows) * weights[rows])[:, None]
        intercept.step(slopes.sum(axis=0))
        table.step(batch.T @ slopes)
    return table.values, intercept.values


def _fit_deep(
    features: Any, labels: npt.NDArray[np.int64], weights: F32, *, start: Fitted, settings: Settings
) -> Fitted:
    """The start with the deep part's numbers."""
    (count, terms), classes = features.shape, len(start.intercept)
    size, epochs = _sizes(count, DEEP_BATCH, settings)
    steps = epochs * -(-count // size)
    chance = np.random.default_rng([settings.seed, 2])
    shapes = {
        "vectors": ((terms, settings.dimensions), settings.spread),
        "hidden": ((settings.dimensions, settings.hidden), (2 / settings.dimensions) ** 0.5),
        "output": ((settings.hidden, classes), (1 / settings.hidden) ** 0.5),
        "vector_bias": ((settings.dimensions,), 0.0),
        "hidden_bias": ((settings.hidden,), 0.0),
        "output_bias": ((classes,), 0.0),
    }
    learned = {
        name: Adam(
            chance.standard_normal(shape, dtype=np.float32) * np.float32(spread), rate=settings.deep_rate, steps=steps
        )
        for name, (shape, spread) in shapes.items()
    }
    values = {name: one.values for name, one in learned.items()}
    left_out, share = settings.deep_left_out, settings.hidden_left_out
    for rows, batch in _batches(features, count, size=size, epochs=epochs, left_out=left_out, chance=chance):

        def switched(units: F32) -> F32:
            on = (chance.random(units.shape, dtype=np.float32) >= share) & (units > 0)
            return on.astype(np.float32) / np.float32(1 - share)

        units = batch @ values["vectors"] + values["vector_bias"]
        first = switched(units)
        units *= first
        hidden = units @ values["hidden"] + values["hidden_bias"]
        second = switched(hidden)
        hidden *= second
        slopes = softmax(hidden @ values["output"] + values["output_bias"])
        slopes[np.arange(len(rows)), labels[rows]] -= 1
        slopes *= (weights[rows] / len(rows))[:, None]
        into_hidden = slopes @ values["output"].T * second
        into_units = into_hidden @ values["hidden"].T * first
        learned["output"].step(hidden.T @ slopes)
        learned["output_bias"].step(slopes.sum(axis=0))
        learned["hidden"].step(units.T @ into_hidden)
        learned["hidden_bias"].step(into_hidden.sum(axis=0))
        learned["vector_bias"].step(into_units.sum(axis=0))
        learned["vectors"].step(batch.T @ into_units)
    return _rounded_layers(features, values, start=start, settings=settings)


def _rounded_layers(features: Any, values: dict[str, F32], *, start: Fitted, settings: Settings) -> Fitted:
    """The start with the learned values in whole numbers, units in steps that the training texts suggest."""
    vector_scale = float(values["vectors"].std(dtype=np.float64)) * settings.vector_step
    vectors = np.clip(np.rint(values["vectors"] / np.float32(vector_scale)), -LARGEST, LARGEST)
    some = features[:20_000]
    units = some @ (vectors * np.float32(vector_scale)) + values["vector_bias"]
    layers = []
    for name in ("hidden", "output"):
        scale = float(np.abs(values[name]).max()) / LARGEST or 1.0
        weights = np.rint(values[name] / np.float32(scale)).astype(np.int8)
        # The largest unit gets the largest number for which the layer's sums stay exact.
        blank = Layer(weights, scale, values[f"{name}_bias"], 1.0)
        step = float(max(units.max(initial=0), 1e-3)) / blank.levels
        layers.append(Layer(weights, scale, values[f"{name}_bias"], step))
        units = layers[-1].outputs(units)
    return Fitted(
        **{
            **vars(start),
            "vectors": vectors.astype(np.int8),
            "vector_scale": vector_scale,
            "vector_bias": values["vector_bias"],
            "hidden": layers[0],
            "output": layers[1],
        }
    )


def softmax(odds: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Each row's probabilities; changes odds."""
    odds -= odds.max(axis=1, keepdims=True)
    np.exp(odds, out=odds)
    odds /= odds.sum(axis=1, keepdims=True)
    return odds
