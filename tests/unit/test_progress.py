"""lib.progress: what batches write of themselves and what is read of it, on a folder and on S3."""

from dataclasses import replace
from pathlib import Path

import pytest

from lib.errors import StorageError
from lib.planning import ImportPlan
from lib.progress import BatchProgress, ProgressReader, announce, reporting
from lib.records import Batch, BatchResult, Shard
from lib.shards import Source, Staged
from lib.storage import folder

STAGED = Staged(
    source=Source("a.csv", "", 1),
    format={},
    decisions=(),
    header=[],
    header_line=1,
    columns=(),
    rows=30,
    rows_with_extra_cells=0,
    blank_lines=0,
    shards=(),
    ledger=Shard("", 0, 30, ""),
)
BATCHES = (Batch(0, 0, 10, ()), Batch(1, 10, 10, ()), Batch(2, 20, 10, ()))


@pytest.fixture(params=["local", "s3"])
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> ImportPlan:
    uri = str(tmp_path) if request.param == "local" else str(request.getfixturevalue("bucket")) + "/job"
    return ImportPlan("job", uri, uri, STAGED, {}, BATCHES, "key")


def finish(batch: Batch, plan: ImportPlan, *, reused: bool = False) -> None:
    with reporting(batch, plan=plan) as progress:
        outcomes = {"categorized": 7, "review": 2, "rejected": 1}
        progress.result = BatchResult(batch.number, Shard("", 0, 10, ""), outcomes, 1.0, reused=reused)


def test_batches_are_counted_by_state_and_rows_by_outcome(plan: ImportPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100, 200, 2))
    monkeypatch.setattr("lib.progress.time.time", lambda: float(next(clock)))
    reader = ProgressReader(folder(plan.job_uri))
    assert reader.read(attempt=1) is None
    announce(plan)
    first = reader.read(attempt=1)
    assert first is not None
    assert (first.pending, first.running, first.rows, first.rows_a_second, first.seconds_left) == (3, 0, 30, None, None)
    finish(BATCHES[0], plan)
    with reporting(BATCHES[1], plan=plan):
        now = reader.read(attempt=1)
        assert now is not None
        assert (now.pending, now.running, now.succeeded, now.failed) == (1, 1, 1, 0)
        assert now.outcomes == {"categorized": 7, "review": 2, "rejected": 1}
        # The first batch began at 100 and ended at 102, the second began at 104, and it is 106.
        assert (now.rows_done, now.seconds, now.rows_a_second) == (10, 6.0, 10 / 6)
        assert now.seconds_left == pytest.approx(12)


def test_a_batch_tells_while_it_runs_how_far_it_is(plan: ImportPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is one batch, and one of a slow model takes hours."""
    monkeypatch.setattr("lib.progress.WRITE_SECONDS", 0.0)
    reader = ProgressReader(folder(plan.job_uri))
    announce(plan)
    finish(BATCHES[0], plan)
    with reporting(BATCHES[1], plan=plan) as progress:
        for rows in (2, 4):
            progress.so_far({"categorized": rows - 1, "review": 1})
            now = reader.read(attempt=1)
            assert now is not None
            assert (now.rows_done, now.running, now.succeeded) == (10 + rows, 1, 1)
            assert now.outcomes == {"categorized": 6 + rows, "review": 3, "rejected": 1}
            assert now.rows_a_second is not None
        progress.so_far({"categorized": 9, "review": 1})  # it is at its end, which is what is written next
        now = reader.read(attempt=1)
        assert now is not None
        assert now.rows_done == 14
        # Cut off, all of it is to be done again.
        rest = now.at_rest()
        assert (rest.rows_done, rest.pending) == (10, 2)
        assert rest.outcomes == {"categorized": 7, "review": 2, "rejected": 1}


def test_how_far_a_batch_is_gets_written_from_time_to_time_and_never_fails_it(
    plan: ImportPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[str, int]] = []

    def refused(_self: BatchProgress, *, outcomes: dict[str, int]) -> None:
        written.append(outcomes)
        raise StorageError("no room")

    announce(plan)
    with reporting(BATCHES[0], plan=plan) as progress:
        monkeypatch.setattr(BatchProgress, "write", refused)
        monkeypatch.setattr("lib.progress.time.monotonic", iter([0.0, 9e9, 9e9, 9e9 + 1]).__next__)
        for rows in range(3):
            progress.so_far({"review": rows})
        monkeypatch.undo()
    assert written == [{"review": 1}]


def test_a_batch_that_fails_says_so(plan: ImportPlan) -> None:
    announce(plan)
    with pytest.raises(MemoryError), reporting(BATCHES[0], plan=plan):
        raise MemoryError
    now = ProgressReader(folder(plan.job_uri)).read(attempt=1)
    assert now is not None
    assert (now.failed, now.pending, now.rows_done) == (1, 2, 0)


def test_rows_of_an_earlier_run_count_as_done_but_not_for_the_rate(plan: ImportPlan) -> None:
    announce(plan)
    finish(BATCHES[0], plan, reused=True)
    now = ProgressReader(folder(plan.job_uri)).read(attempt=1)
    assert now is not None
    assert (now.rows_done, now.rows_reused, now.rows_a_second) == (10, 10, None)


def test_another_attempt_begins_anew(plan: ImportPlan) -> None:
    announce(plan)
    reader = ProgressReader(folder(plan.job_uri))
    with pytest.raises(ValueError, match="broken"), reporting(BATCHES[0], plan=plan):
        raise ValueError("broken")
    finish(BATCHES[1], plan)
    assert reader.read(attempt=1) is not None
    announce(replace(plan, results_key="other"), attempt=2)
    assert reader.read(attempt=1) is None
    now = reader.read(attempt=2)
    assert now is not None
    assert (now.pending, now.succeeded, now.failed) == (3, 0, 0)


def test_a_file_that_is_cut_off_counts_as_not_begun(plan: ImportPlan) -> None:
    announce(plan)
    folder(plan.job_uri).write_bytes("shards/progress/key-0000.json", b'{"state": "succ')
    now = ProgressReader(folder(plan.job_uri)).read(attempt=1)
    assert now is not None
    assert now.pending == 3


def test_a_clock_that_goes_back_gives_no_rate_and_no_negative_time(
    plan: ImportPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([200.0, 100.0])
    monkeypatch.setattr("lib.progress.time.time", lambda: next(clock))
    announce(plan)
    finish(BATCHES[0], plan)
    now = ProgressReader(folder(plan.job_uri)).read(attempt=1)
    assert now is not None
    assert (now.rows_done, now.seconds, now.rows_a_second, now.seconds_left) == (10, 0.0, None, None)


def test_a_batch_that_was_cut_off_is_to_be_done_again(plan: ImportPlan) -> None:
    announce(plan)
    finish(BATCHES[0], plan)
    with reporting(BATCHES[1], plan=plan):
        now = ProgressReader(folder(plan.job_uri)).read(attempt=1)
    assert now is not None
    rest = now.at_rest()
    assert (rest.pending, rest.running, rest.succeeded) == (2, 0, 1)
