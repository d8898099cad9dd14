"""How a source's rows are split into batches."""

import math
from itertools import pairwise

from lib.records import Batch, Shard
from lib.settings import BatchSettings


def batch_count(rows: int, *, cores: int, settings: BatchSettings) -> int:
    """How many batches to make of so many rows (at least 1).

    As few as let every core work and keep a batch within `rows_at_most`, because each task costs about a second before
    its first product; the same number for each core, so that none idles at the end; but no batch that is not worth
    that second (`rows_at_least`), and no more than `most`.
    """
    if settings.count:
        return min(settings.count, max(rows, 1))
    wanted = cores * math.ceil(rows / (cores * settings.rows_at_most))
    return max(1, min(wanted, rows // settings.rows_at_least, settings.most))


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
