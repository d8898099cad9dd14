"""Imports on the compiled template on an S3 that errs, is late and goes away at random, with a pod killed in between.

`pytest tests/deploy/test_storms.py --storms 10` walks ten, for the seeds 1 to 10; left out otherwise, as each takes a
minute or more. test_faults.py and test_outages.py have what always runs.
"""

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from lib.importjobs.job import ImportJob, Status
from tests.deploy.cluster import Imports, differences
from tests.deploy.conftest import THREE
from tests.deploy.walk import KILL, Pod, Watch, Workflow
from tests.flow.running import SAMPLE

WORKFLOWS = 6  # that a job may take; the last one runs in calm
TEMPLATES = ("start", "categorize", "join", "load-catalog", "end")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each seed."""
    if "seed" in metafunc.fixturenames:
        seeds = range(1, metafunc.config.getoption("--storms") + 1)
        left_out = pytest.param(0, marks=pytest.mark.skip(reason="takes minutes; --storms N runs N of them"))
        metafunc.parametrize("seed", [*seeds] or [left_out])


@pytest.fixture(autouse=True)
def _reached(imports: Imports) -> Iterator[None]:
    with imports.reached():
        yield


@dataclass
class Weather:
    """How S3 answers, and which batches' results were written though they were there, by their first rows."""

    random: random.Random
    done: set[str] = field(default_factory=set)
    redone: list[str] = field(default_factory=list)
    _away: int = 0  # for so many requests
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rule(self, method: str, path: str) -> int | float | None:
        with self._lock:
            answer = self._answer()
            if method == "PUT" and not isinstance(answer, int):
                self._note(path)
            return answer

    def _answer(self) -> int | float | None:
        if self._away:
            self._away -= 1
            return 503
        luck = self.random.random()
        if luck < 0.002:
            self._away = self.random.randint(10, 60)
        if luck < 0.06:
            return self.random.choice([500, 503])
        return self.random.uniform(0.2, 5) if luck < 0.08 else None

    def _note(self, path: str) -> None:
        batch = path.rsplit("-", 3)[1] if "-results.parquet" in path else ""
        if path.endswith("-results.parquet.json"):
            self.done.add(batch)
        elif batch and batch in self.done:
            self.redone.append(batch)

    def killing(self, seconds: float) -> Watch:
        """Kills a first try of one template's at a moment of its first seconds."""
        template, moment = self.random.choice(TEMPLATES), self.random.uniform(0, seconds)
        killed: list[Pod] = []

        def watch(pod: Pod) -> str:
            if pod.template == template and pod.attempt == 0 and not killed and pod.seconds > moment:
                killed.append(pod)
                return KILL
            return ""

        return watch


def test_whatever_the_weather_the_results_are_those_of_a_calm_day(
    imports: Imports, undisturbed: tuple[ImportJob, Workflow], seed: int
) -> None:
    weather = Weather(random.Random(seed))
    usual = max(pod.took for pod in undisturbed[1].pods)
    job = imports.submit(SAMPLE, config=THREE)
    ends = []
    for number in range(WORKFLOWS):
        if number == WORKFLOWS - 1:
            workflow = imports.walk(job)
        else:
            with imports.s3.failing(weather.rule):
                workflow = imports.walk(job, watch=weather.killing(usual))
        ends.append(workflow.status)
        after = imports.job(job.id)
        if after.status == Status.SUCCEEDED:
            break
        # Where the exit handler could not reach S3 either, the store does not know of the end.
        assert after.status in (Status.FAILED, Status.RUNNING, Status.SUBMITTED), workflow.log()
        imports.retry(job)
        if imports.job(job.id).status == Status.SUCCEEDED:
            break  # all results were there
    print(f"seed {seed}: {ends}")
    assert imports.job(job.id).status == Status.SUCCEEDED
    assert differences(imports.outcome(job.id), imports.outcome(undisturbed[0].id)) == []
    assert weather.redone == []
