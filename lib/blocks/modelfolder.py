"""What the folder (lib/modelfolder.py) of a model of blocks holds."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lib import modelfolder
from lib.blocks.model import BlockModel


@dataclass(frozen=True)
class Content:
    """All that decides an answer; c labels."""

    kind: ClassVar[str] = modelfolder.BLOCKS
    labels: list[str]  # in alphabetical order
    parent_of: list[str]  # (c,) the category above each label, '' where there is none
    model: BlockModel
    # (len(PRECISIONS), c + 1): the confidence from which a label can be taken for right; the last, a parent.
    thresholds: npt.NDArray[np.float64]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What goes into arrays.npz."""
        told = json.dumps([self.labels, self.parent_of, self.model.settings()], ensure_ascii=False)
        return {
            **self.model.arrays(),
            "thresholds": self.thresholds,
            "labels": np.frombuffer(told.encode(), dtype=np.uint8),
        }

    @staticmethod
    def of(arrays: modelfolder.Arrays) -> "Content":
        """The model that arrays() came from; KeyError, TypeError or ValueError when they do not fit together."""
        labels, parent_of, settings = json.loads(arrays["labels"].tobytes())
        model, thresholds = BlockModel.of(settings, arrays), arrays["thresholds"]
        if not len(labels) == len(parent_of) == len(model.name.intercept):
            raise ValueError("its labels and numbers differ in length")
        if thresholds.shape != (len(modelfolder.PRECISIONS), len(labels) + 1):
            raise ValueError("its labels and numbers differ in length")
        return Content(labels, parent_of, model, thresholds)

    @cached_property
    def version(self) -> str:
        """A hash of everything that decides an answer."""
        return modelfolder.version_of(self.arrays())


def load(uri: str) -> tuple[dict[str, Any], Content]:
    """The card and the content of a model folder; ModelError when they cannot be used."""
    return modelfolder.load(uri, Content.of, kind=Content.kind)
