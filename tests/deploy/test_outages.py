"""Longer faults on the compiled template: a join killed among its files, a database that stays away, a failing batch.

Each story is one job; its workflows are walked once, and the tests read what they left behind.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from lib import jobs
from lib.argo.exithandler import HANDLER, RETRIES
from lib.errors import JobError
from lib.importjobs.job import ImportJob, Status
from lib.importjobs.runners import ArgoRunner
from lib.storage import folder
from tests.deploy.cluster import CSVS, PARQUETS, Imports, differences
from tests.deploy.conftest import THREE
from tests.deploy.walk import KILL, Pod, Workflow
from tests.flow.running import SAMPLE

HUNG = 600.0  # seconds that S3 lets somebody wait who is killed meanwhile
HANDLER_TRIES = 2  # here; a deployment's has more, and each costs seconds


@pytest.fixture(autouse=True)
def _reached(imports: Imports) -> Iterator[None]:
    with imports.reached():
        yield


@dataclass
class Results:
    """Which batches' results were written to S3, counted on the way there by the batches' first rows."""

    written: Counter[int] = field(default_factory=Counter)

    def note(self, method: str, path: str) -> int | None:
        """The first row of the batch whose results are being written; None for any other request."""
        if method != "PUT" or not path.endswith("-results.parquet"):
            return None
        first = int(path.rsplit("-", 3)[1])
        self.written[first] += 1
        return first


@dataclass(frozen=True)
class Outages:
    """A job whose join was killed, then whose database went before the catalog, then before the end was recorded."""

    files: set[str]  # that the killed join had brought to S3
    killed: Workflow
    after_kill: ImportJob
    away: Workflow
    left: ImportJob  # as the store had it when the database came back
    asked: ImportJob  # what `status` then said
    unheard: Workflow
    job: ImportJob
    results: Counter[int]


@pytest.fixture(scope="module")
def outages(imports: Imports, undisturbed: tuple[ImportJob, Workflow]) -> Outages:
    template = copy.deepcopy(imports.template)
    (handler,) = (part for part in template["spec"]["templates"] if part["name"] == HANDLER)
    assert handler["retryStrategy"]["limit"] == RETRIES
    handler["retryStrategy"]["limit"] = HANDLER_TRIES - 1
    imports = replace(imports, template=template)
    with imports.reached():
        job = imports.submit(SAMPLE, config=THREE)
        results = Results()
        killed = _kill_the_join(imports, job, results)
        home = folder(f"{imports.output}/{job.id}")
        files = {name for name in (*CSVS, *PARQUETS, "report.json") if home.exists(name)}
        after_kill = imports.job(job.id)
        imports.retry(job)
        away = _lose_the_database(imports, job, results)
        left = imports.job(job.id)
        asked = _asked_of_argo(imports, job, away)
        imports.retry(job)
        unheard = _lose_the_database_at_the_end(imports, job, results)
        return Outages(files, killed, after_kill, away, left, asked, unheard, imports.job(job.id), results.written)


def _kill_the_join(imports: Imports, job: ImportJob, results: Results) -> Workflow:
    def rule(method: str, path: str) -> int | float | None:
        results.note(method, path)
        return HUNG if method == "PUT" and path.endswith("/review.csv") else None

    def watch(pod: Pod) -> str:
        return KILL if pod.template == "join" and imports.s3.answered[HUNG] else ""

    with imports.s3.failing(rule):
        return imports.walk(job, watch=watch)


def _lose_the_database(imports: Imports, job: ImportJob, results: Results) -> Workflow:
    """Without a database from the batches on, until everything has given up."""

    def rule(method: str, path: str) -> int | float | None:
        results.note(method, path)
        return None

    def watch(pod: Pod) -> str:
        if pod.template == "categorize" and not imports.database.down:
            imports.database.down = True
        return ""

    try:
        with imports.s3.failing(rule):
            return imports.walk(job, watch=watch)
    finally:
        imports.database.down = False


def _lose_the_database_at_the_end(imports: Imports, job: ImportJob, results: Results) -> Workflow:
    """Without a database from the moment in which the report is written, until the exit handler's second try."""

    def rule(method: str, path: str) -> int | float | None:
        results.note(method, path)
        if method == "PUT" and path.endswith("/report.json"):
            imports.database.down = True
        return None

    def watch(pod: Pod) -> str:
        if pod.template == HANDLER and pod.attempt == 1:
            imports.database.down = False
        return ""

    try:
        with imports.s3.failing(rule):
            return imports.walk(job, watch=watch)
    finally:
        imports.database.down = False


