"""Compressed files as the one file they hold: gzip, bzip2, zstd and zip, told by their first bytes, not their name.

Only one private temporary file is written, under a name of ours, and never more than the limits allow.
"""

import bz2
import errno
import gzip
import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from lib.errors import SourceError
from lib.formats.ziparchive import check_directory, chosen_entry, is_document

PIECE_BYTES = 1 << 20
# Some decoders do not bound what comes out of one call; of so little input even the worst is some hundred MB.
SMALL_PIECE_BYTES = 4096
# Below this size a high ratio is a table with few distinct values, not an attack.
RATIO_JUDGED_FROM = 100 * 10**6
# A .csv.gz in a zip is a habit; anything deeper is a riddle or an attack.
DEPTH = 2

_GZIP, _BZIP2, _ZSTD, _ZIP = "gzip", "bzip2", "zstd", "zip"
_MAGIC = {
    b"\x1f\x8b\x08": _GZIP,
    b"\x28\xb5\x2f\xfd": _ZSTD,
    b"PK\x03\x04": _ZIP,
    b"PK\x05\x06": _ZIP,  # without entries
}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # the first block, or the end of nothing
_NOT_READ = {
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"\x04\x22\x4d\x18": "an LZ4 archive",
    b"PK\x07\x08": "a zip archive in several parts",
}
DAMAGE = (
    EOFError,
    MemoryError,  # a dictionary of 4 GB that an LZMA entry asks for
    OSError,  # also bz2's word for bad data
    OverflowError,  # an entry beyond any file's end
    RuntimeError,  # zipfile: encrypted; NotImplementedError: a method or version it does not know
    ValueError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    zstandard.ZstdError,
)


@dataclass(frozen=True)
class Limits:
    """How far a file may grow before it is refused; a file at its limit passes."""

    unpacked_bytes: int = 20 * 2**30  # of all layers together; also of a workbook's XML and of its cells' text
    unpacked_ratio: int = 1000  # unpacked to packed bytes, judged from RATIO_JUDGED_FROM on
    line_characters: int = 16_000_000  # of a line of delimited text
    workbook_cells: int = 100_000_000  # of all sheets, without the blank ones at the end of each row
    workbook_memory_bytes: int = 2 * 2**30  # address space of the process that reads a workbook
    workbook_seconds: int = 600  # CPU time of that process


@dataclass(frozen=True)
class Unpacked:
    """A file with no compression left, and what was taken off it."""

    path: Path
    compression: str | None  # "gzip", "bzip2", "zstd", "zip", or two of them as "gzip in zip"
    member: str | None  # the zip entry it was


class Growth:
    """Counts what a file grows to and refuses it past the limits; `packed` is its size as it came, in bytes."""

    def __init__(self, *, packed: int, name: str, limits: Limits) -> None:
        self._packed = max(packed, 1)
        self._name = name
        self._limits = limits
        self._bytes = 0

    def add(self, count: int) -> None:
        """Note so many more bytes; SourceError when that is too many."""
        self._bytes += count
        if self._bytes > self._limits.unpacked_bytes:
            allowed = f"{self._limits.unpacked_bytes:,} bytes"
            raise SourceError(f"{self._name}: unpacks to more than {allowed}, the limit; send it in several files")
        if self._bytes > max(RATIO_JUDGED_FROM, self._packed * self._limits.unpacked_ratio):
            raise SourceError(
                f"{self._name}: unpacks to more than {self._limits.unpacked_ratio:,} times its size, as only a file "
                "made to do harm does (a decompression bomb); send the products uncompressed"
            )


@contextmanager
def unpacked(path: Path, *, name: str, member: str = "", limits: Limits) -> Iterator[Unpacked]:
    """The file that `path` holds compressed, or the file itself when it is not; people know it by `name`.

    `member` names the entry of a zip with several data files. A workbook is a zip too, and stays as it is.
    Raises SourceError for what is damaged, encrypted, ambiguous, of an unknown kind, nested deeper than DEPTH, or
    past the limits. The temporary file is gone when the context ends.
    """
    with tempfile.TemporaryDirectory(prefix="shelfsort-") as folder:
        yield _all_layers(path, Path(folder), name=name, member=member, limits=limits)


