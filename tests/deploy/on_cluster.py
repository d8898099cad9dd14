"""The same import on a real cluster as on this machine: deploy, submit, wait, compare. `make test-cluster` runs it.

python -m tests.deploy.on_cluster --config mine.toml
python -m tests.deploy.on_cluster --config mine.toml --source products.csv --minutes 60

It needs what `python -m lib.deploy` needs (see README, Deploy), a kubectl that points at a cluster with Argo Workflows
3.6 or newer, and SHELFSORT_DATABASE_URL of a PostgreSQL that this machine reaches as well as the pods. It deploys a
branch of its own (`cluster_test`) beside others', and leaves the deployment and the job's folder to be looked at.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lib import jobs
from lib.deploy import compiled
from lib.errors import ShelfsortError
from lib.importjobs.job import Status
from lib.settings import ROOT, Settings, parse, settings_of
from tests.deploy.cluster import differences, local_outcome, outcome_of

BRANCH = "cluster_test"
SAMPLE = ROOT / "tests" / "golden" / "sample" / "products.csv"
# How long kubectl may take to answer, and between two looks at the job.
ANSWER_SECONDS, LOOK_SECONDS = 10, 5


def main(arguments: Sequence[str]) -> int:
    """0 when the cluster's results equal this machine's, 1 when they differ, 2 when it could not be tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.on_cluster", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="the deployment's settings")
    parser.add_argument("--source", type=Path, default=SAMPLE, help="the product file (the sample)")
    parser.add_argument("--minutes", type=float, default=30, help="how long to wait for the workflow (30)")
    parser.add_argument("--allow-uncommitted", action="store_true", help="deploy what is not committed, too")
    given = parser.parse_args(arguments)
    try:
        settings = settings_of(parse(given.config.read_text("utf-8")))
        problem = _unready(settings)
        if problem:
            return _cannot(problem)
        if not given.source.is_file():
            return _cannot(f"{given.source}: no such file; name a product file with --source")
        flags = ["--allow-uncommitted"] if given.allow_uncommitted else []
        deploy = [sys.executable, "-m", "lib.deploy", "--config", str(given.config), "--branch", BRANCH, *flags]
        if subprocess.run(deploy, check=False, cwd=ROOT).returncode:
            return _cannot("it was not deployed, see above")
        template = compiled(given.config, settings, branch=["--branch", BRANCH])["metadata"]["name"]
        return compared(given.source, given.config, settings, template, minutes=given.minutes)
    except (OSError, ShelfsortError) as error:
        return _cannot(str(error))


def _unready(settings: Settings) -> str:
    """What is missing before anything can be tried, '' for nothing."""
    if not shutil.which("kubectl"):
        return "there is no kubectl; install it and point it at a cluster with Argo Workflows 3.6 or newer"
    asked = ["kubectl", f"--request-timeout={ANSWER_SECONDS}s", "get", "crd", "workflows.argoproj.io", "-o", "name"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        return f"kubectl reaches no cluster with Argo Workflows ({said[0]}); see `kubectl config current-context`"
    if not settings.catalog_url.startswith("postgres"):
        return "set SHELFSORT_DATABASE_URL to the PostgreSQL that the pods use, as this machine reaches it"
    return ""


def compared(source: Path, config: Path, settings: Settings, template: str, *, minutes: float) -> int:
    """Run a file here and there, and say what differs."""
    output = settings.deployment.output
    there = settings.model_copy(
        update={"jobs": settings.jobs.model_copy(update={"runner": "argo", "template": template, "template_small": ""})}
    )
    job = jobs.submit_import(str(source), settings=there, output=output, again=True)
    print(f"job {job.id}: workflow of {template} triggered; meanwhile the same file here", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "flows/categorize.py", "--config", "settings", str(config.resolve())]
        # The catalog of a run on this machine is its own.
        environment = {name: value for name, value in os.environ.items() if name != "SHELFSORT_DATABASE_URL"}
        here = subprocess.run(
            [*command, "run", "--source", str(source.resolve()), "--output", temporary],
            check=False, cwd=ROOT, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        if here.returncode:
            return _cannot(f"the run on this machine failed:\n{here.stdout[-2000:]}")
        until = time.monotonic() + 60 * minutes
        while (seen := jobs.status_of(job.id, settings=there, output=output).job).status in (
            Status.SUBMITTED,
            Status.RUNNING,
        ):
            if time.monotonic() > until:
                return _failed(f"job {job.id} is still {seen.status} after {minutes:g} minutes")
            time.sleep(LOOK_SECONDS)
        if seen.status != Status.SUCCEEDED:
            return _failed(f"job {job.id} has {seen.status}: {seen.error}")
        (home,) = (path.parent for path in Path(temporary).glob("*/report.json"))
        found = differences(outcome_of(output, settings.catalog_url, job.id), local_outcome(home))
    if found:
        return _failed(f"job {job.id} differs from the run on this machine in {', '.join(found)}")
    print(f"job {job.id}: files, tables, report and catalog equal those of the run on this machine")
    return 0


def _cannot(why: str) -> int:
    print(f"not tried: {why}", file=sys.stderr)
    return 2


def _failed(why: str) -> int:
    print(f"FAILED: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
