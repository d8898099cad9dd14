"""Where files lie, a local folder or an s3:// prefix: the only module that knows which.

Every write is all or nothing: a reader finds the whole file or none. Locally that is a temporary file
beside the target, synced and renamed; on S3 an object appears when its upload completes.
"""

import os
import shutil
import tempfile
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
        """The names of all files below, sorted."""

    def delete(self, prefix: str) -> None:
        """Remove the file or everything below the prefix; nothing there is no error."""


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
        return (self.path / name).exists()

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
        with _local_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary_name = tempfile.mkstemp(prefix=".writing-", suffix=target.suffix, dir=target.parent)
            os.close(handle)
        temporary = Path(temporary_name)
        try:
            with _local_errors(target):
                yield temporary
                # mkstemp makes private files; a result is for whoever may read the folder.
                temporary.chmod(0o666 & ~_umask())
                with temporary.open("rb") as written:
                    os.fsync(written.fileno())
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def names(self, prefix: str = "") -> list[str]:
        found = (p for p in self.path.rglob("*") if p.is_file())
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

            config = Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=READ_TIMEOUT_SECONDS,
                retries={"total_max_attempts": TRIES, "mode": "standard"},
            )
            with _s3_errors(self.uri):
                self._client = boto3.client("s3", config=config)
        return self._client

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def uri_of(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.key(name)}"

    def exists(self, name: str) -> bool:
        from botocore.exceptions import ClientError

        with _s3_errors(self.uri_of(name)):
            try:
                self.client.head_object(Bucket=self.bucket, Key=self.key(name))
            except ClientError as error:
                if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                    return False
                raise
        return True

    def read_bytes(self, name: str) -> bytes:
        return self.read_tagged(name)[0]

    def read_tagged(self, name: str) -> tuple[bytes, str]:
        """The object's content and its ETag, for write_if_unchanged."""
        with _s3_errors(self.uri_of(name)):
            answer = self.client.get_object(Bucket=self.bucket, Key=self.key(name))
            return answer["Body"].read(), answer["ETag"]

    def write_bytes(self, name: str, content: bytes) -> None:
        with _s3_errors(self.uri_of(name)):
            self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=content)

    def write_if_unchanged(self, name: str, source: Path, tag: str | None) -> None:
        """Upload only if the object still has this ETag (None: only if there is none); Changed otherwise."""
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        with _s3_errors(self.uri_of(name)), source.open("rb") as body:
            try:
                self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=body, **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] in (
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                    "412",
                    "409",
                ):
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
            with _s3_errors(self.uri_of(name)):
                self.client.upload_file(str(path), self.bucket, self.key(name))

    def names(self, prefix: str = "") -> list[str]:
        base = self.key(prefix) if prefix else (self.prefix + "/" if self.prefix else "")
        cut = len(self.prefix) + 1 if self.prefix else 0
        with _s3_errors(self.uri):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=base)
            return sorted(item["Key"][cut:] for page in pages for item in page.get("Contents", []))

    def delete(self, prefix: str) -> None:
        names = [n for n in self.names(prefix) if n == prefix or n.startswith(prefix.rstrip("/") + "/")]
        with _s3_errors(self.uri_of(prefix)):
            for name in names:
                self.client.delete_object(Bucket=self.bucket, Key=self.key(name))


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


@contextmanager
def _local_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line that names the path."""
    try:
        yield
    except FileNotFoundError:
        raise StorageError(f"{path}: no such file or folder") from None
    except IsADirectoryError:
        raise StorageError(f"{path}: is a folder, not a file") from None
    except (PermissionError, NotADirectoryError, OSError) as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error


@contextmanager
def _s3_errors(uri: str) -> Iterator[None]:
    """Turn boto3's refusals into one line that names the object and what to do."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

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
        message = "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
        raise StorageError(f"{uri}: {message}") from error
    except NoRegionError as error:
        raise StorageError(f"{uri}: no AWS region; set AWS_DEFAULT_REGION") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageError(f"{uri}: {error}") from error
