"""Before money is spent: check the settings, the model and the source, stage the rows, and split them into batches."""

import hashlib
import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.batching import batch_count, plan_batches
from lib.choosing import chosen, load_categorizer, usage_of
from lib.corrections import Correction, is_rejected_file, read_correction
from lib.errors import SettingsError, ShelfsortError, SourceError, StorageError
from lib.fields.known_headers import known_headers
from lib.formats.footers import FOOTERS_FILE, is_footer
from lib.formats.rows import SourceTable
from lib.jobrows import read_facts
from lib.profiles import Profile
from lib.quantities import UNITS_FILE, unit_of
from lib.records import Batch, Shard
from lib.results import REPORT_FILE, read_report
from lib.review.decided import keep_reviewed
from lib.settings import Settings
from lib.shards import Source, Staged
from lib.storage import Folder, check_writable, folder

if TYPE_CHECKING:
    from lib.reading import ReadingOptions


@dataclass(frozen=True)
class ImportPlan:
    """All that the tasks of one run share; small, for it travels as an artifact to each of them."""

    job_id: str
    job_uri: str
    output_uri: str
    staged: Staged
    model: dict[str, str]  # name, version, uri
    batches: tuple[Batch, ...]
    results_key: str  # a hash of everything that a batch's result depends on, but which batch it is
    usage: dict[str, Any] | None = None  # of a slow model's first question, as JSON
    customer: str = ""
    submitted_at: datetime | None = None  # of a submitted job
    reviewed: Shard | None = None  # what people decided of names (review/decided.py), for the batches

    def announcement(self, *, submitted: bool = False) -> str:
        """What is about to happen, and how to go on should it be interrupted."""
        batches = "1 batch" if len(self.batches) == 1 else f"{len(self.batches)} batches"
        again = (
            f"python -m lib.jobs retry {self.job_id}" if submitted else f"the same command with --job-id {self.job_id}"
        )
        return (
            f"job {self.job_id}: {self.staged.rows:,} rows in {batches}, results to {self.job_uri}\n"
            f"interrupted? {again} goes on with what is missing"
        )


def plan_import(
    source: str,
    *,
    output: str,
    job_id: str,
    settings: Settings,
    cores: int,
    profile: Profile | None = None,
    customer: str = "",
    submitted_at: datetime | None = None,
) -> ImportPlan:
    """Stage the source into the job's folder below `output` and plan its batches.

    `job_id` is a UUID, or '' for a new one; `profile` is what is known of the file in advance, `customer` whose it is.
    Raises a ShelfsortError for whatever would make the run fail later.
    """
    # Not above: every batch's task imports this module for the plan, and needs neither readers nor SQLAlchemy, which
    # takes longer than the rest.
    from lib.catalog import reviewed_names
    from lib.staging import stage

    if not source:
        raise SourceError("no source given; add --source FILE, a path or an s3:// URI")
    is_new = not job_id
    job_id = valid_job_id(job_id)
    output_folder = folder(output)
    job = folder(output_folder.uri_of(job_id))
    # The tables that people edit are read here first, where a mistake costs seconds.
    known_headers()
    unit_of("g")
    is_footer("total")
    fast = load_categorizer(settings.model_uri, precision=settings.precision)
    check_writable(output_folder)
    # Asked before the work, so that a catalog that would refuse the results is known by then.
    customer, known = reviewed_names(
        output_folder,
        url=settings.catalog_url,
        customer=customer,
        job_id=job_id,
        across_customers=settings.review.across_customers,
    )
    categorizer = chosen(fast, settings, ask_first=True)
    first_question = usage_of(categorizer)
    profile = profile or Profile()
    try:
        staged = stage(
            source,
            job=job,
            understand=lambda table, given: _understood(table, given, job=job, job_id=job_id),
            options=reading_options(profile, settings),
            told=profile.columns,
        )
    except ShelfsortError:
        if is_new:
            with suppress(StorageError):
                job.delete("")  # nobody will ask for a job that never began
        raise
    reviewed = keep_reviewed(known, job)
    count = batch_count(staged.rows, cores=cores, settings=settings.batches)
    return ImportPlan(
        job_id=job_id,
        job_uri=job.uri,
        output_uri=output_folder.uri,
        staged=staged,
        model={"name": categorizer.name, "version": categorizer.version, "uri": settings.model_uri},
        batches=tuple(plan_batches(list(staged.shards), count=count)),
        results_key=_results_key(staged, categorizer.version, settings, reviewed, customer),
        usage=first_question.as_json() if first_question else None,
        customer=customer,
        submitted_at=submitted_at,
        reviewed=reviewed,
    )


def reading_options(profile: Profile, settings: Settings) -> "ReadingOptions":
    """What is said of a file in advance, and how much of it is too much, for open_source."""
    from lib.formats.nested import RecordLimits
    from lib.reading import ReadingOptions

    return ReadingOptions(
        member=profile.member,
        sheet=profile.sheet,
        blank_lines=settings.reading.blank_lines,
        limits=settings.reading.limits(),
        record_limits=RecordLimits(columns=settings.reading.columns),
    )


def valid_job_id(job_id: str) -> str:
    """The UUID in its usual spelling; a new one for ''. Raises SettingsError for anything else."""
    if not job_id:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(job_id))
    except ValueError:
        raise SettingsError(f"--job-id {job_id!r}: not a UUID; leave it out for a new job") from None


def _understood(table: SourceTable, given: Source, *, job: Folder, job_id: str) -> Correction | None:
    """The source as a correction of the job's rows, if it is one; SourceError for what may not replace the job's."""
    if is_rejected_file(table.header):
        return read_correction(table, uri=given.uri, sha256=given.sha256, job=job, job_id=job_id)
    facts = read_facts(job)
    if facts and facts.corrections:
        latest = facts.corrections[-1]["uri"]
        raise SourceError(
            f"{given.uri}: job {job_id} holds corrections ({latest}), which importing the source again would undo; "
            "leave --job-id out for a new job"
        )
    _refuse_other_source(given, job_id, job)
    return None


def _refuse_other_source(given: Source, job_id: str, job: Folder) -> None:
    if not job.exists(REPORT_FILE):
        return
    try:
        earlier = read_report(job)["source"]
    except (ValueError, KeyError):
        return  # a damaged report says nothing; it is replaced
    if earlier["sha256"] != given.sha256:
        raise SourceError(
            f"{given.uri}: job {job_id} has imported another content ({earlier['uri']}); "
            "leave --job-id out for a new job"
        )


def _results_key(staged: Staged, model_version: str, settings: Settings, reviewed: Shard | None, customer: str) -> str:
    parts = [
        _code_hash(),
        staged.source.sha256,
        staged.ledger.sha256,
        [(match.field, match.column) for match in staged.columns],
        staged.decisions,
        model_version,
        settings.review_threshold,
        settings.precision,
        settings.validation.model_dump(mode="json"),
        # A customer matters to what people decided alone: `why` tells whether it was for another.
        (reviewed.sha256, customer) if reviewed else None,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _code_hash() -> str:
    """A hash of our own code and the tables it reads, for another version may process the same rows differently."""
    files = (*sorted(Path(__file__).parent.rglob("*.py")), UNITS_FILE, FOOTERS_FILE)
    contents = (path.read_bytes() for path in files)
    return hashlib.sha256(b"".join(contents)).hexdigest()
