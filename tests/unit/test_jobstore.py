"""The job store on SQLite and on a real PostgreSQL: compare-and-set, leases, migrations, and processes that race."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from lib import database, migrations
from lib.errors import AlreadyImported, CatalogError, JobError
from lib.importjobs.job import Attempt, ImportJob, Status
from lib.importjobs.store import LEASE_SECONDS, JobStore, store_url
from lib.importjobs.tables import metadata
from lib.settings import ROOT, Settings, parse, settings_of

JOB = ImportJob(
    id="12345678-1234-5678-1234-567812345678",
    customer="acme",
    source_uri="/in/products.csv",
    source_name="source/products.csv",
    source_sha256="ab" * 32,
    source_bytes=10,
    output_uri="/results",
    profile={"columns": {"name": "Benämning"}},
    settings={"model": "m"},
    runner="local",
    submitted_by="ada",
    submitted_at=datetime(2026, 11, 24, 8, tzinfo=UTC),
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> sa.URL:
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return database.sqlite(tmp_path / "jobs.db")
    return database.checked(str(request.getfixturevalue("postgres_url")))


@pytest.fixture
def store(url: sa.URL) -> JobStore:
    """A store with one submitted job."""
    made = JobStore(url, create=True)
    made.add(JOB, again=False)
    return made


def begin(store: JobStore, seconds: float | None = LEASE_SECONDS) -> Attempt:
    return store.begin(JOB.id, owner="me", seconds=seconds)


def changes(store: JobStore) -> list[tuple[str | None, str]]:
    return [(event["before"], event["after"]) for event in store.events(JOB.id)]


def test_a_job_comes_out_as_it_went_in(store: JobStore) -> None:
    assert store.get(JOB.id) == JOB
    assert store.jobs() == [JOB]


def test_the_tables_of_the_migrations_are_those_of_the_code(store: JobStore) -> None:
    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
        return not (kind == "table" and name == migrations.VERSION_TABLE)

    with sa.create_engine(store.url, poolclass=sa.NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_the_code_knows() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_current_head() == migrations.HEAD


def test_a_store_of_a_newer_version_is_refused(store: JobStore) -> None:
    with sa.create_engine(store.url, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(CatalogError, match=r"newer version \(9999, this one knows \d+\); update"):
        JobStore(store.url)


def test_each_change_leaves_an_event(store: JobStore) -> None:
    attempt = begin(store)
    assert store.change(JOB.id, [Status.RUNNING], Status.FAILED, who="run", note="disk full", error="disk full")
    assert changes(store) == [(None, "submitted"), ("submitted", "running"), ("running", "failed")]
    last = store.events(JOB.id)[-1]
    assert (last["who"], last["note"], last["attempt"]) == ("run", "disk full", attempt.number)
    assert last["at"].tzinfo is not None
    job = store.get(JOB.id)
    assert (job.status, job.error) == (Status.FAILED, "disk full")
    assert job.finished_at is not None


def test_a_change_from_another_status_does_nothing(store: JobStore) -> None:
    assert not store.change(JOB.id, [Status.RUNNING], Status.SUCCEEDED, who="run")
    assert store.get(JOB.id) == JOB
    assert changes(store) == [(None, "submitted")]


def test_a_change_by_an_earlier_attempt_does_nothing(store: JobStore) -> None:
    first = begin(store)
    store.change(JOB.id, [Status.RUNNING], Status.FAILED, who="store")
    store.change(JOB.id, [Status.FAILED], Status.SUBMITTED, who="ada")
    second = begin(store)
    assert (first.number, second.number) == (1, 2)
    assert not store.change(JOB.id, [Status.RUNNING], Status.SUCCEEDED, who="run", attempt=first.number)
    assert not store.renew(first)
    assert not store.holds(first)
    assert store.holds(second)
    store.release(first)
    assert store.lease_left(JOB.id) > 0


def test_a_job_that_is_not_waiting_cannot_be_begun(store: JobStore) -> None:
    begin(store)
    with pytest.raises(JobError, match="is running and not waiting to be begun"):
        begin(store)


def test_a_first_step_that_argo_tries_again_goes_on_with_its_attempt(store: JobStore) -> None:
    first = store.begin(JOB.id, owner="CategorizeFlow/argo-1", seconds=None)
    assert store.begin(JOB.id, owner="CategorizeFlow/argo-1", seconds=None) == first
    with pytest.raises(JobError, match="is running and not waiting to be begun"):
        store.begin(JOB.id, owner="CategorizeFlow/argo-2", seconds=None)


def test_a_lease_is_renewed_and_let_go(store: JobStore) -> None:
    attempt = begin(store, seconds=1)
    assert 0 < store.lease_left(JOB.id) <= 1
    assert store.renew(attempt)
    assert store.lease_left(JOB.id) > 1
    store.release(attempt)
    assert store.lease_left(JOB.id) == 0


def test_a_lease_runs_out(store: JobStore) -> None:
    begin(store, seconds=0.05)
    time.sleep(0.1)
    assert store.lease_left(JOB.id) <= 0


def test_a_run_without_a_lease_never_runs_out(store: JobStore) -> None:
    begin(store, seconds=None)
    assert store.lease_left(JOB.id) == float("inf")


def test_a_lease_from_before_the_clock_went_back_is_cut(store: JobStore) -> None:
    begin(store, seconds=3600)
    assert store.lease_left(JOB.id) <= LEASE_SECONDS
    left = store.get(JOB.id).lease_until
    assert store.lease_left(JOB.id) <= LEASE_SECONDS
    assert store.get(JOB.id).lease_until == left  # cut once, or it would never end


def test_a_holder_goes_by_the_databases_clock(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = JobStore(database.checked(postgres_url), create=True)
    store.add(JOB, again=False)
    begin(store)
    monkeypatch.setattr("lib.importjobs.store.time.time", lambda: 0.0)  # this machine believes that it is 1970
    assert 0 < store.lease_left(JOB.id) <= LEASE_SECONDS


def test_the_same_content_of_the_same_customer_is_recognized(store: JobStore) -> None:
    second = replace(JOB, id=JOB.id.replace("1", "2"))
    with pytest.raises(AlreadyImported, match=r"same content is job 12345678.* --again imports") as caught:
        store.add(second, again=False)
    assert caught.value.job_id == JOB.id
    store.add(second, again=True)
    store.add(replace(JOB, id=JOB.id.replace("1", "3"), customer="other"), again=False)
    assert len(store.jobs()) == 3
    assert [job.customer for job in store.jobs(customer="other")] == ["other"]


def test_content_whose_job_failed_may_be_submitted_anew(store: JobStore) -> None:
    store.change(JOB.id, [Status.SUBMITTED], Status.CANCELLED, who="ada")
    store.add(replace(JOB, id=JOB.id.replace("1", "2")), again=False)
    assert [job.status for job in store.jobs(status=Status.CANCELLED)] == [Status.CANCELLED]


def test_an_unknown_job_is_one_clear_line(store: JobStore) -> None:
    with pytest.raises(JobError, match="there is no job nobody in "):
        store.get("nobody")


def test_looking_for_jobs_where_there_are_none_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no jobs are kept there; submit a file first"):
        JobStore(database.sqlite(tmp_path / "jobs.db"))
    assert list(tmp_path.iterdir()) == []


_RACE = """
import sys, time
from lib.errors import JobError
from lib.importjobs.store import JobStore
import sqlalchemy as sa
store = JobStore(sa.make_url(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
try:
    print(store.begin(sys.argv[2], owner=sys.argv[3], seconds=30).number)
except JobError as error:
    print("refused")
"""


def test_of_processes_that_begin_a_job_at_once_one_does(store: JobStore) -> None:
    line = [sys.executable, "-c", _RACE, store.url.render_as_string(hide_password=False), JOB.id]
    racers = [
        subprocess.Popen([*line, f"racer {number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for number in range(3)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = sorted(racer.communicate()[0].strip() for racer in racers)
    assert said == ["1", "refused", "refused"]
    assert changes(store) == [(None, "submitted"), ("submitted", "running")]


def test_stores_opened_at_once_make_the_tables_once(url: sa.URL) -> None:
    opening = "import sys; from lib.importjobs.store import *; JobStore(sa.make_url(sys.argv[1]), create=True)"
    line = [sys.executable, "-c", opening, url.render_as_string(hide_password=False)]
    opened = [subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(one.communicate()[1], one.returncode) for one in opened] == [("", 0)] * 3
    assert JobStore(url).jobs() == []


def with_database(database_url: str) -> Settings:
    return settings_of(parse(f"database_url = '{database_url}'"))


@pytest.mark.parametrize(
    ("database_url", "output", "expected"),
    [
        pytest.param("", "/results", "sqlite:////results/jobs.db", id="in the output folder"),
        pytest.param("sqlite:////data/shop.db", "/results", "sqlite:////data/jobs.db", id="beside the catalog's file"),
        pytest.param("postgresql://h/d", "s3://b/r", "postgresql+psycopg://h/d", id="in the catalog's PostgreSQL"),
    ],
)
def test_where_jobs_are_kept(database_url: str, output: str, expected: str) -> None:
    assert str(store_url(with_database(database_url), output)) == expected


def test_jobs_are_not_kept_on_s3() -> None:
    with pytest.raises(JobError, match="jobs cannot be kept on S3; name a database"):
        store_url(with_database(""), "s3://bucket/results")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_one_clear_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(JobError, match="jobs are kept there, so it must be writable"):
        JobStore(database.sqlite(tmp_path / "new" / "jobs.db"), create=True)
