"""Which sheets of a workbook are read: the one with the products, and those that go on with it."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pyarrow as pa

from lib.errors import SourceError
from lib.fields.known_headers import field_of, folded, near_field_of
from lib.formats.grids import Grid, IteratedRows, facts, header_decision, with_header
from lib.formats.rows import ROW_COLUMNS, SourceTable, cell_columns
from lib.formats.workbook import Sheet, Workbook

# A sheet goes on with another when this share of both their headers is in both, the name's among them.
COMMON_HEADERS = 2 / 3
# With other columns and more than this share of the names in common, it tells of the same products once more.
COMMON_NAMES = 0.5

_Key = tuple[str, int]  # a folded header, and how often it stood further left


def sheets_table(workbook: Workbook, *, name: str, wanted: str = "") -> SourceTable:
    """The sheet with the products, and those that go on with it, as one table; or the sheet that is wanted.

    Raises SourceError when none has products, or none that name.
    """
    sheets = workbook.sheets
    chosen = [sheet for sheet in sheets if sheet.name == wanted] if wanted else _candidates(sheets)
    if not chosen:
        shown = ", ".join(repr(sheet.name) for sheet in sheets)
        raise SourceError(f"{name}: there is no sheet {wanted!r}; it has {shown}")
    grids = {
        sheet.name: with_header(IteratedRows(sheet.rows()), field_of=field_of, near_field_of=near_field_of)
        for sheet in chosen
    }
    filled = {title: grid for title, grid in grids.items() if grid.sample}
    if not filled:
        raise SourceError(f"{name}: no sheet has products below a header; send one that has")
    best = max(
        filled.values(), key=lambda grid: (_known(grid) > 0, "name" in _fields(grid), _known(grid), len(grid.sample))
    )
    read = {title: grid for title, grid in filled.items() if grid is best or _goes_on_with(best, grid)}
    encoding = workbook.encoding
    label = encoding.label if encoding else None
    table = _SheetsTable(read, best, facts(format=workbook.format, encoding=label, sheets=list(read)))
    table.decisions = [f"Format: {workbook.format}."]
    if encoding:
        table.decisions.append(f"Encoding: {encoding.label}, because {encoding.reason}.")
    if len(sheets) > 1:
        left = [repr(sheet.name) + (" (hidden)" if sheet.hidden else "") for sheet in sheets if sheet.name not in read]
        why = "its header fits" if len(read) == 1 else "their headers fit"
        rest = f"; not read: {', '.join(left)}" if left else ""
        table.decisions.append(f"Sheets: {', '.join(map(repr, read))}, because {why} products best{rest}.")
    table.decisions += [*table.differences(), header_decision(best, unit="row")]
    return table


class _SheetsTable:
    """A SourceTable of one or several sheets, whose columns are put below the same header."""

    def __init__(self, grids: dict[str, Grid], best: Grid, format: dict[str, Any]) -> None:
        self._grids = grids
        self._best = best
        self.format = format
        self.decisions: list[str] = []
        names: dict[_Key, str] = {}
        for grid in (best, *grids.values()):
            for key, name in zip(_keys(grid), grid.header.names, strict=True):
                names.setdefault(key, name)
        self._keys = list(names)
        self.header = list(names.values())
        self.header_line = best.header_line
        self.sample = list(chain.from_iterable(map(self._placed_sample, grids.values())))

    @property
    def blank_lines(self) -> int:
        return sum(grid.source.blank_lines for grid in self._grids.values())

    def chunks(self) -> Iterator[pa.Table]:
        for title, grid in self._grids.items():
            places = self._places(grid)
            for chunk in grid.chunks(sheet=title if len(self._grids) > 1 else None):
                yield chunk if places == list(range(len(self.header))) else _placed(chunk, places)

    def differences(self) -> list[str]:
        """A sentence where the sheets do not have the same columns, or not in the same order."""
        keys = [_keys(grid) for grid in self._grids.values()]
        common = set(keys[0]).intersection(*keys)
        some = [repr(name) for key, name in zip(self._keys, self.header, strict=True) if key not in common]
        if some:
            return [f"Columns: {', '.join(some)} not on every sheet, so empty where missing."]
        if any(one != keys[0] for one in keys):
            return ["Columns: in another order on some of the sheets, so they are matched by their headers."]
        return []

    def _places(self, grid: Grid) -> list[int | None]:
        """Where each of the header's columns is on a sheet."""
        places = {key: at for at, key in enumerate(_keys(grid))}
        return [places.get(key) for key in self._keys]

    def _placed_sample(self, grid: Grid) -> list[list[str]]:
        places = self._places(grid)
        return [["" if at is None or at >= len(row) else row[at] for at in places] for row in grid.sample]


def _placed(chunk: pa.Table, places: list[int | None]) -> pa.Table:
    blank = pa.repeat("", chunk.num_rows)
    cells = [blank if at is None else chunk[f"c{at}"] for at in places]
    names = [*ROW_COLUMNS, *cell_columns([""] * len(places))]
    return pa.table([*(chunk[name] for name in ROW_COLUMNS), *cells], names=names)


def _candidates(sheets: list[Sheet]) -> list[Sheet]:
    """The sheets that a person sees; the hidden ones only where there are no others."""
    return [sheet for sheet in sheets if not sheet.hidden] or sheets


def _goes_on_with(best: Grid, grid: Grid) -> bool:
    if not grid.header.rows:
        return False
    ours, theirs = set(_keys(best)), set(_keys(grid))
    if ours == theirs:
        return any(header for header, _ in ours)
    common = ours & theirs
    if len(common) < COMMON_HEADERS * len(ours | theirs) or _name_key(best) not in common or not _name_key(best)[0]:
        return False
    names, others = _names(best), _names(grid)
    return len(names & others) <= COMMON_NAMES * min(len(names), len(others))


def _keys(grid: Grid) -> list[_Key]:
    seen: Counter[str] = Counter()
    keys = []
    for header in map(folded, grid.header.names):
        keys.append((header, seen[header]))
        seen[header] += 1
    return keys


def _name_key(grid: Grid) -> _Key:
    fields = [field_of(name) for name in grid.header.names]
    return _keys(grid)[fields.index("name")] if "name" in fields else ("", 0)


def _names(grid: Grid) -> set[str]:
    """The names on a sheet's first rows."""
    at = _keys(grid).index(_name_key(grid))
    return {folded(row[at]) for row in grid.sample if at < len(row)} - {""}


def _fields(grid: Grid) -> set[str | None]:
    return {field_of(header) for header in grid.header.names} - {None}


def _known(grid: Grid) -> int:
    return len(_fields(grid))
