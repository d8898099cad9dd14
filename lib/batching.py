"""How a source's rows are split into batches."""

import math
from itertools import pairwise

from lib.records import Batch, Shard
from lib.settings import BatchSettings


def batch_count(rows: int, *, cores: int, settings: BatchSettings) -> int:
    """How many batches to make of so many rows (at least 1).

    A task costs about a second before its first product, so a batch has at least `rows_at_least` rows. Past one
    batch the number is a multiple of the cores, as far as `most` and the rows allow, so that none idles at the end.
    """
    if settings.count:
        return min(settings.count, max(rows, 1))
    worthwhile = rows // settings.rows_at_least
    if worthwhile <= 1:
        return 1
    count = min(worthwhile, settings.most)
    return count - count % cores if count > cores else count


def plan_batches(shards: list[Shard], *, count: int) -> list[Batch]:
    """Consecutive batches of nearly equal size over the staged rows; each names the shards it overlaps."""
    rows = sum(shard.rows for shard in shards)
    bounds = [math.floor(i * rows / count) for i in range(count + 1)]
    return [
        Batch(number, first, last - first, _overlapping(shards, first, last))
        for number, (first, last) in enumerate(pairwise(bounds))
    ]


def _overlapping(shards: list[Shard], first: int, last: int) -> tuple[Shard, ...]:
    return tuple(s for s in shards if s.first_row < last and first < s.first_row + s.rows)
