"""Faults on the compiled template: whatever happens to a workflow, after a retry the results are those of a quiet one.

Two workflows tell most of it, as a pod costs seconds: the first loses a batch and fails, the second runs the same job
again on an S3 that fails now and then, with the database gone and a kill in the middle of the catalog's transaction.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from lib import jobs
from lib.importjobs.job import ImportJob, Status
from tests.deploy.cluster import Imports, differences
from tests.deploy.conftest import THREE
from tests.deploy.walk import KILL, STOP, Pod, Workflow
from tests.flow.running import SAMPLE

HANDLER = "error-msg-capture-hook"


@pytest.fixture(autouse=True)
def _reached(imports: Imports) -> Iterator[None]:
    with imports.reached():
        yield


@dataclass(frozen=True)
class Story:
    """A job that a first workflow failed at, and a second finished."""

    failed: Workflow
    job_then: ImportJob
    answered: dict[int | float, int]  # by S3's proxy in the second
    finished: Workflow
    job: ImportJob


@pytest.fixture(scope="module")
def story(imports: Imports, undisturbed: tuple[ImportJob, Workflow]) -> Story:
    seed = random.SystemRandom().randrange(10**6)
    life = min(pod.took for pod in undisturbed[1].pods_of("categorize"))
    moment = random.Random(seed).uniform(0, life)
    print(f"seed {seed}: batch 1 is killed after {moment:.2f} of {life:.2f} seconds")
    with imports.reached():
        job = imports.submit(SAMPLE, config=THREE)
        failed = _lose_batch_1(imports, job, moment)
        then = imports.job(job.id)
        imports.retry(job)
        finished, answered = _on_failing_services(imports, job)
        return Story(failed, then, answered, finished, imports.job(job.id))


def _lose_batch_1(imports: Imports, job: ImportJob, moment: float) -> Workflow:
    """Let a batch fail of S3 in its first try, and kill it at a moment in its second, which its S3 keeps waiting."""
    tries: list[int] = []

    def rule(method: str, path: str) -> int | float | None:
        if method == "PUT" and "/shards/" in path and path.endswith("-0000000167-167-results.parquet"):
            return 500 if tries[-1] == 0 else 600.0
        return None

    def watch(pod: Pod) -> str:
        if (pod.template, pod.item) != ("categorize", "1"):
            return ""
        if pod.attempt not in tries:
            tries.append(pod.attempt)
        return KILL if pod.attempt == 1 and pod.seconds > moment else ""

    with imports.s3.failing(rule):
        return imports.walk(job, watch=watch)


def _on_failing_services(imports: Imports, job: ImportJob) -> tuple[Workflow, dict[int | float, int]]:
    """Run it with an S3 that fails every 25th time, without a database, and with a kill within the transaction."""
    lock, asked = threading.Lock(), [0]

    def rule(method: str, path: str) -> int | float | None:
        with lock:
            asked[0] += 1
            return {25: 500, 50: 503, 0: 2.0}.get(asked[0] % 75)

    with held_at(imports, line=300) as writing:

        def watch(pod: Pod) -> str:
            if pod.template != "load-catalog":
                return ""
            if pod.attempt < 2:
                imports.database.down = pod.attempt == 0
                return KILL if writing.is_held() else ""
            writing.let_go()
            return ""

        with imports.s3.failing(rule):
            return imports.walk(job, watch=watch), dict(imports.s3.answered)


_HELD = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


class Writing:
    """A job's rows on their way into the catalog, held by a trigger at one line, in the middle of their transaction."""

    def __init__(self, url: str, line: int) -> None:
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)
        self._holds = True
        self._run(
            "CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$",
            f"CREATE TRIGGER held BEFORE INSERT ON products FOR EACH ROW WHEN (NEW.line = {line}) "
            "EXECUTE FUNCTION held()",
        )

    def is_held(self) -> bool:
        with self._engine.connect() as connection:
            return connection.execute(sa.text(f"SELECT 1 {_HELD}")).first() is not None

    def let_go(self) -> None:
        """End the transaction, as the server does when it notices that its client is gone, and hold no other."""
        if self._holds:
            self._holds = False
            self._run(f"SELECT pg_terminate_backend(pid, 10000) {_HELD}")
            self._run("DROP TRIGGER held ON products", "DROP FUNCTION held")

    def _run(self, *statements: str) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))


