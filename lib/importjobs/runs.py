"""A submitted job's run, from within: what it is to do, and what the store hears of its steps.

Locally the process of `run` holds the job and renews its lease (holder.py). On Argo no process
lives as long as the run: the first step begins the job, without a lease, and the workflow's exit handler ends it
(argo/workflowend.py); should that be lost too, Argo is asked whether it still runs.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import settings
from lib.errors import JobError, ShelfsortError
from lib.importjobs import sharing
from lib.refusing import one_line_errors

# Everything else where it is used: each task is a fresh process, and most need little of it.
if TYPE_CHECKING:
    from datetime import datetime

    from lib.importjobs.job import Attempt
    from lib.importjobs.store import JobStore
    from lib.planning import ImportPlan
    from lib.profiles import Profile

# UUID:NUMBER of the attempt, in the environment of a local run's tasks.
ATTEMPT_VARIABLE = "SHELFSORT_ATTEMPT"
# Steps that change what others see, and so must not run for a job that is no longer theirs.
FENCED = ("load_catalog", "end")
# Steps whose errors do not end the run, so that nothing else prints them.
CAUGHT = ("categorize",)


@dataclass(frozen=True)
class Order:
    """What a run is to do: from the command line, or from the store for a submitted job."""

    source: str
    output: str
    job_id: str
    profile: "Profile"
    settings: dict[str, Any]
    customer: str = ""  # whose products they are; '' where nobody said
    attempt: "Attempt | None" = None  # of a submitted job
    submitted_at: "datetime | None" = None


def order_of(
    *,
    source: str,
    output: str,
    job_id: str,
    profile: str = "",
    columns: str = "",
    model: str = "",
    config: Any,
    run: str,
) -> Order:
    """What the run is to do; with a job's UUID and no source, what was submitted under it.

    `model` is the folder of the categorizer in place of the settings', from where the command was given, or a URI.
    Raises JobError when there is no such job, it may not be begun, or it is told what submitting decided.
    """
    from lib.profiles import Profile, profile_of

    if source or not job_id:
        told, chosen = profile_of(profile, columns=columns), settings.settings_of(config)
        if model:
            chosen = chosen.model_copy(update={"model": model if "://" in model else str(Path(model).resolve())})
        return Order(source, output, job_id, told, chosen.model_dump(mode="json"), profile)
    given = [flag for flag, value in (("profile", profile), ("columns", columns), ("model", model)) if value]
    if given:
        raise JobError(
            f"--{given[0]} comes too late: job {job_id} keeps what it was submitted with; submit the file again"
        )
    from lib.importjobs.job import Attempt
    from lib.planning import valid_job_id
    from lib.storage import folder

    job_id = valid_job_id(job_id)
    store = store_of(config, output)
    held, _, number = os.environ.get(ATTEMPT_VARIABLE, "").partition(":")
    attempt = Attempt(job_id, int(number)) if held == job_id else store.begin(job_id, owner=run, seconds=None)
    job = store.get(job_id)
    place = folder(folder(job.output_uri).uri_of(job.id))
    url = settings.settings_of(config).database_url
    return Order(
        source=place.uri_of(job.source_name),
        output=job.output_uri,
        job_id=job.id,
        profile=Profile.model_validate(job.profile),
        settings=settings.restored(job.settings, database_url=url),
        customer=job.customer,
        attempt=attempt,
        submitted_at=job.submitted_at,
    )


def planned(plan: "ImportPlan", attempt: "Attempt | None", *, run: str, config: Any) -> None:
    """Say what is going to be done, before the batches: in the job's folder and, of a submitted job, in the store."""
    from lib.progress import announce

    announce(plan, attempt=attempt.number if attempt else 1)
    if attempt is not None:
        store = store_of(config)
        store.note_run(attempt.job_id, run)
        store.note(attempt, model_version=plan.model["version"])
        if ATTEMPT_VARIABLE in os.environ and len(plan.batches) > 1:
            sharing.step_aside(os.getppid())


