"""How many batches, and of which rows."""

import pytest

from lib.batching import batch_count, plan_batches
from lib.records import Shard
from lib.settings import BatchSettings

SETTINGS = BatchSettings(count=0, rows_at_least=50_000, rows_at_most=250_000, most=96, failed_at_most=0)


@pytest.mark.parametrize(
    ("rows", "cores", "count"),
    [
        pytest.param(1, 8, 1, id="one row"),
        pytest.param(500, 8, 1, id="a small file is one batch"),
        pytest.param(99_999, 2, 1, id="not yet worth a second task"),
        pytest.param(100_000, 2, 2, id="worth two"),
        pytest.param(400_000, 16, 8, id="fewer than the cores, where rows would not be worth a task"),
        pytest.param(1_000_000, 8, 8, id="one for each core"),
        pytest.param(2_000_000, 2, 8, id="several for each core, none too large"),
        pytest.param(2_100_000, 2, 10, id="as many for one core as for another"),
        pytest.param(90_000_000, 2, 96, id="at most what Metaflow takes"),
    ],
)
def test_the_count_follows_from_rows_and_cores(rows: int, cores: int, count: int) -> None:
    assert batch_count(rows, cores=cores, settings=SETTINGS) == count


@pytest.mark.parametrize(("rows", "count"), [(500, 7), (3, 3), (1, 1)])
def test_a_given_count_is_taken_but_no_batch_is_empty(rows: int, count: int) -> None:
    settings = SETTINGS.model_copy(update={"count": 7})
    assert batch_count(rows, cores=2, settings=settings) == count


def test_batches_are_consecutive_and_nearly_equal_and_know_their_shards() -> None:
    shards = [Shard("a", 0, 4, ""), Shard("b", 4, 4, ""), Shard("c", 8, 2, "")]
    batches = plan_batches(shards, count=3)
    found = [(b.number, b.first_row, b.rows, [s.name for s in b.shards]) for b in batches]
    assert found == [(0, 0, 3, ["a"]), (1, 3, 3, ["a", "b"]), (2, 6, 4, ["b", "c"])]
