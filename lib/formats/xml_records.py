"""XML with repeated elements as a table of records: `open_xml` finds the element that is the record.

    <catalog><product id="1"><name>Milk</name><price currency="EUR">2</price></product>...</catalog>
        -> id, name, price, price.currency

Attributes and elements become columns alike; what occurs several times in a record is joined, and an element's own text
beside other fields is in `value`. Prefixes (`g:title`) are left out of the header where that
is unambiguous.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

from lib.errors import SourceError
from lib.formats.nested import LIST_SEPARATOR, LONGEST_GROUP_CELL, VALUE, RecordLimits, RecordTable, check_columns
from lib.formats.xml_survey import Handlers, Node, Survey, is_namespace, parse, record_of


def open_xml(path: Path, *, name: str, limits: RecordLimits) -> RecordTable:
    """Find the records of an XML file that people know by `name`, in one pass over it.

    Raises SourceError when it is not XML, declares entities, or has no records; `rows` raises no new ones.
    """
    survey = Survey(name, limits)
    for _ in parse(path, survey, name=name, limits=limits):
        pass
    record, groups = record_of(survey.root)
    if record.parent is survey.root and not (record.nodes or record.attributes):
        raise SourceError(f"{name}: the XML holds no records, only the element {record.name}; send a list of products")
    where = "elements " + "/".join(node.name for node in record.path()[1:])
    columns: list[str] = []
    for group, inner in pairwise([*groups, record]):
        columns += _group_columns(group, inner)
    columns = list(dict.fromkeys([*columns, *record.columns()]))
    check_columns(columns, limits=limits, name=name, where=where)
    header = _without_prefixes(columns)
    by_line = record.lines_differ

    def rows() -> Iterator[tuple[int, list[str]]]:
        reader = _Reader(name, limits, record, groups)
        for number, (line, row) in enumerate(parse(path, reader, name=name, limits=limits), 1):
            yield line if by_line else number, [row.get(column, "") for column in columns]

    numbering: Literal["line", "record"] = "line" if by_line else "record"
    return RecordTable("XML", where, header, rows, numbering, survey.encoding)


class _Reader(Handlers):
    """The second pass: collects the record's cells between its tags."""

    def __init__(self, name: str, limits: RecordLimits, record: Node, groups: list[Node]) -> None:
        super().__init__(name, limits)
        self._names = [node.name for node in record.path()[1:]]
        self._groups = {node.depth: f"{node.name}." for node in groups}
        self._matching = 0  # how many elements from the root on are on the path to the record
        self._outer: dict[int, dict[str, list[str]]] = {}  # by the group's depth, its cells so far
        self._columns: list[str] = []  # of the open elements within a record or group, each with a point at the end
        self._texts: list[list[str]] = []
        self._line = 0
        self._row: dict[str, list[str]] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.deeper()
        depth = self.depth
        if self._matching == depth - 1 and depth <= len(self._names) and name == self._names[depth - 1]:
            self._matching = depth
            if depth in self._groups:
                self._outer[depth] = {}
                self._put_attributes(self._outer[depth], self._groups[depth], attributes)
            if depth < len(self._names):
                self._columns, self._texts = [], []
                return
            self._line = self.parser.CurrentLineNumber
            self._row = {}
            self._columns, self._texts = [""], [[]]
            for outer in self._outer.values():
                self._row |= {
                    c: list(texts) for c, texts in outer.items() if sum(map(len, texts)) <= LONGEST_GROUP_CELL
                }
        elif self._columns or self._matching in self._groups:
            before = self._columns[-1] if self._columns else self._groups[self._matching]
            self._columns.append(f"{before}{name}.")
            self._texts.append([])
        else:
            return
        self._put_attributes(self._target(), self._columns[-1], attributes)

    def end(self, _name: str) -> None:
        if self._columns:
            column = self._columns.pop()
            text = "".join(self._texts.pop()).strip()
            if text:
                self._target().setdefault(column.removesuffix(".") or VALUE, []).append(text)
            if not self._columns and self._matching == len(self._names) == self.depth:
                self.rows.append((self._line, {c: LIST_SEPARATOR.join(texts) for c, texts in self._row.items()}))
                self._row = {}
        if self._matching == self.depth:
            self._outer.pop(self.depth, None)
            self._matching -= 1
        self.depth -= 1

    def text(self, data: str) -> None:
        if self._texts:
            self._texts[-1].append(data)

    def _target(self) -> dict[str, list[str]]:
        return self._row if self._matching == len(self._names) else self._outer[self._matching]

    def _put_attributes(self, row: dict[str, list[str]], prefix: str, attributes: dict[str, str]) -> None:
        for attribute, value in attributes.items():
            if not is_namespace(attribute) and (text := value.strip()):
                row.setdefault(prefix + attribute, []).append(text)


def _group_columns(group: Node, inner: Node) -> list[str]:
    """The columns of a group beside those of the record within it."""
    step = inner.path()[group.depth + 1]
    beside = [node for node in group.nodes.values() if node is not step]
    prefix = f"{group.name}."
    return [prefix + name for name in group.attributes] + [c for n in beside for c in n.columns(f"{prefix}{n.name}.")]


def _without_prefixes(columns: list[str]) -> list[str]:
    short = [".".join(name.rpartition(":")[2] for name in column.split(".")) for column in columns]
    often = Counter(short)
    return [column if often[name] > 1 else name for column, name in zip(columns, short, strict=True)]