def succeeded(attempt: "Attempt | None", report: dict[str, Any], *, config: Any) -> None:
    """Record that a submitted job's results are complete; or, without an attempt, that they were corrected."""
    if attempt is None:
        _recount(report, config=config)
    else:
        from lib.importjobs.job import Status
        from lib.reporting import catalog_account

        counts = {name: report[name] for name in ("rows", "categorized", "review", "rejected")}
        values = counts | {"error": None, "lease_owner": None, "lease_until": None}
        store_of(config).change(
            attempt.job_id,
            [Status.RUNNING],
            Status.SUCCEEDED,
            who="run",
            note=f"in the catalog: {catalog_account(report['catalog'])}",
            attempt=attempt.number,
            **values,
        )


def _recount(report: dict[str, Any], *, config: Any) -> None:
    """Where the results are those of a submitted job, the store's counts follow them."""
    from lib.importjobs.job import Status
    from lib.importjobs.submitting import SOURCE_FOLDER
    from lib.results import REPORT_FILE
    from lib.storage import split_uri

    home, _ = split_uri(report["files"][REPORT_FILE])
    if not home.names(f"{SOURCE_FOLDER}/"):
        return  # nobody submitted it
    counts = {name: report[name] for name in ("rows", "categorized", "review", "rejected")}
    note = f"corrected: {counts['rejected']:,} rows are still rejected"
    try:
        store = store_of(config, home.uri.rpartition("/")[0])
        store.change(report["job_id"], [Status.SUCCEEDED], Status.SUCCEEDED, who="run", note=note, **counts)
    except ShelfsortError as error:
        print(f"Shelfsort: the job's counts are those before the correction: {error}", file=sys.stderr)


def job_step(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a step of CategorizeFlow (below @step): errors are one line, and a submitted job's store hears of it.

    The FENCED steps do not begin when another run has the job or it was cancelled.
    """

    @wraps(function)
    def wrapped(flow: Any, *inputs: Any) -> Any:
        try:
            attempt = _attempt(flow, inputs)
            if function.__name__ in FENCED:
                fence(attempt, config=flow.config)()
            with _worker(flow, function.__name__):
                return function(flow, *inputs)
        except Exception as error:
            line = _tell(flow, inputs, error)
            if function.__name__ in CAUGHT:
                print(f"Shelfsort: batch {flow.input.number}: {line}", file=sys.stderr)
            raise

    return one_line_errors(wrapped)


def fence(attempt: "Attempt | None", *, config: Any) -> Callable[[], None]:
    """A function that raises a JobError when a submitted job was cancelled, or is another run's by now."""

    def check() -> None:
        if attempt is not None and not store_of(config).holds(attempt):
            raise JobError(
                f"job {attempt.job_id} was cancelled or is another run's; this one (attempt {attempt.number}) ends"
            )

    return check


@contextmanager
def _worker(flow: Any, step: str) -> Iterator[None]:
    """One of the machine's workers, for a batch of a local job that has several."""
    if step == "categorize" and ATTEMPT_VARIABLE in os.environ and len(flow.plan.batches) > 1:
        with sharing.worker(flow.plan.job_id):
            yield
    else:
        yield


def _attempt(flow: Any, inputs: tuple[Any, ...]) -> "Attempt | None":
    attempt: Attempt | None = getattr(flow, "attempt", None)
    if attempt is None and inputs:
        attempt = inputs[0][0].attempt
    return attempt


def _tell(flow: Any, inputs: tuple[Any, ...], error: Exception) -> str:
    """Note an error with the job, if a submitted one runs; gives it as one line.

    That is not yet the job's end: Argo may try the step again, and who waits for the run's end fails the job.
    """
    line = str(error) if isinstance(error, ShelfsortError) else f"{type(error).__name__}: {error}"
    line = " ".join(line.split())
    if flow.source or not flow.job_id:
        return line
    from lib.importjobs.job import Attempt

    held, _, number = os.environ.get(ATTEMPT_VARIABLE, "").partition(":")
    try:
        attempt = Attempt(held, int(number)) if held else _attempt(flow, inputs)
        if attempt is not None:
            store_of(flow.config).note(attempt, error=line)
    except ShelfsortError as unheard:
        print(f"Shelfsort: {unheard}", file=sys.stderr)
    return line


def store_of(config: Any, output: str = "results") -> "JobStore":
    """The store that the run was started with, or the one of its settings."""
    from lib.importjobs.store import JobStore, store_url

    return JobStore(store_url(settings.settings_of(config), output))
