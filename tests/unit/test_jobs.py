"""lib.jobs with a runner that only notes what it is asked, on SQLite and PostgreSQL; and Argo's with a fake of Argo."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib import jobs
from lib.errors import AlreadyImported, JobError, SourceError
from lib.importjobs.job import Attempt, ImportJob, Status
from lib.importjobs.runners import ArgoRunner
from lib.importjobs.store import LEASE_SECONDS, JobStore, store_url
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
    with pytest.raises(JobError, match="is submitted and has no report yet"):
        jobs.report_of(job.id, **desk.where())
    with pytest.raises(JobError, match="has no results yet"):
        list(jobs.rejected_of(job.id, **desk.where()))


def test_jobs_are_known_by_any_spelling_of_their_uuid_and_nothing_else(desk: Desk) -> None:
    job = desk.submit()
    assert jobs.status_of(job.id.upper(), **desk.where(), runner=desk.runner).job.id == job.id
    with pytest.raises(JobError, match="there is no job 0"):
        jobs.status_of("0" * 32, **desk.where())
    with pytest.raises(JobError, match="'nonsense' is not the UUID of a job; `list` shows them"):
        jobs.status_of("nonsense", **desk.where())


@dataclass
class FakeArgo:
    """A deployed flow as Metaflow's API has it."""

    is_running: bool = True
    triggered: list[dict[str, str]] = field(default_factory=list)
    terminated: list[str] = field(default_factory=list)

    def trigger(self, **parameters: str) -> Any:
        self.triggered.append(parameters)
        return SimpleNamespace(pathspec=f"CategorizeFlow/argo-{len(self.triggered)}")

    def get_triggered_run(self, template: str, run_id: str) -> Any:
        return SimpleNamespace(
            is_running=self.is_running, terminate=lambda: self.terminated.append(f"{template} {run_id}")
        )


def test_argo_is_given_the_uuid_alone_and_asked_whether_it_still_runs(
    bucket: str, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "products.csv").write_bytes(CSV)
    where: dict[str, Any] = {
        "settings": settings_of(parse(f"database_url = '{postgres_url}'\n[jobs]\nrunner = 'argo'")),
        "output": f"{bucket}/results",
    }
    argo = FakeArgo()
    where["runner"] = ArgoRunner("shelf", deployed=lambda template: argo)
    job = jobs.submit_import(str(tmp_path / "products.csv"), **where)
    assert argo.triggered == [{"job_id": job.id}]
    assert job.runs == ("CategorizeFlow/argo-1",)
    store = JobStore(store_url(where["settings"], where["output"]))
    store.begin(job.id, owner="argo", seconds=None)
    assert jobs.status_of(job.id, **where).job.status == Status.RUNNING
    argo.is_running = False
    assert jobs.status_of(job.id, **where).job.status == Status.FAILED
    assert jobs.retry_import(job.id, **where).runs == ("CategorizeFlow/argo-1", "CategorizeFlow/argo-2")
    store.begin(job.id, owner="argo", seconds=None)
    jobs.cancel_import(job.id, **where)
    assert argo.terminated == ["shelf argo-2"]
    argo.is_running = True
    with pytest.raises(JobError, match="its run has not ended yet"):
        jobs.retry_import(job.id, **where)
    argo.is_running = False
    assert jobs.retry_import(job.id, **where).status == Status.SUBMITTED


@pytest.mark.parametrize(("size", "template"), [(10_000_000, "small"), (10_000_001, "shelf")])
def test_a_small_file_goes_to_the_template_of_its_own(
    postgres_url: str, tmp_path: Path, size: int, template: str
) -> None:
    asked = []

    def deployed(name: str) -> Any:
        asked.append(name)
        return FakeArgo()

    (tmp_path / "products.csv").write_bytes(CSV)
    settings = settings_of(parse(f"database_url = '{postgres_url}'"))
    local = jobs.submit_import(
        str(tmp_path / "products.csv"), settings=settings, output=str(tmp_path / "results"), runner=NotingRunner()
    )
    job = replace(local, source_bytes=size, output_uri="s3://bucket/results")
    runner = ArgoRunner("shelf", template_small="small", deployed=deployed)
    run = runner.start(job, JobStore(store_url(settings, "s3://bucket/results")))
    assert run is not None
    runner.stop(replace(job, runs=(run,)))
    assert asked == [template, template]


def test_argo_takes_no_job_that_its_pods_cannot_reach(desk: Desk) -> None:
    runner = ArgoRunner("shelf", deployed=lambda template: FakeArgo())
    with pytest.raises(JobError, match="pods cannot reach it"):
        jobs.submit_import(str(desk.file), **desk.where(), runner=runner)


def test_what_argo_answers_instead_is_one_line(bucket: str, postgres_url: str, tmp_path: Path) -> None:
    def unreachable(template: str) -> Any:
        raise ConnectionError("no cluster")

    (tmp_path / "products.csv").write_bytes(CSV)
    settings = settings_of(parse(f"database_url = '{postgres_url}'"))
    with pytest.raises(JobError, match="was not started: no cluster"):
        jobs.submit_import(
            str(tmp_path / "products.csv"),
            settings=settings,
            output=f"{bucket}/r",
            runner=ArgoRunner("shelf", deployed=unreachable),
        )
