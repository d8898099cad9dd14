"""The compiled template, every container's own command run in order: an import on it is the same as a local one."""

from collections.abc import Iterator

import pytest

from lib.batching import batch_count
from lib.importjobs.job import ImportJob, Status
from tests.deploy.cluster import Imports, Outcome, differences
from tests.deploy.walk import Workflow
from tests.flow.running import SAMPLE


@pytest.fixture(autouse=True)
def _reached(imports: Imports) -> Iterator[None]:
    with imports.reached():
        yield


def test_an_import_on_the_deployment_gives_what_a_local_run_gives(
    imports: Imports, undisturbed: tuple[ImportJob, Workflow], at_home: Outcome
) -> None:
    job, _ = undisturbed
    found = imports.outcome(job.id)
    assert found.report["rows"] == found.tables["rows.parquet"].num_rows == 502
    assert len(found.catalog) == found.report["categorized"] + found.report["review"]
    assert differences(found, at_home) == []


def test_every_container_of_the_template_ran_once_and_each_batch_in_a_pod_of_its_own(
    imports: Imports, undisturbed: tuple[ImportJob, Workflow]
) -> None:
    _, workflow = undisturbed
    ran = [(pod.template, pod.item) for pod in workflow.pods]
    batches = [("categorize", str(number)) for number in range(3)]
    assert sorted(ran, key=str) == sorted(
        [("start", None), *batches, ("join", None), ("load-catalog", None), ("end", None)], key=str
    )
    containers = {part["name"] for part in imports.template["spec"]["templates"] if part.get("container")}
    # Metaflow's hook for errors has nothing to do; test_faults.py runs it.
    assert containers - {template for template, _ in ran} == {"error-msg-capture-hook"}


def test_the_job_store_knows_that_it_succeeded_and_by_which_run(
    imports: Imports, undisturbed: tuple[ImportJob, Workflow]
) -> None:
    job, workflow = undisturbed
    assert (job.status, job.attempts, job.error, job.lease_owner) == (Status.SUCCEEDED, 1, None, None)
    assert job.runs == (f"CategorizeFlow/argo-{workflow.name}",)
    report = imports.outcome(job.id).report
    assert (job.rows, job.categorized, job.review, job.rejected) == tuple(
        report[name] for name in ("rows", "categorized", "review", "rejected")
    )


def test_pods_leave_nothing_of_the_job_on_their_own_disks(
    imports: Imports, undisturbed: tuple[ImportJob, Workflow]
) -> None:
    _, workflow = undisturbed
    left = [path for pod in workflow.pods for path in (pod.folder / "tmp").rglob("*") if path.is_file()]
    assert {path.name for path in left} == {"mf-input-paths"}


def test_the_deployment_for_small_files_makes_one_batch_of_what_the_other_would_fan_out(
    imports: Imports, small_imports: Imports, undisturbed: tuple[ImportJob, Workflow]
) -> None:
    config = "[batches]\nrows_at_least = 100\n"
    assert (
        batch_count(502, cores=imports.template["spec"]["parallelism"], settings=imports.settings(config).batches) == 3
    )
    job = small_imports.submit(SAMPLE, config=config)
    workflow = small_imports.walk(job)
    ran = [pod.template for pod in workflow.pods]
    assert ran == ["start", "categorize", "join", "load-catalog", "end"], workflow.log()
    assert small_imports.job(job.id).status == Status.SUCCEEDED
    found = differences(small_imports.outcome(job.id), small_imports.outcome(undisturbed[0].id))
    # The source's languages are told from a sample of each batch's names.
    assert found == ["report.batches", "report.source"]
