"""The workbook that a person fills in review: products with a column for the category, and a sheet of categories.

A product stands for all of the job's with its name (reviewed.name_key). Its category is chosen from a list, or written
as a name or an id; `confirm` takes the suggested one, and an empty cell means that nothing is decided. Refusals name
the cell.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import ascii_letters
from typing import Any

import python_calamine as calamine
from rapidfuzz import fuzz, process

from lib.carbon import figures_of
from lib.errors import SourceError, StorageError
from lib.storage import split_uri
from lib.taxonomy import read_taxonomy

SHEET, CATEGORIES = "Review", "Categories"
CONFIRM = "confirm"
# Excel's own limit, less the header.
MOST_ROWS = 1_048_575
# Of a refusal; more would not be read.
REFUSALS_SHOWN = 20
# Header -> width of the column. The first and the last are how the rows find their job again.
COLUMNS = {
    "line": 8,
    "sheet": 10,
    "products": 9,
    "name": 50,
    "brand": 18,
    "customer category": 24,
    "category": 36,
    "suggested": 36,
    "confidence": 11,
    "next best": 36,
    "its confidence": 11,
    "impact": 10,
    "why": 40,
    "job_id": 36,
}
_FILLED = "category"
_NEEDED = ("line", "sheet", "name", "brand", "customer category", _FILLED, "suggested", "job_id")
# Above this likeness, of 100, a category is offered for one that is none.
_ALIKE = 75


@dataclass(frozen=True)
class ToReview:
    """A product to be decided, for all with its name."""

    line: int
    sheet: str
    products: int  # how many rows have the name
    name: str
    brand: str
    customer_category: str
    suggested: str  # a category's id; '' where the model names none
    confidence: float | None
    next_best: str
    next_confidence: float | None
    impact: float | None  # of all of them
    why: str


@dataclass(frozen=True)
class Filled:
    """A row of a filled workbook."""

    cell: str  # of the category, such as Review!G2
    row: int
    line: Any  # as the workbook has it
    sheet: str
    job_id: str
    name: str
    brand: str
    customer_category: str
    suggested: str  # as it is shown
    category: str  # as it was filled; '' for undecided


class Refusals:
    """Cells that cannot be taken; nothing is, where there is one."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._said: list[tuple[int, str]] = []  # by row

    def add(self, cell: str, what: str) -> None:
        """A cell, and what is wrong with it and to be done."""
        self._said.append((int(cell.lstrip(ascii_letters + "!")), f"{cell}: {what}"))

    def check(self) -> None:
        """Raise a SourceError with what was added, if anything was."""
        if self._said:
            count = len(self._said)
            more = f"; and {count - REFUSALS_SHOWN:,} more" if count > REFUSALS_SHOWN else ""
            what = "1 cell is refused" if count == 1 else f"{count:,} cells are refused"
            said = "; ".join(text for _, text in sorted(self._said)[:REFUSALS_SHOWN])
            raise SourceError(f"{self._where}: {what} and nothing was applied: {said}{more}")


class Choices:
    """The categories that can be chosen: leaves of the taxonomy, or the labels of a model that has others."""

    def __init__(self, labels: Iterable[str]) -> None:
        leaves = [leaf.id for leaf in read_taxonomy().leaves]
        given = set(labels)
        self.ids = leaves if given <= set(leaves) else sorted(given)
        self._by_text = {shown(one).casefold(): one for one in self.ids} | {one.casefold(): one for one in self.ids}

    def of(self, text: str) -> str | None:
        """The id of a category by its name or id, in any case; None for no category."""
        return self._by_text.get(" ".join(text.split()).casefold())

    def decided(self, text: str, *, suggested: str, cell: str, refusals: Refusals) -> str | None:
        """The category that a filled cell means; None where it is refused."""
        if text.casefold() == CONFIRM:
            if suggested in self.ids:
                return suggested
            refusals.add(cell, f"there is no suggested category to {CONFIRM}; choose one from the list")
            return None
        found = self.of(text)
        if found is None:
            near = process.extractOne(text.casefold(), list(self._by_text), scorer=fuzz.ratio, score_cutoff=_ALIKE)
            meant = f", perhaps {shown(self._by_text[near[0]])!r}" if near else ""
            refusals.add(
                cell, f"{text[:80]!r} is no category; choose one of the sheet {CATEGORIES}{meant}, or empty it"
            )
        return found


def shown(category: str) -> str:
    """A category as people read it: its name where the taxonomy has it, else its id."""
    return figures_of(category or None).name or category


