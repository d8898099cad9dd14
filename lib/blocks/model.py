"""Two machines: one for products of which only the name is known, one for those of which more is.

A machine that learned from all columns leans on them: where they are missing it is worse than one that never had them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lib.blocks.machine import Machine
from lib.categorizing import Described
from lib.words.numbers import F32

# The machines' names in a model's arrays.
_NAME, _WHOLE = "name", "whole"


@dataclass(frozen=True)
class BlockModel:
    """Answers for c labels by the machine that fits what is known of each product."""

    name: Machine
    whole: Machine | None = None  # None where there was nothing but names to learn from

    def answers(self, products: Described) -> tuple[F32, npt.NDArray[np.bool_], list[str]]:
        """(n, c) probabilities, (n,) whether a known word was said, and the words that speak most for the likeliest."""
        count = len(products)
        chances = np.zeros((count, len(self.name.intercept)), dtype=np.float32)
        known = np.zeros(count, dtype=np.bool_)
        told = [""] * count
        more = self.told_more(products)
        for machine, rows in ((self.name, np.flatnonzero(~more)), (self.whole, np.flatnonzero(more))):
            if machine is not None and len(rows):
                chances[rows], known[rows], words = machine.answers(products.at(rows.tolist()))
                for row, each in zip(rows.tolist(), words, strict=True):
                    told[row] = each
        return chances, known, told

    def told_more(self, products: Described) -> npt.NDArray[np.bool_]:
        """(n,) of which products more is known than the name, of what was learned from."""
        read = self.whole.columns() if self.whole else set()
        columns = [column for kind, column in products.others().items() if kind in read]
        return np.array([any(texts) for texts in zip(*columns, strict=True)] or [False] * len(products), dtype=np.bool_)

    def settings(self) -> dict[str, Any]:
        """The settings of each machine's blocks."""
        return {name: [block.settings() for block in machine.blocks] for name, machine in self._machines().items()}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything else, for an .npz file."""
        machines = self._machines().items()
        return {f"{name}_{key}": array for name, machine in machines for key, array in machine.arrays().items()}

    @classmethod
    def of(cls, settings: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The model of settings() and arrays(); KeyError, TypeError or ValueError when they do not fit together."""
        made = {
            name: Machine.of(
                settings[name],
                {key.removeprefix(f"{name}_"): array for key, array in arrays.items() if key.startswith(f"{name}_")},
            )
            for name in (_NAME, _WHOLE)
            if name in settings
        }
        if len({len(machine.intercept) for machine in made.values()}) != 1:
            raise ValueError("its machines differ in their labels")
        return cls(made[_NAME], made.get(_WHOLE))

    def _machines(self) -> dict[str, Machine]:
        return {_NAME: self.name} | ({_WHOLE: self.whole} if self.whole else {})
