"""XML as events without its dangers, and the first pass over a file: which of its elements are the records.

Documents may not declare entities, and nothing outside of the file is ever read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.entities import name2codepoint
from pathlib import Path
from typing import Any
from xml.parsers import expat

from lib.errors import SourceError
from lib.formats.nested import VALUE, RecordLimits, are_groups

CHUNK_BYTES = 1 << 18
# Different elements and attributes of a file, as a multiple of the columns a table may have.
_NODES_PER_COLUMN = 4
_SPREADSHEET = "urn:schemas-microsoft-com:office:spreadsheet"
_HTML_NAMES = "".join(
    f'<!ENTITY {name} "&#{code};">' for name, code in name2codepoint.items() if name not in ("amp", "lt", "gt", "quot")
)


@dataclass(slots=True)
class Node:
    """All elements of one name at one place in the file."""

    name: str
    parent: "Node | None"
    depth: int
    nodes: dict[str, "Node"] = field(default_factory=dict)
    attributes: dict[str, None] = field(default_factory=dict)
    count: int = 0
    repeats: bool = False  # more than once in the same parent
    has_text: bool = False
    parent_number: int = 0
    last_line: int = 0
    lines_differ: bool = True

    def columns(self, prefix: str = "") -> list[str]:
        """The columns of the record, with prefix '', or of an element within it, with its path and a point."""
        own = [prefix + attribute for attribute in self.attributes]
        if self.has_text or not (self.nodes or self.attributes):
            own.insert(0, prefix.removesuffix(".") or VALUE)
        for node in self.nodes.values():
            own += node.columns(f"{prefix}{node.name}.")
        return own

    def own_fields(self) -> int:
        """How many values a record has beside the repeated structures within it."""
        children = sum(not (node.repeats and (node.nodes or node.attributes)) for node in self.nodes.values())
        return len(self.attributes) + children

    def path(self) -> list["Node"]:
        return [*(self.parent.path() if self.parent else []), self]


def parse(path: Path, handlers: "Handlers", *, name: str, limits: RecordLimits) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows that the handlers make of the file's events."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    # Names that only HTML knows (&nbsp; &auml;) are declared by a DTD of our own, for texts and attributes alike.
    parser.UseForeignDTD(True)
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
    parser.ExternalEntityRefHandler = handlers.external
    parser.SkippedEntityHandler = handlers.unknown_entity
    parser.EntityDeclHandler = handlers.entity
    parser.XmlDeclHandler = handlers.declaration
    parser.StartElementHandler = handlers.start
    parser.EndElementHandler = handlers.end
    parser.CharacterDataHandler = handlers.text
    handlers.parser = parser
    fed = 0
    with path.open("rb") as file:
        ended = False
        while not ended:
            chunk = file.read(CHUNK_BYTES)
            ended = not chunk
            fed += len(chunk)
            try:
                parser.Parse(chunk, ended)
            except expat.ExpatError as error:
                raise _damaged(error, name, empty=fed == 0) from None
            except (ValueError, LookupError) as error:
                raise SourceError(f"{name}: the XML's encoding can't be read ({error}); save it as UTF-8") from None
            # A tag or comment is read again with each chunk until it ends, so its length is bounded.
            if not ended and fed - parser.CurrentByteIndex > limits.cell_characters + CHUNK_BYTES:
                raise _too_long(name, parser.CurrentLineNumber, limits)
            yield from handlers.rows
            handlers.rows.clear()


class Handlers:
    """What both passes have in common: an element stack, and refusals."""

    def __init__(self, name: str, limits: RecordLimits) -> None:
        self.name = name
        self.limits = limits
        self.parser: Any = None
        self.encoding = "UTF-8"
        self.rows: list[tuple[int, dict[str, str]]] = []
        self.depth = 0
        self._declaring = False

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = (encoding or "UTF-8").upper()

    def external(self, context: str, *_: Any) -> int:
        """The HTML names in place of the DTD that every file seems to have; one that a file refers to stays unread."""
        self._declaring = True
        self.parser.ExternalEntityParserCreate(context).Parse(_HTML_NAMES, True)
        self._declaring = False
        return 1

    def entity(self, entity: str, *_: Any) -> None:
        if not self._declaring:
            raise SourceError(
                f"{self.name}: the XML declares an entity ({entity[:40]}) on line {self.parser.CurrentLineNumber},"
                " which is not read because it can make a small file immense; export it without"
            )

    def unknown_entity(self, entity: str, is_parameter: bool) -> None:
        if not is_parameter:
            self.text(f"&{entity};")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def end(self, _name: str) -> None:
        raise NotImplementedError

    def text(self, data: str) -> None:
        raise NotImplementedError

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > self.limits.depth:
            raise SourceError(
                f"{self.name}: elements nested more than {self.limits.depth} deep on line"
                f" {self.parser.CurrentLineNumber}; send a list of products"
            )


class Survey(Handlers):
    """The first pass: which elements there are."""

    def __init__(self, name: str, limits: RecordLimits) -> None:
        super().__init__(name, limits)
        self.root = self._at = Node("", None, 0)
        self._most_nodes = limits.columns * _NODES_PER_COLUMN
        self._nodes = 0
        self._length = 0  # of the text since the last tag

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.deeper()
        self._length = 0
        parent = self._at
        node = parent.nodes.get(name)
        if node is None:
            node = parent.nodes[name] = Node(name, parent, self.depth)
            self._one_more()
        node.count += 1
        if node.parent_number == parent.count and node.count > 1:
            node.repeats = True
        node.parent_number = parent.count
        line = self.parser.CurrentLineNumber
        if line <= node.last_line:
            node.lines_differ = False
        node.last_line = line
        for attribute in attributes:
            if attribute not in node.attributes and not is_namespace(attribute):
                node.attributes[attribute] = None
                self._one_more()
        self._at = node
        if self.depth == 1 and _SPREADSHEET in attributes.values():
            raise SourceError(f"{self.name}: this is an Excel 2003 XML workbook, which is not read; save it as XLSX")

    def end(self, _name: str) -> None:
        self.depth -= 1
        self._length = 0
        if self._at.parent:
            self._at = self._at.parent

    def text(self, data: str) -> None:
        self._length += len(data)
        if self._length > self.limits.cell_characters:
            raise _too_long(self.name, self.parser.CurrentLineNumber, self.limits)
        if not self._at.has_text and not data.isspace():
            self._at.has_text = True

    def _one_more(self) -> None:
        self._nodes += 1
        if self._nodes > self._most_nodes:
            raise SourceError(
                f"{self.name}: more than {self._most_nodes:,} different elements and attributes by line"
                f" {self.parser.CurrentLineNumber}, so this is not a table; send records with an element for each"
                " property"
            )


def record_of(root: Node) -> tuple[Node, list[Node]]:
    """The element that is the record, and the groups around it from the outermost."""
    outermost = _outermost_repeated(root)
    if outermost:
        # Many fields tell more than many elements: a feed has more categories of three fields than offers of fifteen.
        node = max(outermost, key=lambda n: n.count * max(1, n.own_fields()) ** 2)
    else:
        # A single record: the first element that holds more than one other.
        node = next(iter(root.nodes.values()))
        while len(node.nodes) == 1 and not node.attributes and not node.has_text:
            inner = next(iter(node.nodes.values()))
            if not inner.nodes and not inner.attributes:
                break
            node = inner
    groups: list[Node] = []
    while within := [inner for child in node.nodes.values() for inner in _outermost_repeated(child)]:
        best = max(within, key=lambda n: n.count * max(1, n.own_fields()) ** 2)
        if not are_groups(
            fields=node.own_fields(), records=node.count, inner_fields=best.own_fields(), inner_records=best.count
        ):
            break
        groups.append(node)
        node = best
    return node, groups


def _outermost_repeated(node: Node) -> list[Node]:
    if node.repeats:
        return [node]
    return [found for child in node.nodes.values() for found in _outermost_repeated(child)]


def is_namespace(attribute: str) -> bool:
    """Whether an attribute only declares a namespace."""
    return attribute.startswith("xmlns") and attribute[5:6] in ("", ":")


def _damaged(error: expat.ExpatError, name: str, *, empty: bool) -> SourceError:
    if empty:
        return SourceError(f"{name}: the file is empty; send one with products")
    what = expat.errors.messages[error.code]
    if what in (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN):
        return SourceError(f"{name}: the XML is cut off on line {error.lineno}; send the whole file")
    if what == expat.errors.XML_ERROR_INVALID_TOKEN:
        what += ", or letters in another encoding than it declares"
    return SourceError(f"{name}: not valid XML on line {error.lineno} ({what}); export the file again")


def _too_long(name: str, line: int, limits: RecordLimits) -> SourceError:
    return SourceError(
        f"{name}: a record or tag on line {line} has more than {limits.cell_characters:,} characters; send a list of"
        " products"
    )
