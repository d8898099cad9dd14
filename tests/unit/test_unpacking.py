"""Packed files in, the one file they hold out; what is damaged, ambiguous or a bomb is one clear error."""

import bz2
import gzip
import io
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from lib.errors import SourceError
from lib.formats.unpacking import Limits, unpacked

CSV = b"sku;name\n1;Milk\n2;Cheese\n"
NOISE = random.Random(1).randbytes(5000)


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two entries of one name are a case, not a mistake
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, content in entries:
                archive.writestr(name, content)
    return buffer.getvalue()


def read(folder: Path, content: bytes, *, member: str = "", limits: Limits | None = None) -> tuple[bytes, str | None]:
    """What comes out of the packed bytes, and the compression that was taken off."""
    path = folder / "file"
    path.write_bytes(content)
    with unpacked(path, name="products.csv", member=member, limits=limits or Limits()) as found:
        return found.path.read_bytes(), found.compression


def refusal(folder: Path, content: bytes, *, member: str = "", limits: Limits | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        read(folder, content, member=member, limits=limits)
    assert str(caught.value).startswith("products.csv: ")
    return str(caught.value)


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("bzip2", bz2.compress),
    ("zstd", zstandard.compress),
    ("zip", lambda content: zipped(("products.csv", content))),
]


@pytest.mark.parametrize(("kind", "pack"), PACKERS)
def test_each_kind_is_told_by_its_content_and_unpacked(
    tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    assert read(tmp_path, pack(CSV)) == (CSV, kind)
    assert read(tmp_path, pack(b"")) == (b"", kind)
    assert read(tmp_path, pack(NOISE * 500)) == (NOISE * 500, kind)


@pytest.mark.parametrize("content", [CSV, b"", b"BZh is a brand\n", b"\x1f\x8b", b"PK;name\n"])
def test_a_file_that_is_not_packed_is_given_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "products.csv.gz"
    path.write_bytes(content)
    with unpacked(path, name="products.csv.gz", limits=Limits()) as found:
        assert (found.path, found.compression, found.member) == (path, None, None)


@pytest.mark.parametrize(("kind", "pack"), PACKERS[:3])
def test_several_members_or_frames_are_read_whole(tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]) -> None:
    assert read(tmp_path, pack(CSV) + pack(b"") + pack(b"3;Bread\n")) == (CSV + b"3;Bread\n", kind)


def test_a_zstd_file_may_begin_with_a_frame_to_be_skipped(tmp_path: Path) -> None:
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    assert read(tmp_path, skipped + zstandard.compress(CSV)) == (CSV, "zstd")


@pytest.mark.parametrize(("kind", "pack"), PACKERS)
def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]) -> None:
    content = pack(NOISE)
    for size in (12, 40, len(content) // 2, len(content) - 1):
        assert "damaged or cut off" in refusal(tmp_path, content[:size])


@pytest.mark.parametrize(("kind", "pack"), PACKERS)
def test_a_file_with_changed_bytes_is_refused(tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]) -> None:
    content = bytearray(pack(NOISE))
    if kind == "zstd":  # it has a checksum only when asked for
        content = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(NOISE))
    content[2000:2003] = bytes(255 - byte for byte in content[2000:2003])
    assert "damaged or cut off" in refusal(tmp_path, bytes(content))


def test_zeros_after_gzip_data_are_padding(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(CSV) + bytes(512)) == (CSV, "gzip")


@pytest.mark.parametrize(("kind", "pack"), PACKERS[:3])
def test_anything_else_after_the_data_is_damage(tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]) -> None:
    assert "damaged or cut off" in refusal(tmp_path, pack(CSV) + b"3;Bread;and more than a few bytes\n")


def test_packaging_and_texts_about_the_data_are_not_the_data(tmp_path: Path) -> None:
    archive = zipped(
        ("export/", b""),
        ("export/products.csv", CSV),
        ("export/.DS_Store", b"x"),
        ("__MACOSX/export/._products.csv", b"x"),
        ("export/README.txt", b"x"),
        ("export/logo.png", b"x"),
    )
    assert read(tmp_path, archive) == (CSV, "zip")


def test_a_file_called_readme_is_the_data_when_there_is_no_other(tmp_path: Path) -> None:
    assert read(tmp_path, zipped(("readme.txt", CSV))) == (CSV, "zip")


