"""JSON and JSON Lines as a table of records: `open_json` is the way in; what is taken for records, json_survey says."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from lib.errors import SourceError
from lib.formats.json_survey import ARRAYS, EACH, MEMBER, Place, Survey, ValuePath, records_of
from lib.formats.json_text import TOO_LONG, WINDOW, JsonText
from lib.formats.nested import (
    LONGEST_GROUP_CELL,
    VALUE,
    RecordLimits,
    RecordTable,
    cell_text,
    check_columns,
    fit_cells,
    flatten,
    mended,
    put,
)

# The column for the keys of records that are members of an object.
KEY = "key"
_ENCODINGS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with byte order mark"}


def open_json(path: Path, *, name: str, limits: RecordLimits) -> RecordTable:
    """Find the records of a JSON file that people know by `name`, in one pass over it.

    Raises SourceError when it is not JSON, has no records, or more columns than the limit; `rows` raises no new ones.
    """
    try:
        return _open(path, name, limits)
    except RecursionError:
        raise SourceError(f"{name}: values nested too deeply to be a table; send a list of products") from None


def _open(path: Path, name: str, limits: RecordLimits) -> RecordTable:
    lines = _is_lines(path, name, limits)
    place, groups, survey, encoding = _surveyed(path, name, limits, lines)
    single = place is None and not lines
    if single:
        # An object without a list of records is a product itself.
        place, groups, survey, encoding = _surveyed(path, name, limits, True)
    if place is None or not place.records:
        raise SourceError(f"{name}: the JSON holds no records (an empty list); send a file with products")
    shown = "the one object" if single else _where(place.path, survey, lines)
    rows = _Rows(path, name=name, limits=limits, place=place, groups=groups, lines=lines or single)
    if place.all_arrays and not place.objects:
        columns = survey.header_beside(place)
        rows.skip_first = not columns
        columns = columns or place.first
    else:
        columns = rows.columns = _columns(place, groups)
    rows.width = len(columns)
    header = check_columns(columns, limits=limits, name=name, where=shown)
    if not header or (single and not any(any(cells) for _, cells in rows())):
        raise SourceError(f"{name}: the JSON holds no records with fields ({shown}); send a list of products")
    numbering: Literal["line", "record"] = "line" if _lines_differ(place, rows) else "record"
    rows.by_line = numbering == "line"
    kind = "JSON Lines" if lines else "JSON"
    return RecordTable(kind, shown, header, rows, numbering, _ENCODINGS.get(encoding, encoding.upper()))


def _is_lines(path: Path, name: str, limits: RecordLimits) -> bool:
    """Whether the file holds more than one value."""
    with path.open("rb") as file:
        text = JsonText(file, name=name, limits=limits)
        if not text.peek():
            raise SourceError(f"{name}: the file is empty; send one with products")
        return text.value(most=WINDOW) is not TOO_LONG and text.peek() != ""


def _surveyed(
    path: Path, name: str, limits: RecordLimits, lines: bool
) -> tuple[Place | None, list[Place], Survey, str]:
    with path.open("rb") as file:
        text = JsonText(file, name=name, limits=limits)
        survey = Survey(text, lines=lines, limits=limits)
        return *survey.choice(), survey, text.encoding


def _where(path: ValuePath, survey: Survey, lines: bool) -> str:
    if not path:
        return "the values of the file" if lines else "array at $"
    shown = "".join("[*]" if step == EACH else ".*" if isinstance(step, int) else f".{mended(step)}" for step in path)
    if path[-1] in (MEMBER, ARRAYS):
        return f"{'members of the object' if path[-1] == MEMBER else 'all arrays'} at ${shown.removesuffix('.*')}"
    return f"array at ${shown}{survey.preferred}"


def _columns(place: Place, groups: list[Place]) -> list[str]:
    columns = [KEY] if MEMBER in place.path or ARRAYS in place.path else []
    for group, inner in pairwise([*groups, place]):
        held = [column for column in group.columns if group.lists.get(column) is not inner]
        columns += [_prefix(group.path) + column for column in held]
    columns += place.columns
    if place.objects < place.records:
        columns.append(VALUE)
    return list(dict.fromkeys(columns))


def _prefix(path: ValuePath) -> str:
    """What the fields of the groups at a path begin with."""
    return next((f"{step}." for step in reversed(path) if isinstance(step, str)), "group.")


def _lines_differ(place: Place, rows: "_Rows") -> bool:
    if place.lines_differ is not None:
        return place.lines_differ
    last = 0
    for line, _ in rows():
        if line <= last:
            return False
        last = line
    return True


class _Rows:
    """The second pass: called, it yields the number and the cells of each record."""

    def __init__(
        self, path: Path, *, name: str, limits: RecordLimits, place: Place, groups: list[Place], lines: bool
    ) -> None:
        self.columns: list[str] = []  # empty when the records are arrays
        self.width = 0
        self.skip_first = False
        self.by_line = True
        self._source = path
        self._name = name
        self._limits = limits
        self._path = place.path
        self._groups = [group.path for group in groups]
        self._lines = lines

    def __call__(self) -> Iterator[tuple[int, list[str]]]:
        number = 0
        with self._source.open("rb") as file:
            text = JsonText(file, name=self._name, limits=self._limits)
            records = self._records(text)
            try:
                if self.skip_first:
                    next(records, None)
                for line, value, outer in records:
                    number += 1
                    yield line if self.by_line else number, self._cells(value, outer)
            except RecursionError:
                raise SourceError(f"{self._name}: values nested too deeply on line {text.line}") from None

    def _cells(self, value: Any, outer: dict[str, str]) -> list[str]:
        if not self.columns:
            cells = [cell_text(cell) for cell in value]
            return fit_cells(cells + [""] * (self.width - len(cells)))
        row = dict(outer)
        if isinstance(value, dict):
            flatten(value, row)
        else:
            put(row, VALUE, cell_text(value))
        return fit_cells([row.get(column, "") for column in self.columns])

    def _records(self, text: JsonText) -> Iterator[tuple[int, Any, dict[str, str]]]:
        while text.peek():
            if self._lines and not self._path:
                yield text.line, text.value(), {}
            else:
                yield from self._walk(text, 1 if self._lines else 0, {})

    def _walk(self, text: JsonText, at: int, outer: dict[str, str]) -> Iterator[tuple[int, Any, dict[str, str]]]:
        """The records at path[at:] of the next value; `outer` has the cells of the groups around it."""
        opening, path = text.peek(), self._path
        if at == len(path) and opening == "[":
            for _ in text.elements():
                yield text.line, text.value(), outer
        elif at < len(path) and path[at] == EACH and opening == "[":
            for _ in text.elements():
                yield from self._walk(text, at + 1, outer)
        elif at < len(path) and path[at] != EACH and opening == "{":
            yield from self._members(text, at, outer)
        else:
            text.skip()

    def _members(self, text: JsonText, at: int, outer: dict[str, str]) -> Iterator[tuple[int, Any, dict[str, str]]]:
        path = self._path
        outer, prefix = dict(outer), self._group_prefix(at)
        for key in text.members():
            if path[at] == MEMBER and at == len(path) - 1:
                yield text.line, text.value(), {**outer, KEY: key}
            elif path[at] == MEMBER or (path[at] == ARRAYS and text.peek() == "["):
                yield from self._walk(text, at + 1, {**outer, KEY: key})
            elif path[at] == key:
                yield from self._walk(text, at + 1, outer)
            elif prefix is None or (value := text.value(most=WINDOW)) is TOO_LONG:
                text.skip()
            else:
                # What stands behind the records of a group comes too late for them.
                cells: dict[str, str] = {}
                flatten({key: value}, cells, prefix)
                outer |= {column: cell for column, cell in cells.items() if len(cell) <= LONGEST_GROUP_CELL}

    def _group_prefix(self, at: int) -> str | None:
        """The prefix of the columns for the other members of an object on the path; None outside of groups."""
        around = [path for path in self._groups if len(records_of(path)) <= at]
        if not around:
            return None
        within = self._path[len(records_of(around[-1])) : at]
        return _prefix(around[-1]) + "".join(f"{step}." for step in within)
