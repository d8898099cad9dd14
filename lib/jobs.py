"""Import jobs: submit a file, get a UUID, and always know where it stands. What a web back end calls.

    job = submit_import("products.csv", customer="acme")      # an ImportJob; the work goes on by itself
    status_of(job.id).progress, report_of(job.id), cancel_import(job.id), retry_import(job.id)

As a command line: `python -m lib.jobs --help`, or `./shelfsort --help`. All functions take the `settings` (those of
config/default.toml if left out) and the `output` folder or s3:// prefix, which together say where jobs are kept, and
raise a ShelfsortError whose text is one line for a person.
"""

import csv
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lib import settings as all_settings
from lib.errors import AlreadyImported, JobError, StorageError
from lib.importjobs.ends import finish, finished_report, home_of, job_named, without_results, without_the_dead
from lib.importjobs.job import ImportJob, Status, person
from lib.importjobs.runners import JobRunner, runner_of
from lib.importjobs.store import LEASE_SECONDS, JobStore, store_url
from lib.importjobs.submitting import DryRun, take_in, try_out
from lib.processes import cores
from lib.profiles import PROFILES, Profile, profile_of
from lib.progress import Progress, ProgressReader
from lib.results import REJECTED_CSV, REPORT_FILE
from lib.settings import Settings
from lib.storage import check_writable, folder

__all__ = ["AlreadyImported", "DryRun", "ImportJob", "JobStatus", "Progress", "Status"]


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands."""

    job: ImportJob
    phase: str  # waiting, reading, categorizing, joining, stopping; or the status of a job that has ended
    progress: Progress

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values: the job's, and its phase, progress, rate and time left."""
        told = {"phase": self.phase, "progress": vars(self.progress)}
        rate = {"rows_a_second": self.progress.rows_a_second, "seconds_left": self.progress.seconds_left}
        return {"job": self.job.as_json(), **told, **rate}


def submit_import(
    source: str,
    *,
    settings: Settings | None = None,
    output: str = "results",
    customer: str = "",
    profile: str = "",
    columns: str = "",
    again: bool = False,
    who: str = "",
    runner: JobRunner | None = None,
) -> ImportJob:
    """Copy a product file into a new job's folder and have the job run; gives the job without waiting for it.

    `profile` is the customer's, if there is one and none is named. Raises AlreadyImported when this customer's same
    content is a job that has not failed, unless `again`; SourceError for a file that cannot be read.
    """
    settings, told = settings or _defaults(), _profile(customer, profile, columns)
    place = folder(output)
    check_writable(place)
    store = JobStore(store_url(settings, output), create=True)
    job_id = str(uuid.uuid4())
    home = folder(place.uri_of(job_id))
    copied = take_in(source, job=home, profile=told, settings=settings)
    job = ImportJob(
        id=job_id,
        customer=customer,
        source_uri=copied.uri,
        source_name=copied.name,
        source_sha256=copied.sha256,
        source_bytes=copied.size,
        output_uri=place.uri,
        profile=told.model_dump(mode="json"),
        settings=all_settings.snapshot(settings),
        runner=settings.jobs.runner,
        submitted_by=who or person(),
        submitted_at=datetime.now(UTC),
    )
    try:
        store.add(job, again=again)
    except BaseException:
        with suppress(StorageError):
            home.delete("")
        raise
    _start(job, store, runner or runner_of(settings, job.runner))
    return store.get(job.id)


def dry_run(
    source: str,
    *,
    settings: Settings | None = None,
    output: str = "results",
    customer: str = "",
    profile: str = "",
    columns: str = "",
) -> DryRun:
    """What submitting the file would do: it is read whole and its first rows are processed, and nothing is kept."""
    settings, told = settings or _defaults(), _profile(customer, profile, columns)
    found = try_out(source, output=output, profile=told, settings=settings, cores=cores())
    try:
        same = JobStore(store_url(settings, output)).with_content(found.source_sha256, customer=customer)
    except JobError:
        return found  # no job was kept there yet
    return replace(found, same_content=same.id if same else None)


def status_of(
    job_id: str,
    *,
    settings: Settings | None = None,
    output: str = "results",
    reader: ProgressReader | None = None,
    runner: JobRunner | None = None,
) -> JobStatus:
    """Where a job stands. A running job whose run is gone has failed, and is recorded as failed here.

    `reader`: the same at each call for a job that is watched, so that less is read.
    """
    store, job = _job(job_id, settings, output)
    with suppress(JobError):  # where Argo cannot be asked, what the store says has to do
        job = without_the_dead(job, store, runner or runner_of(settings or _defaults(), job.runner))
    return _status(job, store, reader or ProgressReader(home_of(job)))


def list_jobs(
    *,
    settings: Settings | None = None,
    output: str = "results",
    customer: str | None = None,
    status: Status | None = None,
    most: int = 20,
) -> list[ImportJob]:
    """The newest jobs, newest first. Of those on Argo, which is not asked, what was last recorded."""
    settings = settings or _defaults()
    store, local = JobStore(store_url(settings, output)), runner_of(settings, "local")
    found = store.jobs(customer=customer, status=status, most=most)
    return [without_the_dead(job, store, local) if job.runner == "local" else job for job in found]


def events_of(job_id: str, *, settings: Settings | None = None, output: str = "results") -> list[dict[str, Any]]:
    """Each change of a job's status: at, before, after, attempt, who, note."""
    store, job = _job(job_id, settings, output)
    return store.events(job.id)


