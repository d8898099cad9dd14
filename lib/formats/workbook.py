"""Workbooks (xlsx, xlsm, xlsb, xls, ods, and the HTML tables that programs call .xls) as rows of text, sheet by sheet.

They are parsed by a process of its own (sheetreader.py), with limits on its memory and time, that leaves the rows in
a temporary folder: a parser that a hostile file drives to a panic, or to a grid of 400 GB for two cells far apart,
ends that process and not ours. What a cell's text is, and what becomes of merged cells, stands there too.
"""

import codecs
import json
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lib.errors import SourceError
from lib.formats.encodings import TextEncoding
from lib.formats.unpacking import DAMAGE, Growth, Limits
from lib.formats.ziparchive import check_directory
from lib.settings import ROOT

SAMPLE_BYTES = 1 << 20
FORMATS = {
    "xlsx": "Excel workbook (xlsx)",
    "xlsm": "Excel workbook (xlsm)",
    "xlsb": "Excel workbook (xlsb)",
    "xls": "Excel workbook (xls)",
    "ods": "OpenDocument workbook (ods)",
    "html": "HTML table",
}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML_START = re.compile(
    r"\s*(<\?xml[^>]*>|<!--.*?-->|\s)*<(!doctype\s+html|html|head|meta|body|style|div|table)\b", re.S
)
_HTML_TABLE = re.compile(r"<table\b.*?<t[rhd]\b", re.S)


@dataclass(frozen=True)
class Sheet:
    """One worksheet, or one table of an HTML page."""

    name: str
    hidden: bool
    # Any number of times: (1-based row number as the spreadsheet program shows it, its cells as text) up to the last
    # row that is not blank. The first cell is always column A; blank cells at a row's end are left out, so that a
    # blank row is [].
    rows: Callable[[], Iterator[tuple[int, list[str]]]]


@dataclass(frozen=True)
class Workbook:
    """An opened workbook; its sheets' rows can be read while its context lasts."""

    format: str  # one of FORMATS
    encoding: TextEncoding | None  # of an HTML page
    sheets: list[Sheet]  # in the workbook's order, the hidden ones too; charts and macros are left out


def workbook_kind(path: Path, *, name: str) -> str | None:
    """A key of FORMATS by the file's content, None when it is no workbook; `name` is what people call the file.

    Raises SourceError for a damaged zip, and for documents of other office programs.
    """
    try:
        with path.open("rb") as file:
            start = file.read(SAMPLE_BYTES)
        if start.startswith(_OLE):
            return "xls"
        if start.startswith(b"PK\x03\x04"):
            return _kind_of_zip(path, name)
    except DAMAGE as error:
        raise SourceError(f"{name}: the workbook is damaged or cut off ({error}); send it again") from None
    text = start.decode(_bom_encoding(start) or "latin-1", errors="replace").lstrip("\ufeff").lower()
    return "html" if _HTML_START.match(text) and _HTML_TABLE.search(text) else None


@contextmanager
def open_workbook(path: Path, *, name: str, limits: Limits) -> Iterator[Workbook]:
    """Read a workbook that people know by `name`; its rows lie in a temporary folder until the context ends.

    Raises SourceError for what is no workbook, damaged, empty, protected by a password, or past the limits.
    """
    kind = workbook_kind(path, name=name)
    if kind is None:
        raise SourceError(f"{name}: this is not a workbook; send XLSX, XLS, ODS or CSV")
    with tempfile.TemporaryDirectory(prefix="shelfsort-") as folder:
        if kind not in {"xls", "html"}:
            _check_sizes(path, name=name, limits=limits)
        answer = _read_apart(path, kind, Path(folder), name=name, limits=limits)
        found = answer["sheets"]
        if not any(sheet["rows"] for sheet in found):
            raise SourceError(f"{name}: the workbook is empty; send one with a header and products")
        sheets = [
            Sheet(sheet["name"], sheet["hidden"], partial(_rows, Path(folder) / sheet["file"])) for sheet in found
        ]
        encoding = TextEncoding(**answer["encoding"]) if "encoding" in answer else None
        yield Workbook(FORMATS[kind], encoding, sheets)


def _bom_encoding(start: bytes) -> str | None:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else None


def _kind_of_zip(path: Path, name: str) -> str | None:
    check_directory(path, name)
    with zipfile.ZipFile(path) as archive:
        names = {entry.lower().replace("\\", "/") for entry in archive.NameToInfo}
        if "mimetype" in names and archive.getinfo("mimetype").file_size <= 200:
            mime = archive.read("mimetype")
            if mime.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
                return "ods"
            if mime.startswith(b"application/vnd.oasis.opendocument."):
                raise SourceError(f"{name}: this is an OpenDocument file without sheets; send the table as XLSX or CSV")
    if "xl/workbook.bin" in names:
        return "xlsb"
    if any(entry.startswith("xl/") for entry in names):
        return "xlsm" if "xl/vbaproject.bin" in names else "xlsx"
    if "[content_types].xml" in names:
        raise SourceError(f"{name}: this is a Word or other Office file without sheets; send the table as XLSX or CSV")
    return None


def _check_sizes(path: Path, *, name: str, limits: Limits) -> None:
    growth = Growth(packed=path.stat().st_size, name=name, limits=limits)
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            growth.add(entry.file_size)


def _read_apart(path: Path, kind: str, folder: Path, *, name: str, limits: Limits) -> dict[str, Any]:
    """What sheetreader.py leaves in the folder: the sheets' name, hidden, file and rows, and a page's encoding."""
    # The parser goes by the suffix, and the customer's name for the file may have any.
    link = folder / f"workbook.{kind}"
    link.symlink_to(path.resolve())
    request = {"path": str(link), "kind": kind, "folder": str(folder), "name": name, "limits": asdict(limits)}
    done = subprocess.run(
        [sys.executable, "-m", "lib.formats.sheetreader"],
        input=json.dumps(request),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads((folder / "index.json").read_text("utf-8"))
        if "refused" in answer:
            raise SourceError(answer["refused"])
        return answer
    raise SourceError(_why(done.returncode, done.stderr, name=name, limits=limits))


def _why(returncode: int, said: str, *, name: str, limits: Limits) -> str:
    """What the end of the reading process means to the person who sent the file."""
    if returncode == -signal.SIGXCPU:
        return f"{name}: takes more than {limits.workbook_seconds} s to read as a workbook; save the sheet as CSV"
    short_of_memory = "memory allocation" in said or "capacity overflow" in said or "MemoryError" in said
    if short_of_memory or returncode == -signal.SIGKILL:
        return (
            f"{name}: takes more than {limits.workbook_memory_bytes / 2**30:.1f} GB of memory to read as a workbook "
            "(it is very large, or has a cell far below or to the right of the others); save the sheet as CSV"
        )
    return f"{name}: the workbook is damaged (its reader stopped); open and save it anew, or save the sheet as CSV"


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    expected = 1
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            for number, cells in json.loads(line):
                yield from ((blank, []) for blank in range(expected, number))
                yield number, cells
                expected = number + 1
