"""A prefix of an S3 bucket as a folder of storage.py."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.errors import StorageError

# A store that does not answer should be known in seconds; boto3's own defaults wait a minute per try.
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60
TRIES = 4
# S3's answers to a conditional write: changed, being changed right now, and deleted.
CHANGED_CODES = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")


class Changed(Exception):
    """A conditional write found that somebody else had written in between."""


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

    def clear_unfinished(self) -> None:
        """Nothing: an object appears whole or not at all (a bucket's lifecycle rule may end broken-off uploads)."""


@contextmanager
def _s3_errors(uri: str) -> Iterator[None]:
    """Turn boto3's refusals into one line that names the object and what to do."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    advice = {
        "404": "no such object or bucket",
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
    except (BotoCoreError, Boto3Error, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise StorageError(f"{uri}: {error}") from error