def test_several_data_files_are_listed_and_one_can_be_named(tmp_path: Path) -> None:
    archive = zipped(("a/food.csv", CSV), ("a/tools.csv", b"x"), ("b/tools.csv", b"y"))
    assert refusal(tmp_path, archive) == (
        "products.csv: 3 files are in the zip archive; name the one to read as `member` in a profile: "
        "'a/food.csv', 'a/tools.csv', 'b/tools.csv'"
    )
    assert read(tmp_path, archive, member="a/food.csv") == (CSV, "zip")
    assert read(tmp_path, archive, member="food.csv") == (CSV, "zip")
    assert "several entries are called 'tools.csv'" in refusal(tmp_path, archive, member="tools.csv")
    assert "there is no 'c.csv' in the zip archive, which holds 'a/food.csv'" in refusal(
        tmp_path, archive, member="c.csv"
    )


def test_an_entry_named_of_a_file_that_is_no_zip_is_a_mistake(tmp_path: Path) -> None:
    assert "is not a zip archive" in refusal(tmp_path, CSV, member="a.csv")
    assert "is not a zip archive" in refusal(tmp_path, gzip.compress(CSV), member="a.csv")


def test_an_empty_zip_is_refused(tmp_path: Path) -> None:
    assert "no file in the zip archive" in refusal(tmp_path, zipped())
    assert "no file in the zip archive" in refusal(tmp_path, zipped(("folder/", b"")))


@pytest.mark.parametrize("evil", ["../../escaped.csv", "/tmp/escaped.csv", "C:\\escaped.csv", "a/../../escaped.csv"])
def test_an_entry_is_never_written_under_its_own_name(tmp_path: Path, evil: str) -> None:
    path = tmp_path / "in" / "file.zip"
    path.parent.mkdir()
    path.write_bytes(zipped((evil, CSV)))
    with unpacked(path, name="file.zip", limits=Limits()) as found:
        assert found.path.read_bytes() == CSV
        assert "escaped" not in str(found.path)
        kept = found.path
    assert not kept.exists()
    assert [file.name for file in tmp_path.rglob("*")] == ["in", "file.zip"]


def test_a_packed_file_in_a_zip_is_unpacked_too(tmp_path: Path) -> None:
    assert read(tmp_path, zipped(("products.csv.gz", gzip.compress(CSV)))) == (CSV, "gzip in zip")


def test_deeper_nesting_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(gzip.compress(gzip.compress(CSV)))
    assert "packed more than twice (gzip in gzip in gzip)" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    "workbook",
    [
        zipped(("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", b"<workbook/>")),
        zipped(("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", b"<x/>")),
    ],
)
def test_a_workbook_is_a_zip_that_stays_as_it_is(tmp_path: Path, workbook: bytes) -> None:
    assert read(tmp_path, workbook) == (workbook, None)
    assert read(tmp_path, gzip.compress(workbook)) == (workbook, "gzip")


def test_a_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    archive = bytearray(zipped(("products.csv", CSV)))
    archive[6] |= 1  # the flag in the entry's own header and in the directory
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    assert "has a password" in refusal(tmp_path, bytes(archive))


def test_a_zip_of_an_unknown_method_is_refused(tmp_path: Path) -> None:
    archive = bytearray(zipped(("products.csv", CSV)))
    archive[8] = 9  # deflate64
    archive[archive.index(b"PK\x01\x02") + 10] = 9
    assert "packed by a method that is not read (9)" in refusal(tmp_path, bytes(archive))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_other_methods_of_zip_are_read(tmp_path: Path, method: int) -> None:
    assert read(tmp_path, zipped(("products.csv", CSV), method=method)) == (CSV, "zip")


@pytest.mark.parametrize(("kind", "pack"), PACKERS)
def test_more_than_the_limit_is_refused_and_the_limit_itself_is_not(
    tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    limits = Limits(unpacked_bytes=5000)
    assert read(tmp_path, pack(NOISE), limits=limits) == (NOISE, kind)
    assert "unpacks to more than 5,000 bytes" in refusal(tmp_path, pack(NOISE + b"x"), limits=limits)


@pytest.mark.parametrize(("kind", "pack"), PACKERS[1:3])
def test_a_bomb_is_refused_long_before_the_limit(tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]) -> None:
    assert "a decompression bomb" in refusal(tmp_path, pack(bytes(120 * 10**6)))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7-Zip archive"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"\xfd7zXZ\x00\x00\x04", "an xz archive"),
        (gzip.compress(b"products.csv".ljust(257, b"\0") + b"ustar\x0000" + bytes(1000)), "a tar archive"),
    ],
)
def test_archives_of_other_kinds_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    assert f"this is {what}, which is not read" in refusal(tmp_path, content)


def test_a_zip_with_hundreds_of_thousands_of_entries_is_refused_before_its_directory_is_read(tmp_path: Path) -> None:
    archive = bytearray(zipped(("products.csv", CSV)))
    archive[-10:-6] = (50 << 20).to_bytes(4, "little")
    assert "too many entries" in refusal(tmp_path, bytes(archive))
