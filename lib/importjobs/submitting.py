"""Taking a customer's file on: copied into the job's folder once it is known to be readable; or only looked at."""

import hashlib
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lib.columns import match_columns
from lib.corrections import is_rejected_file
from lib.errors import SourceError, StorageError
from lib.profiles import Profile
from lib.records import FIELDS, Batch, Outcome
from lib.settings import Settings
from lib.shards import Staged
from lib.storage import Folder, folder, reading_source, split_uri

SOURCE_FOLDER = "source"
COPIED_AT_ONCE = 1 << 20  # bytes
SAMPLE_PRODUCTS = 5
SAMPLE_ROWS = 5000  # processed by a dry run, for the sample and the time they take
WARM_UP_ROWS = 50  # processed before those, for the time that a batch takes whatever its rows
# What a job takes beside reading and categorizing, on two cores: the flow's five tasks (9 to 13 s for 200 rows,
# benchmark `fairness`), and joining (107,000 rows a CPU second) and importing its rows (52,000, benchmark `catalog`).
FLOW_SECONDS = 12
JOINED_ROWS_A_SECOND = 35_000


@dataclass(frozen=True)
class Copied:
    """A source in the job's folder."""

    uri: str  # where it came from
    name: str  # in the job's folder
    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class DryRun:
    """What a submission would do."""

    source: str
    rows: int
    decisions: tuple[str, ...]  # what was understood of the file, a sentence each
    header: tuple[str, ...]
    columns: tuple[dict[str, Any], ...]  # field, header, reason, confidence
    sample: tuple[dict[str, Any], ...]  # the first products with their categories
    outcomes: dict[str, int]  # of the first SAMPLE_ROWS rows
    batches: tuple[int, ...]  # rows of each
    runner: str
    output: str
    seconds: float  # estimated
    source_sha256: str = ""
    same_content: str | None = None  # the UUID of the customer's job that has it; only --again would import it


def take_in(source: str, *, job: Folder, profile: Profile, settings: Settings) -> Copied:
    """Copy the source into the job's folder, hashing it on the way, unless it cannot be read.

    It is opened, its columns are matched and its first rows read; damage further on is found by the run. Raises
    SourceError for what is missing or not readable as products, StorageError when the folder can't be written; nothing
    is left of it then.
    """
    from lib.planning import reading_options
    from lib.reading import open_source

    place, name = split_uri(source)
    shown = place.uri_of(name)
    copy = f"{SOURCE_FOLDER}/{Path(name).name}"
    digest, size = hashlib.sha256(), 0
    try:
        with reading_source(place, name) as path, job.writing(copy) as target:
            with path.open("rb") as given, target.open("wb") as taken:
                while block := given.read(COPIED_AT_ONCE):
                    digest.update(block)
                    size += taken.write(block)
            with open_source(target, name=shown, options=reading_options(profile, settings)) as table:
                if is_rejected_file(table.header):
                    raise SourceError(
                        f"{shown}: these are rejected rows of a job; correct them under the same job: "
                        f"python flows/categorize.py run --source {name} --job-id UUID"
                    )
                match_columns(table.header, source=shown, sample=table.sample, told=profile.columns)
                if not any(chunk.num_rows for chunk in table.chunks()):
                    raise SourceError(f"{shown}: there is a header but no products below it; send a file with products")
    except BaseException:
        with suppress(StorageError):
            job.delete("")
        raise
    return Copied(shown, copy, digest.hexdigest(), size)


def try_out(source: str, *, output: str, profile: Profile, settings: Settings, cores: int) -> DryRun:
    """Read the whole source, process its first rows, and say what a job of it would be; leaves nothing behind.

    Raises a ShelfsortError for whatever would make the job fail later.
    """
    from lib.planning import plan_import
    from lib.processing import process_batch

    with tempfile.TemporaryDirectory(prefix="shelfsort-") as temporary:
        began = time.monotonic()
        plan = plan_import(source, output=temporary, job_id="", settings=settings, cores=cores, profile=profile)
        reading = time.monotonic() - began
        staged = plan.staged
        count = min(staged.rows, SAMPLE_ROWS)
        # Whatever else the machine does meanwhile is no cost of the job, but an endpoint's answers are waited for.
        clock = time.monotonic if settings.remote.endpoint else time.process_time
        ticks = [clock()]
        # The first also loads code; the others what any batch does whatever its rows, which FLOW_SECONDS holds.
        for few in (WARM_UP_ROWS - 1, WARM_UP_ROWS):
            if few < count:
                process_batch(_first_rows(few, staged), plan=plan, settings=settings)
            ticks.append(clock())
        result = process_batch(_first_rows(count, staged), plan=plan, settings=settings)
        a_row = max(0.0, clock() - ticks[2] - (ticks[2] - ticks[1])) / count
        with folder(plan.job_uri).reading(result.shard.name) as path:
            rows = pq.read_table(path)
        sample = [_shown(row) for row in rows.to_pylist() if row["outcome"] != Outcome.REJECTED]
    at_once = min(cores, len(plan.batches))
    work = staged.rows * a_row / at_once + staged.rows / JOINED_ROWS_A_SECOND
    return DryRun(
        source=staged.source.uri,
        rows=staged.rows,
        decisions=staged.decisions,
        header=tuple(staged.header),
        columns=tuple(
            {"field": one.field, "header": one.header, "reason": one.reason, "confidence": one.confidence}
            for one in staged.columns
        ),
        sample=tuple(sample[:SAMPLE_PRODUCTS]),
        outcomes=result.outcomes,
        batches=tuple(batch.rows for batch in plan.batches),
        runner=settings.jobs.runner,
        output=folder(output).uri,
        seconds=round(FLOW_SECONDS + reading + work, 1),
        source_sha256=staged.source.sha256,
    )


def _first_rows(count: int, staged: Staged) -> Batch:
    return Batch(0, 0, count, tuple(shard for shard in staged.shards if shard.first_row < count))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A processed row as people look at it: line, what was read of the product, and its category."""
    fields = {name: row.get(f"product_{name}") for name in FIELDS}
    known = {name: value for name, value in fields.items() if value not in (None, "")}
    return {"line": row["line"], **known, "category": row["category"], "confidence": row["confidence"]}
