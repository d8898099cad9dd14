"""Which rows repeat an earlier one, among millions and in little memory: the source's ledger."""

from array import array
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.columns import ColumnMatch
from lib.fields.blanks import NOTHING
from lib.fields.gtins import clean_gtin
from lib.formats.rows import ROW_COLUMNS

Ints = npt.NDArray[np.int64]
SmallInts = npt.NDArray[np.uint32]
# Lines of earlier rows, null where there is none: one that is equal in every cell, and one that has the same GTIN with
# another name.
LEDGER_COLUMNS = ("line", "same_as", "gtin_as")
LEDGER_SCHEMA = pa.schema([(name, pa.int64()) for name in LEDGER_COLUMNS])
# Rows are compared a part of their hashes at a time, which takes little memory beside theirs.
PARTS = 16  # a power of two
NO_GTIN = hash("")
# What stands for one that is not there, though of letters and digits only.
NO_GTINS = NOTHING | {"0" * length for length in range(1, 15)}


class SeenRows:
    """Collects 12 to 24 bytes a row while rows are added; `ledger` takes about 30 a row at its peak.

    Rows and GTINs are compared by 64-bit hashes: among ten million different ones the odds that any two agree are 3 in
    a million (n²/2⁶⁵). Names are compared by 32 bits, and only below the same GTIN.
    """

    def __init__(self, columns: list[ColumnMatch]) -> None:
        places = {match.field: f"c{match.column}" for match in columns}
        self._gtin, self._name = places.get("gtin"), places.get("name")
        # Arrays of the standard library grow in place; NumPy looks at them where they are.
        self._lines, self._rows, self._gtins, self._names = array("I"), array("q"), array("q"), array("I")
        self.rows_with_extra_cells = 0

    def add(self, chunk: pa.Table) -> None:
        """The next rows, with rows.ROW_COLUMNS and cells."""
        count = chunk.num_rows
        with_extra_cells = count - chunk["extra"].null_count
        self.rows_with_extra_cells += with_extra_cells
        cells = {name: chunk[name].to_pylist() for name in chunk.column_names if name not in ROW_COLUMNS}
        extra: Iterable[Any] = (
            (tuple(more or ()) for more in chunk["extra"].to_pylist()) if with_extra_cells else repeat((), count)
        )
        rows = zip(*cells.values(), extra, strict=True)
        self._lines.frombytes(chunk["line"].to_numpy().astype(np.uint32).tobytes())  # four billion lines are enough
        self._rows.frombytes(_hashes(rows, count).tobytes())
        if self._gtin and self._name:
            gtins = cells[self._gtin]
            together = "".join(gtins)
            # What is letters and digits only is clean; mostly that is so of all.
            plain = together.isascii() and (together.isalnum() or not together) and NO_GTINS.isdisjoint(gtins)
            clean = gtins if plain else map(clean_gtin, gtins)
            self._gtins.frombytes(_hashes(clean, count).tobytes())
            names = map(" ".join, map(str.split, map(str.casefold, cells[self._name])))
            self._names.frombytes(_hashes(names, count).astype(np.uint32).tobytes())

    def ledger(self, *, rows: int, skip: int = 0) -> Iterator[pa.Table]:
        """A row for each that was added after the first `skip`, columns LEDGER_COLUMNS, so many at a time.

        Empties what was collected.
        """
        lines = np.frombuffer(self._lines, np.uint32)
        same_as = _first_alike(np.frombuffer(self._rows, np.int64), lines)
        self._rows = array("q")
        gtin_as = np.zeros(len(lines), np.uint32)
        if self._gtins:
            gtins, names = np.frombuffer(self._gtins, np.int64), np.frombuffer(self._names, np.uint32)
            gtin_as = _first_alike(gtins, lines, others=names)
            self._gtins, self._names = array("q"), array("I")
        for start in range(skip, len(lines), rows):
            line, *found = (of[start : start + rows].astype(np.int64) for of in (lines, same_as, gtin_as))
            yield pa.table([pa.array(line), *(pa.array(of, mask=of == 0) for of in found)], schema=LEDGER_SCHEMA)


def _hashes(values: Iterable[Any], count: int) -> Ints:
    return np.fromiter(map(hash, values), np.int64, count)


def _first_alike(hashes: Ints, lines: SmallInts, *, others: SmallInts | None = None) -> SmallInts:
    """The line of the first row with the same hash, 0 for that row itself; with `others`, only where those differ."""
    found = np.zeros(len(lines), np.uint32)
    part_of = np.bitwise_and(hashes, PARTS - 1, out=np.empty(len(lines), np.uint8), casting="unsafe")
    part_of[hashes == NO_GTIN] = PARTS
    for common in _common(hashes):
        rows = np.flatnonzero(hashes == common)
        part_of[rows] = PARTS
        if common != NO_GTIN:
            found[rows[1:]] = lines[rows[0]]
            if others is not None:
                found[rows[others[rows] == others[rows[0]]]] = 0
    for part in range(PARTS):
        rows = np.flatnonzero(part_of == part)
        rows = rows[_repeated(hashes[rows])]
        order = rows[np.argsort(hashes[rows], kind="stable")]
        ordered = hashes[order]
        repeats = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1  # places in the order, of rows that are not the first
        first_of_each = order[np.searchsorted(ordered, ordered[repeats], side="left")]
        later = order[repeats]
        found[later] = lines[first_of_each]
        if others is not None:
            found[later[others[later] == others[first_of_each]]] = 0
    return found


def _common(hashes: Ints) -> Ints:
    """The hashes of a large share of all, as of blank rows, which would make one part as large as the whole."""
    step = max(1, len(hashes) // 1000)
    seen, times = np.unique(hashes[::step], return_counts=True)
    return seen[times > 20]


def _repeated(hashes: Ints) -> npt.NDArray[np.bool_]:
    """Which of the hashes are there more than once: few, mostly, so that few remain for slower sorting."""
    ordered = np.sort(hashes)
    several = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(several):
        return np.zeros(len(hashes), np.bool_)
    places = np.searchsorted(several, hashes)
    found: npt.NDArray[np.bool_] = several[np.minimum(places, len(several) - 1)] == hashes
    return found
