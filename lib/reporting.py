"""The import report: the account of every row of one import job, as report.json and as a few lines to print."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from lib.catalog import COUNTS as CATALOG_COUNTS
from lib.catalog import CatalogImport
from lib.columns import ColumnMatch
from lib.errors import AccountingError
from lib.failing import described
from lib.fields.languages import language_mix
from lib.joining import Joined
from lib.planning import ImportPlan
from lib.records import SENTENCES, BatchResult, FailedBatch, Outcome, Reason
from lib.remote.usage import Usage, sum_of
from lib.results import FILES, REPORT_FILE
from lib.settings import Settings
from lib.shards import SHARDS
from lib.storage import folder

REPORT_VERSION = 2


def build_report(
    plan: ImportPlan,
    results: Sequence[BatchResult],
    joined: Joined,
    *,
    catalog: CatalogImport,
    settings: Settings,
    started: str,
    failed: Sequence[FailedBatch] = (),
) -> dict[str, Any]:
    """The report as plain JSON values. Times are UTC in ISO 8601; everything outside `timing` and
    `remote`, which is there when a slow model was asked, follows from the input.

    The numbers of rows are counted from the rows written, not carried along. Raises AccountingError when the catalog
    holds another number of them than were kept and may have been there before.
    """
    facts, tally = joined.facts, joined.tally
    kept = tally.outcomes[Outcome.CATEGORIZED] + tally.outcomes[Outcome.REVIEW]
    # Where a batch fails, its products stay in the catalog as an earlier run of the job brought them, if there was one.
    if not kept <= catalog.rows <= kept + joined.unprocessed:
        raise AccountingError(f"{facts.source['uri']}: {kept} rows were kept but the catalog holds {catalog.rows}")
    job = folder(plan.job_uri)
    by_number = sorted(results, key=lambda result: result.number)
    return {
        "report_version": REPORT_VERSION,
        "job_id": plan.job_id,
        "source": {
            **facts.source,
            "decisions": [
                *facts.source["decisions"],
                *(_column_decision(match) for match in facts.columns),
                *_language_decision(language_mix(tally.names)),
                *map(_correction_decision, facts.corrections),
            ],
        },
        "corrections": list(facts.corrections),
        "columns": [asdict(match) for match in facts.columns],
        "rows": facts.rows,
        "categorized": tally.outcomes[Outcome.CATEGORIZED],
        "review": tally.outcomes[Outcome.REVIEW],
        "rejected": tally.outcomes[Outcome.REJECTED],
        "reasons": _by_count(tally.reasons),
        "warnings": _by_count(tally.warnings),
        "explanations": {code: SENTENCES[Reason(code)] for code in sorted({*tally.reasons, *tally.warnings})},
        "categories": _by_count(tally.categories),
        "confidence_histogram": tally.confidences,
        "rejected_rows": tally.rejected_rows,
        "model": plan.model,
        "precision": settings.precision,
        "review_threshold": settings.review_threshold,
        "batches": [{"number": r.number, "rows": r.shard.rows, **r.outcomes} for r in by_number],
        "failed_batches": [asdict(batch) for batch in failed],
        "files": {name: job.uri_of(name) for name in (*FILES, REPORT_FILE)},
        "catalog": {"url": catalog.url_shown, "customer": catalog.customer, "rows": catalog.rows}
        | {name: getattr(catalog, name) for name in CATALOG_COUNTS}
        | {"touched": catalog.touched},
        "timing": {
            "started": started,
            "finished": now(),
            "batch_seconds": [result.seconds for result in by_number],
            "reused_batches": [result.number for result in by_number if result.reused],
        },
        **_remote(plan, by_number, settings),
    }


def finish_job(plan: ImportPlan, report: dict[str, Any], *, keep_shards: bool) -> None:
    """Publish report.json, which says that the job's results are complete, and clear away what led to them."""
    job = folder(plan.job_uri)
    job.write_bytes(REPORT_FILE, (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode())
    job.clear_unfinished()
    # Another run needs them to redo what failed, and nothing else.
    if not keep_shards and not report["failed_batches"]:
        job.delete(SHARDS)


def summary(report: dict[str, Any]) -> str:
    """The report in a few lines for a terminal."""
    lines = [
        f"{report['rows']:,} rows = {report['categorized']:,} categorized + {report['review']:,} to review"
        f" + {report['rejected']:,} rejected",
    ]
    lines += [f"  {count:,} {code}: {report['explanations'][code]}" for code, count in report["reasons"].items()]
    lines += [f"set aside, {described(FailedBatch(**batch))}" for batch in report["failed_batches"]]
    if report["failed_batches"]:
        lines.append(f"another run of job {report['job_id']} redoes these, and no other")
    if earlier := report["catalog"]["rows"] - report["categorized"] - report["review"]:
        lines.append(f"the catalog keeps {earlier:,} products of set-aside batches as an earlier run brought them")
    if report["warnings"]:
        noted = ", ".join(f"{count:,} {code}" for code, count in report["warnings"].items())
        lines.append(f"noted, not rejected: {noted}")
    if remote := report.get("remote"):
        failed = sum(remote["failures"].values())
        lines.append(
            f"{remote['model']}: {remote['texts']:,} names asked for, {remote['cache_hits']:,} of them answered by the"
            f" cache and {failed:,} not at all; {remote['calls']:,} calls, cost {remote['cost']:,.2f}"
        )
    lines += [f"{name:<20} {uri}" for name, uri in report["files"].items()]
    lines.append(f"{'catalog':<20} {report['catalog']['url']}")
    lines.append(f"{'':<20} {catalog_account(report['catalog'])}")
    return "\n".join(lines)


def catalog_account(catalog: dict[str, Any]) -> str:
    """What an import changed in the catalog, in a line; of a report's `catalog`."""
    parts = [f"{catalog[name]:,} {name}" for name in CATALOG_COUNTS[:4]]
    if catalog["superseded"]:
        parts.append(f"{catalog['superseded']:,} left as a later job has them")
    if catalog["corrected"]:
        parts.append(f"{catalog['corrected']:,} with a category from a person")
    whose = f"of customer {catalog['customer']}" if catalog["customer"] else "of no customer, so by itself"
    already = "" if catalog["touched"] else "; was there already, nothing was touched"
    return f"{', '.join(parts)} ({whose}{already})"


def _remote(plan: ImportPlan, results: Sequence[BatchResult], settings: Settings) -> dict[str, Any]:
    """What all batches asked of a slow model, those of earlier runs that were reused too."""
    used = [usage for usage in (plan.usage, *(result.usage for result in results)) if usage]
    if not used:
        return {}
    remote = settings.remote
    asked = {"endpoint": remote.endpoint, "model": remote.model, "only_for_review": remote.only_for_review}
    return {"remote": asked | sum_of(map(Usage.of_json, used)).as_json()}


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _column_decision(match: ColumnMatch) -> str:
    sure = "" if match.confidence >= 0.9 else f" (confidence {match.confidence:.2f})"
    numbers = f" Its decimal mark is {match.decimal!r}: {match.decimal_reason}." if match.decimal else ""
    return f"Column {match.header!r} is the {match.field.replace('_', ' ')}, because {match.reason}{sure}.{numbers}"


def _language_decision(mix: dict[str, float]) -> list[str]:
    shares = ", ".join(f"{language} {share:.0%}" for language, share in mix.items())
    return [f"Language: the names look like {shares}."] if shares else []


def _correction_decision(correction: dict[str, Any]) -> str:
    rows = "1 row was" if correction["rows"] == 1 else f"{correction['rows']:,} rows were"
    return " ".join([f"Corrections: {rows} taken from {correction['uri']}.", *correction["decisions"]])


def _by_count(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
