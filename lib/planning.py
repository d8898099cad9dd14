"""Before money is spent: check the settings, the model and the source, stage the rows, and split them into batches."""

import hashlib
import json
import uuid
from dataclasses import dataclass

from lib.batching import batch_count, plan_batches
from lib.categorizing import load_categorizer
from lib.columns import ColumnMatch, match_columns
from lib.errors import SettingsError, SourceError, StorageError
from lib.records import Batch
from lib.reporting import REPORT_FILE, read_report
from lib.settings import Settings
from lib.staging import Staged, stage
from lib.storage import folder

# Part of every batch result's name: raise it when the same rows would be processed into another result.
PROCESSING_VERSION = 1


@dataclass(frozen=True)
class ImportPlan:
    """All that the tasks of one run share; small, for it travels as an artifact to each of them."""

    job_id: str
    job_uri: str
    output_uri: str
    staged: Staged
    columns: tuple[ColumnMatch, ...]
    model: dict[str, str]  # name, version, uri
    batches: tuple[Batch, ...]
    results_key: str  # a hash of everything but the rows that a batch's result depends on


def plan_import(source: str, *, output: str, job_id: str, settings: Settings, cores: int) -> ImportPlan:
    """Stage the source into the job's folder below `output` and plan its batches.

    `job_id` is a UUID, or '' for a new one. Raises a ShelfsortError for whatever would make the run fail later.
    """
    if not source:
        raise SourceError("no source given; add --source FILE, a path or an s3:// URI")
    job_id = valid_job_id(job_id)
    output_folder = folder(output)
    job = folder(output_folder.uri_of(job_id))
    categorizer = load_categorizer(settings.model_uri)
    staged = stage(source, job=job)
    _refuse_other_source(job_id, output_folder.uri, staged)
    columns = match_columns(staged.header, source=staged.source)
    count = batch_count(staged.rows, cores=cores, settings=settings.batches)
    return ImportPlan(
        job_id=job_id,
        job_uri=job.uri,
        output_uri=output_folder.uri,
        staged=staged,
        columns=tuple(columns),
        model={"name": categorizer.name, "version": categorizer.version, "uri": settings.model_uri},
        batches=tuple(plan_batches(list(staged.shards), count=count)),
        results_key=_results_key(staged, columns, categorizer.version, settings),
    )


def valid_job_id(job_id: str) -> str:
    """The UUID in its usual spelling; a new one for ''. Raises SettingsError for anything else."""
    if not job_id:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(job_id))
    except ValueError:
        raise SettingsError(f"--job-id {job_id!r}: not a UUID; leave it out for a new job") from None


def _refuse_other_source(job_id: str, output_uri: str, staged: Staged) -> None:
    job = folder(folder(output_uri).uri_of(job_id))
    if not job.exists(REPORT_FILE):
        return
    try:
        earlier = read_report(job)["source"]
    except (StorageError, ValueError, KeyError):
        return  # an unreadable report says nothing; it is replaced
    if earlier["sha256"] != staged.sha256:
        raise SourceError(
            f"{staged.source}: job {job_id} has imported another content ({earlier['uri']}); "
            "leave --job-id out for a new job"
        )


def _results_key(staged: Staged, columns: list[ColumnMatch], model_version: str, settings: Settings) -> str:
    parts = [
        PROCESSING_VERSION,
        staged.ledger,  # its name holds the source's hash and the reading's version
        staged.header,
        [(match.field, match.column) for match in columns],
        model_version,
        settings.review_threshold,
        settings.validation.model_dump(mode="json"),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
