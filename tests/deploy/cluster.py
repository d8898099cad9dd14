"""Import jobs on a walked deployment: over real S3 and a real PostgreSQL, each behind a proxy that can fail."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lib import database, jobs
from lib.importjobs.job import ImportJob
from lib.importjobs.store import JobStore
from lib.results import CATEGORIZED_CSV, CATEGORIZED_PARQUET, REJECTED_CSV, REVIEW_CSV, ROWS_FILE
from lib.settings import Settings, parse, settings_of
from lib.storage import folder
from tests.deploy.faults import DatabaseProxy, S3Proxy
from tests.deploy.walk import Cluster, Watch, Workflow

CSVS = (CATEGORIZED_CSV, REVIEW_CSV, REJECTED_CSV)
PARQUETS = (CATEGORIZED_PARQUET, ROWS_FILE)
# What is of one run and not of its input, in a report.
OF_A_RUN = ("job_id", "timing", "files", "catalog")


@dataclass
class Triggered:
    """The runner that a back end would use, noting what it was asked to start: tests run the workflows themselves."""

    jobs: list[str] = field(default_factory=list)

    def start(self, job: ImportJob, store: JobStore) -> str | None:
        self.jobs.append(job.id)
        return None

    def stop(self, job: ImportJob) -> None:
        pass

    def has_ended(self, job: ImportJob, lease_left: float) -> bool:
        return True  # of one workflow at a time, each is over when the next is triggered


@dataclass(frozen=True)
class Imports:
    """A deployment and the services it uses."""

    template: dict[str, Any]
    cluster: Cluster
    output: str
    database_url: str  # straight to the database, which pods reach through `database`
    environment: dict[str, str]  # of this machine, straight to S3
    s3: S3Proxy
    database: DatabaseProxy
    runner: Triggered = field(default_factory=Triggered)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """S3 within reach of this process, for the block."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield

    def settings(self, config: str) -> Settings:
        """Settings of a job, in TOML over the defaults."""
        return settings_of(parse(f'database_url = "{self.database_url}"\n[jobs]\nrunner = "argo"\n{config}'))

    def submit(self, source: Path, *, config: str) -> ImportJob:
        """A job as a back end submits it."""
        return jobs.submit_import(
            str(source), settings=self.settings(config), output=self.output, again=True, runner=self.runner
        )

    def retry(self, job: ImportJob) -> None:
        """Have a job that did not succeed run again."""
        jobs.retry_import(job.id, settings=self.settings(""), output=self.output, runner=self.runner)

    def job(self, job_id: str) -> ImportJob:
        """The job as the store has it."""
        return jobs.status_of(job_id, settings=self.settings(""), output=self.output, runner=_StillThere()).job

    def walk(self, job: ImportJob, *, watch: Watch = lambda pod: "") -> Workflow:
        """Run the workflow that was triggered for a job."""
        assert self.runner.jobs.pop() == job.id
        return self.cluster.run(self.template, watch=watch, **{"job-id": job.id})

    def outcome(self, job_id: str) -> "Outcome":
        """All that the job has left behind."""
        return outcome_of(self.output, self.database_url, job_id)

    def catalog(self, job_id: str) -> list[dict[str, Any]]:
        """The job's rows in the catalog."""
        return catalog_rows(self.database_url, job_id)


class _StillThere(Triggered):
    def has_ended(self, job: ImportJob, lease_left: float) -> bool:
        return False  # so that the store alone says where a job stands


@dataclass(frozen=True)
class Outcome:
    """What an import leaves behind."""

    job_id: str
    files: dict[str, bytes]
    tables: dict[str, pa.Table]
    report: dict[str, Any]
    catalog: list[dict[str, Any]]

    def comparable(self) -> dict[str, Any]:
        """The same without the job's name, times and places, which differ between two imports of one file."""
        account = {name: value for name, value in self.report.items() if name not in OF_A_RUN}
        for part in ("source", "model"):
            account[part] = {name: value for name, value in account[part].items() if name != "uri"}
        mine = self.job_id.encode()
        return {
            "files": {name: content.replace(mine, b"JOB") for name, content in self.files.items()},
            "tables": self.tables,
            "report": account,
            "catalog": [
                {name: row[name] for name in row if name not in ("job_id", "only_job")} for row in self.catalog
            ],
        }


def outcome_of(output: str, database_url: str, job_id: str) -> Outcome:
    """What a job has left behind below an output's URI and in a database."""
    home = folder(f"{output}/{job_id}")
    files = {name: home.read_bytes(name) for name in CSVS}
    tables = {name: _table(home.read_bytes(name)) for name in PARQUETS}
    report = json.loads(home.read_bytes("report.json"))
    return Outcome(job_id, files, tables, report, catalog_rows(database_url, job_id))


def local_outcome(home: Path) -> Outcome:
    """What a run on this machine has left behind, with its catalog in SQLite."""
    files = {name: (home / name).read_bytes() for name in CSVS}
    tables = {name: _table((home / name).read_bytes()) for name in PARQUETS}
    report = json.loads((home / "report.json").read_text("utf-8"))
    return Outcome(home.name, files, tables, report, catalog_rows(f"sqlite:///{home.parent / 'catalog.db'}", home.name))


def differences(one: Outcome, other: Outcome) -> list[str]:
    """What two imports of one file differ in; nothing where they have done the same."""
    first, second = one.comparable(), other.comparable()
    found = [f"{part}.{name}" for part in ("files", "tables", "report") for name in _unequal(first[part], second[part])]
    return found + (["catalog"] if first["catalog"] != second["catalog"] else [])


def catalog_rows(url: str, job_id: str) -> list[dict[str, Any]]:
    """A job's rows of the catalog's table of products, in order."""
    query = sa.text("SELECT * FROM products WHERE job_id = :id ORDER BY sheet, line")
    with sa.create_engine(database.checked(url), poolclass=sa.NullPool).connect() as connection:
        rows = [dict(row._mapping) for row in connection.execute(query, {"id": job_id})]
    return [{name: bool(value) if name == "needs_review" else value for name, value in row.items()} for row in rows]


def _unequal(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    for name in sorted({*one, *other}):
        here, there = one.get(name), other.get(name)
        same = here.equals(there) if isinstance(here, pa.Table) and isinstance(there, pa.Table) else here == there
        if not same:
            yield name


def _table(content: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(content))
