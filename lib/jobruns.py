"""A submitted job's run, from within: the lease that its first process holds, what it is to do, and how it ended.

Locally the process of `run` holds the job and renews its lease while the tasks, its children, work. On Argo no process
lives as long as the run: the first step begins the job, without a lease, and the workflow's exit handler ends it
(workflowend.py); should that be lost too, Argo is asked whether it still runs.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lib import processes, settings, sharing
from lib.entry import one_line_errors
from lib.errors import CatalogError, JobError, ShelfsortError

# Everything else where it is used: each task is a fresh process, and most need little of it.
if TYPE_CHECKING:
    from datetime import datetime

    from lib.importjob import Attempt, ImportJob
    from lib.jobstore import JobStore
    from lib.planning import ImportPlan
    from lib.profiles import Profile

# UUID:NUMBER of the attempt, in the environment of a local run's tasks.
ATTEMPT_VARIABLE = "SHELFSORT_ATTEMPT"
RENEW_SECONDS = 2.0
# How long Metaflow may take to end its tasks when a run is stopped.
STOP_SECONDS = 15
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


def order_of(*, source: str, output: str, job_id: str, profile: str, columns: str, config: Any, run: str) -> Order:
    """What the run is to do; with a job's UUID and no source, what was submitted under it.

    Raises JobError when there is no such job or it may not be begun.
    """
    from lib.profiles import Profile, profile_of

    if source or not job_id:
        told = profile_of(profile, columns=columns)
        return Order(source, output, job_id, told, settings.settings_of(config).model_dump(mode="json"), profile)
    from lib.importjob import Attempt
    from lib.planning import valid_job_id
    from lib.storage import folder

    job_id = valid_job_id(job_id)
    store = _store(config, output)
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
        store = _store(config)
        store.note_run(attempt.job_id, run)
        store.note(attempt, model_version=plan.model["version"])
        if ATTEMPT_VARIABLE in os.environ and len(plan.batches) > 1:
            sharing.step_aside(os.getppid())


def succeeded(attempt: "Attempt | None", report: dict[str, Any], *, config: Any) -> None:
    """Record that a submitted job's results are complete."""
    if attempt is not None:
        from lib.importjob import Status
        from lib.reporting import catalog_account

        counts = {name: report[name] for name in ("rows", "categorized", "review", "rejected")}
        values = counts | {"error": None, "lease_owner": None, "lease_until": None}
        _store(config).change(
            attempt.job_id,
            [Status.RUNNING],
            Status.SUCCEEDED,
            who="run",
            note=f"in the catalog: {catalog_account(report['catalog'])}",
            attempt=attempt.number,
            **values,
        )