@contextmanager
def held_at(imports: Imports, *, line: int) -> Iterator[Writing]:
    writing = Writing(imports.database_url, line)
    try:
        yield writing
    finally:
        writing.let_go()


def test_a_batch_that_fails_on_every_try_fails_the_import_with_one_line_that_names_it(story: Story) -> None:
    tries = [(pod.attempt, pod.code) for pod in story.failed.pods_of("categorize") if pod.item == "1"]
    # Metaflow's try more than there are retries is @catch's, so that the join gets to know.
    assert tries == [(0, 1), (1, -9), (2, 0)], story.failed.log()
    assert story.failed.status == "Failed"
    assert [pod.template for pod in story.failed.pods][-2:] == ["join", HANDLER]
    assert story.job_then.status == Status.FAILED
    assert story.job_then.error is not None
    assert "1 of 3 batches failed, [batches] failed_at_most = 0 tolerates 0: batch 1 (lines " in story.job_then.error
    assert "ended from outside on every try" in story.job_then.error
    assert "the other 2 are kept" in story.job_then.error


def test_the_exit_handler_is_who_records_the_failure(imports: Imports, story: Story) -> None:
    (handler,) = story.failed.pods_of(HANDLER)
    assert handler.code == 0, handler.printed
    events = jobs.events_of(story.job.id, settings=imports.settings(""), output=imports.output)
    statuses = ["submitted", "running", "failed", "submitted", "running", "succeeded"]
    assert [event["after"] for event in events] == statuses
    assert (events[2]["attempt"], events[2]["who"]) == (1, "exit handler")


def test_after_the_retry_everything_is_as_if_nothing_had_happened(
    imports: Imports, story: Story, undisturbed: tuple[ImportJob, Workflow]
) -> None:
    assert story.finished.status == "Succeeded", story.finished.log()
    assert (story.job.status, story.job.attempts, story.job.error) == (Status.SUCCEEDED, 2, None)
    assert differences(imports.outcome(story.job.id), imports.outcome(undisturbed[0].id)) == []


def test_batches_that_were_done_are_not_redone(imports: Imports, story: Story) -> None:
    assert imports.outcome(story.job.id).report["timing"]["reused_batches"] == [0, 2]


def test_an_s3_that_errs_and_is_late_is_asked_again(story: Story) -> None:
    assert min(story.answered.get(answer, 0) for answer in (500, 503, 2.0)) >= 2, story.answered
    assert [pod.code for pod in story.finished.pods if pod.template != "load-catalog"] == [0] * 6


def test_the_catalog_is_loaded_once_though_its_database_went_and_its_pod_was_killed_within_the_transaction(
    story: Story,
) -> None:
    tries = story.finished.pods_of("load-catalog")
    assert [pod.code for pod in tries] == [1, -9, 0], story.finished.log()
    assert "Shelfsort" in tries[0].printed


def test_a_workflow_whose_first_pod_never_lives_fails_its_job(imports: Imports) -> None:
    job = imports.submit(SAMPLE, config=THREE)
    workflow = imports.walk(job, watch=lambda pod: KILL if pod.template == "start" and pod.seconds > 0.1 else "")
    assert [(pod.template, pod.code) for pod in workflow.pods] == [("start", -9), ("start", -9), (HANDLER, 0)]
    after = imports.job(job.id)
    assert (after.status, after.attempts) == (Status.FAILED, 0)
    assert after.error == "Argo says of start: Error (exit code 137)"


def test_a_workflow_that_is_stopped_fails_its_job(imports: Imports) -> None:
    job = imports.submit(SAMPLE, config=THREE)

    def begun(pod: Pod) -> str:
        return STOP if pod.template == "start" and imports.job(job.id).status == Status.RUNNING else ""

    workflow = imports.walk(job, watch=begun)
    assert [(pod.template, pod.code) for pod in workflow.pods] == [("start", -9), (HANDLER, 0)], workflow.log()
    after = imports.job(job.id)
    assert (after.status, after.attempts, after.lease_owner) == (Status.FAILED, 1, None)
