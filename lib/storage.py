"""Where files lie, a local folder or an s3:// prefix: with s3.py the only module that knows which.

Every write is all or nothing: a reader finds the whole file or none. Locally that is a temporary file
beside the target, synced and renamed; on S3 an object appears when its upload completes.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from lib.errors import SourceError, StorageError
from lib.s3 import S3Folder

# Files in the making, which names() leaves out.
WRITING = ".writing-"
# What the block of `writing` may meet that is the target's fault and not that of something else it reads.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class Folder(Protocol):
    """A place for named files; names are relative and use forward slashes."""

    uri: str

    def uri_of(self, name: str) -> str:
        """The absolute path or s3:// URI of a file here."""

    def exists(self, name: str) -> bool: ...

    def read_bytes(self, name: str) -> bytes:
        """The whole of a small file; StorageError when it is not there."""

    def write_bytes(self, name: str, content: bytes) -> None: ...

    def reading(self, name: str) -> Any:
        """Context manager: a local path with the file's content, for the length of the block."""

    def writing(self, name: str) -> Any:
        """Context manager: a local path to write to; it becomes the file when the block ends without error."""

    def names(self, prefix: str = "") -> list[str]:
        """The names of all files below that start with the prefix, sorted; a missing folder has none."""

    def delete(self, prefix: str) -> None:
        """Remove the file of this name and everything below it as a folder; nothing there is no error.

        "a" takes a and a/b, not ab; "" takes all.
        """

    def clear_unfinished(self) -> None:
        """Remove what writers that were killed have left below; nobody else may be writing there."""


def folder(uri: str) -> Folder:
    """The folder at a path or s3:// URI; nothing is touched yet.

    Raises StorageError for a URI of another scheme or without a bucket.
    """
    if not is_s3(uri):
        if "://" in uri:
            raise StorageError(f"{uri}: only local paths and s3:// URIs are supported")
        return LocalFolder(Path(uri))
    # Not urlsplit: # and ? are letters of a key like any other.
    bucket, _, prefix = uri[len("s3://") :].partition("/")
    if not bucket:
        raise StorageError(f"{uri}: names no bucket; write s3://BUCKET/PREFIX")
    return S3Folder(bucket, prefix.strip("/"))


def check_writable(place: Folder) -> None:
    """Raise a StorageError when a folder cannot be written to: better known before hours of work than after."""
    name = f".probe-{uuid.uuid4().hex}"
    try:
        place.write_bytes(name, b"")
        place.delete(name)
    except StorageError as error:
        what = str(error).removeprefix(place.uri_of(name)).lstrip(": ")
        raise StorageError(f"{place.uri}: cannot be written to ({what}); choose another folder or mend it") from None


def is_s3(uri: str) -> bool:
    """Whether a URI lies on S3 and not on this machine."""
    return uri.lower().startswith("s3://")


def split_uri(uri: str) -> tuple[Folder, str]:
    """The folder that holds a file, and the file's name in it."""
    if is_s3(uri):
        base, _, name = uri.rpartition("/")
        if base.count("/") < 2 or not name:
            raise StorageError(f"{uri}: names no object; write s3://BUCKET/KEY")
        return folder(base), name
    if "://" in uri:
        return folder(uri), ""
    path = Path(uri)
    return LocalFolder(path.parent), path.name


@contextmanager
def reading_source(place: Folder, name: str) -> Iterator[Path]:
    """A local path to a customer's file; SourceError, which says what to check, when it is not there."""
    with ExitStack() as stack:
        try:
            path = stack.enter_context(place.reading(name))
        except StorageError as error:
            advice = "; check the path or URI of the source" if "no such" in str(error) else ""
            raise SourceError(f"{error}{advice}") from None
        yield path


class LocalFolder:
    """A folder of the local file system."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.uri = str(self.path)

    def uri_of(self, name: str) -> str:
        return str(self.path / name)

    def exists(self, name: str) -> bool:
        with _local_errors(self.path / name):
            return (self.path / name).is_file()

    def read_bytes(self, name: str) -> bytes:
        with _local_errors(self.path / name):
            return (self.path / name).read_bytes()

    def write_bytes(self, name: str, content: bytes) -> None:
        with self.writing(name) as path:
            path.write_bytes(content)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        path = self.path / name
        with _local_errors(path):
            if path.exists() and not path.is_dir() and not path.is_file():
                raise StorageError(f"{path}: is a pipe or a device, not a file")
            path.open("rb").close()
        yield path

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        target = self.path / name
        temporary = target.with_name(f"{WRITING}{uuid.uuid4().hex}{target.suffix}")
        with _local_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(exist_ok=False)
        try:
            yield temporary
            with _local_errors(target):
                with temporary.open("rb") as written:
                    os.fsync(written.fileno())
                temporary.replace(target)
        except OSError as error:
            if error.filename == str(temporary) or (error.filename is None and error.errno in DISK_ERRORS):
                raise StorageError(f"{target}: {error.strerror or error}") from error
            raise
        finally:
            temporary.unlink(missing_ok=True)

    def names(self, prefix: str = "") -> list[str]:
        found = (p for p in self.path.rglob("*") if p.is_file() and not p.name.startswith(WRITING))
        return sorted(n for n in (p.relative_to(self.path).as_posix() for p in found) if n.startswith(prefix))

    def delete(self, prefix: str) -> None:
        path = self.path / prefix
        with _local_errors(path):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def clear_unfinished(self) -> None:
        with _local_errors(self.path):
            for path in self.path.rglob(f"{WRITING}*"):
                path.unlink(missing_ok=True)


@contextmanager
def _local_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line that names the path."""
    try:
        yield
    except FileNotFoundError:
        raise StorageError(f"{path}: no such file or folder") from None
    except IsADirectoryError:
        raise StorageError(f"{path}: is a folder, not a file") from None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error