def job_step(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a step of CategorizeFlow (below @step): errors are one line, and a submitted job's store hears of it.

    The FENCED steps do not begin when another run has the job or it was cancelled.
    """

    @wraps(function)
    def wrapped(flow: Any, *inputs: Any) -> Any:
        try:
            attempt = _attempt(flow, inputs)
            if attempt is not None and function.__name__ in FENCED and not _store(flow.config).holds(attempt):
                raise JobError(
                    f"job {attempt.job_id} was cancelled or is another run's; this one (attempt {attempt.number}) ends"
                )
            with _worker(flow, function.__name__):
                return function(flow, *inputs)
        except Exception as error:
            line = _tell(flow, inputs, error)
            if function.__name__ in CAUGHT:
                print(f"Shelfsort: batch {flow.input.number}: {line}", file=sys.stderr)
            raise

    return one_line_errors(wrapped)


def submitted_job(arguments: list[str]) -> str:
    """The UUID in a command line that runs a submitted job: `run --job-id UUID` without a source; else ''."""
    if "run" not in arguments:
        return ""
    given = dict(_options(arguments))
    return "" if given.get("--source") else given.get("--job-id", "")


def hold(job_id: str, flow: Callable[[], Any], *, config: Any) -> None:
    """Begin a submitted job, run the flow's command line with the job's lease, and tell the store how it ended.

    Ends the process with one line when the job may not be begun.
    """
    from lib.jobstore import LEASE_SECONDS
    from lib.planning import valid_job_id

    try:
        job_id = valid_job_id(job_id)
        store = _store(config, dict(_options(sys.argv)).get("--output", "results"))
        attempt = store.begin(job_id, owner=processes.identity(), seconds=LEASE_SECONDS)
        _take_share(store.get(job_id))
    except ShelfsortError as error:
        sys.exit(f"Shelfsort: {error}")
    _Holder(store, attempt).run(flow)


def _take_share(job: "ImportJob") -> None:
    """Keep the run that this process begins to its job's share of the machine."""
    if most := job.settings.get("jobs", {}).get("workers", 0):
        os.environ["METAFLOW_RUN_MAX_WORKERS"] = f"{min(most, processes.cores())}"
    if job.source_bytes > sharing.LARGE_BYTES:
        sharing.step_aside(os.getpid())


@contextmanager
def _worker(flow: Any, step: str) -> Iterator[None]:
    """One of the machine's workers, for a batch of a local job that has several."""
    if step == "categorize" and ATTEMPT_VARIABLE in os.environ and len(flow.plan.batches) > 1:
        with sharing.worker(flow.plan.job_id):
            yield
    else:
        yield


class _Holder:
    """Holds a job for as long as its run lasts."""

    def __init__(self, store: "JobStore", attempt: "Attempt") -> None:
        self._store = store
        self._attempt = attempt
        self._ended = threading.Event()
        self._why = "a task ended without saying why; see its log"

    def run(self, flow: Callable[[], Any]) -> None:
        from lib.jobstore import STORE_VARIABLE

        mark = f"{self._attempt.job_id}:"
        # Of a run whose first process was killed, tasks may still be at work on this machine.
        processes.end_marked(ATTEMPT_VARIABLE, mark)
        os.environ[ATTEMPT_VARIABLE] = f"{mark}{self._attempt.number}"
        os.environ[STORE_VARIABLE] = self._store.url.render_as_string(hide_password=False)
        # A shell without job control has its background processes ignore it, and it is how the run is stopped.
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._interrupt)
        threading.Thread(target=self._renew, daemon=True).start()
        code: Any = 1
        try:
            flow()
            code = 0
        except SystemExit as ended:
            code = ended.code
        except KeyboardInterrupt:
            pass
        except OSError as error:
            # Metaflow says all else itself; this is when it cannot even do that, as on a full disk.
            self._why = f"its log or its records could not be written: {error.strerror or error}"
        finally:
            # It is over: nothing may interrupt the rest.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._ended.set()
            self._conclude()
        sys.exit(code)

    def _interrupt(self, _number: int, _frame: object) -> None:
        self._why = "its run was stopped"
        raise KeyboardInterrupt

    def _renew(self) -> None:
        """Renew the lease; stop the run when the job is no longer its own, or may soon not be."""
        from lib.jobstore import LEASE_SECONDS

        sure_until = time.monotonic() + LEASE_SECONDS
        while not self._ended.wait(RENEW_SECONDS):
            asked = time.monotonic()
            try:
                ours = self._store.renew(self._attempt)
                sure_until = asked + LEASE_SECONDS if ours else asked
            except CatalogError:
                ours = asked + 2 * RENEW_SECONDS < sure_until  # the store may answer next time
            if not ours:
                os.kill(os.getpid(), signal.SIGINT)
                if not self._ended.wait(STOP_SECONDS):
                    self._conclude()
                    os._exit(1)
                return

    def _conclude(self) -> None:
        """End what is left of the run, and leave the job in a state from which `retry` goes on."""
        from lib.importjob import Status
        from lib.storage import folder

        processes.end_marked(ATTEMPT_VARIABLE, f"{self._attempt.job_id}:")
        sharing.forget(self._attempt.job_id)
        try:
            job = self._store.get(self._attempt.job_id)
            if job.status == Status.SUCCEEDED or job.attempts != self._attempt.number:
                return
            folder(folder(job.output_uri).uri_of(job.id)).clear_unfinished()
            why = job.error or self._why
            if job.status == Status.RUNNING:
                self._store.change(
                    job.id, [Status.RUNNING], Status.FAILED, who="run", note=why, attempt=job.attempts, error=why
                )
            self._store.release(self._attempt)
        except ShelfsortError as error:
            print(f"Shelfsort: {error}; the job's lease runs out by itself", file=sys.stderr)


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
    from lib.importjob import Attempt

    held, _, number = os.environ.get(ATTEMPT_VARIABLE, "").partition(":")
    try:
        attempt = Attempt(held, int(number)) if held else _attempt(flow, inputs)
        if attempt is not None:
            _store(flow.config).note(attempt, error=line)
    except ShelfsortError as unheard:
        print(f"Shelfsort: {unheard}", file=sys.stderr)
    return line


def _store(config: Any, output: str = "results") -> "JobStore":
    """The store that the run was started with, or the one of its settings."""
    from lib.jobstore import JobStore, store_url

    return JobStore(store_url(settings.settings_of(config), output))


def _options(arguments: list[str]) -> list[tuple[str, str]]:
    """--name value and --name=value of a command line."""
    pairs = [(one.partition("=")[0], one.partition("=")[2]) for one in arguments if one.startswith("--") and "=" in one]
    following = pairwise(arguments)
    return pairs + [(one, after) for one, after in following if one.startswith("--") and "=" not in one]
