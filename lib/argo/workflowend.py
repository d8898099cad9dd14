"""What the exit handler of a workflow that did not succeed runs: the job is recorded as failed, whatever happened.

python -m lib.argo.workflowend JOB-ID-AS-ARGO-HAS-IT-IN-BASE64

A workflow that succeeded has told the store in its last step. One that failed may have ended before its first step
began the job, in a pod that was killed, or after its results were complete; so store and job's folder are asked.
"""

import base64
import binascii
import json
import os
import sys
from collections.abc import Mapping, Sequence

from lib.errors import ShelfsortError
from lib.importjobs.ends import finish
from lib.importjobs.job import Attempt, ImportJob, Status
from lib.importjobs.store import JobStore, store_url
from lib.planning import valid_job_id
from lib.settings import parse, settings_of

# In the environment of Metaflow's exit handler.
WORKFLOW_VARIABLE = "METAFLOW_WORKFLOW_NAME"
FAILURES_VARIABLE = "METAFLOW_ARGO_WORKFLOW_FAILURES"
FLOW = "CategorizeFlow"


def main(arguments: Sequence[str]) -> int:
    """Record a workflow's end; 0 when that is done or there is nothing to record, else 1, to be tried again."""
    try:
        job_id = _job_id(arguments[0])
    except (IndexError, ShelfsortError) as error:
        print(f"Shelfsort: the workflow was for no job ({error})")
        return 0
    try:
        settings = settings_of(parse(""))
        store = JobStore(store_url(settings, "s3://"))
        run = f"{FLOW}/argo-{os.environ[WORKFLOW_VARIABLE]}"
        print(f"Shelfsort: {record_end(store, job_id, run=run, said=first_failure(os.environ))}")
    except ShelfsortError as error:
        print(f"Shelfsort: {error}", file=sys.stderr)
        return 1
    return 0


def record_end(store: JobStore, job_id: str, *, run: str, said: str = "") -> str:
    """Record that a run (its pathspec) is over and did not succeed; gives what became of the job, as a sentence.

    Nothing is changed when the job is another run's. `said` is what Argo says of the failure. Raises a ShelfsortError
    when there is no such job, or the store or the job's folder cannot be reached.
    """
    job = store.get(job_id)
    if not _is_ours(job, run):
        return f"job {job.id} is {job.status} and not this run's; it stays so"
    if job.status not in (Status.SUBMITTED, Status.RUNNING):
        store.release(Attempt(job.id, job.attempts))
        return f"job {job.id} is {job.status}"
    if finish(job, store, who="exit handler"):
        return f"job {job.id} has succeeded: all results were there"
    why = "; ".join(part for part in (job.error, said) if part) or "its workflow ended without saying why"
    changed = store.change(
        job.id, [job.status], Status.FAILED, who="exit handler", note=why, seen=job, error=why, lease_owner=None,
        lease_until=None,
    )  # fmt: skip
    return f"job {job.id} has failed: {why}" if changed else f"job {job.id} was changed meanwhile; it stays so"


def _is_ours(job: ImportJob, run: str) -> bool:
    """Whether a job's latest attempt is this run, or would have been, had its first step begun it."""
    if job.status == Status.SUBMITTED:
        return job.runs[-1:] in ((), (run,))
    return job.lease_owner == run


def first_failure(environment: Mapping[str, str]) -> str:
    """What Argo says of the first failed pod, where that is more than an exit code of our own; '' for nothing."""
    try:
        # A list written as JSON, in a string of JSON.
        failures = json.loads(json.loads(environment.get(FAILURES_VARIABLE, '"[]"'), strict=False), strict=False)
        told = [(str(one["templateName"]), str(one["message"])) for one in failures if one.get("message")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    known = ("Error (exit code 1)", "No more retries left", "child ")
    return next((f"Argo says of {step}: {said}" for step, said in told if not said.startswith(known)), "")


def _job_id(encoded: str) -> str:
    """The job's UUID from the workflow's parameter, which Metaflow writes as JSON; SettingsError for anything else."""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = encoded
    return valid_job_id(text.strip('"') or "none given")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
