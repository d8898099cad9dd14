"""lib.storage on a local folder and on a real S3 server."""

import errno
import os
import threading
from pathlib import Path

import pytest

from lib.errors import StorageError
from lib.s3 import Changed, S3Folder
from lib.storage import Folder, check_writable, folder, split_uri


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder of either kind."""
    if request.param == "local":
        return folder(str(tmp_path / "made" / "on demand"))
    return folder(request.getfixturevalue("bucket") + "/made/on demand")


@pytest.fixture
def s3_place(bucket: str) -> S3Folder:
    place = folder(bucket + "/jobs")
    assert isinstance(place, S3Folder)
    return place


def hidden(tmp_path: Path) -> list[str]:
    """Every file below, those in the making included."""
    return sorted(p.name for p in tmp_path.rglob("*") if p.is_file())


def test_bytes_come_back_as_they_were_written(place: Folder) -> None:
    for content in (b"", b"\x00\xff\r\n", os.urandom(9 << 20)):
        place.write_bytes("a/b.bin", content)
        assert place.read_bytes("a/b.bin") == content


def test_a_file_exists_once_it_is_written_and_a_folder_is_no_file(place: Folder) -> None:
    assert not place.exists("a/b")
    place.write_bytes("a/b", b"1")
    assert [place.exists(name) for name in ("a/b", "a", "b", "a/b/c")] == [True, False, False, False]


def test_names_with_spaces_accents_and_signs_are_kept(place: Folder) -> None:
    names = sorted(["Größe 1.csv", "a+b%20&c?.csv", "x/日本.parquet"])
    for name in names:
        place.write_bytes(name, name.encode())
    assert place.names() == names
    assert [place.read_bytes(name).decode() for name in names] == names


def test_reading_gives_a_local_file_with_the_content_and_the_suffix(place: Folder) -> None:
    place.write_bytes("batches/1.parquet", b"rows")
    with place.reading("batches/1.parquet") as path:
        assert (path.read_bytes(), path.suffix) == (b"rows", ".parquet")


def test_writing_makes_the_file_when_the_block_ends(place: Folder) -> None:
    with place.writing("new/a.parquet") as path:
        path.write_bytes(b"12")
        assert path.suffix == ".parquet"
        assert not place.exists("new/a.parquet")
        assert place.names() == []
    assert place.read_bytes("new/a.parquet") == b"12"


def test_writing_again_replaces_the_file(place: Folder) -> None:
    place.write_bytes("a", b"long content")
    with place.writing("a") as path:
        path.write_bytes(b"short")
    assert place.read_bytes("a") == b"short"


def test_an_error_while_writing_leaves_the_earlier_file_and_nothing_else(place: Folder, tmp_path: Path) -> None:
    place.write_bytes("a", b"before")
    with pytest.raises(ZeroDivisionError), place.writing("a") as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), place.writing("b"):
        raise ZeroDivisionError
    assert (place.names(), place.read_bytes("a")) == (["a"], b"before")
    assert hidden(tmp_path) in ([], ["a"])


def test_an_error_about_another_file_while_writing_is_not_blamed_on_the_target(place: Folder, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="other"), place.writing("a"):
        (tmp_path / "other").read_bytes()


def test_a_full_disk_while_writing_is_one_line_that_names_the_target(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, folder(str(tmp_path)).writing("a.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(caught.value) == f"{tmp_path}/a.csv: No space left on device"
    assert hidden(tmp_path) == []


def test_names_are_sorted_and_start_with_the_prefix(place: Folder) -> None:
    assert place.names() == []
    for name in ("b/2", "ab", "a/1", "b/1"):
        place.write_bytes(name, b"")
    assert place.names() == ["a/1", "ab", "b/1", "b/2"]
    assert place.names("b/") == ["b/1", "b/2"]
    assert place.names("a") == ["a/1", "ab"]
    assert place.names("c") == []


def test_names_of_more_than_a_page_are_all_there(s3_place: S3Folder) -> None:
    """S3 lists 1,000 objects at a time."""
    names = [f"{number:04}" for number in range(1005)]

    def write(share: list[str]) -> None:
        for name in share:
            s3_place.write_bytes(name, b"")

    threads = [threading.Thread(target=write, args=(names[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert s3_place.names() == names


@pytest.mark.parametrize(
    ("prefix", "left"),
    [
        ("a", ["a.csv", "ab", "ab/1"]),
        ("a/", ["a.csv", "ab", "ab/1"]),
        ("a/1", ["a.csv", "a/2/3", "ab", "ab/1"]),
        ("a.csv", ["a/1", "a/2/3", "ab", "ab/1"]),
        ("nothing", ["a.csv", "a/1", "a/2/3", "ab", "ab/1"]),
        ("", []),
    ],
)
def test_delete_takes_the_file_or_folder_of_that_name_and_no_neighbour(
    place: Folder, prefix: str, left: list[str]
) -> None:
    """On S3 a file may have the name of a folder; locally "ab" is a folder only."""
    for name in ("a/1", "a/2/3", "a.csv", "ab/1"):
        place.write_bytes(name, b"")
    if isinstance(place, S3Folder):
        place.write_bytes("ab", b"")
    else:
        left = [name for name in left if name != "ab"]
    place.delete(prefix)
    assert place.names() == left
    place.delete(prefix)


def test_deleting_a_file_leaves_longer_names_that_start_with_its_own(place: Folder) -> None:
    for name in ("a", "ab"):
        place.write_bytes(name, b"")
    place.delete("a")
    assert place.names() == ["ab"]


def test_uris_lead_back_to_the_file(place: Folder) -> None:
    place.write_bytes("x/a.csv", b"1")
    parent, name = split_uri(place.uri_of("x/a.csv"))
    assert (name, parent.read_bytes(name)) == ("a.csv", b"1")
    assert folder(place.uri).names() == ["x/a.csv"]


def test_a_whole_bucket_is_a_folder(bucket: str) -> None:
    for uri in (bucket, bucket + "/"):
        place = folder(uri)
        place.write_bytes("a", b"1")
        assert (place.names(), place.uri, place.uri_of("a")) == (["a"], bucket, bucket + "/a")


def test_a_missing_file_is_one_line_that_names_it(place: Folder) -> None:
    for attempt in (lambda: place.read_bytes("no.csv"), lambda: place.reading("no.csv").__enter__()):
        with pytest.raises(StorageError) as caught:
            attempt()
        what = "no such object" if isinstance(place, S3Folder) else "no such file or folder"
        assert str(caught.value).startswith(f"{place.uri}/no.csv: {what}")


def test_a_folder_read_as_a_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"is a folder, not a file$"):
        folder(str(tmp_path.parent)).read_bytes(tmp_path.name)
    with pytest.raises(StorageError, match=r"is a folder, not a file$"):
        folder(str(tmp_path.parent)).write_bytes(tmp_path.name, b"")


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StorageError, match=r"a/b: (File exists|Not a directory)$"):
        folder(str(tmp_path)).write_bytes("a/b", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match=r"a\.csv: Permission denied$"):
        folder(str(tmp_path)).write_bytes("a.csv", b"")


def _write_block(place: Folder) -> None:
    with place.writing("a") as path:
        path.write_bytes(b"x" * (9 << 20))


def test_a_missing_bucket_is_one_line(bucket: str) -> None:
    place = folder("s3://no-such-bucket/jobs")
    attempts = (
        lambda: place.read_bytes("a"),
        lambda: place.write_bytes("a", b""),
        lambda: _write_block(place),
        place.names,
        lambda: place.delete("a"),
    )
    for attempt in attempts:
        with pytest.raises(StorageError, match=r"^s3://no-such-bucket/jobs(/a)?: no such bucket$"):
            attempt()


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("AWS_SECRET_ACCESS_KEY", "the secret key is wrong; check AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "the access key is not known; check AWS_ACCESS_KEY_ID"),
    ],
)
def test_wrong_credentials_are_one_line_that_names_the_variable(
    bucket: str, monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    monkeypatch.setenv(variable, "wrong")
    place = folder(bucket)
    for attempt in (lambda: place.read_bytes("a"), lambda: _write_block(place), place.names):
        with pytest.raises(StorageError) as caught:
            attempt()
        assert str(caught.value).endswith(": " + message)
    with pytest.raises(StorageError, match="access denied; check the credentials"):
        place.exists("a")


def test_no_credentials_are_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match="no AWS credentials; set AWS_ACCESS_KEY_ID"):
        folder(bucket).read_bytes("a")


def test_an_endpoint_that_does_not_answer_is_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.s3.TRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError) as caught:
        folder(bucket).read_bytes("a")
    assert (
        str(caught.value) == f'{bucket}/a: Could not connect to the endpoint URL: "http://127.0.0.1:9/{bucket[5:]}/a"'
    )


@pytest.mark.parametrize("uri", ["gs://bucket/a", "https://example.com/a.csv", "s3:///a", "s3://"])
def test_other_schemes_and_a_missing_bucket_name_are_refused(uri: str) -> None:
    with pytest.raises(StorageError, match=r"only local paths and s3:// URIs are supported|names no bucket"):
        folder(uri)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "s3://", "gs://bucket/a"])
def test_a_uri_that_names_no_object_is_refused(uri: str) -> None:
    with pytest.raises(StorageError, match=r"names no object|only local paths"):
        split_uri(uri)


def test_results_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        folder(str(tmp_path)).write_bytes("a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_conditional_write_succeeds_only_on_what_was_read(s3_place: S3Folder, tmp_path: Path) -> None:
    mine, copy = tmp_path / "mine", tmp_path / "copy"
    mine.write_bytes(b"1")
    assert s3_place.fetch_tagged("db", copy) is None
    s3_place.write_if_unchanged("db", mine, None)
    with pytest.raises(Changed):
        s3_place.write_if_unchanged("db", mine, None)
    tag = s3_place.fetch_tagged("db", copy)
    assert copy.read_bytes() == b"1"
    mine.write_bytes(b"2")
    s3_place.write_if_unchanged("db", mine, tag)
    with pytest.raises(Changed):
        s3_place.write_if_unchanged("db", mine, tag)
    assert s3_place.read_bytes("db") == b"2"


def test_a_conditional_write_on_what_was_deleted_finds_it_changed(s3_place: S3Folder, tmp_path: Path) -> None:
    s3_place.write_bytes("db", b"1")
    tag = s3_place.fetch_tagged("db", tmp_path / "copy")
    s3_place.delete("db")
    with pytest.raises(Changed):
        s3_place.write_if_unchanged("db", tmp_path / "copy", tag)


def test_a_conditional_write_to_a_missing_bucket_is_one_line(bucket: str, tmp_path: Path) -> None:
    place = folder("s3://no-such-bucket")
    assert isinstance(place, S3Folder)
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StorageError, match="no such bucket"):
        place.write_if_unchanged("a", tmp_path / "a", None)
    with pytest.raises(StorageError, match="no such bucket"):
        place.fetch_tagged("a", tmp_path / "copy")


def test_of_writers_that_read_the_same_one_wins(s3_place: S3Folder, tmp_path: Path) -> None:
    s3_place.write_bytes("db", b"")
    tag = s3_place.fetch_tagged("db", tmp_path / "copy")
    won: list[int] = []

    def write(number: int) -> None:
        mine = tmp_path / str(number)
        mine.write_bytes(b"%d" % number)
        try:
            s3_place.write_if_unchanged("db", mine, tag)
        except Changed:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [b"%d" % number for number in won] == [s3_place.read_bytes("db")]


def test_a_folder_that_can_be_written_to_is_left_as_it_was(place: Folder) -> None:
    check_writable(place)
    assert place.names() == []


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"file: cannot be written to \(.*\); choose another folder or mend it"):
        check_writable(folder(str(tmp_path / "file")))


def test_what_a_killed_writer_left_can_be_cleared(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".writing-1.parquet").write_text("half")
    (tmp_path / "kept").write_text("whole")
    folder(str(tmp_path)).clear_unfinished()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["kept"]


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="is a pipe or a device, not a file"), folder(str(tmp_path)).reading("pipe"):
        pass


def test_signs_of_other_uris_are_letters_of_a_key() -> None:
    assert folder("s3://bucket/run#1/a?b").uri_of("c") == "s3://bucket/run#1/a?b/c"