def report_of(job_id: str, *, settings: Settings | None = None, output: str = "results") -> dict[str, Any]:
    """The job's report.json; JobError while it has none."""
    _, job = _job(job_id, settings, output)
    report = finished_report(home_of(job))
    if report is None:
        raise without_results(job)
    return report


def rejected_of(job_id: str, *, settings: Settings | None = None, output: str = "results") -> Iterator[dict[str, str]]:
    """The job's rejected rows by column, as rejected.csv has them; JobError while there are no results."""
    _, job = _job(job_id, settings, output)
    home = home_of(job)
    if not home.exists(REPORT_FILE):
        raise without_results(job)
    with home.reading(REJECTED_CSV) as path, path.open(encoding="utf-8-sig", newline="") as file:
        csv.field_size_limit(1 << 30)
        yield from csv.DictReader(file)


def cancel_import(
    job_id: str,
    *,
    settings: Settings | None = None,
    output: str = "results",
    who: str = "",
    runner: JobRunner | None = None,
) -> ImportJob:
    """Stop a job that has not ended. A local run ends within seconds; what its batches have finished stays for a retry.

    Cancelling a cancelled job is no error. Raises JobError for one that has succeeded or failed.
    """
    store, job = _job(job_id, settings, output)
    if job.status != Status.CANCELLED and not store.change(
        job.id, [Status.SUBMITTED, Status.RUNNING], Status.CANCELLED, who=who or person()
    ):
        raise JobError(f"job {job.id} has {store.get(job.id).status} and cannot be cancelled")
    (runner or runner_of(settings or _defaults(), job.runner)).stop(job)
    return store.get(job.id)


def retry_import(
    job_id: str,
    *,
    settings: Settings | None = None,
    output: str = "results",
    who: str = "",
    runner: JobRunner | None = None,
) -> ImportJob:
    """Run a job again that failed, was cancelled, never began or has set batches aside; what is done is not redone.

    Of any number who retry at once, one run begins. Raises JobError for a job that runs or has succeeded.
    """
    store, job = _job(job_id, settings, output)
    runner = runner or runner_of(settings or _defaults(), job.runner)
    job = without_the_dead(job, store, runner)
    incomplete = job.status == Status.SUCCEEDED and bool((finished_report(home_of(job)) or {}).get("failed_batches"))
    if job.status == Status.SUCCEEDED and not incomplete:
        raise JobError(f"job {job.id} has succeeded; there is nothing to retry")
    if job.status == Status.RUNNING:
        raise JobError(f"job {job.id} is running (attempt {job.attempts}); cancel it first")
    if job.status == Status.SUBMITTED and job.runs and not runner.has_ended(job, store.lease_left(job.id)):
        raise JobError(f"job {job.id} is waiting for {job.runs[-1]} to begin; there is nothing to retry yet")
    if job.status in (Status.FAILED, Status.CANCELLED) or incomplete:
        left = store.lease_left(job.id)
        if left > 0 and not runner.has_ended(job, left):
            raise JobError(f"job {job.id} is {job.status}, but its run has not ended yet; try again in some seconds")
        if finish(job, store, who=who or person()):
            return store.get(job.id)
        if not home_of(job).exists(job.source_name):
            raise JobError(
                f"job {job.id} cannot be run again, its copy of the file is gone: "
                f"{home_of(job).uri_of(job.source_name)}; submit {job.source_uri} anew"
            )
        values = {"lease_owner": None, "lease_until": None, "error": None, "finished_at": None}
        if not store.change(
            job.id, [job.status], Status.SUBMITTED, who=who or person(), note="retry", seen=job, **values
        ):
            raise JobError(f"job {job.id} was changed by somebody else at the same moment; look at its status")
    _start(job, store, runner)
    return store.get(job.id)


def _start(job: ImportJob, store: JobStore, runner: JobRunner) -> None:
    run = runner.start(job, store)
    if run is not None:
        store.note_run(job.id, run)


def _status(job: ImportJob, store: JobStore, reader: ProgressReader) -> JobStatus:
    progress = reader.read(attempt=job.attempts) if job.status != Status.SUCCEEDED else None
    if job.status == Status.SUCCEEDED:
        counts = {"categorized": job.categorized or 0, "review": job.review or 0, "rejected": job.rejected or 0}
        done = job.rows or 0
        return JobStatus(job, job.status, Progress(rows=done, rows_done=done, outcomes=counts))
    if job.status == Status.SUBMITTED:
        return JobStatus(job, "waiting", Progress())
    if job.status != Status.RUNNING:
        if job.status == Status.CANCELLED and 0 < store.lease_left(job.id) <= LEASE_SECONDS:
            return JobStatus(job, "stopping", progress or Progress())
        return JobStatus(job, job.status, progress.at_rest() if progress else Progress())
    if progress is None:
        return JobStatus(job, "reading", Progress())
    return JobStatus(job, "joining" if progress.succeeded == progress.batches else "categorizing", progress)


def _job(job_id: str, settings: Settings | None, output: str) -> tuple[JobStore, ImportJob]:
    return job_named(job_id, settings=settings or _defaults(), output=output)


def _profile(customer: str, profile: str, columns: str) -> Profile:
    own = customer if (PROFILES / f"{customer}.toml").is_file() else ""
    return profile_of(profile or own, columns=columns)


def _defaults() -> Settings:
    return all_settings.settings_of(all_settings.parse(""))


if __name__ == "__main__":
    from lib.importjobs.commands import main

    main()
