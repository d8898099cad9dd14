"""What a word model's folder (lib/modelfolder.py) holds."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lib import modelfolder
from lib.words.lexicon import Lexicon
from lib.words.numbers import Fitted


@dataclass(frozen=True)
class Content:
    """All that decides an answer; c labels."""

    kind: ClassVar[str] = modelfolder.WORDS
    labels: list[str]  # in alphabetical order
    parent_of: list[str]  # (c,) the category above each label, '' where there is none
    fitted: Fitted
    # (len(PRECISIONS), c + 1): the confidence from which a label can be taken for right; the last, a parent.
    thresholds: npt.NDArray[np.float64]
    weights: dict[str, float]  # of Described's other texts, beside the name's 1
    lexicon: Lexicon
    spelling: bool  # whether unknown words are read as known ones a mistake away

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What goes into arrays.npz."""
        told = json.dumps([self.labels, self.parent_of, self.weights, self.spelling], ensure_ascii=False)
        return {
            **self.fitted.arrays(),
            **self.lexicon.arrays(),
            "thresholds": self.thresholds,
            "labels": np.frombuffer(told.encode(), dtype=np.uint8),
        }

    @staticmethod
    def of(arrays: modelfolder.Arrays) -> "Content":
        """The model that arrays() came from; KeyError or ValueError when they do not fit together."""
        labels, parent_of, weights, spelling = json.loads(arrays["labels"].tobytes())
        fitted, thresholds = Fitted.of(arrays), arrays["thresholds"]
        if not len(labels) == len(parent_of) == len(fitted.intercept) == thresholds.shape[1] - 1:
            raise ValueError("its labels and numbers differ in length")
        return Content(labels, parent_of, fitted, thresholds, weights, Lexicon.of(arrays), spelling)

    @cached_property
    def version(self) -> str:
        """A hash of everything that decides an answer."""
        return modelfolder.version_of(self.arrays())


def load(uri: str) -> tuple[dict[str, Any], Content]:
    """The card and the content of a model folder; ModelError when they cannot be used."""
    return modelfolder.load(uri, Content.of, kind=Content.kind)
