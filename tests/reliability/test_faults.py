"""What breaks around a job: full disks, read-only folders, locked databases, S3 without permission.

Each time the job has failed with one clear line, or was not taken on; with the fault mended, `retry` ends it well.
"""

import os
import re
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lib import database, jobs
from lib.errors import CatalogError, ShelfsortError, StorageError
from lib.importjobs.job import ImportJob, Status
from lib.importjobs.runners import LocalRunner
from lib.importjobs.store import JobStore
from tests import services
from tests.conftest import S3Server
from tests.flow.test_submitted_jobs import WAIT_SECONDS, has_ended, waited
from tests.reliability import kill
from tests.reliability.kill import SAMPLE, Place

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")


class HamperedRunner(LocalRunner):
    """Starts runs within a context, whose limits and environment they inherit."""

    def __init__(self, within: Callable[[], AbstractContextManager[None]], *, catalog_url: str) -> None:
        super().__init__(catalog_url)
        self._within = within

    def start(self, job: ImportJob, store: JobStore) -> str | None:
        with self._within():
            return super().start(job, store)


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Place]:
    """A place for jobs, with the databases apart from the results."""
    (tmp_path / "databases").mkdir()
    with kill.place(tmp_path, database_url=f"sqlite:///{tmp_path}/databases/catalog.db") as made:
        yield made


def failed(where: Place, job: ImportJob) -> str:
    """The line that a job failed with."""
    now = waited(where, job.id, has_ended)
    assert now.job.status == Status.FAILED, now
    assert now.job.error is not None
    assert "\n" not in now.job.error
    assert "Traceback" not in now.job.error
    assert now.job.lease_owner is None
    return now.job.error


def _wait_until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.1)


def ends_well(where: Place, job: ImportJob) -> None:
    jobs.retry_import(job.id, **where.where())
    now = waited(where, job.id, has_ended)
    assert (now.job.status, now.job.rows, now.job.error) == (Status.SUCCEEDED, 502, None)


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """What writes more to a file is refused, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        pytest.param(40_000, r"shards/.*parquet: .*File too large", id="staging"),
        pytest.param(60_000, r"File too large", id="later"),
    ],
)
def test_a_job_that_finds_no_room_says_so(where: Place, size: int, message: str) -> None:
    runner = HamperedRunner(lambda: _files_of_at_most(size), catalog_url=where.database_url)
    job = jobs.submit_import(str(SAMPLE), **where.where(), runner=runner)
    assert re.search(message, failed(where, job))
    ends_well(where, job)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written below a folder, not even by root."""
    if os.geteuid():
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(0o700)
        return
    bind = ["mount", "--bind", str(folder), str(folder)]
    if subprocess.run(bind, check=False, capture_output=True).returncode:
        pytest.skip("root can write everywhere, and may not mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_read_only_folder_takes_no_job(where: Place) -> None:
    Path(where.output).mkdir()
    with _read_only(Path(where.output)), pytest.raises(StorageError, match="results: cannot be written to"):
        jobs.submit_import(str(SAMPLE), **where.where())
    assert list(Path(where.output).iterdir()) == []


def test_a_folder_that_becomes_read_only_fails_the_job(where: Place) -> None:
    class Idle(LocalRunner):
        def start(self, job: ImportJob, store: JobStore) -> str | None:
            return None

    job = jobs.submit_import(str(SAMPLE), **where.where(), runner=Idle())
    log = Path(where.output) / job.id / "run.log"
    with _read_only(Path(where.output)), pytest.raises(ShelfsortError, match=rf"{log}: .*, `retry` it"):
        jobs.retry_import(job.id, **where.where())
    shards = Path(where.output) / job.id / "shards"
    shards.mkdir()
    with _read_only(shards):
        jobs.retry_import(job.id, **where.where())
        line = failed(where, job)
    assert line.startswith(f"{shards}/")
    assert line.endswith(("Read-only file system", "Permission denied"))
    ends_well(where, job)


def test_a_job_goes_on_when_the_store_is_locked_for_a_while(where: Place) -> None:
    job = jobs.submit_import(str(SAMPLE), **where.where())
    waited(where, job.id, lambda now: now.progress.running > 0)
    shards = Path(where.output) / job.id / "shards"
    with _locked(where.folder / "databases" / "jobs.db"):
        _wait_until(lambda: len(list(shards.glob("*-results.parquet.json"))) == 2)
    assert waited(where, job.id, has_ended).job.status == Status.SUCCEEDED


def test_a_store_that_stays_locked_is_one_clear_line(where: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.submit_import(str(SAMPLE), **where.where())
    assert waited(where, job.id, has_ended).job.status == Status.SUCCEEDED
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    with _locked(where.folder / "databases" / "jobs.db"):
        for call in (jobs.status_of, jobs.cancel_import, jobs.retry_import):
            with pytest.raises(CatalogError, match=r"jobs\.db: another program has kept it locked; try again later"):
                call(job.id, **where.where())
    assert jobs.status_of(job.id, **where.where()).job.status == Status.SUCCEEDED


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        other.close()


def test_credentials_that_may_only_read_fail_the_job(
    bucket: str, s3: S3Server, where: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    place: dict[str, Any] = {"settings": where.settings, "output": f"{bucket}/results"}

    @contextmanager
    def reading_only() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", services.READER_KEY)
            yield

    with reading_only(), pytest.raises(StorageError, match=r"cannot be written to \(access denied; check the cred"):
        jobs.submit_import(str(SAMPLE), **place)
    runner = HamperedRunner(reading_only, catalog_url=where.database_url)
    job = jobs.submit_import(str(SAMPLE), **place, runner=runner)
    _wait_until(lambda: jobs.status_of(job.id, **place).job.status == Status.FAILED)
    error = jobs.status_of(job.id, **place).job.error
    assert error is not None
    assert "access denied; check the credentials' permissions" in error
    jobs.retry_import(job.id, **place)
    _wait_until(lambda: has_ended(jobs.status_of(job.id, **place)))
    assert jobs.status_of(job.id, **place).job.status == Status.SUCCEEDED