def _asked_of_argo(imports: Imports, job: ImportJob, workflow: Workflow) -> ImportJob:
    """What `status` says of a job when Argo knows its workflow."""

    def run_of(template: str, run_id: str) -> Any:
        assert (template, run_id) == ("walked", f"argo-{workflow.name}")
        return SimpleNamespace(is_running=workflow.status == "Running")

    runner = ArgoRunner("walked", deployed=lambda template: SimpleNamespace(get_triggered_run=run_of))
    return jobs.status_of(job.id, settings=imports.settings(""), output=imports.output, runner=runner).job


def test_a_join_killed_among_its_files_fails_the_job_and_none_of_them_is_taken_for_results(
    imports: Imports, outages: Outages
) -> None:
    assert [pod.code for pod in outages.killed.pods_of("join")] == [-9], outages.killed.log()
    assert outages.files
    assert outages.files < {*CSVS, *PARQUETS}
    assert "report.json" not in outages.files
    assert (outages.after_kill.status, outages.after_kill.attempts) == (Status.FAILED, 1)
    assert outages.after_kill.error == "Argo says of join: Error (exit code 137)"


def test_a_database_that_stays_away_fails_every_try_and_leaves_the_job_running_in_the_store(outages: Outages) -> None:
    loads, handlers = outages.away.pods_of("load-catalog"), outages.away.pods_of(HANDLER)
    assert [pod.code for pod in loads] == [1] * 3, outages.away.log()
    assert [pod.code for pod in handlers] == [1] * HANDLER_TRIES, outages.away.log()
    assert all("Shelfsort: postgresql" in pod.printed for pod in (*loads, *handlers))
    assert not any("Traceback" in pod.printed for pod in handlers)
    assert (outages.left.status, outages.left.attempts, outages.left.error) == (Status.RUNNING, 2, None)


def test_status_then_asks_argo_and_records_that_the_job_has_failed(imports: Imports, outages: Outages) -> None:
    assert outages.asked.status == Status.FAILED
    assert outages.asked.error == "its run is gone: it was killed, or its machine went down"
    assert outages.asked.lease_owner is None


def test_an_end_that_the_store_did_not_hear_of_is_recorded_by_the_exit_handler_once_the_database_is_back(
    imports: Imports, outages: Outages
) -> None:
    assert [pod.code for pod in outages.unheard.pods_of("load-catalog")] == [0], outages.unheard.log()
    assert [pod.code for pod in outages.unheard.pods_of("end")] == [1, 1], outages.unheard.log()
    assert [pod.code for pod in outages.unheard.pods_of(HANDLER)] == [1, 0], outages.unheard.log()
    assert (outages.job.status, outages.job.attempts, outages.job.error) == (Status.SUCCEEDED, 3, None)
    last = jobs.events_of(outages.job.id, settings=imports.settings(""), output=imports.output)[-1]
    assert (last["who"], last["note"]) == ("exit handler", "all results were there already")


def test_after_all_outages_everything_is_as_if_nothing_had_happened(
    imports: Imports, outages: Outages, undisturbed: tuple[ImportJob, Workflow]
) -> None:
    assert differences(imports.outcome(outages.job.id), imports.outcome(undisturbed[0].id)) == []
    with pytest.raises(JobError, match="has succeeded; there is nothing to retry"):
        imports.retry(outages.job)


