"""Fixtures that any test may use; services start at their first use and stop with the test process."""

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest

from tests import services

_numbers = itertools.count(1)

# `pytest tests/property --hypothesis-profile fuzz` looks for hours where the tests look for seconds.
hypothesis.settings.register_profile("default", max_examples=1000, deadline=None)
hypothesis.settings.register_profile("fuzz", max_examples=100_000, deadline=None)
hypothesis.settings.load_profile("default")


@pytest.fixture(autouse=True)
def _usual_csv_limit() -> Iterator[None]:
    """The csv module's limit is the whole process's: a test that lowers ours would refuse the next one's tables."""
    limit = csv.field_size_limit()
    yield
    csv.field_size_limit(limit)


@dataclass(frozen=True)
class S3Server:
    """A real S3 server on this machine."""

    endpoint: str
    environment: dict[str, str]  # what boto3 needs to reach it

    def client(self) -> Any:
        """A boto3 client that reaches the server whatever the environment holds."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=services.ACCESS_KEY,
            aws_secret_access_key=services.SECRET_KEY,
            region_name="us-east-1",
        )


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own catalog and AWS accounts out of the tests."""
    for name in ("SHELFSORT_DATABASE_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server for the whole session."""
    with services.running("s3") as facts:
        yield S3Server(facts["endpoint"], services.s3_environment(facts["endpoint"]))


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket as "s3://NAME", with an environment in which boto3 finds it."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{next(_numbers)}"
    s3.client().create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """The URL of a database on a real PostgreSQL from which others are made."""
    with services.running("postgres") as facts:
        yield facts["url"]


@pytest.fixture
def postgres_url(_postgres: str) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty PostgreSQL database."""
    import psycopg
    from sqlalchemy import make_url

    url = make_url(_postgres)
    name = f"test_{next(_numbers)}"
    with psycopg.connect(
        host=str(url.query["host"]), user=url.username, dbname=url.database, autocommit=True
    ) as server:
        server.execute(f"create database {name}")
        yield url.set(database=name).render_as_string(hide_password=False)
        server.execute(f"drop database {name} with (force)")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what golden tests find as what they expect")
    parser.addoption("--storms", type=int, default=0, metavar="N", help="walk N imports on a failing S3")
