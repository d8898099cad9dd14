"""Rows put in order of a number, more of them than memory holds: first to a temporary file, then piece by piece."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# Rows that are sorted in memory at once.
PIECE = 50_000


class Ordered:
    """Collects tables of one schema, and gives their rows back by a number, the largest first; equal ones as they came.

    Takes 8 bytes a row in memory and the rows themselves in a temporary folder, until it is closed.
    """

    def __init__(self, schema: pa.Schema, *, stack: ExitStack) -> None:
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shelfsort-")))
        self._schema = schema
        self._path = self._folder / "rows.arrow"
        self._writer = stack.enter_context(pa.ipc.new_stream(str(self._path), schema))
        self._numbers: list[npt.NDArray[np.float64]] = []

    def add(self, rows: pa.Table, numbers: npt.NDArray[np.float64]) -> None:
        """Rows, and the number of each that puts them in order."""
        if rows.num_rows:
            self._writer.write_table(rows, max_chunksize=PIECE)
            self._numbers.append(numbers)

    def tables(self) -> Iterator[pa.Table]:
        """All rows in order; nothing can be added any more."""
        self._writer.close()
        if not self._numbers:
            return
        numbers = np.concatenate(self._numbers)
        ranks = np.empty(len(numbers), dtype=np.int64)
        ranks[np.argsort(-numbers, kind="stable")] = np.arange(len(numbers))
        if len(ranks) <= PIECE:
            with pa.ipc.open_stream(str(self._path)) as reader:
                yield reader.read_all().take(np.argsort(ranks))
            return
        for piece in self._pieces(ranks):
            with pa.ipc.open_stream(str(piece)) as reader:
                rows = reader.read_all()
            piece.unlink()
            order = pa.array(np.argsort(rows["rank"].to_numpy()))
            yield rows.drop_columns("rank").take(order)

    def _pieces(self, ranks: npt.NDArray[np.int64]) -> list[Path]:
        """The rows in files of PIECE neighbours in the order each, with their rank."""
        count = -(-len(ranks) // PIECE)
        paths = [self._folder / f"piece-{number:06d}.arrow" for number in range(count)]
        schema = self._schema.append(pa.field("rank", pa.int64()))
        start = 0
        with ExitStack() as stack:
            writers = [stack.enter_context(pa.ipc.new_stream(str(path), schema)) for path in paths]
            for batch in stack.enter_context(pa.ipc.open_stream(str(self._path))):
                own = ranks[start : start + batch.num_rows]
                start += batch.num_rows
                rows = pa.table(batch).append_column("rank", pa.array(own))
                for number in np.unique(own // PIECE).tolist():
                    writers[number].write_table(rows.filter(pa.array(own // PIECE == number)))
        return paths
