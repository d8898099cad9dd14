"""Stand-ins for slow parts."""

import numpy as np

from lib.categorizing import TOP, Described, Predictions


class LengthCategorizer:
    """Puts a text into the category of its length; the longer, the surer."""

    name = "by length"
    version = "fake-1"

    def __init__(self) -> None:
        self.labels = [f"{i} letters" for i in range(10)]
        self.parents: list[str] = []

    def categorize(self, products: Described) -> Predictions:
        lengths = np.array([len(text) for text in products.names], dtype=np.int32).reshape(-1, 1)
        ranks = np.arange(TOP, dtype=np.int32)
        confidences = np.minimum(lengths / 20, 1) / (1 + ranks)
        return Predictions((lengths + ranks) % len(self.labels), confidences.round(4))
