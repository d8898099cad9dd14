"""Where files lie, a local folder or an s3:// prefix: the only module that knows which.

Every write is all or nothing: a reader finds the whole file or none. Locally that is a temporary file
beside the target, synced and renamed; on S3 an object appears when its upload completes.
"""

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from lib.errors import StorageError

# A store that does not answer should be known in seconds; boto3's own defaults wait a minute per try.
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60
TRIES = 4
# Files in the making, which names() leaves out.
WRITING = ".writing-"
# S3's answers to a conditional write: changed, being changed right now, and deleted.
CHANGED_CODES = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
# What the block of `writing` may meet that is the target's fault and not that of something else it reads.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class Changed(Exception):
    """A conditional write found that somebody else had written in between."""


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


def folder(uri: str) -> Folder:
    """The folder at a path or s3:// URI; nothing is touched yet.

    Raises StorageError for a URI of another scheme or without a bucket.
    """
    if not is_s3(uri):
        if "://" in uri:
            raise StorageError(f"{uri}: only local paths and s3:// URIs are supported")
        return LocalFolder(Path(uri))
    parts = urlsplit(uri)
    if not parts.netloc:
        raise StorageError(f"{uri}: names no bucket; write s3://BUCKET/PREFIX")
    return S3Folder(parts.netloc, parts.path.strip("/"))


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


class S3Folder:
    """A prefix of an S3 bucket; the endpoint and the credentials come from boto3's usual environment."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client: Any = None

    @property
    def client(self) -> Any:
        if self._client is None:
            import boto3
            from botocore.config import Config

            retries = {"total_max_attempts": TRIES, "mode": "standard"}
            timeouts = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "read_timeout": READ_TIMEOUT_SECONDS}
            with _s3_errors(self.uri):
                # boto3's shared session is not safe for threads and remembers credentials that have changed since.
                self._client = boto3.Session().client("s3", config=Config(retries=retries, **timeouts))
        return self._client

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def uri_of(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.key(name)}"

    def exists(self, name: str) -> bool:
        with _s3_errors(self.uri_of(name)):
            try:
                self.client.head_object(Bucket=self.bucket, Key=self.key(name))
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] == "404":
                    return False
                raise
        return True

    def read_bytes(self, name: str) -> bytes:
        with _s3_errors(self.uri_of(name)):
            return bytes(self.client.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read())

    def fetch_tagged(self, name: str, target: Path) -> str | None:
        """Copy the object to a local file and give its ETag, for write_if_unchanged; None where there is no object."""
        with _s3_errors(self.uri_of(name)), target.open("wb") as file:
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=self.key(name))
            except self.client.exceptions.NoSuchKey:
                return None
            shutil.copyfileobj(answer["Body"], file, 1 << 20)
            return str(answer["ETag"])

    def write_bytes(self, name: str, content: bytes) -> None:
        with _s3_errors(self.uri_of(name)):
            self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=content)

    def write_if_unchanged(self, name: str, source: Path, tag: str | None) -> None:
        """Upload only if the object still has this ETag (None: only if there is none); Changed otherwise.

        One request, as boto3's upload in parts knows no conditions, so S3's limit of 5 GB applies.
        """
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        with _s3_errors(self.uri_of(name)), source.open("rb") as body:
            try:
                self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=body, **condition)
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in CHANGED_CODES:
                    raise Changed from None
                raise

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="shelfsort-") as temporary:
            path = Path(temporary) / Path(name).name
            with _s3_errors(self.uri_of(name)):
                self.client.download_file(self.bucket, self.key(name), str(path))
            yield path

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="shelfsort-") as temporary:
            path = Path(temporary) / Path(name).name
            yield path
            # Not upload_file, which hides S3's answer in an exception of its own.
            with _s3_errors(self.uri_of(name)), path.open("rb") as body:
                self.client.upload_fileobj(body, self.bucket, self.key(name))

    def names(self, prefix: str = "") -> list[str]:
        base = self.key(prefix) if prefix else (self.prefix + "/" if self.prefix else "")
        cut = len(self.prefix) + 1 if self.prefix else 0
        with _s3_errors(self.uri):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=base)
            return sorted(item["Key"][cut:] for page in pages for item in page.get("Contents", []))

    def delete(self, prefix: str) -> None:
        names = [n for n in self.names(prefix) if n.removeprefix(prefix.rstrip("/"))[:1] in ("", "/") or not prefix]
        with _s3_errors(self.uri_of(prefix)):
            for name in names:
                self.client.delete_object(Bucket=self.bucket, Key=self.key(name))


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


@contextmanager
def _s3_errors(uri: str) -> Iterator[None]:
    """Turn boto3's refusals into one line that names the object and what to do."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    advice = {
        "404": "no such object",
        "NoSuchKey": "no such object",
        "NoSuchBucket": "no such bucket",
        "403": "access denied; check the credentials' permissions",
        "AccessDenied": "access denied; check the credentials' permissions",
        "InvalidAccessKeyId": "the access key is not known; check AWS_ACCESS_KEY_ID",
        "SignatureDoesNotMatch": "the secret key is wrong; check AWS_SECRET_ACCESS_KEY",
    }
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise StorageError(f"{uri}: {advice.get(code, f'S3 answered {code}')}") from error
    except NoCredentialsError as error:
        raise StorageError(f"{uri}: no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageError(f"{uri}: {error}") from error
