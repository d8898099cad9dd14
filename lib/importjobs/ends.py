"""Jobs whose run did not live to say how it ended: what became of them is found out, and recorded."""

from typing import Any

from lib.errors import JobError, SettingsError
from lib.importjobs.job import ImportJob, Status
from lib.importjobs.runners import JobRunner
from lib.importjobs.store import JobStore, store_url
from lib.planning import valid_job_id
from lib.results import REPORT_FILE, read_report
from lib.settings import Settings
from lib.shards import SHARDS
from lib.storage import Folder, folder

GONE = "its run is gone: it was killed, or its machine went down"


def job_named(job_id: str, *, settings: Settings, output: str) -> tuple[JobStore, ImportJob]:
    """The job by what a person gives as its UUID, and the store that has it; JobError when there is none."""
    store = JobStore(store_url(settings, output))
    if not job_id:
        raise JobError("name a job by its UUID; `list` shows them")
    try:
        return store, store.get(valid_job_id(job_id))
    except SettingsError:
        raise JobError(f"{job_id!r} is not the UUID of a job; `list` shows them") from None


def home_of(job: ImportJob) -> Folder:
    """The job's folder."""
    return folder(folder(job.output_uri).uri_of(job.id))


def without_results(job: ImportJob) -> JobError:
    """What to say of a job whose results are not in its folder."""
    if job.status == Status.SUCCEEDED:
        return JobError(
            f"job {job.id} has succeeded, but its results are no longer in {home_of(job).uri}; "
            f"submit {job.source_uri} with --again"
        )
    return JobError(f"job {job.id} is {job.status} and has no results yet")


def finished_report(home: Folder) -> dict[str, Any] | None:
    """The report.json in a job's folder; None when it is not there, or not whole."""
    if not home.exists(REPORT_FILE):
        return None
    try:
        return read_report(home)
    except ValueError:
        return None


def without_the_dead(job: ImportJob, store: JobStore, runner: JobRunner) -> ImportJob:
    """The job, failed (or succeeded) where the store says that it runs and nothing runs it."""
    if job.status != Status.RUNNING or not runner.has_ended(job, store.lease_left(job.id)):
        return job
    seen = store.get(job.id)
    if (seen.attempts, seen.lease_owner) == (job.attempts, job.lease_owner) and not finish(seen, store, who="run"):
        why = seen.error or GONE
        store.change(
            job.id, [Status.RUNNING], Status.FAILED, who="store", note=why, seen=seen, error=why, lease_owner=None,
            lease_until=None,
        )  # fmt: skip
    return store.get(job.id)


def finish(job: ImportJob, store: JobStore, *, who: str) -> bool:
    """Whether a job that did not end as it should has all its results, and so has succeeded; the rest is cleared away.

    The report is written last and removed first, so where it is everything is, but for batches that were set aside.
    """
    home = home_of(job)
    report = finished_report(home)
    if report is None or report.get("failed_batches"):
        return False
    home.clear_unfinished()
    if not job.settings.get("keep_shards"):
        home.delete(SHARDS)
    counts = {name: report[name] for name in ("rows", "categorized", "review", "rejected")}
    values = counts | {"error": None, "lease_owner": None, "lease_until": None}
    note = "all results were there already"
    return store.change(job.id, [job.status], Status.SUCCEEDED, who=who, note=note, seen=job, **values)
