"""Zip archives: is it really a workbook, is its directory of a sane size, and which entry holds the data."""

import struct
import zipfile
from pathlib import Path, PurePosixPath

from lib.errors import SourceError

# A zip directory is held in memory at some ten times its size; this many bytes are about 100,000 entries.
DIRECTORY_BYTES = 8 << 20

# A text that is no longer than this is a note about what it is packed with.
NOTE_BYTES = 10_000
_BESIDE_THE_DATA = {".md", ".pdf", ".doc", ".docx", ".rtf", ".png", ".jpg", ".jpeg", ".gif"}
_ABOUT_THE_DATA = ("readme", "license", "licence", "liesmich", "lisezmoi", "lueminut", "copyright")


def is_document(archive: zipfile.ZipFile) -> bool:
    """Whether the archive is a workbook or another document of an office program."""
    names = archive.NameToInfo
    if "[Content_Types].xml" in names:
        return True
    if "mimetype" not in names or names["mimetype"].file_size > 200:
        return False
    return archive.read("mimetype").startswith(b"application/vnd.oasis.opendocument.")


def check_directory(path: Path, name: str) -> None:
    """Refuse a zip whose directory would fill the memory; its size stands at the file's end."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 17)))
        tail = file.read()
    sizes = [0]
    for signature, layout, offset in ((b"PK\x05\x06", "<L", 12), (b"PK\x06\x06", "<Q", 40)):
        at = tail.find(signature)
        while at >= 0:
            field = tail[at + offset : at + offset + struct.calcsize(layout)]
            if len(field) == struct.calcsize(layout):
                sizes.append(struct.unpack(layout, field)[0])
            at = tail.find(signature, at + 1)
    if any(size > DIRECTORY_BYTES and size != 0xFFFFFFFF for size in sizes):
        raise SourceError(f"{name}: the zip archive has too many entries; send one with the data file alone")


def chosen_entry(entries: list[zipfile.ZipInfo], *, name: str, member: str) -> zipfile.ZipInfo:
    """The entry with the data: the named one, or the only one that is not packaging or about the data."""
    files = [entry for entry in entries if not entry.is_dir()]
    if member:
        exact = [entry for entry in files if entry.filename == member]
        fitting = exact[-1:] or [entry for entry in files if PurePosixPath(entry.filename).name == member]
        if len(fitting) == 1:
            return fitting[0]
        what = f"several entries are called {member!r}" if fitting else f"there is no {member!r} in the zip archive"
        raise SourceError(f"{name}: {what}, which holds {_listed(files)}; name one of them")
    files = [entry for entry in files if not _is_packaging(entry.filename)]
    data = [entry for entry in files if not _is_about_the_data(entry.filename)] or files
    if len(data) > 1:
        data = [entry for entry in data if not _is_note(entry)] or data
    if not data:
        raise SourceError(f"{name}: there is no file in the zip archive; send one with the products in it")
    if len(data) > 1:
        raise SourceError(
            f"{name}: {len(data)} files are in the zip archive; "
            f"name the one to read as `member` in a profile: {_listed(data)}"
        )
    return data[0]


def _listed(entries: list[zipfile.ZipInfo]) -> str:
    names = [repr(entry.filename[:100]) for entry in entries]
    return ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "") or "nothing"


def _is_packaging(filename: str) -> bool:
    parts = PurePosixPath(filename).parts
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part.strip(".")) for part in parts)
    return hidden or (bool(parts) and parts[-1].lower() in {"thumbs.db", "desktop.ini"})


def _is_note(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.lower().endswith(".txt") and entry.file_size <= NOTE_BYTES


def _is_about_the_data(filename: str) -> bool:
    file = PurePosixPath(filename.lower())
    return file.suffix in _BESIDE_THE_DATA or file.name.startswith(_ABOUT_THE_DATA)
