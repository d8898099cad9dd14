"""The first pass over a JSON file: the places where records lie, and which of them is the table.

Where records are looked for, by an example of each:

    [{...}, {...}]                                    an array of objects
    {"data": {"products": [{...}, ...]}}              the longest array of products (nested.are_products), or objects
    {"groups": [{"name": "Milk", "products": [...]}]} arrays in records that only group them (nested.are_groups)
    [[{...}, {...}], [{...}]]                         pages of records
    {...} newline {...}                               JSON Lines, also with blank lines, or nothing, between
    {"4006381333931": {...}, "7310865004703": {...}}  objects under their keys
    {"Milk": [{...}], "Bread": [{...}]}               arrays under their keys, when all have mostly the same fields
    [["name", "price"], ["Milk", 1.5]]                arrays, the first as header; also one a line
    {"columns": ["name"], "data": [["Milk"]]}         arrays whose header lies beside them
    {...}                                             a single product
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lib.errors import SourceError
from lib.formats.json_text import TOO_LONG, WINDOW, JsonText
from lib.formats.nested import RecordLimits, are_groups, are_products, cell_text, scalar_text

# Steps of a path beside keys: every element of an array, every member of an object.
EACH = 0
MEMBER = 1
ARRAYS = 2  # every member that is an array
ValuePath = tuple[str | int, ...]

# Beyond this many, places are not looked at.
_MOST_PLACES = 5000
# Fields of all places together, as a multiple of what one table may have.
_FIELDS_OF_ALL = 20
_HEADER_KEYS = ("columns", "header", "headers", "fields")
# Objects under their keys are records when a field is in so many of them on average.
_SHARED = 1.5
# Arrays under their keys are one table when each has so much of all their fields.
_SHARED_BY_ARRAYS = 0.7


@dataclass
class Place:
    """What lies at one path, in all its arrays together: a candidate for the table."""

    path: ValuePath
    records: int = 0
    longest: int = 0  # records of the longest single array
    objects: int = 0
    arrays: int = 0
    members: int = 0  # of the objects, all together
    columns: dict[str, None] = field(default_factory=dict)
    lists: dict[str, "Place"] = field(default_factory=dict)  # the columns that hold lists of records
    pages: "Place | None" = None  # the records in records that are arrays
    first: list[str] = field(default_factory=list)  # the cells of the first record, when it is an array
    scalars: list[str] = field(default_factory=list)  # when they may be a header
    lines_differ: bool | None = None  # None when the lines were not counted
    last_line: int = 0

    @property
    def all_arrays(self) -> bool:
        return 0 < self.records == self.arrays

    @property
    def are_records(self) -> bool:
        if self.path[-1:] == (MEMBER,):
            return self.records > 1 and self.members >= _SHARED * len({c.partition(".")[0] for c in self.columns})
        return self.objects > 0 or (self.all_arrays and self.arrays > 1)

    def begins_on(self, line: int) -> None:
        self.lines_differ = self.lines_differ is not False and line > self.last_line
        self.last_line = line


class Survey:
    """Walks through the whole file once; `lines` says that its values are the records, one after the other."""

    def __init__(self, text: JsonText, *, lines: bool, limits: RecordLimits) -> None:
        self._text = text
        self._lines = lines
        self._fields_left = limits.columns * _FIELDS_OF_ALL
        self._most_columns = limits.columns
        self._overlooked = False
        self.places: dict[ValuePath, Place] = {}
        self.preferred = ""  # why, when several places might have been the table
        # Values that are not lines are usually one: the array or the object that the file is.
        while opening := text.peek():
            if lines:
                self._element(self._place(()))
            elif opening == "[":
                self._array(())
            elif opening == "{":
                self._object(())
            else:
                text.value()

    def choice(self) -> tuple[Place | None, list[Place]]:
        """The place of the records, None without any, and the groups around it from the outermost."""
        place = self.places.get(())
        if place is None:
            found = [p for p in self.places.values() if {EACH, MEMBER}.isdisjoint(p.path[:-1]) and p.are_records]
            place = max(found, key=lambda p: (p.objects > 0, are_products(p.columns), p.longest), default=None)
            if len(found) > 1 and place:
                longest = place.longest == max(p.longest for p in found)
                self.preferred = f" ({'the longest' if longest else 'the one of products'} of {len(found)})"
            if self._overlooked and (place is None or place.path[-1] != MEMBER):
                what = f"more than {_MOST_PLACES:,} lists, so which of them holds the products can't be told"
                raise SourceError(f"{self._text.name}: {what}; send one list of products")
            place = place and self._with_siblings(place)
        groups: list[Place] = []
        while place is not None and (inner := self._within(place)):
            groups += [] if inner is place.pages else [place]
            place = inner
        return place, groups

    def header_beside(self, place: Place) -> list[str]:
        """The header of records that are arrays, when the object that holds their array has one; else nothing."""
        beside = [self.places.get((*place.path[:-1], key)) for key in _HEADER_KEYS] if place.path else []
        return next((p.scalars for p in beside if p and 0 < len(p.scalars) == len(place.first)), [])

    def _with_siblings(self, place: Place) -> Place:
        """All arrays beside the one at `place` as one table, when they hold the same kind of record."""
        parent = place.path[:-1]
        beside = [
            p for p in self.places.values() if p.path and p.path[:-1] == parent and p.path[-1] not in (EACH, MEMBER)
        ]
        columns = {column: None for p in beside for column in p.columns}
        shared = sum(len(p.columns) for p in beside) >= _SHARED_BY_ARRAYS * len(columns) * len(beside)
        if len(beside) < 2 or not shared or not all(p.objects for p in beside):
            return place
        return Place(
            (*place.path[:-1], ARRAYS),
            records=sum(p.records for p in beside),
            longest=place.longest,
            objects=sum(p.objects for p in beside),
            columns=columns,
        )

    def _within(self, place: Place) -> Place | None:
        if place.all_arrays and place.pages and place.pages.objects:
            return place.pages
        fields = len(place.columns) - len(place.lists)
        groups = [
            inner
            for inner in place.lists.values()
            if are_groups(
                fields=fields,
                records=place.records,
                inner_fields=len(inner.columns) - len(inner.lists),
                inner_records=inner.records,
            )
        ]
        return max(groups, key=lambda inner: inner.records, default=None)

    def _place(self, path: ValuePath) -> Place:
        place = self.places.get(path)
        if place is None:
            place = Place(path)
            if len(self.places) < _MOST_PLACES:
                self.places[path] = place
            elif {EACH, MEMBER}.isdisjoint(path):
                self._overlooked = True
        return place

    def _object(self, path: ValuePath) -> None:
        """An object that is not a record, as far as is known."""
        text = self._text
        members = self._place((*path, MEMBER))
        only_objects = True
        for key in text.members():
            opening, line = text.peek(), text.line
            if opening == "{":
                value = text.value(most=WINDOW)
                if value is TOO_LONG:
                    only_objects = False
                    self._object((*path, key))
                else:
                    members.records += 1
                    members.longest += 1
                    members.begins_on(line)
                    self._note(members, value)
                    self._search((*path, key), value)
            else:
                only_objects = False
                if opening == "[":
                    self._array((*path, key))
                else:
                    text.value()
        if not only_objects:
            self.places.pop(members.path, None)

    def _search(self, path: ValuePath, value: dict[str, Any]) -> None:
        """The places in an object that is held."""
        members = self._place((*path, MEMBER))
        for key, member in value.items():
            if isinstance(member, dict):
                self._search((*path, key), member)
            elif isinstance(member, list):
                self._note_all(self._place((*path, key)), member)
        if value and all(isinstance(member, dict) for member in value.values()):
            self._note_all(members, value.values())
        else:
            self.places.pop(members.path, None)

    def _array(self, path: ValuePath) -> Place:
        place = self._place(path)
        before = place.records
        for _ in self._text.elements():
            self._element(place)
        place.longest = max(place.longest, place.records - before)
        return place

    def _element(self, place: Place) -> None:
        text = self._text
        place.records += 1
        place.begins_on(text.line)
        value = text.value(most=WINDOW)
        if value is not TOO_LONG:
            self._note(place, value)
        elif text.peek() == "{":
            place.objects += 1
            self._large_object(place, records_of(place.path), "")
        elif text.peek() == "[":
            place.arrays += 1
            place.pages = self._array(records_of(place.path))
        else:
            text.value()

    def _large_object(self, place: Place, path: ValuePath, prefix: str) -> None:
        text = self._text
        for key in text.members():
            place.members += not prefix
            value = text.value(most=WINDOW)
            column = prefix + key
            if value is not TOO_LONG:
                self._note_member(place, (*path, key), column, value)
            elif text.peek() == "{":
                self._large_object(place, (*path, key), f"{column}.")
            else:
                self._add_column(place, column)
                if text.peek() == "[":
                    place.lists[column] = self._array((*path, key))
                else:
                    text.value()

    def _note_all(self, place: Place, values: Iterable[Any]) -> None:
        before = place.records
        for value in values:
            place.records += 1
            self._note(place, value)
        place.longest = max(place.longest, place.records - before)

    def _note(self, place: Place, value: Any) -> None:
        """A record that is held; this runs for every record of the file."""
        if type(value) is dict:
            place.objects += 1
            place.members += len(value)
            columns = place.columns
            for key, member in value.items():
                if type(member) is dict or type(member) is list:
                    self._note_member(place, (*records_of(place.path), key), key, member)
                elif key not in columns:
                    self._add_column(place, key)
        elif type(value) is list:
            if place.arrays == 0 and place.records == 1:
                place.first = [cell_text(cell) for cell in value]
            place.arrays += 1
            if any(type(element) is dict for element in value):
                place.pages = self._place(records_of(place.path))
                self._note_all(place.pages, value)
        elif place.path and place.path[-1] in _HEADER_KEYS and len(place.scalars) <= self._most_columns:
            place.scalars.append(scalar_text(value))

    def _note_member(self, place: Place, path: ValuePath, column: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, member in value.items():
                self._note_member(place, (*path, key), f"{column}.{key}", member)
            return
        self._add_column(place, column)
        if isinstance(value, list) and any(isinstance(element, dict) for element in value):
            place.lists[column] = self._place(path)
            self._note_all(place.lists[column], value)

    def _add_column(self, place: Place, column: str) -> None:
        # One more than a table may have is kept, for check_columns to refuse if this place is chosen.
        if column in place.columns or len(place.columns) > self._most_columns:
            return
        place.columns[column] = None
        self._fields_left -= 1
        if self._fields_left < 0:
            raise SourceError(
                f"{self._text.name}: far too many different fields by line {self._text.line}, so this is not a table;"
                " send records with a field for each property"
            )


def records_of(path: ValuePath) -> ValuePath:
    """The path of the records that lie in the array or object at `path`."""
    return path if path[-1:] == (MEMBER,) else (*path, EACH)