def _all_layers(path: Path, folder: Path, *, name: str, member: str, limits: Limits) -> Unpacked:
    layers: list[str] = []
    entry: str | None = None
    packed = path
    with _damage_of(_GZIP, name):
        growth = Growth(packed=path.stat().st_size, name=name, limits=limits)
    while kind := _kind(packed, name):
        if len(layers) == DEPTH:
            inside = " in ".join([kind, *layers])
            raise SourceError(f"{name}: is packed more than twice ({inside}); send the file packed once or not at all")
        layers.insert(0, kind)
        target = folder / str(len(layers))
        with _damage_of(kind, name):
            if kind == _ZIP:
                entry = _unpack_zip(packed, target, name=name, member=member if len(layers) == 1 else "", growth=growth)
            else:
                with packed.open("rb") as file:
                    _write(_STREAMS[kind](file), target, growth)
        if packed != path:
            packed.unlink()
        packed = target
    if member and layers[-1:] != [_ZIP]:
        raise SourceError(f"{name}: is not a zip archive, so there is no {member!r} in it; leave the entry's name out")
    _refuse_tar(packed, name)
    return Unpacked(packed, " in ".join(layers) or None, entry)


def _kind(path: Path, name: str) -> str | None:
    """The compression of a file, None for a plain one or a workbook."""
    try:
        with path.open("rb") as file:
            start = file.read(10)
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror or error}; check the file and send it again") from None
    other = next((what for magic, what in _NOT_READ.items() if start.startswith(magic)), None)
    if other:
        raise SourceError(f"{name}: this is {other}, which is not read; send the file as gzip or zip, or unpacked")
    # Parallel zstd programs begin with a frame to be skipped: sixteen magic numbers.
    if start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50:
        return _ZSTD
    if start[:3] == b"BZh" and start[4:] in _BZIP2_BLOCKS:
        return _BZIP2
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    if kind == _ZIP:
        with _damage_of(kind, name):
            check_directory(path, name)
            with zipfile.ZipFile(path) as archive:
                return None if is_document(archive) else _ZIP
    return kind


def _unpack_zip(path: Path, target: Path, *, name: str, member: str, growth: Growth) -> str:
    with zipfile.ZipFile(path) as archive:
        entry = chosen_entry(archive.infolist(), name=name, member=member)
        if entry.flag_bits & 1:
            raise SourceError(f"{name}: the zip archive has a password; send it without one")
        growing = entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        try:
            with archive.open(entry) as file:
                size = SMALL_PIECE_BYTES if growing else PIECE_BYTES
                _write(iter(lambda: file.read(size), b""), target, growth)
        except NotImplementedError:
            raise SourceError(
                f"{name}: {entry.filename!r} is packed by a method that is not read ({entry.compress_type}); "
                "pack it again with the ordinary one (deflate)"
            ) from None
        return entry.filename


def _gzip_stream(file: BinaryIO) -> Iterator[bytes]:
    # All members, and the zeros of a tape after them; anything else there is damage, as it may have been rows.
    with gzip.GzipFile(fileobj=file) as stream:
        yield from iter(lambda: stream.read(PIECE_BYTES), b"")


def _bzip2_stream(file: BinaryIO) -> Iterator[bytes]:
    decompressor = bz2.BZ2Decompressor()
    data = file.read(PIECE_BYTES)
    while data or not decompressor.needs_input:
        yield decompressor.decompress(data, PIECE_BYTES)
        if decompressor.eof:
            data = decompressor.unused_data or file.read(PIECE_BYTES)
            if not data:
                return
            decompressor = bz2.BZ2Decompressor()
        else:
            data = file.read(PIECE_BYTES) if decompressor.needs_input else b""
    raise EOFError("the end is missing")


def _zstd_stream(file: BinaryIO) -> Iterator[bytes]:
    # Frame by frame: the library's own reader takes a frame that is cut off for a whole one.
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    data = file.read(SMALL_PIECE_BYTES)
    while data:
        yield frame.decompress(data)
        if frame.eof:
            data = frame.unused_data or file.read(SMALL_PIECE_BYTES)
            if not data:
                return
            frame = decompressor.decompressobj()
        else:
            data = file.read(SMALL_PIECE_BYTES)
    raise EOFError("the end is missing")


_STREAMS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    _GZIP: _gzip_stream,
    _BZIP2: _bzip2_stream,
    _ZSTD: _zstd_stream,
}


def _write(pieces: Iterator[bytes], target: Path, growth: Growth) -> None:
    with target.open("xb") as file:
        for piece in pieces:
            growth.add(len(piece))
            file.write(piece)


@contextmanager
def _damage_of(kind: str, name: str) -> Iterator[None]:
    """What the decoders say of a damaged file, as one line that names it."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:  # EINVAL: an entry before the start
            raise SourceError(f"{name}: cannot be unpacked: {error.strerror}") from None
        what = "zip archive or workbook" if kind == _ZIP else f"{kind} data"
        detail = f" ({error})" if str(error) else ""
        raise SourceError(f"{name}: the {what} is damaged or cut off{detail}; send the file again") from None


def _refuse_tar(path: Path, name: str) -> None:
    with path.open("rb") as file:
        file.seek(257)
        if file.read(5) == b"ustar":
            raise SourceError(f"{name}: this is a tar archive, which is not read; send the one file in it, as gzip")
