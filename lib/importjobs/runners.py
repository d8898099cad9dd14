"""Where jobs run: on this machine (`local`), or as the workflow that was deployed to Argo (`argo`)."""

import os
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from lib import processes
from lib.errors import JobError
from lib.importjobs.job import ImportJob
from lib.importjobs.sharing import LARGE_BYTES
from lib.importjobs.store import STORE_VARIABLE, JobStore
from lib.settings import ROOT, Settings
from lib.storage import is_s3

FLOW = ROOT / "flows" / "categorize.py"
LOG_FILE = "run.log"


class JobRunner(Protocol):
    """What the jobs' functions need of a place where jobs run."""

    def start(self, job: ImportJob, store: JobStore) -> str | None:
        """Have a submitted job run, without waiting for it; gives the run's pathspec where it is known already."""

    def stop(self, job: ImportJob) -> None:
        """Have the run of a job that was cancelled end, where it does not notice by itself."""

    def has_ended(self, job: ImportJob, lease_left: float) -> bool:
        """Whether nothing runs the job any more, though the store says so."""


class LocalRunner:
    """Runs each job as `flows/categorize.py run --job-id UUID`, in a session of its own.

    The flow's own command line and not Metaflow's Runner, which would be one more process that has to stay: what is
    started here outlives the shell, the web server or the ssh session that submitted it. The run holds the job's lease
    (lib/importjobs/holder.py), notices within seconds that it was cancelled, and tells the store how it ended.
    """

    def __init__(self, catalog_url: str = "") -> None:
        self._catalog_url = catalog_url

    def start(self, job: ImportJob, store: JobStore) -> str | None:
        # By the environment, as other users of the machine can read a command line; URLs may hold a password.
        environment = os.environ | {STORE_VARIABLE: store.url.render_as_string(hide_password=False)}
        if self._catalog_url:
            environment["SHELFSORT_DATABASE_URL"] = self._catalog_url
        log = log_path(job)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                process = subprocess.Popen(
                    [sys.executable, str(FLOW), "run", "--job-id", job.id],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise JobError(f"{log}: {error.strerror or error}; job {job.id} was not started, `retry` it") from None
        # In a server that lives on, somebody has to bury it.
        threading.Thread(target=process.wait, daemon=True).start()
        return None

    def stop(self, job: ImportJob) -> None:
        pass  # its run sees that it was cancelled when it next renews its lease

    def has_ended(self, job: ImportJob, lease_left: float) -> bool:
        return lease_left <= 0 or (job.lease_owner is not None and processes.has_ended(job.lease_owner))


class ArgoRunner:
    """Triggers the deployed template through Metaflow's API with the job's UUID; pods read all else from the store.

    `template_small` is another one for files that are not large (sharing.LARGE_BYTES), '' for none.
    """

    def __init__(
        self, template: str, *, template_small: str = "", deployed: Callable[[str], Any] | None = None
    ) -> None:
        self._template = template
        self._template_small = template_small
        self._deployed = deployed or _deployed

    def start(self, job: ImportJob, store: JobStore) -> str | None:
        # Pods reach neither a file of this machine nor a folder on it.
        if store.url.get_backend_name() == "sqlite":
            raise JobError(f"{store.where}: pods cannot reach it; name a PostgreSQL database for runner = 'argo'")
        if not is_s3(job.output_uri):
            raise JobError(f"{job.output_uri}: pods cannot reach it; give an --output on S3 for runner = 'argo'")
        with _argo_errors(f"job {job.id} was not started, `retry` it"):
            return str(self._deployed(self._template_of(job)).trigger(job_id=job.id).pathspec)

    def stop(self, job: ImportJob) -> None:
        if run := self._run(job):
            still = f"job {job.id} is cancelled, but its workflow {job.runs[-1]} may still run"
            with _argo_errors(still):
                # Also False for one that has ended already.
                if not run.terminate() and _is_running(run):
                    raise JobError(f"{still}: Metaflow could not terminate it; cancel again, or `argo terminate` it")

    def has_ended(self, job: ImportJob, lease_left: float) -> bool:
        run = self._run(job)
        with _argo_errors(f"whether job {job.id} still runs cannot be told"):
            return run is not None and not _is_running(run)

    def _run(self, job: ImportJob) -> Any:
        if not job.runs:
            return None
        # Where several were triggered, the one that has begun the job; the others end by themselves.
        run_id = (job.lease_owner if job.lease_owner in job.runs else job.runs[-1]).partition("/")[2]
        with _argo_errors(f"the workflow of job {job.id} cannot be reached"):
            template = self._template_of(job)
            return self._deployed(template).get_triggered_run(template, run_id)

    def _template_of(self, job: ImportJob) -> str:
        return self._template_small if self._template_small and job.source_bytes <= LARGE_BYTES else self._template


def runner_of(settings: Settings, name: str, *, argo: type[ArgoRunner] = ArgoRunner) -> JobRunner:
    """The runner of this name (settings.JobSettings.runner)."""
    if name == "argo":
        return argo(settings.jobs.template, template_small=settings.jobs.template_small)
    return LocalRunner(settings.catalog_url)


def log_path(job: ImportJob) -> Path:
    """What a local run prints: in the job's folder, or this machine's temporary one when that is on S3."""
    if is_s3(job.output_uri):
        return Path(tempfile.gettempdir()) / f"shelfsort-{job.id}.log"
    return Path(job.output_uri) / job.id / LOG_FILE


def _deployed(template: str) -> Any:
    return _Deployed(template)


class _Deployed:
    """What is asked of Metaflow's ArgoWorkflowsDeployedFlow, without what that leaves behind."""

    def __init__(self, template: str) -> None:
        self._template = template

    def trigger(self, **parameters: str) -> Any:
        from metaflow.plugins.argo.argo_workflows_deployer_objects import ArgoWorkflowsDeployedFlow

        return _tidy(ArgoWorkflowsDeployedFlow.from_deployment(self._template)).trigger(**parameters)

    def get_triggered_run(self, template: str, run_id: str) -> Any:
        from metaflow.plugins.argo.argo_workflows_deployer_objects import ArgoWorkflowsDeployedFlow

        return _tidy(ArgoWorkflowsDeployedFlow.get_triggered_run(template, run_id))


def _tidy(made: Any) -> Any:
    """Metaflow's object without its commands' output in ours, and without the flow file that it keeps for ever."""
    made.deployer.show_output = False
    weakref.finalize(made, Path(made.deployer.flow_file).unlink, missing_ok=True)
    return made


def _is_running(run: Any) -> bool:
    try:
        return bool(run.is_running)
    except Exception as error:
        # Argo keeps a workflow that has ended only for a while.
        if "No execution found" in str(error):
            return False
        raise


@contextmanager
def _argo_errors(what: str) -> Iterator[None]:
    """Turn whatever Metaflow, Kubernetes or HTTP raise into one line."""
    try:
        yield
    except JobError:
        raise
    except Exception as error:
        raise JobError(f"{what}: {error}") from error
