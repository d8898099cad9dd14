"""A JSON file of any size as a text to walk through: containers step by step, values whole, lines counted.

The decoding of values is json's own; what it lacks is that a file need not fit into memory, so the text is held in a
window that moves on. Numbers stay as they are written; both values of a repeated key are kept.
"""

import codecs
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO, NoReturn

from lib.errors import SourceError
from lib.formats.nested import NumberText, RecordLimits, unicode_encoding

CHUNK_BYTES = 1 << 18
# A value beyond this many characters is walked through instead of decoded, when that is possible.
WINDOW = 1 << 20
# The longest thing json reports by its beginning when it is cut off: `-Infinity`, `\\ud83d\\ude00`.
_LONGEST_TOKEN = 16
# 1e9 is written 1000000000, but 1e999999999 is not.
_LONGEST_EXPONENT = 40

_SPACE = re.compile(r"[ \t\r\n]*")
_EXPONENT = re.compile(r"[eE]([-+]?\d{1,6})$")


class _TooLong:
    """The type of TOO_LONG."""


TOO_LONG = _TooLong()


class JsonText:
    """A file from its beginning; `pos` moves on as values are taken.

    Raises SourceError, with the line, for what is not JSON, not Unicode, nested too deeply or too long.
    """

    def __init__(self, file: BinaryIO, *, name: str, limits: RecordLimits) -> None:
        self.name = name
        self.limits = limits
        self._file = file
        start = file.read(4)
        file.seek(0)
        self.encoding = unicode_encoding(start)
        self._decoder = codecs.getincrementaldecoder(self.encoding)()
        self._text = ""
        self._pos = 0
        self._ended = False
        self._lines = 0  # line ends before _counted
        self._counted = 0

    @property
    def line(self) -> int:
        """The 1-based line of the next character."""
        self._lines += self._text.count("\n", self._counted, self._pos)
        self._counted = self._pos
        return self._lines + 1

    def peek(self) -> str:
        """The next character that is not a space, '' at the end of the file."""
        while True:
            self._pos = _SPACE.match(self._text, self._pos).end()  # type: ignore[union-attr]
            if self._pos < len(self._text):
                return self._text[self._pos]
            if self._ended:
                return ""
            self._fill()

    def elements(self) -> Iterator[None]:
        """Stops at each element of the array that is next, for the caller to take."""
        yield from self._steps("]")

    def members(self) -> Iterator[str]:
        """The keys of the object that is next; the caller takes the value at each."""
        for _ in self._steps("}"):
            key = self.value() if self.peek() == '"' else self._fail("a key in quotation marks is missing")
            self._expect(":")
            yield key

    def value(self, *, most: int | None = None) -> Any:
        """Take the next value whole; TOO_LONG, and nothing is taken, when it has more characters than `most`."""
        limit = self.limits.cell_characters
        while True:
            text, pos = self._text, self._pos
            try:
                found, end = _DECODER.raw_decode(text, pos)
            except json.JSONDecodeError as error:
                if self._ended or not self._may_go_on(error):
                    self._damaged(error)
            except RecursionError:
                self._too_deep()
            else:
                # A number at the end of what was read may go on.
                if end < len(text) or self._ended:
                    if end - pos > limit:
                        self._too_long()
                    # Not left to Python's recursion limit, which its versions apply to the decoder differently.
                    openings = text.count("[", pos, end) + text.count("{", pos, end)
                    if openings > self.limits.depth and _is_deeper(found, self.limits.depth):
                        self._too_deep()
                    self._pos = end
                    return found
            if len(text) - pos > limit:
                self._too_long()
            if most is not None and len(text) - pos > most:
                return TOO_LONG
            self._fill()

    def skip(self) -> None:
        """Take the next value, of any length."""
        if self.value(most=WINDOW) is not TOO_LONG:
            return
        opening = self.peek()
        steps: Iterator[Any] = self.elements() if opening == "[" else self.members() if opening == "{" else iter(())
        if opening not in "[{":
            self.value()
        for _ in steps:
            self.skip()

    def _steps(self, closing: str) -> Iterator[None]:
        self._pos += 1
        if self.peek() == closing:
            self._pos += 1
            return
        while True:
            yield
            following = self.peek()
            if following == closing:
                self._pos += 1
                return
            if following != ",":
                self._fail(f"a comma or {closing} is missing")
            self._pos += 1
            self.peek()

    def _expect(self, mark: str) -> None:
        if self.peek() != mark:
            self._fail(f"a {mark} is missing")
        self._pos += 1
        self.peek()

    def _fill(self) -> None:
        """Read on; at least as much as is held, so that what is decoded again and again doubles."""
        self._lines += self._text.count("\n", self._counted, self._pos)
        self._counted = 0
        rest = self._text[self._pos :]
        self._text, self._pos = rest, 0
        chunk = self._file.read(max(CHUNK_BYTES, len(rest)))
        self._ended = not chunk
        try:
            self._text = rest + self._decoder.decode(chunk, final=self._ended)
        except UnicodeDecodeError as error:
            before = rest + error.object[: error.start].decode(error.encoding, errors="ignore")
            line = self._lines + before.count("\n") + 1
            byte = error.object[error.start]
            raise SourceError(
                f"{self.name}: not {error.encoding.upper()} text (byte 0x{byte:02X} on line {line}), which JSON has to"
                " be; save it as UTF-8"
            ) from None

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _LONGEST_TOKEN

    def _damaged(self, error: json.JSONDecodeError) -> NoReturn:
        cut_off = error.msg.startswith("Unterminated string")
        self._pos = error.pos
        self._fail(error.msg.removesuffix(" starting at").lower(), cut_off=cut_off)

    def _fail(self, what: str, *, cut_off: bool = False) -> NoReturn:
        if cut_off or not self.peek():
            raise SourceError(
                f"{self.name}: the JSON is cut off: it ends within a value that begins on line {self.line}; send the"
                " whole file"
            )
        raise SourceError(f"{self.name}: not valid JSON on line {self.line} ({what}); export the file again")

    def _too_deep(self) -> NoReturn:
        raise SourceError(
            f"{self.name}: values nested too deeply on line {self.line} to be a table; send a list of products"
        )

    def _too_long(self) -> NoReturn:
        raise SourceError(
            f"{self.name}: the record on line {self.line} has more than {self.limits.cell_characters:,} characters;"
            " send a list of products"
        )


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) == len(members):
        return found
    values: dict[str, list[Any]] = {}
    for key, value in members:
        values.setdefault(key, []).append(value)
    return {key: several if len(several) > 1 else several[0] for key, several in values.items()}


def _decimal(text: str) -> NumberText:
    # A GTIN that passed through a float column is 4006381333931.0 or 4.006381333931E12.
    exponent = _EXPONENT.search(text)
    if exponent and abs(int(exponent[1])) <= _LONGEST_EXPONENT:
        text = f"{Decimal(text):f}"
    return NumberText(text.removesuffix(".0"))


def _constant(text: str) -> NumberText | None:
    # Not JSON, but what Python's exporters write for a missing number.
    return None if text == "NaN" else NumberText(text)


# strict=False: a line break within a string is not JSON either, and harmless.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_decimal, parse_int=NumberText, parse_constant=_constant, strict=False
)


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether more containers than `depth` lie within each other."""
    level = [value]
    for _ in range(depth + 1):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        if not inner:
            return False
        level = [child for children in inner for child in children]
    return True
