"""Categorizer: loads a model folder and gives every product text its most likely categories."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

# The best category and the two next-best ones.
TOP = 3


@dataclass(frozen=True)
class Predictions:
    """The most likely categories of n texts, best first."""

    categories: npt.NDArray[np.int32]  # (n, TOP) indices into the categorizer's labels
    confidences: npt.NDArray[np.float64]  # (n, TOP) calibrated probabilities, rounded to 4 decimals


class Categorizer(Protocol):
    """What the main job needs of a model; a slow one behind a network can take its place."""

    name: str
    version: str  # a hash of the model's content
    labels: list[str]

    def categorize(self, texts: list[str]) -> Predictions:
        """The TOP categories of each text; the same text gets the same answer in whatever company it comes."""


def load_categorizer(uri: str) -> Categorizer:
    """The categorizer whose model lies in a folder, local or s3://; ModelError when it cannot be used."""
    raise NotImplementedError
