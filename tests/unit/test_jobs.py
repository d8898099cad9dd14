"""lib.jobs with a runner that only notes what it is asked, on SQLite and PostgreSQL."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lib import jobs
from lib.errors import AlreadyImported, JobError, SourceError
from lib.importjobs.job import Attempt, ImportJob, Status
from lib.importjobs.store import LEASE_SECONDS, JobStore, store_url
from lib.review.reviewing import export_review
from lib.settings import Settings, parse, settings_of

CSV = b"sku;name\n1;Tomato ketchup\n2;Oat drink\n"


@dataclass
class NotingRunner:
    """Notes the jobs that it is to start and stop, and says that they have ended when told so."""

    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    ended: bool = False

    def start(self, job: ImportJob, store: JobStore) -> str | None:
        self.started.append(job.id)
        return None

    def stop(self, job: ImportJob) -> None:
        self.stopped.append(job.id)

    def has_ended(self, job: ImportJob, lease_left: float) -> bool:
        return self.ended or lease_left <= 0


@dataclass
class Desk:
    """Everything that a test of jobs needs."""

    output: str
    settings: Settings
    file: Path
    runner: NotingRunner = field(default_factory=NotingRunner)

    def where(self) -> dict[str, Any]:
        return {"settings": self.settings, "output": self.output}

    def submit(self, **options: Any) -> ImportJob:
        return jobs.submit_import(str(self.file), **self.where(), runner=self.runner, **options)

    @property
    def store(self) -> JobStore:
        return JobStore(store_url(self.settings, self.output))

    def begin(self, job: ImportJob) -> Attempt:
        return self.store.begin(job.id, owner="test", seconds=LEASE_SECONDS)

    def call(self, function: Callable[..., Any], job: ImportJob) -> Any:
        return function(job.id, **self.where(), runner=self.runner)


@pytest.fixture(params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    url = str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else ""
    (tmp_path / "products.csv").write_bytes(CSV)
    settings = settings_of(parse(f"database_url = '{url}'"))
    return Desk(str(tmp_path / "results"), settings, tmp_path / "products.csv")


def home(job: ImportJob) -> Path:
    return Path(job.output_uri) / job.id


def test_a_submitted_file_is_copied_hashed_and_started(desk: Desk) -> None:
    job = desk.submit(customer="acme", columns="name=name", who="ada")
    assert (home(job) / job.source_name).read_bytes() == CSV
    assert job.source_sha256 == hashlib.sha256(CSV).hexdigest()
    assert (job.status, job.customer, job.submitted_by, job.source_bytes) == (Status.SUBMITTED, "acme", "ada", len(CSV))
    assert job.source_uri == str(desk.file)
    assert job.profile["columns"] == {"name": "name"}
    assert desk.runner.started == [job.id]
    assert jobs.list_jobs(**desk.where()) == [job]


def test_what_is_kept_of_the_settings_holds_no_database(desk: Desk) -> None:
    job = desk.submit()
    assert "database_url" not in job.settings
    assert job.settings["batches"] == desk.settings.batches.model_dump()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"sku;name\n", "there is a header but no products below it", id="no products"),
        pytest.param(b"id;price\n1;2\n", "no column is known to hold the product's name", id="no name"),
        pytest.param(b"\x7fELF" + bytes(range(256)) * 9, "not a text file", id="binary"),
        pytest.param(b"line,name,reasons,job_id\n3,a,b,c\n", "these are rejected rows of a job", id="a rejected.csv"),
        pytest.param(None, "no such file or folder; check the path", id="missing"),
    ],
)
def test_a_file_that_cannot_be_read_is_no_job(desk: Desk, content: bytes | None, message: str) -> None:
    desk.file.unlink() if content is None else desk.file.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        desk.submit()
    assert str(desk.file) in str(caught.value)
    assert desk.runner.started == []
    assert jobs.list_jobs(**desk.where()) == []
    assert [path.name for path in Path(desk.output).iterdir() if path.is_dir()] == []


def test_a_file_that_was_imported_is_recognized_by_its_content(desk: Desk) -> None:
    first = desk.submit(customer="acme")
    desk.file = desk.file.rename(desk.file.with_name("renamed.csv"))
    with pytest.raises(AlreadyImported, match=f"the same content is job {first.id}"):
        desk.submit(customer="acme")
    assert [path.name for path in Path(desk.output).iterdir() if path.is_dir()] == [first.id]
    second = desk.submit(customer="acme", again=True)
    third = desk.submit(customer="other")
    assert desk.runner.started == [first.id, second.id, third.id]


def test_a_running_job_whose_run_is_gone_has_failed_and_can_be_retried(desk: Desk) -> None:
    job = desk.submit()
    desk.begin(job)
    assert desk.call(jobs.status_of, job).job.status == Status.RUNNING
    with pytest.raises(JobError, match=r"is running \(attempt 1\); cancel it first"):
        desk.call(jobs.retry_import, job)
    desk.runner.ended = True
    status = desk.call(jobs.status_of, job)
    assert (status.job.status, status.job.error) == (
        Status.FAILED,
        "its run is gone: it was killed, or its machine went down",
    )
    assert desk.call(jobs.retry_import, job).status == Status.SUBMITTED
    assert desk.runner.started == [job.id, job.id]


def test_a_list_tells_that_a_local_run_is_gone(desk: Desk) -> None:
    job = desk.submit()
    desk.store.begin(job.id, owner="gone", seconds=0)
    assert [one.status for one in jobs.list_jobs(**desk.where())] == [Status.FAILED]


def test_a_cancelled_job_is_not_retried_before_its_run_has_ended(desk: Desk) -> None:
    job = desk.submit()
    attempt = desk.begin(job)
    assert desk.call(jobs.cancel_import, job).status == Status.CANCELLED
    assert desk.runner.stopped == [job.id]
    assert desk.call(jobs.status_of, job).phase == "stopping"
    with pytest.raises(JobError, match="its run has not ended yet"):
        desk.call(jobs.retry_import, job)
    assert not desk.store.renew(attempt)
    desk.store.release(attempt)
    assert desk.call(jobs.status_of, job).phase == "cancelled"
    assert desk.call(jobs.retry_import, job).status == Status.SUBMITTED


def test_a_job_can_be_cancelled_before_it_runs_and_twice(desk: Desk) -> None:
    job = desk.submit()
    desk.call(jobs.cancel_import, job)
    assert desk.call(jobs.cancel_import, job).status == Status.CANCELLED
    with pytest.raises(JobError, match="is cancelled and not waiting to be begun"):
        desk.begin(job)
    assert [event["after"] for event in jobs.events_of(job.id, **desk.where())] == ["submitted", "cancelled"]


def test_a_job_that_has_succeeded_is_neither_cancelled_nor_retried(desk: Desk) -> None:
    job = desk.submit()
    desk.begin(job)
    desk.store.change(
        job.id, [Status.RUNNING], Status.SUCCEEDED, who="run", rows=2, categorized=1, review=1, rejected=0
    )
    with pytest.raises(JobError, match="has succeeded and cannot be cancelled"):
        desk.call(jobs.cancel_import, job)
    with pytest.raises(JobError, match="has succeeded; there is nothing to retry"):
        desk.call(jobs.retry_import, job)
    progress = desk.call(jobs.status_of, job).progress
    assert (progress.rows, progress.outcomes) == (2, {"categorized": 1, "review": 1, "rejected": 0})


def test_a_job_whose_report_is_there_has_succeeded_though_its_run_could_not_say_so(desk: Desk) -> None:
    job = desk.submit()
    desk.begin(job)
    report = {"rows": 2, "categorized": 1, "review": 1, "rejected": 0}
    (home(job) / "report.json").write_text(json.dumps(report))
    (home(job) / "shards").mkdir()
    (home(job) / "shards" / "a.parquet").touch()
    desk.runner.ended = True
    found = desk.call(jobs.status_of, job).job
    assert (found.status, found.rows, found.review) == (Status.SUCCEEDED, 2, 1)
    assert not (home(job) / "shards").exists()
    assert jobs.report_of(job.id, **desk.where()) == report


def test_a_report_is_not_there_before_there_is_one(desk: Desk) -> None:
    job = desk.submit()
    with pytest.raises(JobError, match="is submitted and has no results yet"):
        jobs.report_of(job.id, **desk.where())
    with pytest.raises(JobError, match="has no results yet"):
        list(jobs.rejected_of(job.id, **desk.where()))


def test_results_that_somebody_has_removed_are_said_to_be_gone(desk: Desk) -> None:
    job = desk.submit()
    desk.begin(job)
    desk.store.change(job.id, [Status.RUNNING], Status.SUCCEEDED, who="run")
    shutil.rmtree(home(job))
    calls: list[Callable[[], Any]] = [
        lambda: jobs.report_of(job.id, **desk.where()),
        lambda: list(jobs.rejected_of(job.id, **desk.where())),
        lambda: export_review(job.id, home(job) / "review.xlsx", **desk.where()),
    ]
    for call in calls:
        with pytest.raises(JobError, match=f"no longer in {home(job)}; submit {desk.file} with --again"):
            call()


def test_a_job_whose_folder_somebody_has_removed_is_not_retried(desk: Desk) -> None:
    job = desk.submit()
    desk.call(jobs.cancel_import, job)
    shutil.rmtree(home(job))
    with pytest.raises(JobError, match=f"its copy of the file is gone: {home(job)}/source/.*; submit {desk.file} anew"):
        desk.call(jobs.retry_import, job)
    assert desk.runner.started == [job.id]
    assert jobs.list_jobs(**desk.where())[0].status == Status.CANCELLED


def test_a_customers_next_job_is_the_newer_one_though_the_clock_went_back(desk: Desk) -> None:
    """The catalog goes by it: an older job's file does not turn back a newer one's."""
    first = desk.submit(customer="acme")
    late = replace(first, id="0" * 32, source_sha256="0" * 64, submitted_at=first.submitted_at + timedelta(days=1))
    desk.store.add(late, again=False)
    desk.file.write_bytes(CSV + b"3;Salt\n")
    assert desk.submit(customer="acme").submitted_at > late.submitted_at
    assert desk.submit(customer="other").submitted_at < late.submitted_at


def test_jobs_are_known_by_any_spelling_of_their_uuid_and_nothing_else(desk: Desk) -> None:
    job = desk.submit()
    assert jobs.status_of(job.id.upper(), **desk.where(), runner=desk.runner).job.id == job.id
    with pytest.raises(JobError, match="there is no job 0"):
        jobs.status_of("0" * 32, **desk.where())
    with pytest.raises(JobError, match="'nonsense' is not the UUID of a job; `list` shows them"):
        jobs.status_of("nonsense", **desk.where())
