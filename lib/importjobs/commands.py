"""The command line of import jobs, `python -m lib.jobs` or `./shelfsort`: lib/jobs.py for people and scripts."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from lib import jobs
from lib import settings as all_settings
from lib.errors import SettingsError, ShelfsortError
from lib.importjobs.display import (
    NAME,
    command,
    console,
    print_json,
    show_dry_run,
    show_status,
    shown_time,
)
from lib.importjobs.job import Status
from lib.importjobs.watching import Where, watched, watched_as_json
from lib.reporting import summary
from lib.review import reviewing

app = typer.Typer(
    name=NAME,
    help="Import jobs: submit a product file, and always know where it stands.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _known_ids(context: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """For the shell's completion: the newest jobs."""
    parameters = context.parent.params if context.parent else {}
    try:
        where = _where(parameters.get("config"), parameters.get("output") or "results")
        for job in jobs.list_jobs(**where.place(), most=50):
            if job.id.startswith(incomplete):
                yield job.id, f"{job.status} {Path(job.source_uri).name}"
    except ShelfsortError:
        return


Id = Annotated[str, typer.Argument(metavar="UUID", help="The job.", autocompletion=_known_ids)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.callback()
def _common(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(envvar="SHELFSORT_CONFIG", help="Settings that differ from config/default.toml, a TOML file."),
    ] = None,
    output: Annotated[
        str,
        typer.Option(envvar="SHELFSORT_OUTPUT", help="Folder or s3:// prefix that has a folder for each job."),
    ] = "results",
) -> None:
    with _one_line_errors():
        context.obj = _where(config, output)


