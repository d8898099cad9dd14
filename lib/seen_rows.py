"""Which rows repeat an earlier one, among millions and in little memory: the source's ledger."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.columns import ColumnMatch
from lib.gtins import clean_gtin
from lib.rows import ROW_COLUMNS

Ints = npt.NDArray[np.int64]
SmallInts = npt.NDArray[np.uint32]
# Lines of earlier rows, null where there is none: one that is equal in every cell, and one that has the same GTIN with
# another name.
LEDGER_COLUMNS = ("line", "same_as", "gtin_as")


class SeenRows:
    """Collects 12 to 24 bytes a row while rows are added; `ledger` takes about 45 a row at its peak.

    Rows and GTINs are compared by 64-bit hashes: among ten million different ones the odds that any two agree are 3 in
    a million (n²/2⁶⁵). Names are compared by 32 bits, and only below the same GTIN.
    """

    def __init__(self, columns: list[ColumnMatch]) -> None:
        places = {match.field: f"c{match.column}" for match in columns}
        self._gtin, self._name = places.get("gtin"), places.get("name")
        self._lines: list[SmallInts] = []
        self._rows: list[Ints] = []
        self._gtins: list[Ints] = []
        self._names: list[SmallInts] = []
        self.rows_with_extra_cells = 0

    def add(self, chunk: pa.Table) -> None:
        """The next rows, with rows.ROW_COLUMNS and cells."""
        count = chunk.num_rows
        with_extra_cells = count - chunk["extra"].null_count
        self.rows_with_extra_cells += with_extra_cells
        cells = {name: chunk[name].to_pylist() for name in chunk.column_names if name not in ROW_COLUMNS}
        extra: Iterable[Any] = chunk["extra"].to_pylist() if with_extra_cells else repeat(None, count)
        rows = zip(*cells.values(), (tuple(more or ()) for more in extra), strict=True)
        self._lines.append(chunk["line"].to_numpy().astype(np.uint32))  # four billion lines are enough
        self._rows.append(_hashes(rows, count))
        if self._gtin and self._name:
            self._gtins.append(_hashes(map(clean_gtin, cells[self._gtin]), count))
            names = _hashes((" ".join(name.casefold().split()) for name in cells[self._name]), count)
            self._names.append(names.astype(np.uint32))

    def ledger(self) -> pa.Table:
        """A row for each of the source's, columns LEDGER_COLUMNS; empties what was collected."""
        lines, rows = np.concatenate(self._lines), np.concatenate(self._rows)
        self._lines, self._rows = [], []
        same_as = _first_alike(rows, lines)
        del rows
        gtin_as = np.zeros(len(lines), np.int64)
        if self._gtins:
            gtins, names = np.concatenate(self._gtins), np.concatenate(self._names)
            self._gtins, self._names = [], []
            gtin_as = _first_alike(gtins, lines, others=names)
            gtin_as[gtins == hash("")] = 0
        found = {"same_as": same_as, "gtin_as": gtin_as}
        return pa.table(
            {"line": lines.astype(np.int64)} | {name: pa.array(of, mask=of == 0) for name, of in found.items()}
        )


def _hashes(values: Iterator[Any] | Iterable[Any], count: int) -> Ints:
    return np.fromiter(map(hash, values), np.int64, count)


def _first_alike(hashes: Ints, lines: SmallInts, *, others: SmallInts | None = None) -> Ints:
    """The line of the first row with the same hash, 0 for that row itself; with `others`, only where those differ."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    repeats = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1  # places in the order, of rows that are not the first
    first_of_each = order[np.searchsorted(ordered, ordered[repeats], side="left")]
    rows = order[repeats]
    del ordered, order
    found = np.zeros(len(lines), np.int64)
    found[rows] = lines[first_of_each]
    if others is not None:
        found[rows[others[rows] == others[first_of_each]]] = 0
    return found
