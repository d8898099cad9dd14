"""What the join makes of batches' tasks, whatever Metaflow read of them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from metaflow.exception import MetaflowExceptionWrapper
from metaflow.plugins.catch_decorator import FailureHandledByCatch

from lib.errors import BatchesFailed
from lib.failing import KILLED, gathered, reason_of, set_aside
from lib.planning import ImportPlan, plan_import
from lib.processing import process_batch
from lib.refusing import Refused
from lib.settings import Settings, parse, settings_of

ROWS = "name\n" + "".join(f"Oat drink {number} l\n" for number in range(1, 10))


@pytest.fixture
def settings() -> Settings:
    return settings_of(parse("[batches]\ncount = 3\n"))


@pytest.fixture
def plan(tmp_path: Path, settings: Settings) -> ImportPlan:
    (tmp_path / "products.csv").write_text(ROWS)
    output = str(tmp_path / "results")
    return plan_import(str(tmp_path / "products.csv"), output=output, job_id="", settings=settings, cores=1)


def test_a_result_that_metaflow_does_not_read_is_found_in_the_jobs_folder(plan: ImportPlan, settings: Settings) -> None:
    done = [process_batch(batch, plan=plan, settings=settings) for batch in plan.batches]
    # Of the second task an older try is read, which failed; of the third nothing at all.
    tasks = [SimpleNamespace(index=0, result=done[0], failure=None), SimpleNamespace(index=1), SimpleNamespace(index=2)]
    results, failures = gathered(plan, tasks)
    assert failures == {}
    assert [replace(result, seconds=0) for result in results] == [replace(result, seconds=0) for result in done]


def test_what_is_nowhere_has_failed_with_the_reason_that_is_known(plan: ImportPlan, settings: Settings) -> None:
    done = process_batch(plan.batches[0], plan=plan, settings=settings)
    raised = MetaflowExceptionWrapper(Refused("the disk is full"))
    tasks = [SimpleNamespace(index=0, result=done), SimpleNamespace(index=1, failure=raised), SimpleNamespace(index=2)]
    assert gathered(plan, tasks) == ([done], {1: "the disk is full", 2: KILLED})


def test_reasons_are_one_line() -> None:
    assert reason_of(MetaflowExceptionWrapper(FailureHandledByCatch(3))) == KILLED
    assert reason_of(MetaflowExceptionWrapper(ValueError("one\ntwo"))) == "ValueError: one two"


@pytest.mark.parametrize(("at_most", "tolerated"), [(0.0, 0), (0.33, 0), (0.34, 1), (0.99, 2)])
def test_the_budget_is_a_share_of_all_batches(plan: ImportPlan, at_most: float, tolerated: int) -> None:
    for count in range(4):
        reasons = dict.fromkeys(range(count), "why")
        if count <= tolerated:
            assert len(set_aside(plan, reasons, at_most=at_most)) == count
        else:
            with pytest.raises(BatchesFailed, match=rf"{count} of 3 batches failed.*batch 0 \(lines 2 to 4\): why"):
                set_aside(plan, reasons, at_most=at_most)