@app.command()
def submit(  # noqa: PLR0917 (their order is nobody's concern)
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The product file: a path or an s3:// URI.")],
    customer: Annotated[str, typer.Option(help="Whose file it is.")] = "",
    profile: Annotated[
        str, typer.Option(help="config/profiles/PROFILE.toml says how to read it [default: the customer's, if any].")
    ] = "",
    columns: Annotated[str, typer.Option(help="Columns told, not found: name=HEADER,gtin=HEADER.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Import a file that was imported before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a file on as a new job and have it run; print the job's UUID."""
    told: dict[str, Any] = {"customer": customer, "profile": profile, "columns": columns}
    with _one_line_errors():
        if dry_run:
            found = jobs.dry_run(file, **told, **context.obj.place())
            print_json(asdict(found)) if as_json else show_dry_run(found)
            return
        job = jobs.submit_import(file, **told, again=again, **context.obj.place())
        if as_json:
            print_json(job.as_json())
        else:
            print(f"{job.id}\n{Path(job.source_uri).name}: {job.source_bytes:,} bytes taken on; it runs by itself.")
            print(f"`{command()} status {job.id} --watch` shows how far it is.")


@app.command()
def status(
    context: typer.Context,
    job_id: Id,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until the job has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say where a job stands. With --watch the exit code is 1 when the job did not succeed."""
    with _one_line_errors():
        if watch:
            try:
                last = watched_as_json(job_id, context.obj) if as_json else watched(job_id, context.obj)
            except KeyboardInterrupt:
                print("No longer watched; the job goes on.", file=sys.stderr)
                raise typer.Exit(130) from None
            raise typer.Exit(0 if last.job.status == Status.SUCCEEDED else 1)
        now = jobs.status_of(job_id, **context.obj.place())
        if as_json:
            print_json(now.as_json() | {"events": jobs.events_of(job_id, **context.obj.place())})
        else:
            show_status(now, jobs.events_of(job_id, **context.obj.place()))


@app.command("list")
def list_(
    context: typer.Context,
    customer: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only those of this status.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest jobs."""
    with _one_line_errors():
        found = jobs.list_jobs(customer=customer, status=status, most=most, **context.obj.place())
    if as_json:
        print_json([job.as_json() for job in found])
        return
    if not found:
        print("There are no such jobs." if customer is not None or status else "There are no jobs yet.")
        return
    table = Table("job", "status", "customer", "file", "rows", "submitted (UTC)", "by", box=box.SIMPLE)
    for job in found:
        rows = "" if job.rows is None else f"{job.rows:,}"
        name = Text(Path(job.source_uri).name)
        table.add_row(
            job.id, job.status, Text(job.customer), name, rows, shown_time(job.submitted_at), Text(job.submitted_by)
        )
    console().print(table)


@app.command()
def report(context: typer.Context, job_id: Id, as_json: AsJson = False) -> None:
    """The account of every row of a job that has succeeded."""
    with _one_line_errors():
        found = jobs.report_of(job_id, **context.obj.place())
    print_json(found) if as_json else print(summary(found))


@app.command()
def cancel(context: typer.Context, job_id: Id, as_json: AsJson = False) -> None:
    """Stop a job; what its batches have finished stays for a retry."""
    with _one_line_errors():
        job = jobs.cancel_import(job_id, **context.obj.place())
    print_json(job.as_json()) if as_json else print(f"{job.id} is cancelled; `retry` goes on with what is missing.")


@app.command()
def retry(context: typer.Context, job_id: Id, as_json: AsJson = False) -> None:
    """Run a job again that failed or was cancelled; batches that are done are not redone."""
    with _one_line_errors():
        job = jobs.retry_import(job_id, **context.obj.place())
    if as_json:
        print_json(job.as_json())
    elif job.status == Status.SUCCEEDED:
        print(f"{job.id} has succeeded: all its results were there already.")
    else:
        print(f"{job.id} runs again; `{command()} status {job.id} --watch` shows how far it is.")


@app.command()
def rejected(
    context: typer.Context,
    job_id: Id,
    most: Annotated[int, typer.Option(min=1, help="How many to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The rows that a job set aside, and why. With --json all of them, an object on each line."""
    with _one_line_errors():
        rows = jobs.rejected_of(job_id, **context.obj.place())
        if as_json:
            for row in rows:
                print(json.dumps(row, ensure_ascii=False))
            return
        table = Table("line", "why", "row", box=box.SIMPLE)
        count = 0
        for row in rows:
            count += 1
            if count <= most:
                ours = ("line", "sheet", "reasons", "explanation", "job_id")
                cells = " | ".join(cell for name, cell in row.items() if name not in ours and cell)
                table.add_row(row["line"], Text(row["explanation"]), Text(cells[:100]))
        console().print(table)
        print(
            f"{count:,} rows; all of them in {jobs.report_of(job_id, **context.obj.place())['files']['rejected.csv']}"
        )


@app.command()
def review(  # noqa: PLR0917 (their order is nobody's concern)
    context: typer.Context,
    job_id: Id,
    export: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a workbook to be filled.")] = None,
    filled: Annotated[Path | None, typer.Option("--import", metavar="FILE", help="Take it in when filled.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Export what was categorized, too.")] = False,
    who: Annotated[str, typer.Option(help="Who decided [default: the user].")] = "",
    as_json: AsJson = False,
) -> None:
    """Have a person decide: products into a workbook, and their categories back into the catalog."""
    with _one_line_errors():
        if (export is None) == (filled is None):
            raise SettingsError("review takes either --export FILE or --import FILE; export first, fill it, import it")
        if export is not None:
            names = reviewing.export_review(job_id, export, everything=everything, **context.obj.place())
            told: dict[str, Any] = {"file": str(export), "names": names}
            line = f"{export}: {names:,} names; fill its column 'category', then review --import it"
        elif filled is not None:
            done = reviewing.import_review(job_id, filled, who=who, **context.obj.place())
            told, line = asdict(done), done.account()
    print_json(told) if as_json else print(line)


def main() -> None:
    """Run the command line; completion is for the name `shelfsort`, the script beside README.md."""
    app(prog_name=NAME)


def _where(config: Path | None, output: str) -> Where:
    try:
        text = config.read_text("utf-8") if config else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{config}: {getattr(error, 'strerror', None) or 'is not UTF-8'}; give --config a TOML file"
        ) from None
    return Where(all_settings.settings_of(all_settings.parse(text)), output)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except ShelfsortError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