def test_no_batch_was_done_twice_in_three_workflows(imports: Imports, outages: Outages) -> None:
    assert outages.results == {0: 1, 167: 1, 334: 1}
    assert imports.outcome(outages.job.id).report["timing"]["reused_batches"] == [0, 1, 2]


@dataclass(frozen=True)
class Budget:
    """A job that tolerates a failed batch: one always failed, another was killed when its results were just written."""

    first: Workflow
    job_then: ImportJob
    report: dict[str, Any]
    rejected: list[dict[str, str]]
    written: Counter[int]  # batches by their first rows
    second: Workflow
    job: ImportJob
    rewritten: Counter[int]


@pytest.fixture(scope="module")
def budget(imports: Imports) -> Budget:
    with imports.reached():
        job = imports.submit(SAMPLE, config=f"{THREE}failed_at_most = 0.34\n")
        first, written = _lose_batch_1_always(imports, job)
        then = imports.job(job.id)
        where: dict[str, Any] = {"settings": imports.settings(""), "output": imports.output}
        report, rejected = jobs.report_of(job.id, **where), list(jobs.rejected_of(job.id, **where))
        imports.retry(job)
        again = Results()
        with imports.s3.failing(lambda method, path: again.note(method, path) and None):
            second = imports.walk(job)
        return Budget(first, then, report, rejected, written, second, imports.job(job.id), again.written)


def _lose_batch_1_always(imports: Imports, job: ImportJob) -> tuple[Workflow, Counter[int]]:
    """Refuse the results of batch 1, and kill batch 0 while it says that its results, which are there, are written."""
    results = Results()
    said: Counter[str] = Counter()

    def rule(method: str, path: str) -> int | float | None:
        if results.note(method, path) == 167:
            return 500
        if method == "PUT" and "/progress/" in path and path.endswith("-0000.json"):
            said["batch 0"] += 1  # that it has begun, then that it is done
            return HUNG if said["batch 0"] == 2 else None
        return None

    def watch(pod: Pod) -> str:
        hung = (pod.template, pod.item, pod.attempt) == ("categorize", "0", 0) and imports.s3.answered[HUNG]
        return KILL if hung else ""

    with imports.s3.failing(rule):
        return imports.walk(job, watch=watch), results.written


def test_a_batch_that_always_fails_is_set_aside_whole_within_the_budget(imports: Imports, budget: Budget) -> None:
    # An error, unlike a kill, is caught in the last try itself.
    assert [pod.code for pod in budget.first.pods_of("categorize") if pod.item == "1"] == [1, 0], budget.first.log()
    assert budget.first.status == "Succeeded", budget.first.log()
    assert (budget.job_then.status, budget.job_then.attempts) == (Status.SUCCEEDED, 1)
    (failed,) = budget.report["failed_batches"]
    assert (failed["number"], failed["rows"]) == (1, 167)
    assert "500" in failed["reason"] or "InternalError" in failed["reason"], failed
    aside = [row for row in budget.rejected if row["reasons"] == "batch-failed"]
    assert budget.report["reasons"]["batch-failed"] == len(aside) == 167
    assert budget.report["rows"] == 502


def test_a_batch_killed_when_its_results_were_written_is_found_done_by_its_next_try(budget: Budget) -> None:
    assert [pod.code for pod in budget.first.pods_of("categorize") if pod.item == "0"] == [-9, 0], budget.first.log()
    assert budget.report["timing"]["reused_batches"] == [0]
    assert budget.written[0] == budget.written[334] == 1


def test_the_retry_redoes_the_batch_that_was_set_aside_and_no_other(
    imports: Imports, budget: Budget, undisturbed: tuple[ImportJob, Workflow]
) -> None:
    assert budget.second.status == "Succeeded", budget.second.log()
    assert (budget.job.status, budget.job.attempts) == (Status.SUCCEEDED, 2)
    assert budget.rewritten == {167: 1}
    found = imports.outcome(budget.job.id)
    assert found.report["timing"]["reused_batches"] == [0, 2]
    assert differences(found, imports.outcome(undisturbed[0].id)) == []
