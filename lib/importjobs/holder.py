"""The first process of a submitted job's local run: it holds the job, and tells the store how the run ended.

It renews the job's lease while the tasks, its children, work.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lib import processes
from lib.errors import CatalogError, ShelfsortError
from lib.importjobs import sharing
from lib.importjobs.runs import ATTEMPT_VARIABLE, store_of

# Everything else where it is used, as a run without a submitted job needs none of it.
if TYPE_CHECKING:
    from lib.importjobs.job import Attempt, ImportJob
    from lib.importjobs.store import JobStore

RENEW_SECONDS = 2.0
# How long Metaflow may take to end its tasks when a run is stopped.
STOP_SECONDS = 15


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
    from lib.importjobs.store import LEASE_SECONDS
    from lib.planning import valid_job_id

    try:
        job_id = valid_job_id(job_id)
        store = store_of(config, dict(_options(sys.argv)).get("--output", "results"))
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


class _Holder:
    """Holds a job for as long as its run lasts."""

    def __init__(self, store: "JobStore", attempt: "Attempt") -> None:
        self._store = store
        self._attempt = attempt
        self._ended = threading.Event()
        self._why = "a task ended without saying why; see its log"

    def run(self, flow: Callable[[], Any]) -> None:
        from lib.importjobs.store import STORE_VARIABLE

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
        from lib.importjobs.store import LEASE_SECONDS

        sure_until = time.monotonic() + LEASE_SECONDS
        while not self._ended.wait(RENEW_SECONDS):
            asked = time.monotonic()
            try:
                ours = self._store.renew(self._attempt)
                if not ours and self._store.holds(self._attempt):
                    return  # the last task has recorded its success, and draws its card
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
        from lib.importjobs.job import Status
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


def _options(arguments: list[str]) -> list[tuple[str, str]]:
    """--name value and --name=value of a command line."""
    pairs = [(one.partition("=")[0], one.partition("=")[2]) for one in arguments if one.startswith("--") and "=" in one]
    following = pairwise(arguments)
    return pairs + [(one, after) for one, after in following if one.startswith("--") and "=" not in one]