def write_review(path: Path, rows: Sequence[ToReview], *, choices: Choices, job_id: str) -> None:
    """Write the workbook; the rows in their order. Raises StorageError when the file cannot be written."""
    import xlsxwriter

    place, name = split_uri(str(path))
    try:
        with (
            place.writing(name) as target,
            xlsxwriter.Workbook(str(target), {"constant_memory": True, "strings_to_formulas": False}) as book,
        ):
            bold, filled = book.add_format({"bold": True}), book.add_format({"bg_color": "#FFF8DC"})
            sheet = book.add_worksheet(SHEET)
            sheet.freeze_panes(1, 4)
            for column, (header, width) in enumerate(COLUMNS.items()):
                sheet.set_column(column, column, width)
                sheet.write_string(0, column, header, bold)
            at = list(COLUMNS).index(_FILLED)
            for number, row in enumerate(rows, start=1):
                for column, value in enumerate(_cells(row, job_id)):
                    if column == at:
                        sheet.write_blank(number, column, None, filled)
                    elif isinstance(value, str):
                        sheet.write_string(number, column, value[:32_000])
                    elif value is not None:
                        sheet.write_number(number, column, value)
            if rows:
                sheet.autofilter(0, 0, len(rows), len(COLUMNS) - 1)
                sheet.data_validation(1, at, len(rows), at, {
                    "validate": "list",
                    "source": f"={CATEGORIES}!$A$2:$A${len(choices.ids) + 2}",
                    "error_title": "No category",
                    "error_message": f"Choose a category from the list (sheet {CATEGORIES}), or leave the cell empty.",
                })  # fmt: skip
            _write_categories(book.add_worksheet(CATEGORIES), choices, bold)
    except xlsxwriter.exceptions.FileCreateError as error:
        raise StorageError(f"{path}: cannot be written: {error}") from None


def _write_categories(sheet: Any, choices: Choices, bold: Any) -> None:
    for column, (header, width) in enumerate({"name": 44, "id": 32, "above": 32, "definition": 100}.items()):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, header, bold)
    sheet.freeze_panes(1, 0)
    sheet.write_string(1, 0, CONFIRM)
    sheet.write_string(1, 3, "The suggested category is right.")
    taxonomy = read_taxonomy()
    for number, category in enumerate(sorted(choices.ids, key=shown), start=2):
        sheet.write_string(number, 0, shown(category))
        sheet.write_string(number, 1, category)
        if category in taxonomy:
            sheet.write_string(number, 2, shown(taxonomy[category].parent))
            sheet.write_string(number, 3, taxonomy[category].definition)


def _cells(row: ToReview, job_id: str) -> list[str | float | None]:
    """A row's cells in the order of COLUMNS."""
    told: Mapping[str, str | float | None] = {
        "customer category": row.customer_category,
        _FILLED: None,
        "suggested": shown(row.suggested),
        "next best": shown(row.next_best),
        "its confidence": row.next_confidence,
        "job_id": job_id,
    }
    return [told[header] if header in told else vars(row)[header] for header in COLUMNS]


def is_review(path: Path) -> bool:
    """Whether a file is a workbook of this kind."""
    try:
        with _opened(path) as book:
            return SHEET in book.sheet_names and CATEGORIES in book.sheet_names
    except SourceError:
        return False


def decisions_in(path: Path) -> int:
    """How many categories are filled in, in a workbook of this kind; 0 where there is no such file or it is none."""
    if not path.is_file() or not is_review(path):
        return 0
    try:
        return sum(bool(row.category) for row in read_review(path))
    except SourceError:
        return 0


def read_review(path: Path) -> Iterator[Filled]:
    """The rows of a filled workbook, whatever program has saved it; SourceError when it is none."""
    with _opened(path) as book:
        if SHEET not in book.sheet_names:
            raise SourceError(f"{path}: has no sheet {SHEET}; take the workbook that `review --export` wrote")
        rows = book.get_sheet_by_name(SHEET).to_python(skip_empty_area=False)
    header = [str(cell).strip() for cell in rows[0]] if rows else []
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise SourceError(f"{path}: row 1 of its sheet {SHEET} has no {missing[0]!r}; leave the first row as it was")
    at = {name: header.index(name) for name in _NEEDED}
    column = _letters(at[_FILLED])
    for number, cells in enumerate(rows[1:], start=2):
        text = {name: str(cells[place]).strip() for name, place in at.items()}
        if any(text.values()):
            yield Filled(
                cell=f"{SHEET}!{column}{number}",
                row=number,
                line=cells[at["line"]],
                sheet=text["sheet"],
                job_id=text["job_id"],
                name=text["name"],
                brand=text["brand"],
                customer_category=text["customer category"],
                suggested=text["suggested"],
                category=text[_FILLED],
            )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        path.open("rb").close()  # calamine tells what the system says only in a text of its own
        book = calamine.load_workbook(str(path))
    except (calamine.CalamineError, OSError) as error:
        what = getattr(error, "strerror", None) or f"is no workbook ({error})"
        raise SourceError(f"{path}: {what}; give the workbook that `review --export` wrote") from None
    try:
        yield book
    finally:
        book.close()


def _letters(column: int) -> str:
    """The letters of a column, counted from 0."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
