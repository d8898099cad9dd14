"""One batch: its staged rows parsed, validated, transformed and categorized into one Parquet file in the job's folder.

A pure function of the rows, the model and the settings. The result's name is derived from all three, so a retry
overwrites the same thing and another run of the same job finds what is done.
"""

import json
import time
from dataclasses import asdict, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.answers import answered
from lib.choosing import chosen, load_categorizer, usage_of
from lib.errors import ModelError
from lib.planning import ImportPlan
from lib.products import to_products
from lib.progress import BatchProgress, reporting
from lib.records import Batch, BatchResult, Outcome, Shard
from lib.results import batch_schema
from lib.review.decided import kept_reviewed
from lib.settings import Settings
from lib.shards import SHARDS, read_batch, sha256_of
from lib.storage import folder


def process_batch(batch: Batch, *, plan: ImportPlan, settings: Settings) -> BatchResult:
    """Process a batch, or find it processed by an earlier run of the same job, and say what it came to."""
    with reporting(batch, plan=plan) as progress:
        result = progress.result = _processed(batch, plan=plan, settings=settings, progress=progress)
    return result


def _processed(batch: Batch, *, plan: ImportPlan, settings: Settings, progress: BatchProgress) -> BatchResult:
    started = time.monotonic()
    job = folder(plan.job_uri)
    name = _name(batch, plan)
    if finished := finished_result(batch, plan=plan):
        return replace(finished, reused=True)
    categorizer = chosen(load_categorizer(plan.model["uri"], precision=settings.precision), settings)
    if categorizer.version != plan.model["version"]:
        raise ModelError(
            f"{plan.model['uri']}: the model was replaced during the run ({plan.model['version']} by "
            f"{categorizer.version}); run the job again with --job-id {plan.job_id}"
        )
    schema = batch_schema(plan.staged.header)
    names = kept_reviewed(plan.reviewed, job)
    outcomes = dict.fromkeys((outcome.value for outcome in Outcome), 0)
    with job.writing(name) as target:
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for rows in read_batch(batch, ledger=plan.staged.ledger, job=job):
                products = to_products(rows, columns=list(plan.staged.columns), validation=settings.validation)
                answers = answered(
                    products,
                    categorizer,
                    threshold=settings.review_threshold,
                    reviewed=names,
                    customer=plan.customer,
                )
                writer.write_table(_beside(rows, products.table, answers).select(schema.names).cast(schema))
                for count in pc.value_counts(answers["outcome"]).to_pylist():
                    outcomes[count["values"]] += count["counts"]
                progress.so_far(outcomes)
        shard = Shard(name, batch.first_row, batch.rows, sha256_of(target))
    usage = usage_of(categorizer)
    seconds = round(time.monotonic() - started, 3)
    result = BatchResult(batch.number, shard, outcomes, seconds, usage.as_json() if usage else None)
    # Written after the rows, so that where it is found they are whole.
    job.write_bytes(f"{name}.json", json.dumps(asdict(result)).encode())
    return result


def finished_result(batch: Batch, *, plan: ImportPlan) -> BatchResult | None:
    """The result of an earlier run or try, None where there is none or its rows are not those it was written for.

    None as well where a slow model left products without an answer: it may have one now, and those it gave are kept.
    """
    name, job = _name(batch, plan), folder(plan.job_uri)
    if not job.exists(f"{name}.json") or not job.exists(name):
        return None
    try:
        found = json.loads(job.read_bytes(f"{name}.json"))
        result = BatchResult(**found | {"shard": Shard(**found["shard"]), "number": batch.number})
    except (ValueError, KeyError, TypeError):
        return None  # a damaged one; the batch is processed again
    if result.usage and result.usage["failures"]:
        return None
    with job.reading(name) as path:
        return result if sha256_of(path) == result.shard.sha256 else None


def _name(batch: Batch, plan: ImportPlan) -> str:
    return f"{SHARDS}/{plan.results_key}-{batch.first_row:010d}-{batch.rows}-results.parquet"


def _beside(*tables: pa.Table) -> pa.Table:
    """The columns of tables of as many rows, side by side."""
    return pa.table({name: table[name] for table in tables for name in table.column_names})
